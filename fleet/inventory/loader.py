"""Loads an inventory: from its files, or from what was made of the very same files before."""

import gc
import hashlib
import io
import pickle
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from operator import attrgetter
from pathlib import Path
from typing import Any

import fleet
from fleet.errors import InventoryError, Problem
from fleet.inventory.files import Folder, Problems
from fleet.model.inventory import Fleet

CACHE = "inventory.cache"
#: What a cached fleet may be made of beside the classes of ``fleet.model``.
_VALUES = {("decimal", "Decimal"), ("datetime", "datetime"), ("datetime", "time")}
_VALUES |= {("datetime", "timedelta"), ("datetime", "timezone")}


def load_fleet(root: Path, state: Path | None = None) -> Fleet:
    """Read the inventory in ``root``; its templates lie beside it, in ``templates/``.

    Args:
        state: the folder of run state, where a fleet without problems is cached. It is taken from
            there while every file has the same bytes and fleet itself the same source.

    Raises:
        InventoryError: with every problem found, each with file, line, path and hint.
    """
    if not root.is_dir():
        message = "there is no such folder"
        hint = "run from the project's folder, or name it: --inventory PATH"
        raise InventoryError([Problem(str(root), 0, "", message, hint)])
    problems = Problems()
    folder = Folder(root, problems)
    with _collector_at_rest():
        key = _key(folder) if state else None
        found = _cached(state, key) if state and key else None
        if found is None:
            found = _read(folder, problems)
            if state and key:
                _keep(state, key, found)
    return found


def _read(folder: Folder, problems: Problems) -> Fleet:
    # Imported here: YAML and pydantic take longer than most commands.
    from fleet.inventory.building import build
    from fleet.inventory.reading import read_files

    made = build(read_files(folder, problems), folder, problems)
    problems.raise_any()
    if made is None:
        # Unreachable while every None has a problem; said rather than assumed.
        raise InventoryError([Problem(str(folder.root), 0, "", "the inventory cannot be read")])
    return made


def _key(folder: Folder) -> str | None:
    """A SHA-256 over all that a fleet is made from, fleet's own source included."""
    files = folder.fingerprint()
    if files is None:
        return None
    made = hashlib.sha256(f"{files} {fleet.__version__} {sys.version}".encode())
    source = Path(fleet.__file__).parent
    for package in ("inventory", "model"):
        for path in sorted((source / package).glob("*.py")):
            made.update(path.read_bytes())
    return made.hexdigest()


def _cached(state: Path, key: str) -> Fleet | None:
    try:
        content = (state / CACHE).read_bytes()
    except OSError:
        return None
    head, _, body = content.partition(b"\n")
    if head.decode("ascii", "replace") != f"{key} {hashlib.sha256(body).hexdigest()}":
        return None
    try:
        found = _Unpickler(io.BytesIO(body)).load()
    except pickle.UnpicklingError:
        return None
    return found if isinstance(found, Fleet) else None


def _keep(state: Path, key: str, made: Fleet) -> None:
    """Replace the cache whole; where it cannot be written, the next command reads the files."""
    body = io.BytesIO()
    pickler = pickle.Pickler(body, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _Calls()
    pickler.dump(made)
    head = f"{key} {hashlib.sha256(body.getvalue()).hexdigest()}\n".encode()
    with suppress(OSError):
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=state, prefix=f".{CACHE}.", delete=False) as file:
            file.write(head)
            file.write(body.getbuffer())
        Path(file.name).replace(state / CACHE)


class _Calls(dict[type, Callable[[Any], tuple[type, tuple[Any, ...]]]]):
    """Writes dataclasses as calls of their class, which are read faster than their state."""

    def __missing__(self, kind: type) -> Callable[[Any], tuple[type, tuple[Any, ...]]]:
        if not is_dataclass(kind):
            raise KeyError(kind)
        # One name more, so that there is a tuple for a class with a single field too.
        values = attrgetter(*(field.name for field in fields(kind)), "__class__")
        self[kind] = lambda value: (kind, values(value)[:-1])
        return self[kind]


class _Unpickler(pickle.Unpickler):
    """Reads values of the model; whoever can write the file can have nothing else called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _VALUES:
            return super().find_class(module, name)
        if module.startswith("fleet.model.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an inventory")


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Collect no cycles meanwhile, and none of what is there afterwards.

    A large inventory is very many small objects that all stay; walking them over and over to find
    nothing takes longer than reading them.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
