"""References to container images: what their words alone say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fleet.model.inventory import Architecture

_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr[.-][a-z0-9.-]+/[^@:]+(:[^@]+)?(@sha256:[0-9a-f]{64})?")
_BY_DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


def is_in_ecr(reference: str) -> bool:
    """Return whether an image lies in a private ECR registry, where its platforms can be read."""
    return _ECR.fullmatch(reference) is not None


def is_by_digest(reference: str) -> bool:
    """Return whether a reference can only ever mean one image."""
    return _BY_DIGEST.fullmatch(reference) is not None


def fits(platforms: Sequence[str], architecture: Architecture) -> bool:
    """Return whether an index holds an architecture; ``linux/arm64/v8`` counts as arm64."""
    wanted = f"linux/{architecture.value}"
    return any(name == wanted or name.startswith(f"{wanted}/") for name in platforms)


def images_of(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the images of a task definition, container by container."""
    for container in body.get("containerDefinitions", ()):
        yield container["image"]
