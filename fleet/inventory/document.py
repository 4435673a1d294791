"""Reads YAML text into plain values that know the line they came from.

Scalars stay text until a shape says what they are. That is what disarms YAML 1.1: ``no`` is the
word "no" where a word is wanted, ``09:00`` is not a number of seconds, and the account
``012345678901`` keeps its zero. Only where any value will do (a template's variables, ``x-`` keys)
are plain scalars read by the core schema of YAML 1.2: ``free``.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from fleet.errors import InventoryError, Problem
from fleet.model.inventory import Source

Path = tuple[str | int, ...]

#: libyaml reads ten times as fast; the pure reader serves where PyYAML was built without it. The
#: base loaders guess no types.
_LOADER: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)

#: How many scalars all aliases of a file may stand for.
_MOST_ALIASED = 1_000_000

#: How deep brackets may nest, those in comments and quotes counted too.
_MOST_NESTED = 100
_BRACKET = re.compile(r"[\[\]{}]")
_DEEP_BLOCK = re.compile(r"^[ \t]*(?:[-?:][ \t]+){100}|^ {200}", re.MULTILINE)

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False}
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
#: What may be written as a tag: nothing, or what the value is anyway.
_TAGS: Mapping[type[yaml.Event], frozenset[str | None]] = {
    yaml.ScalarEvent: frozenset({None, "!", "tag:yaml.org,2002:str"}),
    yaml.SequenceStartEvent: frozenset({None, "!", "tag:yaml.org,2002:seq"}),
    yaml.MappingStartEvent: frozenset({None, "!", "tag:yaml.org,2002:map"}),
}


class Plain(str):
    """A scalar written without quotes, so that ``free`` may read it as a number or a boolean."""

    __slots__ = ()


class Map(dict[str, Any]):
    """A mapping as written, without its ``x-`` keys.

    Attributes:
        line: of the key that it stands under, 1-based; 0 within a cell of a table.
        extras: the ``x-`` keys with their values read by ``free``.
    """

    __slots__ = ("extras", "line")

    def __init__(self, line: int = 0) -> None:
        super().__init__()
        self.line = line
        self.extras: dict[str, Any] = {}


def free(value: Any) -> Any:
    """Return a value of no declared type: plain scalars are read by YAML 1.2's core schema."""
    if isinstance(value, Plain):
        return _scalar(str(value))
    if isinstance(value, Map):
        return {key: free(item) for key, item in value.items()} | value.extras
    if isinstance(value, list):
        return [free(item) for item in value]
    return value


def _scalar(text: str) -> Any:
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def dotted(path: Path) -> str:
    """Return a path as people read it: ``containerDefinitions[0].memory``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else str(step)
    return text


@dataclass(frozen=True, slots=True)
class YamlDocument:
    """A file's content and where each part of it is written.

    Attributes:
        file: path as the person gave it.
        value: Map, list, str or None.
        text: the YAML it was read from; None for a table.
        rows: line of each entry of ``stores``, for files that are tables.
        unreadable: entries of ``stores`` whose row has been complained about.
    """

    file: str
    value: Any
    text: str | None = field(default=None, repr=False)
    rows: dict[str, int] = field(default_factory=dict)
    unreadable: set[str] = field(default_factory=set)
    _nodes: list[yaml.Node | None] = field(default_factory=list, repr=False)
    _keys: dict[int, dict[str, tuple[int, yaml.Node]]] = field(default_factory=dict, repr=False)

    def line(self, path: Path) -> int:
        """Return the line of the deepest part of ``path`` that is written; 1 when nothing is."""
        if self.text is None:
            return self.rows.get(str(path[1]), 1) if len(path) > 1 else 1
        if not self._nodes:
            self._nodes.append(yaml.compose(self.text, Loader=_LOADER))
        line, node = 1, self._nodes[0]
        for step in path:
            found = self._step(node, step)
            if found is None:
                break
            line, node = found
        return line

    def _step(self, node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
        if isinstance(node, yaml.MappingNode):
            # Indexed, because thousands of stores may each have a problem.
            if id(node) not in self._keys:
                self._keys[id(node)] = {
                    str(key.value): (key.start_mark.line + 1, value) for key, value in node.value
                }
            return self._keys[id(node)].get(str(step))
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            item = node.value[step]
            return item.start_mark.line + 1, item
        return None

    def source(self, path: Path) -> Source:
        """Return where ``path`` is written."""
        return Source(self.file, self.line(path))

    def problem(self, path: Path, message: str, hint: str | None = None) -> Problem:
        """Return a problem at ``path``."""
        shown = path[1:] if self.rows else path
        return Problem(self.file, self.line(path), dotted(shown), message, hint)


def read_yaml(text: str, file: str) -> YamlDocument:
    """Read one YAML document.

    Raises:
        InventoryError: it nests too deeply, is not YAML or holds more than one document, each of
            which ends the reading; or it writes a key twice, uses a tag or ``<<``, or an alias that
            contains itself, all of which come at once.
    """
    deep = _too_deep(text)
    if deep:
        raise InventoryError([Problem(file, deep, "", "is nested too deeply")])
    try:
        builder = _Builder(text, file)
        value = builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        words = " ".join(filter(None, [error.context, error.problem]))
        raise InventoryError([Problem(file, line, "", f"is not YAML: {words}")]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        message = f"is not YAML: the character {error.character!r} is not allowed"
        raise InventoryError([Problem(file, line, "", message)]) from None
    if builder.problems:
        raise InventoryError(builder.problems)
    return YamlDocument(file, value, text)


def _too_deep(text: str) -> int:
    """Return the line that nests too deeply, or 0; libyaml would crash the process on it."""
    blocks = _DEEP_BLOCK.search(text)
    if blocks:
        return text.count("\n", 0, blocks.start()) + 1
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(0, depth - 1)
        if depth > _MOST_NESTED:
            return text.count("\n", 0, bracket.start()) + 1
    return 0


class _Builder:
    """Builds values directly from parser events, without PyYAML's nodes.

    Nodes take more time and memory than the values. A problem that is found later composes the
    text again to find its line.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._next: Callable[[], Any] = _LOADER(text).get_event
        self._plain: dict[str, Plain | None] = dict.fromkeys(_NULLS)
        #: Anchor -> its value and how many scalars that holds; None while it is being built.
        self._anchors: dict[str, tuple[Any, int] | None] = {}
        self._size = 0
        self._aliased = 0

    def document(self) -> Any:
        """Return the value of the only document; None for an empty file."""
        self._next()
        event = self._next()
        if type(event) is yaml.StreamEndEvent:
            return None
        value = self._value(self._next(), ())
        self._next()
        another = self._next()
        if type(another) is not yaml.StreamEndEvent:
            raise yaml.composer.ComposerError(
                "expected a single document in the stream",
                event.start_mark,
                "but found another document",
                another.start_mark,
            )
        return value

    def _value(self, event: Any, path: Path) -> Any:
        kind = type(event)
        if kind is yaml.AliasEvent:
            return self._alias(event, path)
        if event.tag not in _TAGS[kind]:
            message = f"the tag {event.tag} is not used here"
            self._complain(event, path, message, "leave the tag out")
        anchor, before = event.anchor, self._size
        if anchor is not None:
            if anchor in self._anchors:
                self._complain(event, path, f'the anchor "{anchor}" is there twice')
            self._anchors[anchor] = None
        value: Any
        if kind is yaml.ScalarEvent:
            self._size += 1
            value = event.value if event.style else self._scalar(event.value)
        elif kind is yaml.SequenceStartEvent:
            value = []
            while type(item := self._next()) is not yaml.SequenceEndEvent:
                value.append(self._value(item, (*path, len(value))))
        else:
            value = self._map(event, path)
        if anchor is not None:
            self._anchors[anchor] = value, self._size - before
        return value

    def _alias(self, event: Any, path: Path) -> Any:
        """Return the value of an anchor; a few nested aliases could fill any memory."""
        if event.anchor not in self._anchors:
            message = f"found undefined alias {event.anchor!r}"
            raise yaml.composer.ComposerError(None, None, message, event.start_mark)
        built = self._anchors[event.anchor]
        if built is None:
            self._complain(event, path, "an alias contains itself")
            return None
        value, size = built
        self._size += size
        self._aliased += size
        if self._aliased > _MOST_ALIASED:
            if self._aliased - size <= _MOST_ALIASED:
                self._complain(event, path, "the aliases of this file stand for too much")
            return None
        return value

    def _scalar(self, text: str) -> Plain | None:
        """Return one shared value for all scalars that are written alike."""
        if text not in self._plain:
            self._plain[text] = Plain(text)
        return self._plain[text]

    def _map(self, event: Any, path: Path) -> Map:
        made = Map(event.start_mark.line + 1)
        lines: dict[str, int] = {}
        while type(key_event := self._next()) is not yaml.MappingEndEvent:
            line = key_event.start_mark.line + 1
            is_word = type(key_event) is yaml.ScalarEvent and key_event.anchor is None
            key = key_event.value if is_word else self._value(key_event, path)
            below = (*path, key) if isinstance(key, str) else path
            value = self._value(self._next(), below)
            if not isinstance(key, str):
                self._complain(key_event, path, "a key must be a word")
                continue
            if key == "<<":
                hint = "put what is shared in a group of fleet.yaml"
                self._complain(key_event, below, "merge keys are not used here", hint)
                continue
            if key in lines:
                self._complain(key_event, below, f"is written twice, first in line {lines[key]}")
                continue
            lines[key] = line
            if isinstance(value, Map):
                value.line = line
            if key.startswith("x-"):
                made.extras[key] = free(value)
            else:
                made[key] = value
        return made

    def _complain(self, event: Any, path: Path, message: str, hint: str | None = None) -> None:
        line = event.start_mark.line + 1
        self.problems.append(Problem(self.file, line, dotted(path), message, hint))


def nearest(word: str, valid: Sequence[str]) -> str | None:
    """Return a hint: the nearest valid spelling, or all valid words when they are few."""
    import difflib

    close = difflib.get_close_matches(word, valid, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    few = 12
    return f"one of: {', '.join(sorted(valid))}" if 0 < len(valid) <= few else None
