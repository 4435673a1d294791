"""Checks parts of a file against their shapes, and reports problems with file and line."""

import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from fleet.errors import Problem
from fleet.inventory.document import Path, YamlDocument, nearest
from fleet.inventory.files import Problems
from fleet.model.inventory import Source
from fleet.model.printable import printable


class Shape(BaseModel):
    """A mapping with these keys and no others."""

    model_config = ConfigDict(extra="forbid", frozen=True)


S = TypeVar("S", bound=Shape)
S_co = TypeVar("S_co", bound=Shape, covariant=True)

ONE_OR_MORE = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}

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


def several(value: Any) -> Any:
    """Return a list: of one for a word, empty for nothing."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else value


Several = Annotated[list[str], BeforeValidator(several), WithJsonSchema(ONE_OR_MORE)]


def wrong(message: str, hint: str | None = None, at: str = "") -> PydanticCustomError:
    """Return the error of a validator; ``at`` is the key that is wrong within its value."""
    context = {"message": message, "hint": hint, "at": at}
    return PydanticCustomError("fleet", "{message}", context)


@dataclass(frozen=True, slots=True)
class Written(Generic[S_co]):
    """A shape, and where it is written.

    Attributes:
        extras: the ``x-`` keys beside its own.
        line: of its key, 1-based; 1 for a whole file.
    """

    shape: S_co
    document: YamlDocument
    path: Path
    extras: Mapping[str, Any] = field(default_factory=dict)
    line: int = 1

    @property
    def source(self) -> Source:
        """File and line."""
        return Source(self.document.file, self.line)

    def problem(self, below: Path, message: str, hint: str | None = None) -> Problem:
        """Return a problem at ``below``, a path within the shape."""
        return self.document.problem((*self.path, *below), message, hint)

    def unknown(
        self, below: Path, what: str, words: Sequence[str | None], names: Collection[str]
    ) -> list[Problem]:
        """Return a problem for each word at ``below`` that names no ``what``; None is skipped."""
        return [
            self.problem(
                below,
                f'there is no {what} "{word}"',
                nearest(word, sorted(names)) if names else f"no {what} is written",
            )
            for word in words
            if word is not None and word not in names
        ]


def check(
    shape: type[S], value: Any, document: YamlDocument, path: Path, problems: Problems
) -> S | None:
    """Return the value in its shape, or None after its problems have been added."""
    try:
        return shape.model_validate({} if value is None else value)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            problems.add(_problem(shape, details, document, path))
        return None


def _problem(
    shape: type[Shape], details: ErrorDetails, document: YamlDocument, path: Path
) -> Problem:
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
    elif kind == "fleet":
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
    """Return the keys that the mapping at ``location`` may have."""
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
    """Return the type without Annotated and without None."""
    origin = get_origin(kind)
    if origin is Annotated:
        return _bare(get_args(kind)[0])
    if origin in {Union, types.UnionType}:
        return _bare(next(one for one in get_args(kind) if one is not type(None)))
    return kind
