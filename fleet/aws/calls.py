"""Values of an AWS call: settings, limits, the reply and counters. ``retries`` makes it."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.aws.budget import Budget
from fleet.model.clock import Clock
from fleet.model.inventory import Account

#: Whose calls are not signed.
ANONYMOUS = Account(name="anonymous", account_id="public")
#: Most bytes that are taken of a reply that is a file; AWS's install script has about 40 KiB.
LARGEST_FILE = 1024 * 1024


class Failure(StrEnum):
    """The meaning of a failed attempt for the call."""

    THROTTLED = "throttled"
    NOT_SENT = "not sent"
    UNKNOWN = "unknown outcome"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was made, as the ``on_call`` hook gets it.

    Attributes:
        action: as in ``ecs:PutAttributes``.
        number: 1 for the first attempt of a call.
        failure: what the failure says about the call; None when AWS did as asked.
        code: AWS's error code, or "".
        waited_s: how long the call budget made it wait, in seconds of the handed clock.
        why: which limit it waited for; "" when it did not wait.
    """

    account: str
    region: str
    action: str
    number: int
    failure: Failure | None
    code: str
    waited_s: float
    why: str


class CallCounter:
    """Counts attempts and throttles per action; an ``on_call`` hook. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: Counter[str] = Counter()
        self._throttles: Counter[str] = Counter()

    def __call__(self, attempt: Attempt) -> None:
        """Count one attempt."""
        with self._lock:
            self._attempts[attempt.action] += 1
            if attempt.failure is Failure.THROTTLED:
                self._throttles[attempt.action] += 1

    def state(self) -> dict[str, dict[str, int]]:
        """Return both counts as plain values, to be sent from where the calls were made."""
        return {"attempts": self.attempts, "throttles": self.throttles}

    def add(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Add the counts of another counter's ``state``."""
        with self._lock:
            self._attempts.update(state["attempts"])
            self._throttles.update(state["throttles"])

    @property
    def attempts(self) -> dict[str, int]:
        """Return the requests made, by action."""
        with self._lock:
            return dict(self._attempts)

    @property
    def throttles(self) -> dict[str, int]:
        """Return the requests that AWS throttled, by action."""
        with self._lock:
            return dict(self._throttles)


@dataclass(frozen=True, slots=True)
class Patience:
    """The limits of trying a call.

    Attributes:
        attempts: most requests for one call.
        total_s: after this many seconds of the handed clock no further attempt begins.
        first_wait_s: upper end of the first random wait; doubles with each attempt.
        longest_wait_s: upper end of any wait.
    """

    attempts: int = 6
    total_s: float = 90.0
    first_wait_s: float = 1.0
    longest_wait_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The time limits of one request. AWS answers within a second or two, a proxy may not.

    Attributes:
        connect_s: most seconds until there is a connection.
        read_s: most seconds until AWS answers, and between two parts of the answer.
    """

    connect_s: float = 5.0
    read_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of AWS to a call.

    Attributes:
        body: the parsed reply.
        at: AWS's own time of it, from the ``Date`` header, aware UTC.
    """

    body: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class CallSettings:
    """The settings that all calls of one account and region share.

    Attributes:
        account: its name in the inventory.
        clock: for waits, and for ages where AWS sends no ``Date``.
        budget: holds calls back; None does not.
        on_call: told of every attempt.
        patience: how long a call is tried.
    """

    account: str
    region: str
    clock: Clock
    budget: Budget | None
    on_call: Callable[[Attempt], None] | None
    patience: Patience
