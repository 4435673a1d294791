"""One heap of timers for all simulated agents, instead of a thread for each."""

import heapq
import itertools
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from fleet.sandbox.clock import SandboxClock

_LOG = logging.getLogger(__name__)
# While timers stand still on a stepped clock the thread looks around this often (real seconds);
# it is woken for anything that matters, so this only bounds a wake-up that was lost.
_LOOK_AROUND_S = 5.0


@dataclass(order=True, slots=True)
class Timer:
    """A handle on something that will run; ``cancel`` stops it from running (again)."""

    when: float
    seq: int
    run: Callable[[], None] = field(compare=False)
    period_s: float | None = field(compare=False, default=None)
    cancelled: bool = field(compare=False, default=False)

    def cancel(self) -> None:
        """Do not run it any more; one that is running now finishes."""
        self.cancelled = True


class Schedule:
    """Runs callables when the sandbox clock says so, in order of time and then of asking.

    A callable that raises is logged and does not hurt the others. A repeating one that fell behind
    skips the turns it missed instead of making up for them. While the clock is advanced, what is
    due runs in the thread that advances it; otherwise in the thread that ``start`` makes, or in
    that of whoever calls ``run_due``.
    """

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._heap: list[Timer] = []
        self._seq = itertools.count()
        self._changed = threading.Condition()
        self._turn = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        clock.step_with(self._step, self._wake)

    def __len__(self) -> int:
        with self._changed:
            return sum(not timer.cancelled for timer in self._heap)

    def at(self, when: float, run: Callable[[], None]) -> Timer:
        """Run once at ``when`` (epoch seconds); a moment that has passed is now."""
        return self._push(Timer(when, next(self._seq), run))

    def every(
        self, period_s: float, run: Callable[[], None], *, first: float | None = None
    ) -> Timer:
        """Run every ``period_s`` sandbox seconds, first at ``first`` or after one period."""
        if period_s <= 0:
            message = f"a timer's period must be positive, not {period_s!r}"
            raise ValueError(message)
        when = self._clock.now() + period_s if first is None else first
        return self._push(Timer(when, next(self._seq), run, period_s))

    def next_due(self) -> float | None:
        """Return when the next timer is due, or None if there is none."""
        with self._changed:
            while self._heap and self._heap[0].cancelled:
                heapq.heappop(self._heap)
            return self._heap[0].when if self._heap else None

    def run_due(self) -> int:
        """Run everything that is due now; returns how many callables ran."""
        count = 0
        limit = self._clock.now()
        while (timer := self._pop(limit)) is not None:
            self._run(timer)
            count += 1
        return count

    def start(self) -> None:
        """Run what is due in a thread of its own; a second start does nothing."""
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._loop, name="schedule", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End that thread after the callable it is running; timers stay."""
        thread, self._thread = self._thread, None
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _push(self, timer: Timer) -> Timer:
        with self._changed:
            heapq.heappush(self._heap, timer)
            if self._heap[0] is timer:
                self._changed.notify_all()
        return timer

    def _pop(self, limit: float) -> Timer | None:
        with self._changed:
            while self._heap and self._heap[0].when <= limit:
                timer = heapq.heappop(self._heap)
                if not timer.cancelled:
                    return timer
            return None

    def _run(self, timer: Timer) -> None:
        try:
            # One at a time, also while somebody advances a clock that runs.
            with self._turn:
                timer.run()
        except Exception:  # noqa: BLE001 - whatever it is, the other hosts' timers must go on
            _LOG.exception("a timer of the sandbox failed")
        if timer.period_s is not None and not timer.cancelled:
            period = timer.period_s
            now = self._clock.now()
            timer.when += period
            if timer.when <= now:
                timer.when += period * ((now - timer.when) // period + 1)
            self._push(timer)

    def _step(self, target: float, move_to: Callable[[float], None]) -> None:
        while (due := self.next_due()) is not None and due <= target:
            move_to(due)
            timer = self._pop(due)
            if timer is not None:
                self._run(timer)
        move_to(target)
        self._wake()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _loop(self) -> None:
        while True:
            self.run_due()
            due = self.next_due()
            with self._changed:
                if self._stopping:
                    return
                rate = self._clock.rate
                wait = _LOOK_AROUND_S
                if due is not None and rate:
                    wait = min(wait, (due - self._clock.now()) / rate)
                head = self._heap[0].when if self._heap else None
                if wait > 0 and (head is None or (due is not None and head >= due)):
                    self._changed.wait(wait)
