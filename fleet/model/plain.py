"""Converts values of the model to plain JSON values and back without loss.

The shape is that of the values' own fields. A field that is new in this fleet takes its default
when it is missing; one that only another fleet knows is refused, because it may forbid something.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Reader = Callable[[Any], Any]


def to_plain(value: Any) -> Any:
    """Return a value in dicts, lists, text, numbers and None.

    Raises:
        TypeError: it holds something else, a secret for one; the value itself is not named.
    """
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, datetime):
        # A time without a zone means the store's own and has to stay without one.
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, time | Decimal):
        return value.isoformat() if isinstance(value, time) else str(value)
    raise TypeError(f"a {type(value).__name__} is nothing to write down")


def from_plain(kind: type[T], plain: Any) -> T:
    """Return the value of a kind that ``to_plain`` made this of.

    Raises:
        ValueError: it is none; says where and what is wrong.
    """
    wanted: Any = kind
    value = _read(_reader(wanted), plain, kind.__name__)
    if not isinstance(value, kind):
        raise TypeError(f"a reader of {kind.__name__} makes them")
    return value


def _key(key: Any) -> str:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise TypeError(f"a {type(key).__name__} is no key to write down")
    return str(key)


def _read(read: _Reader, plain: Any, where: str) -> Any:
    """Read a part, and say of which part it was when that fails."""
    try:
        return read(plain)
    except _Unreadable as error:
        raise _Unreadable(f"{where}.{error}") from None
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise _Unreadable(f"{where}: {error}") from None


class _Unreadable(ValueError):
    """Names the part, from the whole inwards."""


@cache
def _reader(kind: Any) -> _Reader:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        (some,) = (part for part in parts if part is not type(None))
        inner = _reader(some)
        return lambda plain: None if plain is None else inner(plain)
    if origin in {tuple, frozenset}:
        item = _reader(parts[0])
        return lambda plain: origin(map(item, _checked(list, plain)))
    if origin is not None and issubclass(origin, Mapping):
        key, item = _reader(parts[0]), _reader(parts[1])
        return lambda plain: {
            key(name): _read(item, one, str(name)) for name, one in _checked(dict, plain).items()
        }
    if kind in _READERS:
        return _READERS[kind]
    return kind if issubclass(kind, Enum) else _of_class(kind)


def _of_class(kind: type[Any]) -> _Reader:
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }

    def read(plain: Any) -> Any:
        given = _checked(dict, plain)
        unknown, missing = given.keys() - readers.keys(), needed - given.keys()
        if unknown or missing:
            words = [f"{name} is unknown" for name in sorted(unknown)]
            words += [f"{name} is missing" for name in sorted(missing)]
            raise ValueError(", ".join(words))
        return kind(**{name: _read(readers[name], one, name) for name, one in given.items()})

    return read


def _checked(kind: type[T], plain: Any) -> T:
    if not isinstance(plain, kind) or (isinstance(plain, bool) and kind is not bool):
        raise ValueError(f"{kind.__name__} expected, not {type(plain).__name__}")
    return plain


def _of(kind: type[Any]) -> _Reader:
    return lambda plain: _checked(kind, plain)


def _float(plain: Any) -> float:
    return float(plain if isinstance(plain, int) else _checked(float, plain))


def _int(plain: Any) -> int:
    # Keys of JSON objects are text, whatever they mean.
    return int(plain) if isinstance(plain, str) else _checked(int, plain)


_READERS: Mapping[Any, _Reader] = {
    Any: lambda plain: plain,
    str: _of(str),
    bool: _of(bool),
    int: _int,
    float: _float,
    Decimal: lambda plain: Decimal(_checked(str, plain)),
    datetime: lambda plain: datetime.fromisoformat(_checked(str, plain)),
    time: lambda plain: time.fromisoformat(_checked(str, plain)),
}
