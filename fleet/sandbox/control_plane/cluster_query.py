"""Evaluates the part of the cluster query language that selects container instances.

Grammar after the ECS developer guide, "Cluster query language":

    expression := term (("or" | "||") term)*
    term       := factor (("and" | "&&") factor)*
    factor     := ("not" | "!") factor | "(" expression ")" | subject operator [argument]
    subject    := agentConnected | attribute:NAME | ec2InstanceId

Not modelled are comparisons by order and the subjects that need them (agentVersion, registeredAt,
runningTasksCount). The guide does not say what a comparison means where the attribute is missing.
Here ``!=``, ``!in`` and ``!~`` are the opposite of ``==``, ``in`` and ``=~``, so they hold.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fleet.sandbox.agents.session import AwsFault

LONGEST = 1000
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class QuerySubject:
    """What can be asked about one container instance.

    Attributes:
        attributes: name to value; None for an attribute without one.
    """

    agent_connected: bool
    attributes: dict[str, str | None]
    ec2_instance_id: str


Predicate = Callable[[QuerySubject], bool]

_OPERATORS = {
    "==": "==",
    "equals": "==",
    "!=": "!=",
    "not_equals": "!=",
    "=~": "=~",
    "matches": "=~",
    "!~": "!~",
    "not_matches": "!~",
    "in": "in",
    "!in": "!in",
    "not_in": "!in",
    "exists": "exists",
    "!exists": "!exists",
    "not_exists": "!exists",
}
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<quoted>'[^']*'|"[^"]*")
      | (?P<symbol>&&|\|\||==|!=|>=|<=|=~|!~|!in\b|!exists\b|[()\[\],<>!])
      | (?P<word>[^\s()\[\],'"=<>!&|]+)
    )""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _QueryToken:
    text: str
    at: int
    quoted: bool = False


def parse(text: str) -> Predicate:
    """Return a predicate for an expression.

    Raises:
        AwsFault: InvalidParameterException that says what was seen and where.
    """
    if len(text) > LONGEST:
        raise _bad(f"it is {len(text)} characters long, at most {LONGEST} are allowed")
    return _QueryParser(_tokens(text)).whole()


def _bad(why: str) -> AwsFault:
    return AwsFault("InvalidParameterException", f"Invalid cluster query expression: {why}.")


def _tokens(text: str) -> list[_QueryToken]:
    tokens = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _bad(f"unexpected {text[at:].lstrip()[:1]!r} at position {at + 1}")
        kind = match.lastgroup or ""
        token = match[kind]
        start = match.start(kind) + 1
        quoted = kind == "quoted"
        tokens.append(_QueryToken(token[1:-1] if quoted else token, start, quoted))
        at = match.end()
    return tokens


class _QueryParser:
    def __init__(self, tokens: Sequence[_QueryToken]) -> None:
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def whole(self) -> Predicate:
        found = self._expression()
        if (token := self._peek()) is not None:
            raise _bad(f"unexpected {token.text!r} at position {token.at}")
        return found

    def _peek(self) -> _QueryToken | None:
        return self._tokens[self._next] if self._next < len(self._tokens) else None

    def _take(self, wanted: str) -> _QueryToken:
        token = self._peek()
        if token is None:
            raise _bad(f"it ends where {wanted} should follow")
        self._next += 1
        return token

    def _at(self, *texts: str) -> bool:
        token = self._peek()
        return token is not None and not token.quoted and token.text in texts

    def _expression(self) -> Predicate:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _bad(f"it is nested deeper than {_DEEPEST} levels")
        found = self._term()
        while self._at("or", "||"):
            self._next += 1
            found = _either(found, self._term())
        self._depth -= 1
        return found

    def _term(self) -> Predicate:
        found = self._factor()
        while self._at("and", "&&"):
            self._next += 1
            found = _both(found, self._factor())
        return found

    def _factor(self) -> Predicate:
        negated = False
        while self._at("not", "!"):
            self._next += 1
            negated = not negated
        if self._at("("):
            self._next += 1
            found = self._expression()
            self._expect(")")
        else:
            found = self._comparison()
        return _opposite(found) if negated else found

    def _comparison(self) -> Predicate:
        subject = self._take("a subject")
        word = self._take("an operator")
        operator = None if word.quoted else _OPERATORS.get(word.text)
        if operator is None:
            raise _bad(f"{word.text!r} at position {word.at} is no operator")
        plain = {"!=": "==", "!~": "=~"}.get(operator, operator.removeprefix("!"))
        if plain == "exists":
            found = _existence(subject)
        elif plain == "in":
            within = [_comparing(subject, "==", value) for value in self._values()]
            found = lambda host: any(test(host) for test in within)  # noqa: E731 - as below
        else:
            found = _comparing(subject, plain, self._value())
        return _opposite(found) if operator.startswith("!") else found

    def _values(self) -> list[_QueryToken]:
        self._expect("[")
        values = [self._value()]
        while self._at(","):
            self._next += 1
            values.append(self._value())
        self._expect("]")
        return values

    def _value(self) -> _QueryToken:
        token = self._take("a value")
        if not token.quoted and not re.match(r"[^()\[\],<>!=&|]", token.text):
            raise _bad(f"{token.text!r} at position {token.at} is no value")
        return token

    def _expect(self, text: str) -> None:
        token = self._take(repr(text))
        if token.quoted or token.text != text:
            raise _bad(f"{token.text!r} at position {token.at} should be {text!r}")


def _both(left: Predicate, right: Predicate) -> Predicate:
    return lambda host: left(host) and right(host)


def _either(left: Predicate, right: Predicate) -> Predicate:
    return lambda host: left(host) or right(host)


def _opposite(test: Predicate) -> Predicate:
    return lambda host: not test(host)


def _attribute(token: _QueryToken) -> str | None:
    kind, colon, name = token.text.partition(":")
    return name if kind == "attribute" and colon and name and not token.quoted else None


def _existence(subject: _QueryToken) -> Predicate:
    name = _attribute(subject)
    if name is None:
        raise _bad(f"{subject.text!r} always exists; ask for the existence of an attribute")
    return lambda host: name in host.attributes


def _comparing(subject: _QueryToken, operator: str, value: _QueryToken) -> Predicate:
    """Return the test for ``==`` or ``=~``."""
    name = _attribute(subject)
    if name is not None:
        return _text_test(operator, value.text, lambda host: host.attributes.get(name))
    if subject.text == "ec2InstanceId":
        return _text_test(operator, value.text, lambda host: host.ec2_instance_id)
    if subject.text != "agentConnected":
        raise _bad(f"{subject.text!r} at position {subject.at} is no subject")
    if value.text not in {"true", "false"} or operator != "==":
        raise _bad(f"{subject.text} is true or false, not {operator} {value.text!r}")
    return lambda host: host.agent_connected is (value.text == "true")


def _text_test(operator: str, value: str, get: Callable[[QuerySubject], str | None]) -> Predicate:
    if operator == "==":
        return lambda host: get(host) == value
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise _bad(f"{value!r} is no regular expression ({error})") from error
    return lambda host: (text := get(host)) is not None and pattern.search(text) is not None
