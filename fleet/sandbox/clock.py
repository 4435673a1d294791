"""The clock of the sandbox: faster than real time, or stepped."""

import math
import threading
import time
from collections.abc import Callable

from fleet.errors import UsageError

Stepper = Callable[[float, Callable[[float], None]], None]


class SandboxClock:
    """Seconds since the epoch, at ``rate`` sandbox seconds per real second.

    A rate of 0 is a stepped clock: it moves by ``advance`` only. Thread-safe, and it never runs
    backwards: a sandbox that comes back hands in the time it had reached
    (``plane.persisted_time``).

    Args:
        rate: sandbox seconds per real second; finite and not negative.
        start: epoch seconds to begin at; None is the machine's time.
    """

    def __init__(self, rate: float = 1.0, start: float | None = None) -> None:
        self.rate = _checked(rate)
        self._changed = threading.Condition()
        self._advancing = threading.Lock()
        self._base = time.time() if start is None else start
        self._base_real = time.monotonic()
        self._stepper: Stepper | None = None
        self._on_new_rate: Callable[[], None] | None = None

    def now(self) -> float:
        """Return epoch seconds of the sandbox."""
        with self._changed:
            return self._now()

    def set_rate(self, rate: float) -> None:
        """Go on from now at another rate; whoever waits, and the schedule, take note at once."""
        _checked(rate)
        with self._changed:
            self._base = self._now()
            self._base_real = time.monotonic()
            self.rate = rate
            self._changed.notify_all()
        if self._on_new_rate is not None:
            self._on_new_rate()

    def advance(self, seconds: float) -> float:
        """Jump ahead and return the new time.

        What a ``Schedule`` holds for the skipped stretch runs on the way, each at its own moment,
        in the caller's thread: after ``advance(600)`` the hosts have pinged twice, as they would
        have. Callers take turns.
        """
        if not math.isfinite(seconds) or seconds < 0:
            raise UsageError(
                f"cannot advance the clock by {seconds!r} seconds",
                hint="give a number of seconds, 0 or more: time does not run backwards",
            )
        with self._advancing:
            target = self.now() + seconds
            if self._stepper is not None:
                self._stepper(target, self._move_to)
            self._move_to(target)
            return self.now()

    def wait_until(self, moment: float, timeout: float | None = None) -> bool:
        """Wait for the sandbox to reach ``moment``; False after ``timeout`` real seconds."""
        give_up = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while (missing := moment - self._now()) > 0:
                left = math.inf if give_up is None else give_up - time.monotonic()
                if left <= 0:
                    return False
                wait = min(left, missing / self.rate if self.rate else math.inf)
                self._changed.wait(None if wait == math.inf else wait)
            return True

    def step_with(
        self, stepper: Stepper | None, on_new_rate: Callable[[], None] | None = None
    ) -> None:
        """Let ``stepper(target, move_to)`` run what is due on the way when the clock jumps.

        ``on_new_rate`` is called after ``set_rate``.
        """
        self._stepper = stepper
        self._on_new_rate = on_new_rate

    def _now(self) -> float:
        return self._base + (time.monotonic() - self._base_real) * self.rate

    def _move_to(self, moment: float) -> None:
        with self._changed:
            if moment > self._now():
                self._base = moment
                self._base_real = time.monotonic()
                self._changed.notify_all()


def _checked(rate: float) -> float:
    if not math.isfinite(rate) or rate < 0:
        raise UsageError(
            f"clock rate {rate!r} is not a number of sandbox seconds per second",
            hint="use 0 for a clock stepped by hand, 1 for real time, 20 for a quick one",
        )
    return rate
