"""Asks one account and region thousands of questions, and stops where no answer can come."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from fleet.errors import AccessDenied, AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.observed import NotRead, Reading

T = TypeVar("T")

#: So many failures of a kind one after the other, each after its retries, and nobody asks again.
IN_A_ROW = 3


class Asker:
    """What an account and region has answered and refused so far. Thread-safe.

    A question that fails is ``NotRead``, never raised. Without credentials nothing more is asked;
    a part that is denied, throttled or not answered, and a service that answers nothing, are given
    up after ``IN_A_ROW`` failures: 10,000 stores would be 10,000 times the same minute of retries.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._given_up: dict[str, NotRead] = {}

    def ask(self, part: str, service: str, read: Callable[[], Reading[T]]) -> Reading[T] | NotRead:
        """The answer, or why there is none.

        Args:
            part: what is asked for, as ``container instances``: what may be denied as one.
            service: that answers, as ``ecs``: what may be away as one.
        """
        for key in ("", service, part):
            if key in self._given_up:
                return self._given_up[key]
        try:
            reading = read()
        except AwsError as error:
            return self._failed(part, service, error)
        with self._lock:
            self._failures[part] = self._failures[service] = 0
        return reading

    def give_up(self, why: NotRead) -> None:
        """Ask nothing more at all."""
        with self._lock:
            self._given_up[""] = why

    def _failed(self, part: str, service: str, error: AwsError) -> NotRead:
        why = NotRead(str(error))
        if isinstance(error, CredentialsError):
            self.give_up(why)
        elif isinstance(error, AwsUnreachable):
            self._count(service, why)
            self._count(part, why)
        elif isinstance(error, AccessDenied | Throttled):
            self._count(part, why)
        return why

    def _count(self, key: str, why: NotRead) -> None:
        with self._lock:
            self._failures[key] += 1
            if self._failures[key] >= IN_A_ROW:
                self._given_up.setdefault(key, why)
