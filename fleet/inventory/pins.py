"""Reads and writes ``pins.yaml``: machine ids of hosts and checksums of install scripts.

Written by ``fleet`` and committed by people. A write takes a lock on the inventory's folder, reads
the file again, adds its entry and replaces the file whole, so that two runs lose nothing of each
other and a reader never sees half a file. Comments above the first key are kept.
"""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleet.errors import FleetError, UsageError
from fleet.inventory.cache import cached
from fleet.inventory.files import Folder, Problems
from fleet.model.inventory import Pins

if TYPE_CHECKING:
    from fleet.inventory.schema import PinsShape

FILE = "pins.yaml"
CACHE = "pins.cache"


def load_pins(root: Path, state: Path | None = None) -> Pins:
    """Return the pins of an inventory; none when there is no file yet.

    Args:
        state: the folder of run state, where pins without problems are cached: a large fleet has
            tens of thousands.

    Raises:
        InventoryError: the file cannot be read or holds something else.
    """
    path = root / FILE
    text = _text(path)
    if not text:
        return Pins()

    def make() -> Pins:
        shape, _ = _checked(text, path)
        return Pins(machine_ids=shape.machines or {}, installers=shape.installers or {})

    if state is None:
        return make()
    contents = hashlib.sha256(f"{path}\0{text}".encode()).hexdigest()
    return cached(state / CACHE, contents, Pins, make)


def save_machine_id(root: Path, host_id: str, machine_id: str) -> None:
    """Pin a host's /etc/machine-id; a no-op when it is pinned already.

    Raises:
        UsageError: the host is pinned to another machine; that pin must be taken out by hand.
        InventoryError: the file, or what is to be added, is not as it must be.
        FleetError: the file cannot be written.
    """
    with _locked(root):
        shape, extras = _checked(_text(root / FILE), root / FILE)
        machines = dict(shape.machines or {})
        pinned = machines.get(host_id)
        if pinned == machine_id:
            return
        if pinned is not None:
            raise UsageError(
                f"{host_id} is pinned to the machine {pinned}, not {machine_id}",
                hint=f"if the box was replaced, take its line out of {root / FILE}",
            )
        machines[host_id] = machine_id
        _write(root, machines, shape.installers or {}, extras)


def save_installer_pin(root: Path, sha256: str, source: str) -> None:
    """Allow an install script by its SHA-256; ``source`` says where it came from, for people.

    Raises:
        InventoryError: the file, or what is to be added, is not as it must be.
        FleetError: the file cannot be written.
    """
    with _locked(root):
        shape, extras = _checked(_text(root / FILE), root / FILE)
        installers = dict(shape.installers or {})
        if installers.get(sha256) == source:
            return
        installers[sha256] = source
        _write(root, shape.machines or {}, installers, extras)


def _text(path: Path) -> str:
    """Return the text of the file, "" when there is none."""
    folder = Folder(path.parent)
    text = folder.text(path) if path.exists() else ""
    folder.problems.raise_any()
    return text or ""


def _checked(text: str, path: Path) -> "tuple[PinsShape, Mapping[str, Any]]":
    """Return the content of the file and its ``x-`` keys.

    Raises:
        InventoryError: it is not as it must be.
    """
    # Imported here: YAML and pydantic take longer than most commands, and many read no pins.
    from fleet.inventory.checking import check
    from fleet.inventory.document import Map, read_yaml
    from fleet.inventory.schema import PinsShape

    problems = Problems()
    document = read_yaml(text, str(path))
    shape = check(PinsShape, document.value, document, (), problems)
    problems.raise_any()
    value = document.value
    return shape or PinsShape(), value.extras if isinstance(value, Map) else {}


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Lock the folder; a lock file could be committed by accident."""
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise FleetError(f"{root} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _write(
    root: Path,
    machines: Mapping[str, str],
    installers: Mapping[str, str],
    extras: Mapping[str, Any],
) -> None:
    import yaml

    path = root / FILE
    content = {
        "machines": dict(sorted(machines.items())),
        "installers": dict(sorted(installers.items())),
        **extras,
    }
    # libyaml writes ten times as fast; the pure dumper serves where PyYAML was built without it.
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    written = yaml.dump(content, Dumper=dumper, sort_keys=False, allow_unicode=True, width=1000)
    text = _opening_comments(path) + written
    _checked(text, path)  # what is written must be what can be read
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    try:
        number, name = tempfile.mkstemp(dir=root, prefix=f".{FILE}.")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            with suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise FleetError(
            f"{path} cannot be written: {error.strerror}",
            hint="free some space or make the folder writable, then run again",
        ) from error


def _opening_comments(path: Path) -> str:
    if not path.exists():
        return ""
    kept = []
    for line in path.read_text("utf-8").splitlines(keepends=True):
        if line.strip() and not line.startswith("#"):
            break
        kept.append(line)
    return "".join(kept)
