"""Every command of fleet that a text in the source names exists, with the options it shows."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from fleet.cli.main import app
from tests.cli.test_proposed_commands import parse

PACKAGE = Path(__file__).parents[2] / "fleet"
CLI = get_command(app)
#: What a command line is refused with; typer names no other of its kind.
Refused: Any = typer.BadParameter.__base__
#: What is mentioned and not proposed: what somebody has typed with a reason, and a whole group.
MENTIONED = frozenset({"fleet stop --all", "fleet sandbox"})
#: Stands for what an f-string fills in.
FILLED = "X"
#: Where a command in a sentence ends.
END = re.compile(r"[`;,:()|\n]|\.(?=\s|$)| -> | {2,}")
#: A command in a text, up to whatever ends it.
NAMED = re.compile(r"(?:(?<=^)|(?<=[\s`(]))fleet ")


@dataclass(frozen=True, slots=True)
class Named:
    """A text that names a command.

    Attributes:
        words: from ``fleet`` to the end of the clause.
        whole: whether the text marks where the command ends, by backticks or as a value of its own.
    """

    where: str
    words: str
    whole: bool

    def __str__(self) -> str:
        return f"{self.where} {self.words}"


def named_in(text: str, where: str, *, is_command: bool = False) -> Iterator[Named]:
    """Yield the commands that a text names."""
    for found in NAMED.finditer(text):
        quoted = text[: found.start()].endswith("`")
        rest = text[found.start() :]
        if quoted:
            yield Named(where, rest.partition("`")[0], whole=True)
        elif is_command and found.start() == 0:
            yield Named(where, rest, whole=True)
        else:
            yield Named(where, END.split(rest)[0].strip(), whole=False)


def texts_of(path: Path) -> Iterator[Named]:
    """Yield the commands that the texts of a module name; docstrings only of what has a help."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out: set[int] = set()
    commands: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            is_help = isinstance(node, ast.FunctionDef) and path.parent.name == "cli"
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and not is_help:
                left_out.add(id(first.value))
        elif isinstance(node, ast.JoinedStr):
            left_out |= {id(part) for part in node.values}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "Command",
            "_step",
            "_release_step",
        }:
            commands |= {id(argument) for argument in node.args[:1]}
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else FILLED for p in node.values)
            text = "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = re.sub(r"\{\w+\}", FILLED, node.value)  # of str.format
        else:
            continue
        where = f"{path.relative_to(PACKAGE.parent)}:{node.lineno}"
        yield from named_in(text, where, is_command=id(node) in commands)


def pages() -> Iterator[Named]:
    """Yield the commands that the HTML page names."""
    for path in sorted((PACKAGE / "drift/view/page").glob("page.*")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for found in re.findall(r"<code>(fleet [^<]*)</code>|\"(fleet [^\"]*)\"", line):
                text = "".join(found)
                yield from named_in(text, f"{path.name}:{number}", is_command=bool(found[0]))


def all_named() -> list[Named]:
    modules = sorted(PACKAGE.rglob("*.py"))
    found = [one for path in modules for one in texts_of(path) if one.words not in MENTIONED]
    return [one for one in (*found, *pages()) if one.whole or is_command(one.words.split())]


def is_command(words: list[str]) -> bool:
    """Whether the first words of a clause are a command, and no sentence about fleet."""
    group: Any = CLI
    for word in words[1:]:
        group = group.get_command(group.make_context("fleet", [], resilient_parsing=True), word)
        if group is None:
            return False
        if not hasattr(group, "resolve_command") or word != "sandbox":
            return True
    return False


def parses(words: list[str]) -> str:
    """Why the command line refuses the words; "" when it takes them."""
    try:
        parse(CLI, "fleet", words[1:])
    except Refused as error:
        return str(error.format_message())
    return ""


def refused(one: Named) -> str:
    """Why what a text names is no command; in a sentence it may end before its clause does."""
    words = shlex.split(one.words.replace("'", "")) if "'" in one.words else one.words.split()
    if one.whole or words[-1].startswith("-"):
        return parses(words)
    whys = {count: parses(words[:count]) for count in range(len(words), 1, -1)}
    longest = next((count for count, why in whys.items() if not why), 0)
    if longest and not any(word.startswith("--") for word in words[longest:]):
        return ""
    return whys[len(words)]


ALL = all_named()


def test_many_commands_are_named() -> None:
    assert len(ALL) > 100


@pytest.mark.parametrize("one", ALL, ids=str)
def test_a_command_that_a_text_names_exists_with_its_options(one: Named) -> None:
    assert not refused(one)


@pytest.mark.parametrize(
    "words",
    [
        "`fleet regster store-1`",
        "`fleet register store-1 --hosts cam-1`",
        "`fleet rollout skip ro-1 ro-2`",
        "then fleet explain",
        "fleet drift --fixx, for one",
        "fleet rollout rollback ro-1 --all",
    ],
)
def test_one_that_does_not_exist_is_found(words: str) -> None:
    [one] = named_in(words, "here")

    assert refused(one)
