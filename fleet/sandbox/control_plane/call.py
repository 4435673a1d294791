"""One call to the control plane, and the declaration of an operation."""

import base64
import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.shapes import problem
from fleet.sandbox.control_plane.world import RegionState, World

Found = TypeVar("Found")
Answer = dict[str, Any]

#: The error code of each service for a bad value.
_INVALID = {
    "ecs": "InvalidParameterException",
    "ssm": "ValidationException",
    "sts": "ValidationError",
    "tacs": "InvalidParameterException",
}
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, as the credentials say.

    Attributes:
        account: "" for an unsigned call.
        arn: what STS would answer.
        managed_instance_id: of the node whose credentials these are, or "".
    """

    account: str
    arn: str
    managed_instance_id: str = ""

    @property
    def user_id(self) -> str:
        """Return a stable unique id of the role and session, as STS shows it."""
        role, _, session = self.arn.partition("assumed-role/")[2].partition("/")
        digest = hashlib.sha256(f"{self.account}/{role}".encode()).hexdigest()[:17].upper()
        return f"AROA{digest}:{session}"


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a call or the scheduler acts; used under the control plane's lock.

    Attributes:
        now: epoch seconds of the sandbox.
    """

    world: World
    state: RegionState
    now: float


@dataclass(frozen=True, slots=True)
class Call(Context):
    """What an operation is given.

    Attributes:
        body: what was sent, in wire form and checked, without nulls.
        endpoint: URL of the sandbox, "" without an HTTP server.
    """

    service: str
    action: str
    body: Mapping[str, Any]
    caller: Principal
    endpoint: str

    def get(self, name: str, default: Any = "") -> Any:
        """Return a parameter, or the default when it was not sent."""
        return self.body.get(name, default)

    def bad(self, message: str) -> AwsFault:
        """Return the service's error for a bad value, to be raised."""
        return AwsFault(_INVALID[self.service], message)

    def items(self, name: str, most: int) -> list[str]:
        """Return a list that has to hold 1 to ``most`` items."""
        given = self.get(name, [])
        if not given:
            raise self.bad(f"{name} cannot be empty.")
        if len(given) > most:
            raise self.bad(f"{name} cannot have more than {most} elements, has {len(given)}.")
        return list(given)

    def page(
        self, keys: Sequence[str], *, most: int, default: int, falling: bool = False
    ) -> tuple[Sequence[str], Answer]:
        """Return one page of sorted keys, and the part of the answer that leads to the next.

        Args:
            keys: everything that matches, sorted.
            most: largest page size allowed.
            default: size when none was asked for.
            falling: whether the keys are sorted from the last to the first.
        """
        in_ssm = self.service == "ssm"
        size_name, token_name = (
            ("MaxResults", "NextToken") if in_ssm else ("maxResults", "nextToken")
        )
        size = self.get(size_name, default)
        if not 1 <= size <= most:
            raise self.bad(f"{size_name} is {size}; it must be between 1 and {most}")
        sent = {k: v for k, v in self.body.items() if k not in {size_name, token_name}}
        mark = query_mark(self.action, sent)
        try:
            part, after = page(keys, size, self.get(token_name), mark, falling=falling)
        except BadToken as error:
            code = "InvalidNextToken" if in_ssm else "InvalidParameterException"
            raise AwsFault(code, "The specified token is not valid for this request.") from error
        return part, {token_name: after} if after else {}


@dataclass(frozen=True, slots=True)
class Operation:
    """An AWS operation that is modelled.

    Attributes:
        action: as ``DescribeClusters``.
        run: answers a call, or raises AwsFault.
        modelled: the parameters that are; others are refused by name.
        needed: parameters that must be sent, where AWS publishes no shape that says so.
    """

    action: str
    run: Callable[[Call], Answer]
    modelled: frozenset[str]
    needed: tuple[str, ...]

    def check(self, call: Call) -> None:
        """Raise AwsFault for what AWS would refuse, and for what is not modelled."""
        if wrong := problem(call.service, self.action, call.body):
            raise call.bad(wrong)
        for name in self.needed:
            if not call.get(name):
                raise call.bad(f"{name} can not be blank.")
        sent = [name for name, value in call.body.items() if value not in _NOTHING]
        if unknown := sorted(set(sent) - self.modelled):
            raise call.bad(
                f"the fleet sandbox does not model {', '.join(unknown)} of {self.action}"
            )


def operation(modelled: str = "", *, needed: str = "") -> Callable[[Any], Operation]:
    """Make a function the operation of its name: ``list_tasks`` is ListTasks.

    Args:
        modelled: names of its optional and required parameters, separated by blanks.
        needed: further ones that must be sent; for operations that AWS does not publish.
    """

    def make(run: Callable[[Call], Answer]) -> Operation:
        action = run.__name__.title().replace("_", "")
        names = frozenset([*modelled.split(), *needed.split()])
        return Operation(action, run, names, tuple(needed.split()))

    return make


def operations_in(*modules: ModuleType) -> dict[str, Operation]:
    """Return the operations that are defined in some modules, by action."""
    return {
        one.action: one
        for module in modules
        for one in vars(module).values()
        if isinstance(one, Operation)
    }


def wire(**values: Any) -> Answer:
    """Return an object of an answer: without what is None, and times with three decimals."""
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
        if value is not None
    }


def find_each(
    given: Iterable[str], find: Callable[[str], Found | None], arn_of: Callable[[str], str]
) -> tuple[list[Found], list[dict[str, str]]]:
    """Return what is there of what was asked for, and the failures of what is not."""
    found, failures = [], []
    for name in given:
        one = find(name)
        if one is None:
            failures.append({"arn": arn_of(name), "reason": "MISSING"})
        else:
            found.append(one)
    return found, failures


class BadToken(Exception):
    """A token that this listing did not give out."""


def query_mark(action: str, question: Mapping[str, Any]) -> str:
    """Return a short mark of what was asked; a token of one question is refused for another."""
    text = json.dumps([action, question], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def page(
    keys: Sequence[str], size: int, token: str, mark: str, *, falling: bool = False
) -> tuple[Sequence[str], str]:
    """Return one page of sorted ``keys`` and the token of the next one ("" at the end).

    A token names the last key of its page, so that nothing is listed twice or skipped when other
    keys are added or removed between two calls. ``falling`` says that the keys are sorted from the
    last to the first.
    """
    start = 0
    if token:
        last = _last_key(token, mark)
        start = len(keys) - bisect_left(keys[::-1], last) if falling else bisect_right(keys, last)
    part = keys[start : start + size]
    more = start + size < len(keys)
    return part, _token(part[-1], mark) if more and part else ""


def _token(last: str, mark: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([mark, last]).encode()).decode()


def _last_key(token: str, mark: str) -> str:
    try:
        given, last = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError) as error:
        raise BadToken from error
    if given != mark or not isinstance(last, str):
        raise BadToken
    return last
