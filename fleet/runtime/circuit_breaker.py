"""Stops reading from one account and region once further calls cannot succeed."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.observed import NotRead, Reading

T = TypeVar("T")

#: Consecutive failures of one kind, each after its own retries, that open the breaker.
FAILURES_TO_OPEN = 3


class CircuitBreaker:
    """Counts failed reads of one account and region, and skips reads that would fail too.

    A failed read returns ``NotRead`` and raises nothing. Missing credentials stop all reads. A part
    that is denied or throttled, and a part or service that does not answer, is skipped after
    ``FAILURES_TO_OPEN`` consecutive failures: otherwise 10,000 stores would each wait for the same
    retries. Thread-safe.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._open: dict[str, NotRead] = {}

    def read(self, part: str, service: str, call: Callable[[], Reading[T]]) -> Reading[T] | NotRead:
        """Return the reading, or why there is none.

        Args:
            part: what is read, for example ``container instances``; permissions differ by part.
            service: the AWS service, for example ``ecs``; an outage affects all of its parts.
            call: performs the read.
        """
        for key in ("", service, part):
            if key in self._open:
                return self._open[key]
        try:
            reading = call()
        except AwsError as error:
            return self._failed(part, service, error)
        with self._lock:
            self._failures[part] = self._failures[service] = 0
        return reading

    def open_all(self, why: NotRead) -> None:
        """Skip all further reads."""
        with self._lock:
            self._open[""] = why

    def _failed(self, part: str, service: str, error: AwsError) -> NotRead:
        why = NotRead(str(error))
        if isinstance(error, CredentialsError):
            self.open_all(why)
        elif isinstance(error, AwsUnreachable):
            self._count(service, why)
            self._count(part, why)
        elif isinstance(error, AccessDenied | Throttled):
            self._count(part, why)
        return why

    def _count(self, key: str, why: NotRead) -> None:
        with self._lock:
            self._failures[key] += 1
            if self._failures[key] >= FAILURES_TO_OPEN:
                self._open.setdefault(key, why)
