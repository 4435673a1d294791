"""The images on a simulated host's disk, and how they are pulled."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fleet.sandbox.agents.images import (
    ARCHITECTURES,
    Catalogue,
    ImageBehaviour,
    digest_of,
    registry_of,
)
from fleet.sandbox.agents.machine import Machine
from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.schedule import Schedule, Timer

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
        self, clock: SandboxClock, schedule: Schedule, speed: Speed, ring: Callable[[], None]
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
        """End what has arrived and what has stalled for too long; the owner's timer calls this."""
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
        """Subtract what has arrived since the last time."""
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


@dataclass(slots=True)
class CachedImage:
    """An image on the host's disk, and its size."""

    digest: str
    size_mb: float


@dataclass(frozen=True, slots=True)
class Pulled:
    """How a pull ended.

    Attributes:
        error: ``""``, or what the agent reports: its error's name, a colon, and Docker's words.
        digest: that the reference resolved to.
    """

    error: str
    digest: str = ""


class ImageStore:
    """The images of one host.

    Args:
        host: the host.
        catalogue: what images are.
        lock: guards it, together with the containers; ``done`` of a pull is called with it held.
        changed: called when something has to be kept.
    """

    def __init__(
        self,
        host: Machine,
        catalogue: Catalogue,
        *,
        lock: "threading.RLock",
        changed: Callable[[], None],
    ) -> None:
        self._host = host
        self._catalogue = catalogue
        self._lock = lock
        self._changed = changed
        self._downloads = Downloads(host.clock, host.schedule, host.speed_mbps, self._pulls_due)
        self._images: dict[str, CachedImage] = {}
        self._attempts: dict[str, int] = {}

    def all(self) -> dict[str, CachedImage]:
        """Return what is on the disk, by reference."""
        with self._lock:
            return dict(self._images)

    def size_mb(self) -> float:
        """Return the MB that images take; an image of several references counts once."""
        with self._lock:
            return sum({image.digest: image.size_mb for image in self._images.values()}.values())

    def cached(self, reference: str) -> CachedImage | None:
        """Return the image of a reference, if it is on the disk."""
        return self._images.get(reference)

    def pull(self, reference: str, done: Callable[[Pulled], None]) -> Download:
        """Fetch what is missing of an image; ``done`` is called once it is there or has failed."""
        with self._lock:
            behaviour = self._catalogue.of(reference)
            attempt = self._attempts[reference] = self._attempts.get(reference, 0) + 1
            refusal = self._refusal(reference, behaviour, attempt)
            stale = behaviour.digest if behaviour.affects(self._host.words) else ""
            digest = stale or digest_of(reference)
            there = any(image.digest == digest for image in self._images.values())
            missing = 0.0 if there else behaviour.size_mb
            registry = registry_of(reference)

            def end(arrived: bool) -> None:  # noqa: FBT001 - a callback
                if not arrived:
                    error = (
                        f"CannotPullContainerError: failed to resolve ref {reference}: "
                        f"dial tcp: lookup {registry}: i/o timeout"
                    )
                elif not refusal and missing > self._host.disk_free_mb():
                    error = (
                        "CannotPullContainerError: failed to register layer: "
                        "write: no space left on device"
                    )
                else:
                    error = refusal
                if not error:
                    self._images[reference] = CachedImage(digest, behaviour.size_mb)
                self._changed()
                done(Pulled(error, "" if error else digest))

            # What the registry refuses, or loses, does not take the time of the whole image.
            return self._downloads.begin(registry, 0.0 if refusal else missing, end)

    def cancel_pull(self, download: Download) -> None:
        """Cancel a pull."""
        with self._lock:
            self._downloads.cancel(download)

    def link_changed(self) -> None:
        """Let pulls go on at the speed that the link has now."""
        with self._lock:
            self._downloads.link_changed()

    def give_up_pulls(self) -> None:
        """Cancel all pulls, because the engine ended."""
        with self._lock:
            self._downloads.clear()

    def as_json(self) -> dict[str, Any]:
        """Return what is kept of it."""
        return {
            "images": {reference: asdict(image) for reference, image in self._images.items()},
            "attempts": self._attempts,
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Read what ``as_json`` gave."""
        images = {name: CachedImage(**each) for name, each in content["images"].items()}
        self._attempts = {str(name): int(count) for name, count in content["attempts"].items()}
        self._images = images

    def _refusal(self, reference: str, behaviour: ImageBehaviour, attempt: int) -> str:
        """Return the error that the registry's answer will be, or ""."""
        machine = self._host.facts().machine
        architecture = ARCHITECTURES.get(machine, machine)
        affected = behaviour.affects(self._host.words)
        if affected and behaviour.pull == "missing":
            return (
                f"CannotPullImageManifestError: Error response from daemon: manifest for "
                f"{reference} not found: manifest unknown: Requested image not found"
            )
        if affected and behaviour.pull == "denied":
            return (
                f"CannotPullContainerError: pull access denied for {reference}, repository does "
                "not exist or may require authorization: server message: insufficient_scope"
            )
        if not behaviour.runs_on(architecture):
            return (
                f"CannotPullContainerError: no matching manifest for linux/{architecture} "
                "in the manifest list entries"
            )
        if affected and attempt <= behaviour.pull_fails:
            return (
                f"CannotPullContainerError: error pulling image {reference}: "
                "read tcp: connection reset by peer"
            )
        return ""

    def _pulls_due(self) -> None:
        with self._lock:
            self._downloads.wake()
