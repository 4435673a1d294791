"""The language that every command chooses stores with: what may be said, and what it means.

    market=emea and link.kind=lte
    ring=canary or store in (store-042, store-1*)
    not (lifecycle=closed) and hardware != nuc

``and`` binds closer than ``or``, ``not`` closer than both. ``*`` stands for any text and ``?`` for
one character, within quotes too; quotes are for values with spaces or brackets in them. A condition
on hosts (``host``, ``hardware``, ``architecture``, ``variant``, ``accelerator``) holds when any
host of the store meets it. ``!=`` and ``not in`` are the opposite of ``=`` and ``in``, so they also
hold for a store of which the thing is not known.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fleet.errors import UsageError
from fleet.model.inventory import Architecture, Lifecycle, Store
from fleet.model.printable import printable

LONGEST = 2000
_DEEPEST = 50
_FEW = 12
_LABEL = "label."
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>'[^']*'|"[^"]*")
      | (?P<symbol>!=|==|[=(),])
      | (?P<word>[^\s()=!,'"]+)
    )""",
    re.VERBOSE,
)
#: The likeliest cause of a word that is missing.
_UNSET = "is a shell variable not set?"
_KEYWORDS = frozenset({"and", "or", "not", "in"})

#: Field -> what a store says there; "" is never among it.
FIELDS: Mapping[str, Callable[[Store], tuple[str, ...]]] = {
    "id": lambda store: (store.id,),
    "store": lambda store: (store.id,),
    "name": lambda store: (store.name,),
    "account": lambda store: (store.account.name,),
    "region": lambda store: (store.region,),
    "cluster": lambda store: (store.cluster,),
    "time_zone": lambda store: (store.time_zone,),
    "ring": lambda store: (store.ring,),
    "lifecycle": lambda store: (store.lifecycle.value,),
    "link.kind": lambda store: (store.link.kind,),
    "link.carrier": lambda store: (store.link.carrier,) if store.link.carrier else (),
    "link.metered": lambda store: ("true" if store.link.metered else "false",),
    "host": lambda store: tuple(word for host in store.hosts for word in (host.name, host.id)),
    "hardware": lambda store: tuple(host.hardware.name for host in store.hosts),
    "architecture": lambda store: tuple(host.hardware.architecture.value for host in store.hosts),
    "variant": lambda store: tuple(host.hardware.variant for host in store.hosts),
    "accelerator": lambda store: tuple(
        host.hardware.accelerator for host in store.hosts if host.hardware.accelerator
    ),
}
#: Fields whose values are the same in every fleet: asking for one that no store has is no mistake.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "lifecycle": tuple(word.value for word in Lifecycle),
    "link.metered": ("true", "false"),
    "architecture": tuple(word.value for word in Architecture),
}
_ALIASES = {"yes": "true", "no": "false"}


class SelectionError(UsageError):
    """A condition that cannot be understood.

    Attributes:
        column: where in the text, 1-based.
    """

    def __init__(self, text: str, column: int, message: str, hint: str | None = None) -> None:
        where = f"column {column} of {printable(text, limit=200)!r}"
        super().__init__(f"{message}, at {where}", hint=hint)
        self.column = column


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as written, with its place."""

    text: str
    column: int
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class _Is:
    """One condition: the field has one of these values."""

    field: str
    column: int
    values: tuple[_Value, ...]

    def holds(self, store: Store) -> bool:
        said = values_of(store, self.field)
        return any(value.pattern.fullmatch(word) for word in said for value in self.values)

    def conditions(self) -> "Iterator[_Is]":
        yield self


@dataclass(frozen=True, slots=True)
class _Not:
    inner: "_Term"

    def holds(self, store: Store) -> bool:
        return not self.inner.holds(store)

    def conditions(self) -> Iterator[_Is]:
        return self.inner.conditions()


@dataclass(frozen=True, slots=True)
class _Several:
    """Terms joined by ``and`` (all) or ``or``."""

    terms: "tuple[_Term, ...]"
    all: bool

    def holds(self, store: Store) -> bool:
        join = all if self.all else any
        return join(term.holds(store) for term in self.terms)

    def conditions(self) -> Iterator[_Is]:
        for term in self.terms:
            yield from term.conditions()


_Term = _Is | _Not | _Several


@dataclass(frozen=True, slots=True)
class Selection:
    """A condition on stores that was understood.

    Attributes:
        text: as typed.
    """

    text: str
    _term: _Term

    def matches(self, store: Store) -> bool:
        """Return whether the condition holds for a store."""
        return self._term.holds(store)

    @property
    def fields(self) -> frozenset[str]:
        """Return the names of its fields; labels as ``label.NAME``."""
        return frozenset(condition.field for condition in self._term.conditions())

    def check(self, stores: Iterable[Store]) -> None:
        """Check that every label and value occurs in this fleet.

        Raises:
            SelectionError: no store has such a label, or such a value; names the nearest.
        """
        stores = tuple(stores)
        labels = sorted({label for store in stores for label in store.labels})
        known: dict[str, frozenset[str]] = {}
        for condition in self._term.conditions():
            field = condition.field
            if field.startswith(_LABEL) and field.removeprefix(_LABEL) not in labels:
                name = field.removeprefix(_LABEL)
                raise SelectionError(
                    self.text,
                    condition.column,
                    f'there is no field or label "{printable(name, limit=80)}"',
                    _nearest(name, [*FIELDS, *labels]),
                )
            if field not in known:
                said = {word for store in stores for word in values_of(store, field)}
                known[field] = frozenset(said.union(_WORDS.get(field, ())))
            for value in condition.values:
                if not any(value.pattern.fullmatch(word) for word in known[field]):
                    message = f'no store has {field} "{printable(value.text, limit=80)}"'
                    near = _nearest(value.text, sorted(known[field]))
                    raise SelectionError(self.text, value.column, message, near)


def values_of(store: Store, field: str) -> tuple[str, ...]:
    """Return the values of a field for a store; none if the field is not set."""
    if field.startswith(_LABEL):
        value = store.labels.get(field.removeprefix(_LABEL))
        return () if value is None else (value,)
    return FIELDS[field](store)


def parse(text: str) -> Selection:
    """Understand a condition.

    A name that is no field is taken for a label's; ``Selection.check`` knows whether it is one.

    Raises:
        SelectionError: it is not in the language; names the column and what was seen.
    """
    if len(text) > LONGEST:
        message = f"a condition has at most {LONGEST} characters, this one {len(text)}"
        raise SelectionError(text, LONGEST, message)
    return Selection(text, _Parser(text).whole())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    column: int

    @property
    def keyword(self) -> str:
        """Return the keyword it is, or ""."""
        word = self.text.lower()
        return word if self.kind == "word" and word in _KEYWORDS else ""

    def __str__(self) -> str:
        return f'"{printable(self.text, limit=80)}"' if self.kind != "end" else "the end"


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None or match.lastgroup is None:
            column = at + len(text[at:]) - len(text[at:].lstrip()) + 1
            seen = text[column - 1]
            what = "a quote is not closed" if seen in "'\"" else f"unexpected {seen!r}"
            raise SelectionError(text, column, what)
        kind = match.lastgroup
        word = match[kind]
        yield _Token(kind, word[1:-1] if kind == "quoted" else word, match.start(kind) + 1)
        at = match.end()
    yield _Token("end", "", end + 1)


class _Parser:
    """Reads one condition by recursive descent; every level looks one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0
        self._depth = 0

    def whole(self) -> _Term:
        if self._next.kind == "end":
            raise self._wrong("an empty condition", f"write one, as market=emea; {_UNSET}")
        term = self._either()
        if self._next.kind != "end":
            raise self._wrong(f"and, or or the end expected, found {self._next}")
        return term

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def _take(self) -> _Token:
        token = self._next
        self._at += 1
        return token

    def _wrong(self, message: str, hint: str | None = None) -> SelectionError:
        return SelectionError(self._text, self._next.column, message, hint)

    def _either(self) -> _Term:
        return self._joined("or", lambda: self._joined("and", self._one, all_=True), all_=False)

    def _joined(self, word: str, term: Callable[[], _Term], *, all_: bool) -> _Term:
        terms = [term()]
        while self._next.keyword == word:
            self._take()
            terms.append(term())
        return terms[0] if len(terms) == 1 else _Several(tuple(terms), all_)

    def _one(self) -> _Term:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong("nested too deeply")
        try:
            if self._next.keyword == "not":
                self._take()
                return _Not(self._one())
            if (self._next.kind, self._next.text) == ("symbol", "("):
                return self._bracket()
            return self._condition()
        finally:
            self._depth -= 1

    def _bracket(self) -> _Term:
        self._take()
        term = self._either()
        if (self._next.kind, self._next.text) != ("symbol", ")"):
            raise self._wrong(f'")" expected, found {self._next}')
        self._take()
        return term

    def _condition(self) -> _Term:
        field = self._next
        if field.kind != "word" or field.keyword:
            raise self._wrong(f"a field expected, found {field}", f"one of: {', '.join(FIELDS)}")
        name = self._field(field)
        self._take()
        negated = self._next.keyword == "not"
        if negated:
            self._take()
        sign = self._next
        if sign.keyword == "in":
            self._take()
            values = self._list(name)
        elif not negated and sign.kind == "symbol" and sign.text in {"=", "==", "!="}:
            self._take()
            values = (self._value(name),)
        else:
            hint = f"write {field.text}=VALUE, {field.text}!=VALUE or {field.text} in (A, B)"
            raise self._wrong(f"=, != or in expected after {field}, found {sign}", hint)
        condition = _Is(name, field.column, values)
        return _Not(condition) if negated or sign.text == "!=" else condition

    def _field(self, token: _Token) -> str:
        word = token.text
        if word in FIELDS or (word.startswith(_LABEL) and word != _LABEL):
            return word
        if "." in word:
            message = f'there is no field "{printable(word, limit=80)}"'
            raise self._wrong(message, _nearest(word, [*FIELDS, "label.NAME"]))
        return _LABEL + word

    def _list(self, field: str) -> tuple[_Value, ...]:
        if (self._next.kind, self._next.text) != ("symbol", "("):
            raise self._wrong(f'"(" expected after in, found {self._next}')
        self._take()
        values = [self._value(field)]
        while (self._next.kind, self._next.text) == ("symbol", ","):
            self._take()
            values.append(self._value(field))
        if (self._next.kind, self._next.text) != ("symbol", ")"):
            raise self._wrong(f'"," or ")" expected, found {self._next}')
        self._take()
        return tuple(values)

    def _value(self, field: str) -> _Value:
        token = self._next
        if token.kind not in {"word", "quoted"} or not token.text:
            seen = '""' if token.kind == "quoted" else token
            raise self._wrong(f"a value expected, found {seen}", _UNSET)
        if not token.text.strip():
            raise self._wrong("a value expected, found only spaces", _UNSET)
        self._take()
        text = _ALIASES.get(token.text.lower(), token.text) if field in _WORDS else token.text
        return _Value(token.text, token.column, _pattern(text))


def _pattern(text: str) -> re.Pattern[str]:
    first, *rest = (re.escape(part).replace(r"\?", ".") for part in re.split(r"\*+", text))
    if not rest:
        return re.compile(first, re.DOTALL)
    # Atomic groups: what lies between two stars is found once, so many stars stay quick.
    between = "".join(f"(?>.*?{part})" for part in rest[:-1])
    return re.compile(f"{first}{between}.*{rest[-1]}", re.DOTALL)


def _nearest(word: str, valid: Sequence[str]) -> str | None:
    close = get_close_matches(word, valid, n=1, cutoff=0.6)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"one of: {', '.join(valid)}" if 0 < len(valid) <= _FEW else None
