"""What a container runs beside the image that its task definition pins."""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.drift.decide.case import StoreCase
from fleet.drift.decide.service_case import wanted_services
from fleet.model.desired import Release
from fleet.model.drift_settings import Severity
from fleet.model.images import is_by_digest
from fleet.model.observed import NotRead

#: How much of a digest is shown.
_SHOWN = len("sha256:") + 8


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A container that runs something else.

    Attributes:
        pinned: ``name@sha256:...``.
        digest: that was seen.
        severity: info where the digest may be another name of the same image.
        words: why it is, or may be, another image.
    """

    pinned: str
    digest: str
    severity: Severity
    words: str


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a release, by what their digests say.

    Attributes:
        same: by a pinned digest, the digests of its platforms; empty where they were not read.
        pins: by service and container, the reference that the release pins; only of services that
            are set to it, because of the others their revision is told.
        names: by a digest of the release, the image that it is.
    """

    same: Mapping[str, frozenset[str]]
    pins: Mapping[tuple[str, str], str]
    names: Mapping[str, str]

    def mismatch(self, service: str, container: str, image: str, digest: str) -> Mismatch | None:
        """Whether a running container is of another image than is pinned.

        Docker reports the digest that was pulled, which is the index's; with containerd's image
        store it may be that of the platform's own manifest, which the index names. Nobody knows
        those of a registry that was not read, so that an unknown digest is no proof.

        Args:
            image: reference that its task definition names; "" where that was not told.
            digest: ``sha256:...`` of what runs; "" where nobody says.
        """
        own = is_by_digest(image)
        pinned = image if own else self.pins.get((service, container), "")
        wanted = pinned.rpartition("@")[2]
        if not digest or not is_by_digest(pinned) or digest == wanted:
            return None
        platforms = self.same.get(wanted, frozenset())
        if digest in platforms:
            return None
        if digest in self.names:
            words, severity = f"that is {short(self.names[digest])}", Severity.MEDIUM
        elif not own:
            words = f"its task definition names {image or 'no digest'}"
            severity = Severity.MEDIUM
        elif platforms:
            words, severity = "its index holds no such image", Severity.MEDIUM
        else:
            words = "no digest of this release; docker may report the platform's own"
            severity = Severity.INFO
        return Mismatch(pinned, digest, severity, words)


def images_of(case: StoreCase) -> Images:
    """What the release says of the images of one store's services."""
    release = case.background.release
    if isinstance(release, NotRead):
        return Images({}, {}, {})
    same: dict[str, frozenset[str]] = {}
    names: dict[str, str] = {}
    for fact in release.images.values():
        digest = fact.pinned.rpartition("@")[2]
        same[digest] = frozenset(fact.manifests)
        names |= dict.fromkeys((digest, *fact.manifests), fact.pinned)
    return Images(same, _pins(case, release), names)


def _pins(case: StoreCase, release: Release) -> dict[tuple[str, str], str]:
    current = {one.name for one in wanted_services(case) if one.runs == one.wanted.content}
    return {
        (one.service, str(container.get("name", ""))): str(container.get("image", ""))
        for one in case.wanted.services
        if one.content in release.task_definitions and one.service in current
        for container in release.task_definitions[one.content].body.get("containerDefinitions", ())
    }


def short(reference: str) -> str:
    """``images.shops.example/vision@sha256:9b1c5a3e``, or ``sha256:9b1c5a3e``."""
    name, at, digest = reference.rpartition("@")
    return f"{name}{at}{digest[:_SHOWN]}"
