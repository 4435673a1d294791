"""What ``docker ps``, ``images`` and ``system df`` list: the engine's own and ECS's containers."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fleet.sandbox.agents.containers import Container
from fleet.sandbox.hosts.shop_host import ShopHost

Row = dict[str, str]


class FilterUnknown(Exception):
    """A ``--filter`` that is not simulated."""


def containers(host: ShopHost, *, everything: bool, filters: list[str]) -> list[Row]:
    """Rows of ``docker ps``; with ``everything`` those that do not run, too. Newest first."""
    others = [*host.docker.state()["running"]]
    if host.ecs_agent.metadata():
        others.append("ecs-agent")
    rows = [_row(host, container) for container in reversed(host.containers.all())]
    rows += [
        {
            "Names": name,
            "ID": f"{number:012x}",
            "Image": name,
            "State": "running",
            "Status": "Up",
            "Labels": "",
        }
        for number, name in enumerate(others)
    ]
    wanted = [_filter(text) for text in filters]
    return [
        row
        for row in rows
        if (everything or row["State"] == "running") and all(fits(row) for fits in wanted)
    ]


def images(host: ShopHost) -> list[Row]:
    """Rows of ``docker images``: those of tasks, and what lies there unused from before."""
    rows = []
    for reference, cached in host.containers.images.all().items():
        name, _, digest = reference.partition("@")
        head, colon, tag = name.rpartition(":")
        tagged = bool(colon) and "/" not in tag
        rows.append(
            {
                "Repository": head if tagged else name,
                "Tag": tag if tagged else "<none>" if digest else "latest",
                "Digest": cached.digest,
                "Size": f"{sum(cached.layers.values()):.0f}MB",
            }
        )
    unused = _unused_mb(host)
    if unused:
        rows.append({"Repository": "unused", "Tag": "old", "Digest": "", "Size": f"{unused}MB"})
    return rows


def disk(host: ShopHost) -> list[Row]:
    """Rows of ``docker system df``."""
    cached, made = host.containers.images.all(), host.containers.all()
    used = {container.image for container in made}
    unused = _unused_mb(host)
    free = unused + sum(
        sum(image.layers.values()) for name, image in cached.items() if name not in used
    )
    total = unused + host.containers.images.size_mb()
    share = f" ({100 * free / total:.0f}%)" if free else ""
    running = len(host.containers.all(running=True))
    empty = {"TotalCount": "0", "Active": "0", "Size": "0B", "Reclaimable": "0B"}
    return [
        {
            "Type": "Images",
            "TotalCount": str(len(cached) + bool(unused)),
            "Active": str(len(used)),
            "Size": _size(total),
            "Reclaimable": f"{_size(free)}{share}",
        },
        {**empty, "Type": "Containers", "TotalCount": str(len(made)), "Active": str(running)},
        {**empty, "Type": "Local Volumes"},
        {**empty, "Type": "Build Cache"},
    ]


def find(host: ShopHost, wanted: str) -> Container | None:
    """A container by name, or by the beginning of its id."""
    for container in host.containers.all():
        if container.name == wanted or (wanted and container.id.startswith(wanted)):
            return container
    return None


def image(host: ShopHost, wanted: str) -> dict[str, Any] | None:
    """An image as ``docker image inspect`` shows it, by reference or by its id.

    The sandbox takes an image's digest for its id, too.
    """
    for reference, cached in host.containers.images.all().items():
        if wanted in {reference, cached.digest}:
            name = reference.partition("@")[0]
            head, colon, tag = name.rpartition(":")
            repository = head if colon and "/" not in tag else name
            digests = [f"{repository}@{cached.digest}"] if cached.digest else []
            return {"Id": cached.digest, "RepoTags": [name], "RepoDigests": digests}
    return None


def digest(host: ShopHost, container: Container) -> str:
    """What its image resolved to, or "" when that is gone."""
    cached = host.containers.images.all().get(container.image)
    return cached.digest if cached is not None else ""


def _row(host: ShopHost, container: Container) -> Row:
    if container.status == "running":
        health = f" ({container.health})" if container.health else ""
        status = f"Up {_age(host, container.started_at)}{health}"
    elif container.status == "exited":
        code = "" if container.exit_code is None else container.exit_code
        status = f"Exited ({code}) {_age(host, container.finished_at)} ago"
    else:
        status = "Created"
    return {
        "Names": container.name,
        "ID": container.id[:12],
        "Image": container.image,
        "State": container.status,
        "Status": status,
        "Labels": ",".join(f"{key}={value}" for key, value in container.labels.items()),
    }


def _age(host: ShopHost, since: float | None) -> str:
    return f"{max(0.0, host.clock.now() - (since or 0.0)):.0f} seconds"


def _filter(text: str) -> Callable[[Row], bool]:
    name, _, value = text.partition("=")
    if name == "name":
        return lambda row: value in row["Names"]
    if name == "status":
        return lambda row: row["State"] == value
    if name == "label":
        return lambda row: any(
            label == value or label.partition("=")[0] == value for label in row["Labels"].split(",")
        )
    raise FilterUnknown(name)


def _unused_mb(host: ShopHost) -> int:
    return int(host.docker.state().get("unused_image_mb", 0))


def _size(megabytes: float) -> str:
    return f"{megabytes:.0f}MB" if megabytes else "0B"


def written_at(moment: float | None) -> str:
    """A time as ``docker inspect`` writes it."""
    if moment is None:
        return "0001-01-01T00:00:00Z"
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
