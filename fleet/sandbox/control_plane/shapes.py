"""Checks requests against botocore's service models.

botocore checks some of this before it sends, but other clients and hand-made requests do not.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationNotFoundError, ServiceModel

_NUMBERS = (int, float)
_TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "structure": ((Mapping,), "an object"),
    "map": ((Mapping,), "an object"),
    "list": ((list, tuple), "a list"),
    "string": ((str,), "a string"),
    "boolean": ((bool,), "true or false"),
    "integer": ((int,), "a whole number"),
    "long": ((int,), "a whole number"),
    "timestamp": (_NUMBERS, "a time in epoch seconds"),
    "float": (_NUMBERS, "a number"),
    "double": (_NUMBERS, "a number"),
}


#: The services whose bodies are JSON; the query protocol of STS sends everything as text.
_CHECKED = {"ecs", "ssm"}


def problem(service: str, action: str, body: Mapping[str, Any]) -> str:
    """Return the first thing that AWS would refuse in a request, or "".

    Texts that may be secret are not repeated. An action that AWS does not publish has no problem.
    """
    shape = _input_shape(service, action) if service in _CHECKED else None
    return "" if shape is None else next(_problems(shape, body, ""), "")


@lru_cache(4)
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


@cache
def _input_shape(service: str, action: str) -> Any:
    try:
        return _model(service).operation_model(action).input_shape
    except OperationNotFoundError:
        return None


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    kinds, words = _TYPES[shape.type_name]
    # A bool is an int in Python, and no number in JSON.
    fits: bool = isinstance(value, kinds) and isinstance(value, bool) == (kinds == (bool,))
    if not fits:
        yield f"{path or 'the body'} must be {words}, not {type(value).__name__}"
        return
    yield from _limits(shape, value, path)
    match shape.type_name:
        case "structure":
            yield from _members(shape, value, f"{path}." if path else "")
        case "list":
            for number, item in enumerate(value):
                yield from _problems(shape.member, item, f"{path}[{number}]")
        case "map":
            for key, item in value.items():
                yield from _problems(shape.value, item, f"{path}.{key}")


def _members(shape: Any, value: Mapping[str, Any], prefix: str) -> Iterator[str]:
    members = shape.members
    for name, item in value.items():
        if name not in members:
            # At the top the operation says whether it models it: agents send what is not published.
            if prefix:
                yield f"{prefix}{name} is not a parameter that AWS knows"
        elif item is not None:
            yield from _problems(members[name], item, f"{prefix}{name}")
    for name in shape.required_members:
        if value.get(name) is None or (value[name] == "" and not prefix):
            yield f"{prefix}{name} can not be blank."


def _limits(shape: Any, value: Any, path: str) -> Iterator[str]:
    limits = shape.metadata
    sized = isinstance(value, str | list | tuple)
    if sized or (isinstance(value, _NUMBERS) and not isinstance(value, bool)):
        size = len(value) if sized else value
        low, high = limits.get("min"), limits.get("max")
        # An empty text counts as one that was not sent.
        if (low is not None and size < low and value != "") or (high is not None and size > high):
            of_what = f"has the length {size}" if sized else f"is {size}"
            yield f"{path} {of_what}; it must be between {low or 0} and {high}"
    if isinstance(value, str) and value:
        if shape.enum and value not in shape.enum:
            yield f"{path} has the value {value!r}; it must be one of {', '.join(shape.enum)}"
        pattern = _pattern(limits.get("pattern", ""))
        if pattern is not None and not pattern.search(value):
            yield f"{path} does not match the pattern {limits['pattern']}"


@cache
def _pattern(text: str) -> re.Pattern[str] | None:
    """Return the compiled pattern; None for one that only Java can compile."""
    try:
        return re.compile(text) if text else None
    except re.error:
        return None
