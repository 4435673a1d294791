"""Renders Jinja2 templates in a sandbox and records the template line of every line of output.

Jinja knows the line of an expression that fails, but not the template line that a line of output
came from, which is where an error in a task definition must be reported. So every line of template
text carries a mark of its origin through the rendering; the marks are removed afterwards.
"""

import difflib
import json
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fleet.errors import InventoryError, Problem
from fleet.model.inventory import Store
from fleet.model.printable import printable

T = TypeVar("T")

#: ECS refuses task definitions beyond 64 KiB; four times that leaves room for comments.
MOST_CHARACTERS = 256 * 1024

# Private-use characters that no template text may hold; expressions are written out in ASCII.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}([^{_CLOSE}]*):([0-9]+){_CLOSE}")
_INDENT = re.compile(rf"(?:\s|{_MARK.pattern})*")
_ASCII = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class RenderedText:
    """The text that a template rendered to.

    Attributes:
        origins: template and line of each line of the text.
    """

    text: str
    origins: tuple[tuple[str, int], ...]

    def origin(self, line: int) -> tuple[str, int]:
        """Return template and line of a line of the text, both 1-based."""
        return self.origins[min(max(line, 1), len(self.origins)) - 1]


class ImageValues:
    """Gives templates entries by name: ``images.items`` is the image "items" and not a method."""

    __slots__ = ("_entries", "_name")

    def __init__(self, name: str, entries: Mapping[str, Any]) -> None:
        self._name = name
        self._entries = entries

    def __getitem__(self, key: str) -> Any:
        if key not in self._entries:
            known = ", ".join(sorted(self._entries)) or "nothing"
            raise jinja2.UndefinedError(f"'{self._name}.{key}' is undefined; there is {known}")
        return self._entries[key]


def store_values(store: Store) -> Mapping[str, Any]:
    """Return what a template may use of a store."""
    return {
        "id": store.id,
        "name": store.name,
        "region": store.region,
        "account": store.account.name,
        "account_id": store.account.account_id,
        "time_zone": store.time_zone,
        "labels": store.labels,
    }


class StoreValues:
    """Gives a template the values of a store and records in ``used`` what it reads.

    A label that a store lacks is undefined, so that the filter ``default`` can be used.
    """

    __slots__ = ("_entries", "_path", "_used")

    def __init__(
        self, entries: Mapping[str, Any], used: dict[str, str | None], path: str = ""
    ) -> None:
        self._entries = entries
        self._used = used
        self._path = path

    @property
    def were_used(self) -> bool:
        """Return whether the template read anything."""
        return bool(self._used)

    def __getitem__(self, key: str) -> Any:
        path = f"{self._path}{key}"
        value = self._entries.get(key)
        if isinstance(value, Mapping):
            return StoreValues(value, self._used, f"{path}.")
        self._used[path] = value
        if value is None:
            known = ", ".join(sorted(self._entries)) or "nothing"
            return jinja2.StrictUndefined(hint=f"'store.{path}' is undefined; there is {known}")
        return value


class RenderingCache(Generic[T]):
    """Keeps renderings by the values that they read of a store.

    A rendering depends on nothing else of the store, so it serves every store with the same values.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], dict[tuple[str | None, ...], T]] = {}

    def find(self, values: Mapping[str, Any]) -> T | None:
        """Return the rendering for a store with these values, if there is one."""
        for paths, known in self._found.items():
            made = known.get(tuple(_value_at(values, path) for path in paths))
            if made is not None:
                return made
        return None

    def keep(self, used: Mapping[str, str | None], made: T) -> None:
        """Keep a rendering with the values that it read."""
        paths = tuple(sorted(used))
        self._found.setdefault(paths, {})[tuple(used[path] for path in paths)] = made


def _value_at(values: Mapping[str, Any], path: str) -> str | None:
    value: Any = values
    for step in path.split(".", 1):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None


class _Origins(Extension):
    """Puts the mark of its origin at the start of every line of template text."""

    def filter_stream(self, stream: TokenStream) -> TokenStream | Iterable[Token]:
        return self._marked(stream)

    def _marked(self, stream: TokenStream) -> Iterator[Token]:
        name = stream.name or ""
        # An included template begins in the middle of a line of another.
        yield Token(1, "data", f"{_OPEN}{name}:1{_CLOSE}")
        for token in stream:
            if token.type != "data":
                yield token
                continue
            first, *others = token.value.split("\n")
            lines = [first]
            lines += [
                f"{_OPEN}{name}:{token.lineno + number}{_CLOSE}{line}"
                for number, line in enumerate(others, start=1)
            ]
            yield Token(token.lineno, "data", "\n".join(lines))


def as_json(value: Any) -> str:
    """Return the value of an expression as ASCII JSON, which is valid YAML too.

    Raises:
        jinja2.UndefinedError: the value is undefined.
    """
    if isinstance(value, jinja2.Undefined):
        return str(value)
    if isinstance(value, str):
        # Markup is text, too: marking it as safe must not change how it is quoted.
        value = str.__str__(value)
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _ASCII.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    # YAML has no surrogate pairs.
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004 - end of the BMP


def template_environment(folder: Path) -> jinja2.Environment:
    """Return a sandbox over the templates of a folder, without randomness."""
    made = ImmutableSandboxedEnvironment(
        loader=jinja2.FileSystemLoader(folder),
        undefined=jinja2.StrictUndefined,
        finalize=as_json,
        extensions=[_Origins],
        keep_trailing_newline=True,
        autoescape=False,
    )
    del made.globals["lipsum"], made.filters["random"]
    # Every expression is JSON already and must not be quoted twice.
    made.filters["tojson"] = made.filters["safe"] = lambda value: value
    return made


def render_text(
    engine: jinja2.Environment, folder: Path, template: str, values: Mapping[str, Any]
) -> RenderedText:
    """Render one template.

    Raises:
        InventoryError: one problem with template, line and what is wrong.
    """
    pieces: list[str] = []
    size = 0
    try:
        for piece in engine.get_template(template).generate(**values):
            pieces.append(piece)
            size += len(_MARK.sub("", piece))
            if size > MOST_CHARACTERS:
                raise _refusal(folder, template, 0, f"renders to over {MOST_CHARACTERS} characters")
    except jinja2.TemplateSyntaxError as error:
        name = error.name or template
        raise _refusal(folder, name, error.lineno, f"{error.message}") from None
    except jinja2.TemplateNotFound as error:
        raise _refusal(folder, template, 0, f'there is no template "{error.name}"') from None
    except SecurityError as error:
        raise _refusal(folder, *_place(error, folder, template), str(error)) from None
    except jinja2.UndefinedError as error:
        place = _place(error, folder, template)
        message = str(error.message)
        raise _refusal(folder, *place, message, _known_name(message, values)) from None
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        place = _place(error, folder, template)
        raise _refusal(folder, *place, f"an expression fails: {error}") from None
    return _without_marks("".join(pieces), template)


def _known_name(message: str, values: Mapping[str, Any]) -> str:
    """Return a hint for an undefined name."""
    name = re.match(r"'(\w+)' is undefined", message)
    close = difflib.get_close_matches(name[1], values, n=1) if name else []
    if close:
        return f'did you mean "{close[0]}"?'
    return "correct the name, or write it down in the workload's file"


def _refusal(
    folder: Path, template: str, line: int, message: str, hint: str | None = None
) -> InventoryError:
    problem = Problem(str(folder / template), line, "", printable(message, limit=300), hint)
    return InventoryError([problem])


def _place(error: Exception, folder: Path, template: str) -> tuple[str, int]:
    """Return the innermost template line of a traceback; Jinja adds template lines to it."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(folder) and frame.lineno:
            return str(path.relative_to(folder)), frame.lineno
    return template, 0


def _without_marks(text: str, template: str) -> RenderedText:
    lines, origins = [], []
    origin = (template, 1)
    for line in text.split("\n"):
        # The first mark of a line is its origin; later marks belong to the lines after it.
        indent = _INDENT.match(line)
        for name, number in _MARK.findall(indent[0] if indent else ""):
            origin = (name, int(number))
        lines.append(_MARK.sub("", line))
        origins.append(origin)
        for name, number in _MARK.findall(line):
            origin = (name, int(number))
    return RenderedText("\n".join(lines), tuple(origins))
