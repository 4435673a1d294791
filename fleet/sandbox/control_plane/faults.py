"""Errors on demand: which operation fails, how, and how many times."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fleet.sandbox.agents.session import AwsFault

#: The code of a fault that drops the connection instead of answering.
CONNECTION_RESET = "ConnectionReset"

When = Literal["before", "after"]


class ConnectionDropped(Exception):
    """The caller gets no answer; whether the call had its effect is for it to find out."""


@dataclass(slots=True)
class FaultRule:
    """One kind of failure.

    Attributes:
        service: ``ecs``, ``ssm``, ``sts`` or another signing name, ``acs`` for the agents' session;
            ``*`` is any.
        action: as ``CreateActivation``, or ``Connect`` of ``acs``; ``*`` is any.
        code: error code to answer, ``ConnectionReset`` to drop the connection, "" to only delay.
        status: HTTP status of the answer.
        count: how many more calls it hits.
        when: ``before`` the effect, or ``after`` it: then it happened and the caller is not told.
        account: only in this account; None is any. A host that registers in SSM or asks for its
            token has no account of its own yet, so that only None hits it.
        region: only in this region; None is any.
        delay_s: real seconds the answer is held back, whatever it is.
    """

    service: str
    action: str
    code: str
    status: int = 500
    count: int = 1
    when: When = "before"
    account: str | None = None
    region: str | None = None
    delay_s: float = 0.0

    def __post_init__(self) -> None:
        if self.when not in {"before", "after"}:
            message = f'a fault happens "before" or "after" the effect, not {self.when!r}'
            raise ValueError(message)
        if self.count < 1 or self.delay_s < 0:
            message = f"a fault needs count >= 1 and delay_s >= 0: {self.count}, {self.delay_s}"
            raise ValueError(message)
        if not 400 <= self.status <= 599:  # noqa: PLR2004 - the two error classes of HTTP
            message = f"a fault answers with an HTTP error, 400 to 599, not {self.status}"
            raise ValueError(message)

    def hits(self, service: str, action: str, account: str, region: str) -> bool:
        """Say whether it is meant for this call."""
        return (
            self.service in {"*", service}
            and self.action in {"*", action}
            and self.account in {None, account}
            and self.region in {None, region}
        )


class Faults:
    """The faults that are waiting for their call; the oldest that fits is used up first."""

    def __init__(self) -> None:
        self._waiting: list[FaultRule] = []
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[FaultRule]:
        with self._lock:
            return iter(tuple(self._waiting))

    def add(
        self,
        service: str,
        action: str,
        code: str,
        status: int = 500,
        count: int = 1,
        *,
        when: When = "before",
        account: str | None = None,
        region: str | None = None,
        delay_s: float = 0.0,
    ) -> None:
        """Make the next ``count`` matching calls fail; see ``FaultRule`` for what they mean."""
        fault = FaultRule(service, action, code, status, count, when, account, region, delay_s)
        with self._lock:
            self._waiting.append(fault)

    def clear(self) -> None:
        """Forget all that were not used up."""
        with self._lock:
            self._waiting.clear()

    def take(self, service: str, action: str, account: str, region: str) -> FaultRule | None:
        """Return the fault that hits this call, used up by one; None is the usual case."""
        if not self._waiting:
            return None
        with self._lock:
            for fault in self._waiting:
                if fault.hits(service, action, account, region):
                    fault.count -= 1
                    if fault.count == 0:
                        self._waiting.remove(fault)
                    return fault
        return None


def strike(fault: FaultRule) -> None:
    """Let a fault happen: raise what the caller is to see, or nothing if it only delays."""
    if fault.code == CONNECTION_RESET:
        raise ConnectionDropped
    if fault.code:
        raise AwsFault(fault.code, "this fault was asked for", fault.status)
