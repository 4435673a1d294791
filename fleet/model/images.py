"""References to container images, and what can be read from the reference alone."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.model.inventory import Architecture

_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr[.-][a-z0-9.-]+/[^@:]+(:[^@]+)?(@sha256:[0-9a-f]{64})?")
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def is_in_ecr(reference: str) -> bool:
    """Return whether an image is in a private ECR registry, where its platforms can be read."""
    return _ECR.fullmatch(reference) is not None


def is_by_digest(reference: str) -> bool:
    """Return whether a reference names its image by digest."""
    return _BY_DIGEST.fullmatch(reference) is not None


def fits(platforms: Sequence[str], architecture: Architecture) -> bool:
    """Return whether an index has an image for an architecture; ``linux/arm64/v8`` is for arm64."""
    wanted = f"linux/{architecture.value}"
    return any(name == wanted or name.startswith(f"{wanted}/") for name in platforms)


def images_of(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the images of a task definition, each once, in the order of the containers."""
    containers = body.get("containerDefinitions") or ()
    named = (str(c["image"]) for c in containers if isinstance(c, Mapping) and c.get("image"))
    return tuple(dict.fromkeys(named))
