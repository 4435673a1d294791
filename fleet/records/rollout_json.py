"""What a rollout was told, as JSON text and back without loss.

The shape is that of the values' own fields: a field that is new in this fleet takes its default
when it is missing, and one that only another fleet knows is refused, because it may forbid
something.
"""

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from fleet.errors import RecordsError
from fleet.model.rollout import RolloutSpec

_Reader = Callable[[Any], Any]


def spec_text(spec: RolloutSpec) -> str:
    """Canonical JSON: equal specs are equal texts.

    Raises:
        TypeError: it holds a secret, or something that JSON has no word for.
        ValueError: it holds a number that is none.
    """
    return json.dumps(
        _plain(spec), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def spec_from(text: str) -> RolloutSpec:
    """The spec of a text.

    Raises:
        RecordsError: it is not one, or one of another version of fleet.
    """
    try:
        spec = _reader(RolloutSpec)(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise RecordsError(
            f"the rollout was recorded in another shape than this fleet reads: {error}",
            hint="use the version of fleet that started it",
        ) from error
    if not isinstance(spec, RolloutSpec):
        raise TypeError("a reader of specs makes specs")
    return spec


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _names(type(value))}
    if isinstance(value, Mapping):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    if isinstance(value, datetime):
        # A time without a zone means the store's own and has to stay without one.
        return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
    if isinstance(value, time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    # Not the value itself: what it is of is enough to find the mistake.
    raise TypeError(f"a {type(value).__name__} is not to be recorded")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key)
    raise TypeError(f"a {type(key).__name__} as a key is not to be recorded")


@cache
def _names(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


@cache
def _reader(kind: Any) -> _Reader:
    """What makes a value of this annotation out of its JSON."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return _optional(parts)
    if origin is tuple:
        item = _reader(parts[0])
        return lambda value: tuple(map(item, value))
    if origin is frozenset:
        item = _reader(parts[0])
        return lambda value: frozenset(map(item, value))
    if origin is not None and issubclass(origin, Mapping):
        key, item = _reader(parts[0]), _reader(parts[1])
        return lambda value: {key(name): item(content) for name, content in value.items()}
    return _READERS.get(kind) or _of_class(kind)


def _optional(parts: tuple[Any, ...]) -> _Reader:
    (some,) = (part for part in parts if part is not type(None))
    read = _reader(some)
    return lambda value: None if value is None else read(value)


def _of_class(kind: type[Any]) -> _Reader:
    if issubclass(kind, Enum):
        return kind
    hints = get_type_hints(kind)
    readers = {field.name: _reader(hints[field.name]) for field in fields(kind)}
    needed = {
        field.name
        for field in fields(kind)
        if field.default is MISSING and field.default_factory is MISSING
    }

    def read(value: Mapping[str, Any]) -> Any:
        if not value.keys() <= readers.keys() or not needed <= value.keys():
            unlike = sorted((value.keys() - readers.keys()) | (needed - value.keys()))
            raise KeyError(f"{kind.__name__}: {', '.join(unlike)}")
        return kind(**{name: readers[name](item) for name, item in value.items()})

    return read


def _same(value: Any) -> Any:
    return value


_READERS: Mapping[Any, _Reader] = {
    Any: _same,
    str: _same,
    bool: _same,
    int: int,
    float: float,
    Decimal: Decimal,
    datetime: datetime.fromisoformat,
    time: cache(time.fromisoformat),
}
