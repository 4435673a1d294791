"""Applies a shape to what was written, and says what is wrong in words and with lines."""

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fleet.errors import InventoryError, Problem
from fleet.inventory.document import Document, Path, nearest
from fleet.inventory.shape import Shape
from fleet.model.printable import printable

S = TypeVar("S", bound=Shape)

_EXPECTED = {
    "string_type": "text",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "list_type": "a list",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a number",
    "decimal_parsing": "a number",
    "decimal_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}


class Problems:
    """Collects what is wrong, each thing once."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def add(self, problem: Problem) -> None:
        """Remember a problem."""
        self._found[problem] = None

    def extend(self, problems: Sequence[Problem]) -> None:
        """Remember several."""
        self._found.update(dict.fromkeys(problems))

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def raise_any(self) -> None:
        """Raise InventoryError with all of them, if there are any."""
        if self._found:
            raise InventoryError(tuple(self._found))


def check(
    shape: type[S], value: Any, document: Document, path: Path, problems: Problems
) -> S | None:
    """The value in its shape, or None after its problems have been added."""
    try:
        return shape.model_validate({} if value is None else value)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.add(_problem(shape, details, document, path))
        return None


def _problem(shape: type[Shape], details: ErrorDetails, document: Document, path: Path) -> Problem:
    kind, context = details["type"], details.get("ctx", {})
    location = tuple(step for step in details["loc"] if step != "[key]")
    hint: str | None = context.get("hint")
    if kind == "missing":
        message = f'the key "{location[-1]}" is missing'
        return document.problem((*path, *location[:-1]), message)
    if kind == "extra_forbidden":
        word = str(location[-1])
        message = f'unknown key "{printable(word, limit=80)}"'
        hint = nearest(word, _keys(shape, location[:-1]))
    elif kind == "enum":
        allowed = str(context["expected"]).replace("'", "").replace(" or ", ", ")
        message = f"{_seen(details['input'])} is not one of {allowed}"
        hint = nearest(str(details["input"]), allowed.split(", "))
    elif kind in _EXPECTED:
        message = f"{_EXPECTED[kind]} expected, found {_seen(details['input'])}"
        if details["input"] is None and kind == "string_type":
            hint = 'write "" for empty text, or quote the word'
    elif kind in {"pattern", "time_zone", "hours", "attribute", "where"}:
        message = printable(details["msg"], limit=400)
        location = (*location, context["at"]) if context.get("at") else location
    else:
        message = f"{details['msg'].removeprefix('Input ')}, found {_seen(details['input'])}"
    return document.problem((*path, *location), message, hint)


def _seen(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, Mapping):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    return f'"{printable(str(value), limit=80)}"'


def _keys(shape: type[Shape], location: Sequence[str | int]) -> list[str]:
    """The keys that the mapping at ``location`` may have."""
    kind: Any = shape
    for step in location:
        kind = _below(kind, str(step))
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return sorted(field.alias or name for name, field in kind.model_fields.items())
    return []


def _below(kind: Any, step: str) -> Any:
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        field = kind.model_fields.get(step)  # keys with an alias have nothing below them
        return field.annotation if field else None
    arguments = get_args(kind)
    return arguments[-1] if arguments else None


def _bare(kind: Any) -> Any:
    """The type without Annotated and without None."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _bare(get_args(kind)[0])
    if origin in {Union, types.UnionType}:
        return _bare(next(one for one in get_args(kind) if one is not type(None)))
    return kind
