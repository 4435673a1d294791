"""Sends state changes of tasks to AWS, in order per task, and repeats them until they arrive.

The waits are those of agent-protocol.md §2.3: no answer, a 5xx or throttling is tried again after
30 to 60 ms times 2^n, at most 5 minutes; other refusals within 1 to 30 seconds; an
InvalidParameterException drops the event.
"""

import random
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.sandbox.agents.machine import Machine, Steps
from fleet.sandbox.agents.session import AwsFault, LinkDown

LONGEST_WAIT_S = 300.0
LONGEST_REFUSAL_S = 30.0
_SERVER_ERROR = 500
_THROTTLED = {"ThrottlingException", "Throttling", "TooManyRequestsException"}


class NoCredentials(Exception):
    """There is nothing to sign a call with."""


@dataclass(slots=True)
class _Line:
    """What waits for one task."""

    waiting: deque[tuple[Mapping[str, Any], Callable[[], None]]] = field(default_factory=deque)
    failures: int = 0


class Outbox:
    """Sends one event of a task at a time; a task that AWS refuses does not hold up the others.

    Everything runs in the thread of the schedule, and ``send`` is called without any lock.

    Args:
        machine: the host; seeds the jitter.
        send: makes the call; raises AwsFault, LinkDown or NoCredentials.
        log: told what did not get through.
    """

    def __init__(
        self,
        machine: Machine,
        send: Callable[[Mapping[str, Any]], None],
        log: Callable[[str], None],
    ) -> None:
        self._send = send
        self._log = log
        self._random = random.Random(f"outbox {machine.id}")  # noqa: S311 - jitter, not a secret
        self._lock = threading.Lock()
        self._steps = Steps(machine)
        self._lines: dict[str, _Line] = {}

    def __len__(self) -> int:
        with self._lock:
            return sum(len(line.waiting) for line in self._lines.values())

    def put(self, task: str, body: Mapping[str, Any], sent: Callable[[], None]) -> None:
        """Queue an event of a task; ``sent`` is called when AWS has it, or will never take it."""
        with self._lock:
            line = self._lines.setdefault(task, _Line())
            line.waiting.append((body, sent))
            first = len(line.waiting) == 1
        if first:
            self._later(0.0, task)

    def clear(self) -> None:
        """Empty it, because the agent ended; what was not sent is made again from its state."""
        with self._lock:
            self._steps.renew()
            self._lines = {}

    def _later(self, seconds: float, task: str) -> None:
        self._steps.later(seconds, lambda: self._flush(task))

    def _flush(self, task: str) -> None:
        with self._lock:
            line, life = self._lines.get(task), self._steps.life
            if line is None:
                return
            body, sent = line.waiting[0]
        try:
            self._send(body)
        except (LinkDown, AwsFault, NoCredentials) as error:
            wait = self._wait_after(error, line.failures)
            if wait is not None:
                line.failures += 1
                self._log(f"state of {task} not sent, next try in {wait:.1f} s: {error}")
                self._later(wait, task)
                return
            self._log(f"state of {task} dropped: {error}")
        with self._lock:
            if life != self._steps.life:
                return
            line.waiting.popleft()
            line.failures = 0
            more = bool(line.waiting)
            if not more:
                del self._lines[task]
        if more:
            self._later(0.0, task)
        sent()

    def _wait_after(self, error: Exception, failures: int) -> float | None:
        """Return seconds until the next try; None when there is to be none."""
        refused = isinstance(error, NoCredentials) or (
            isinstance(error, AwsFault)
            and error.status < _SERVER_ERROR
            and error.code not in _THROTTLED
        )
        if isinstance(error, AwsFault) and error.code == "InvalidParameterException":
            return None
        if refused:
            return float(min(2.0 ** min(failures, 5), LONGEST_REFUSAL_S))
        wait = self._random.uniform(0.03, 0.06) * 2.0 ** min(failures, 20)
        return float(min(wait, LONGEST_WAIT_S))
