"""The images on a simulated host's disk, and how they get there."""

import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fleet.sandbox.agents.downloads import Download, Downloads
from fleet.sandbox.agents.images import (
    ARCHITECTURES,
    Catalogue,
    ImageBehaviour,
    digest_of,
    registry_of,
)
from fleet.sandbox.agents.machine import SimulatedHost


@dataclass(slots=True)
class CachedImage:
    """An image on the host's disk: its layers with their MB, and when it came or was last used."""

    digest: str
    layers: dict[str, float]
    used_at: float


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
        box: the host.
        catalogue: what images are.
        lock: guards it, together with the containers; ``done`` of a pull is called with it held.
        changed: called when something has to be kept.
    """

    def __init__(
        self,
        box: SimulatedHost,
        catalogue: Catalogue,
        *,
        lock: "threading.RLock",
        changed: Callable[[], None],
    ) -> None:
        self._box = box
        self._catalogue = catalogue
        self._lock = lock
        self._changed = changed
        self._downloads = Downloads(box.clock, box.schedule, box.speed_mbps, self._pulls_due)
        self._images: dict[str, CachedImage] = {}
        self._attempts: dict[str, int] = {}

    def all(self) -> dict[str, CachedImage]:
        """What is on the disk, by reference."""
        with self._lock:
            return dict(self._images)

    def size_mb(self) -> float:
        """Space that images take; a layer of several counts once."""
        with self._lock:
            return sum(self._layers().values())

    def cached(self, reference: str) -> CachedImage | None:
        """The image of a reference, if it is on the disk."""
        return self._images.get(reference)

    def pull(self, reference: str, done: Callable[[Pulled], None]) -> Download:
        """Fetch what is missing of an image; ``done`` is called once it is there or has failed."""
        with self._lock:
            behaviour = self._catalogue.of(reference)
            attempt = self._attempts[reference] = self._attempts.get(reference, 0) + 1
            refusal = self._refusal(reference, behaviour, attempt)
            layers = _layers_of(reference, behaviour)
            stale = behaviour.digest if behaviour.affects(self._box.words) else ""
            digest = stale or digest_of(reference)
            on_disk = self._layers()
            missing = sum(size for name, size in layers.items() if name not in on_disk)
            registry = registry_of(reference)

            def end(arrived: bool) -> None:  # noqa: FBT001 - a callback
                if not arrived:
                    error = (
                        f"CannotPullContainerError: failed to resolve ref {reference}: "
                        f"dial tcp: lookup {registry}: i/o timeout"
                    )
                elif not refusal and missing > self._box.disk_free_mb():
                    error = (
                        "CannotPullContainerError: failed to register layer: "
                        "write: no space left on device"
                    )
                else:
                    error = refusal
                if not error:
                    self._images[reference] = CachedImage(digest, layers, self._box.clock.now())
                self._changed()
                done(Pulled(error, "" if error else digest))

            # What the registry refuses, or loses, does not take the time of the whole image.
            return self._downloads.begin(registry, 0.0 if refusal else missing, end)

    def cancel_pull(self, download: Download) -> None:
        """Nobody wants it any more."""
        with self._lock:
            self._downloads.cancel(download)

    def use(self, reference: str) -> None:
        """A container of it starts."""
        image = self._images.get(reference)
        if image is not None:
            image.used_at = self._box.clock.now()

    def remove_unused(self, used: set[str], older_than_s: float) -> None:
        """Free the disk of images that no container was made of, if they are old enough."""
        with self._lock:
            limit = self._box.clock.now() - older_than_s
            for reference, image in list(self._images.items()):
                if reference not in used and image.used_at <= limit:
                    del self._images[reference]
            self._changed()

    def link_changed(self) -> None:
        """The link was cut, restored, slowed: pulls go on accordingly."""
        with self._lock:
            self._downloads.link_changed()

    def give_up_pulls(self) -> None:
        """The engine ended."""
        with self._lock:
            self._downloads.clear()

    def as_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "images": {reference: asdict(image) for reference, image in self._images.items()},
            "attempts": self._attempts,
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """What ``as_json`` gave."""
        images = {name: CachedImage(**each) for name, each in content["images"].items()}
        self._attempts = {str(name): int(count) for name, count in content["attempts"].items()}
        self._images = images

    def _refusal(self, reference: str, behaviour: ImageBehaviour, attempt: int) -> str:
        """The error that the registry's answer will be, or ""."""
        machine = self._box.facts().machine
        architecture = ARCHITECTURES.get(machine, machine)
        affected = behaviour.affects(self._box.words)
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
        chance = random.Random(f"{self._box.id} {reference} {attempt}").random()  # noqa: S311 - a simulated line, not a secret
        if affected and (attempt <= behaviour.pull_fails or chance < behaviour.pull_loss):
            return (
                f"CannotPullContainerError: error pulling image {reference}: "
                "read tcp: connection reset by peer"
            )
        return ""

    def _layers(self) -> dict[str, float]:
        layers: dict[str, float] = {}
        for image in self._images.values():
            layers |= image.layers
        return layers

    def _pulls_due(self) -> None:
        with self._lock:
            self._downloads.wake()


def _layers_of(reference: str, behaviour: ImageBehaviour) -> dict[str, float]:
    return dict(behaviour.layers) or {digest_of(reference): behaviour.size_mb}
