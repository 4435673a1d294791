"""What fleet 0.1 wrote: a database, a plan file, an inventory, and what its commands printed.

``tests/cases/version_0_1/README.md`` says how it was made. None of it is ever changed to suit newer
code: whatever a newer version reads or prints differently is listed in the tests, with a reason.
"""

import json
import re
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.main import main
from tests.scenarios.conftest import Ran

CASES = Path(__file__).with_name("cases") / "version_0_1"
#: When the commands that only read the records were typed, by the fleet's clock.
NOW = datetime.fromisoformat(json.loads((CASES / "commands.json").read_text())["now"])

#: Names of fields, as opposed to ids and other data that are keys of an object.
_FIELD = re.compile(r"[A-Za-z_]+")
_NUMBER = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was typed.

    Attributes:
        name: of its files in ``documents/`` and ``transcripts/``.
        words: after ``fleet``; ``{store}`` stands for the store of the scenario.
        code: that it ended with.
    """

    name: str
    words: tuple[str, ...]
    code: int

    @property
    def document(self) -> Any:
        """What ``--json`` printed."""
        return json.loads((CASES / "documents" / f"{self.name}.json").read_text(encoding="utf-8"))


def commands(group: str) -> list[Command]:
    """The commands of a group in the order in which they were typed.

    Args:
        group: ``records`` for those that read the database and the inventory beside it, ``shop``
            for those that ask AWS and the hosts of one shop that they register.
    """
    listed = json.loads((CASES / "commands.json").read_text(encoding="utf-8"))[group]
    return [Command(one["name"], tuple(one["words"]), one["code"]) for one in listed]


def type_fleet(
    words: Iterable[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ran:
    """Run a command in this process, which takes no time to start."""
    monkeypatch.setattr("sys.argv", ["fleet", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    code = ended.value.code
    assert code is None or isinstance(code, int)
    return Ran(code or 0, said.out, said.err)


def lay_out(folder: Path) -> None:
    """Put a copy of everything into a folder, as it was where it was written."""
    for name in ("inventory", "templates"):
        shutil.copytree(CASES / name, folder / name)
    shutil.copy(CASES / "plan.json", folder)
    (folder / ".fleet").mkdir()
    with closing(sqlite3.connect(folder / ".fleet" / "fleet.db")) as database:
        database.executescript((CASES / "database.sql").read_text(encoding="utf-8"))


def check_convention(command: Command, document: Any) -> None:
    """Fail unless a document begins as ``fleet.terminal.documents`` says."""
    kind, version = list(document.items())[:2]

    assert kind[0] == "kind"
    assert kind[1].partition("-")[0] == command.words[0] or kind[1] == "rollout-plan"
    assert version == ("version", 1)


def differences(was: Any, now: Any, path: str = "") -> Iterator[str]:
    """What a document has lost: keys, and values that are not sentences.

    A sentence (text with a space in it) may become plainer, unless it is evidence, which is stored.
    """
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        for key in was:
            here = f"{path}.{key}" if path else str(key)
            if key not in now:
                yield f"{here} is gone"
            else:
                yield from differences(was[key], now[key], here)
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for number, (one, other) in enumerate(zip(was, now, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif was != now:
        sentence = isinstance(was, str) and " " in was and isinstance(now, str) and now
        if not sentence or ".evidence." in path:
            yield f"{path} was {was!r}, is {now!r}"


def keys(document: Any, path: str = "") -> set[str]:
    """Where a document has which fields; ids that are keys, and places in lists, are ``*``."""
    found: set[str] = set()
    if isinstance(document, Mapping):
        for key, value in document.items():
            here = f"{path}.{key if _FIELD.fullmatch(key) else '*'}"
            found |= {here} | keys(value, here)
    elif isinstance(document, list):
        for value in document:
            found |= keys(value, f"{path}[*]")
    return found


def places(difference: str) -> tuple[str, str]:
    """Where in the document a difference is: as it is, and with ``[*]`` for every number."""
    where = difference.split(" ", 1)[0]
    return where, _NUMBER.sub("[*]", where)
