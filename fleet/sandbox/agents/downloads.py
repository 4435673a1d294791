"""Image layers on their way to a host: its link is shared fairly, and may slow down or break."""

from collections.abc import Callable
from dataclasses import dataclass

from fleet.sandbox.agents.machine import Clock, Schedule, Timer

#: ECS_IMAGE_PULL_INACTIVITY_TIMEOUT of the agent: a pull without any progress is given up.
INACTIVITY_S = 60.0
#: Asking for the manifest moves this much, also for an image that is there already.
MANIFEST_MB = 0.02
_BITS = 8.0
_DONE_MB = 1e-4

#: Mbit/s that the host has towards a host name now; 0 when nothing gets through.
Speed = Callable[[str], float]


@dataclass(slots=True, eq=False)
class Download:
    """One pull under way.

    Attributes:
        registry: host name it comes from.
        left_mb: what is still missing.
        done: called once, with whether all of it arrived.
        rate: MB/s at present.
        stalled_at: since when nothing has come, or None while it flows.
    """

    registry: str
    left_mb: float
    done: Callable[[bool], None]
    rate: float = 0.0
    stalled_at: float | None = None


class Downloads:
    """The pulls of one host. Used under the lock of whoever owns it; one timer for all of them.

    Args:
        clock: the sandbox's time.
        schedule: where the timer is.
        speed: the host's link.
        ring: what the timer runs; it has to call ``wake`` under the owner's lock.
    """

    def __init__(
        self, clock: Clock, schedule: Schedule, speed: Speed, ring: Callable[[], None]
    ) -> None:
        self._clock = clock
        self._schedule = schedule
        self._speed = speed
        self._ring = ring
        self._active: list[Download] = []
        self._settled_at = clock.now()
        self._timer: Timer | None = None

    def begin(self, registry: str, megabytes: float, done: Callable[[bool], None]) -> Download:
        """Fetch so much; ``done`` is called later, never from within this call."""
        self._settle()
        download = Download(registry, max(megabytes, MANIFEST_MB), done)
        self._active.append(download)
        self._plan()
        return download

    def cancel(self, download: Download) -> None:
        """Give one up; its ``done`` will not be called."""
        if download in self._active:
            self._settle()
            self._active.remove(download)
            self._plan()

    def clear(self) -> None:
        """Give all of them up."""
        self._active = []
        self._plan()

    def link_changed(self) -> None:
        """Go on at the speed that the link has now."""
        if self._active:
            self._settle()
            self._plan()

    def wake(self) -> None:
        """See what has arrived and what has stalled for too long; the owner's timer calls this."""
        self._settle()
        now = self._clock.now()
        arrived = [d for d in self._active if d.left_mb <= _DONE_MB and d.rate > 0]
        lost = [
            d
            for d in self._active
            if d.stalled_at is not None and now - d.stalled_at >= INACTIVITY_S - 1e-3
        ]
        self._active = [d for d in self._active if d not in arrived and d not in lost]
        self._plan()
        for download in arrived:
            download.done(True)
        for download in lost:
            download.done(False)

    def _settle(self) -> None:
        """Account for what has come since the last look."""
        now = self._clock.now()
        for download in self._active:
            download.left_mb -= download.rate * (now - self._settled_at)
        self._settled_at = now

    def _plan(self) -> None:
        now = self._clock.now()
        speeds = {d.registry: self._speed(d.registry) for d in self._active}
        flowing = sum(speeds[d.registry] > 0 for d in self._active)
        moments = []
        for download in self._active:
            speed = speeds[download.registry]
            if speed > 0:
                download.rate = speed / _BITS / flowing
                download.stalled_at = None
                moments.append(now + max(0.0, download.left_mb) / download.rate)
            else:
                download.rate = 0.0
                if download.stalled_at is None:
                    download.stalled_at = now
                moments.append(download.stalled_at + INACTIVITY_S)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if moments:
            self._timer = self._schedule.at(min(moments), self._ring)
