"""Do the words of an inventory mean something to each other?

Checked where a word is written, so that a wrong default is one problem and not one per store.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from fleet.errors import Problem
from fleet.inventory.checking import Problems
from fleet.inventory.document import Path, nearest
from fleet.inventory.policies import BUILT_IN
from fleet.inventory.resolve import Written
from fleet.inventory.shape import Shape
from fleet.inventory.shapes import LayerShape, StoreShape, WorkloadShape
from fleet.model.images import is_by_digest, is_in_ecr
from fleet.model.inventory import Architecture, Hardware, Host, Store

#: ECS keeps 10 custom attributes per resource (PutAttributes); fleet itself sets up to six.
MOST_ATTRIBUTES = 4
#: Words that `fleet rollout` takes for its own before it takes them for workloads.
ROLLOUT_VERBS = frozenset(
    {
        *("status", "watch", "wait", "pause", "resume", "promote"),
        *("retry", "skip", "abort", "rollback", "history"),
    }
)
_WORKLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Known:
    """The names that are written, also those whose content is wrong."""

    accounts: Collection[str]
    groups: Collection[str]
    hardware: Collection[str]
    policies: Collection[str]


def check_layer(layer: Written[LayerShape], known: Known, problems: Problems) -> None:
    """Account, groups and hardware that a layer names exist."""
    shape, ask = layer.shape, Asker(layer, problems)
    ask.known(("account",), "account", shape.account, known.accounts)
    if isinstance(shape, StoreShape):
        for group in shape.groups:
            ask.known(("groups",), "group", group, known.groups)
    for name, host in (shape.hosts or {}).items():
        if host:
            where = ("hosts", name, "hardware")
            ask.known(where, "hardware", host.hardware, known.hardware)


class Asker:
    """Asks whether words written in one place are known; the unknown become problems there."""

    def __init__(self, written: Written[Shape], problems: Problems) -> None:
        self._written = written
        self._problems = problems

    def known(self, where: Path, what: str, word: str | None, names: Collection[str]) -> None:
        """``word``, written at ``where``, is the name of a ``what``."""
        if word is None or word in names:
            return
        message = f'there is no {what} "{word}"'
        hint = nearest(word, sorted(names)) if names else f"no {what} is written"
        path = (*self._written.path, *where)
        self._problems.add(self._written.document.problem(path, message, hint))

    def all_known(
        self, where: Path, what: str, words: Sequence[str], names: Collection[str]
    ) -> None:
        """Each of these words is the name of a ``what``."""
        for word in words:
            self.known(where, what, word, names)


def check_workload_name(name: str, workload: Written[WorkloadShape], problems: Problems) -> None:
    """A name that can be typed after ``fleet rollout`` and be part of a service's name."""
    if name in ROLLOUT_VERBS:
        message = f'"{name}" is what `fleet rollout {name}` means already'
        problems.add(workload.document.problem((), message, "give the file another name"))
    elif not _WORKLOAD.fullmatch(name):
        message = f'"{name}" is no name for a workload: 1 to 63 letters, digits, _ and -'
        problems.add(workload.document.problem((), message, "give the file another name"))


def check_workload(
    workload: Written[WorkloadShape],
    known: Known,
    hardware: Mapping[str, Hardware],
    stores: Sequence[Store] | None,
    problems: Problems,
) -> None:
    """Conditions, policy and images of a workload name what exists.

    Ring, store and labels are left alone when ``stores`` is None: not all of them could be read,
    and what the unread ones say is not known.
    """
    shape, ask = workload.shape, Asker(workload, problems)
    policies = {*known.policies, BUILT_IN}
    ask.known(("policy",), "policy", shape.policy, policies)
    boxes = hardware.values()
    valid: dict[str, Collection[str]] = {
        "hardware": known.hardware,
        "architecture": [architecture.value for architecture in Architecture],
        "variant": {box.variant for box in boxes},
        "accelerator": {box.accelerator for box in boxes if box.accelerator},
    }
    labels: set[str] = set()
    if stores is not None:
        valid["ring"] = {store.ring for store in stores}
        valid["store"] = {store.id for store in stores}
        labels = {label for store in stores for label in store.labels}
    for key, words in shape.where.items():
        where = ("where", key)
        if key.startswith("label.") and stores is not None:
            ask.known(where, "label", key.removeprefix("label."), labels)
        for word in words if key in valid else ():
            ask.known(where, key, word, valid[key])
    for name, image in (shape.images or {}).items():
        wrong, hint = _image_problem(image.image, image.platforms)
        if wrong:
            path = ("images", name, "image")
            problems.add(workload.document.problem(path, f'"{image.image}" {wrong}', hint))


def _image_problem(reference: str, platforms: Sequence[str]) -> tuple[str, str | None]:
    if is_in_ecr(reference):
        return "", None
    if not is_by_digest(reference):
        return "is outside ECR and not pinned", "write it as name@sha256:<64 hex digits>"
    if not platforms:
        return "is outside ECR and names no platforms", "add platforms: [linux/arm64]"
    return "", None


def check_stores(stores: Sequence[Store], problems: Problems) -> None:
    """No two hosts share an address, no two stores a cluster, and attributes fit in ECS."""
    clusters: dict[tuple[str, str, str], Store] = {}
    addresses: dict[tuple[str, int], Host] = {}
    for store in stores:
        place = (store.account.name, store.region, store.cluster)
        other = clusters.setdefault(place, store)
        if other is not store:
            message = f'the cluster "{store.cluster}" is also that of {other.id} ({other.source})'
            problems.add(_at_store(store, message))
        for host in store.hosts:
            twin = addresses.setdefault((host.address, host.ssh.port), host)
            if twin is not host:
                where = f"{host.address} port {host.ssh.port}"
                message = f"{where} is also the address of {twin.id} ({twin.source})"
                problems.add(_at_host(host, message))
            if len(host.attributes) > MOST_ATTRIBUTES:
                message = (
                    f"has {len(host.attributes)} attributes of its own, at most {MOST_ATTRIBUTES} "
                    "fit: ECS keeps 10 and fleet sets up to 6"
                )
                problems.add(_at_host(host, message))


def _at_store(store: Store, message: str) -> Problem:
    return Problem(store.source.file, store.source.line, store.id, message)


def _at_host(host: Host, message: str) -> Problem:
    return Problem(host.source.file, host.source.line, host.id, message)
