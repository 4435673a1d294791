"""Caches values made from files, for as long as the files and fleet itself stay the same.

Reading and checking ten thousand stores takes seconds, and most commands are about a few of them.
Only values without problems are cached, so problems are reported each time.
"""

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
from typing import Any, TypeVar

import fleet

T = TypeVar("T")

#: What a cached value may be made of beside the classes of ``fleet.model``.
_VALUES = {("decimal", "Decimal"), ("datetime", "datetime"), ("datetime", "time")}
_VALUES |= {("datetime", "timedelta"), ("datetime", "timezone")}


def cached(file: Path, contents: str, kind: type[T], make: Callable[[], T]) -> T:
    """Return what ``make`` returned for the same contents before, or call it and keep the result.

    Args:
        file: the cache, replaced whole; it need not be there, or be writable.
        contents: a digest of all that ``make`` reads.
        kind: class of the value.
    """
    key = _key(contents)
    with collector_at_rest():
        found = _read(file, key)
        if isinstance(found, kind):
            return found
        made = make()
        _write(file, key, made)
        return made


def _key(contents: str) -> str:
    """Return a digest of the contents and of the program that reads them."""
    made = hashlib.sha256(f"{contents} {fleet.__version__} {sys.version}".encode())
    source = Path(fleet.__file__).parent
    for package in ("inventory", "model"):
        for path in sorted((source / package).rglob("*.py")):
            made.update(path.read_bytes())
    return made.hexdigest()


def _read(file: Path, key: str) -> Any:
    try:
        head, _, body = file.read_bytes().partition(b"\n")
        if head != _head(key, body):
            return None
        return _Unpickler(io.BytesIO(body)).load()
    except (OSError, pickle.UnpicklingError):
        return None


def _write(file: Path, key: str, value: object) -> None:
    body = io.BytesIO()
    pickler = pickle.Pickler(body, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = _Calls()
    pickler.dump(value)
    with suppress(OSError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".cache.", delete=False) as new:
            temporary = Path(new.name)
            try:
                new.write(_head(key, body.getvalue()) + b"\n" + body.getvalue())
                new.flush()
                temporary.replace(file)
            finally:
                temporary.unlink(missing_ok=True)


def _head(key: str, body: bytes) -> bytes:
    """Return the first line of a cache file, which shows whether the rest is undamaged."""
    return f"{key} {hashlib.sha256(body).hexdigest()}".encode()


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
    """Reads values of ``fleet.model`` and calls nothing else, whoever wrote the file."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _VALUES:
            return super().find_class(module, name)
        if module.startswith("fleet.model.") and "." not in name:
            found = super().find_class(module, name)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, Enum)):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value of the model")


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Stop the garbage collector, and exempt what exists at the end from it.

    A large inventory is hundreds of thousands of small objects that all stay. Walking them again
    and again in search of cycles takes longer than reading the files.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
