"""The inventory and its rendered templates as one release: what every store should run."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fleet.errors import InventoryError, Problem
from fleet.model.desired import (
    DesiredService,
    ImageFact,
    LogGroup,
    Release,
    Rendering,
    Scheduling,
    ServiceShape,
    TaskDefinition,
    content_of,
)
from fleet.model.images import fits, images_of, is_by_digest, is_in_ecr
from fleet.model.inventory import Fleet, Lifecycle, Store, Workload
from fleet.model.spans import span
from fleet.release.decide.task_body import (
    blocking_logs,
    finished,
    log_groups,
    log_regions,
    placement,
)

#: Burst of RegisterTaskDefinition per account and region, which then refills at one per second
#: (Amazon ECS service quotas, "task definition modify actions").
REGISTER_BURST = 20
_FEW = 5


def service_name(workload: str, variant: str) -> str:
    """Name of the ECS service of a workload on a variant, as ``vision-arm64-jetpack6``."""
    return f"{workload}-{variant}".replace("/", "-")


def image_questions(fleet: Fleet, renderings: Iterable[Rendering]) -> tuple[str, ...]:
    """References that ECR must be asked about: tags, and digests without declared platforms."""
    workloads = {workload.name: workload for workload in fleet.workloads}
    asked: set[str] = set()
    for workload, reference in sorted(
        {(one.workload, image) for one in _distinct(renderings) for image in images_of(one.body)}
    ):
        if is_in_ecr(reference) and declared(workloads[workload], reference) is None:
            asked.add(reference)
    return tuple(sorted(asked))


def declared(workload: Workload, reference: str) -> ImageFact | None:
    """What the inventory says of an image, when that is enough to pin it."""
    image = next((one for one in workload.images.values() if one.reference == reference), None)
    if image is None or not image.platforms or not is_by_digest(reference):
        return None
    size = None if image.size_mb is None else round(image.size_mb * 1_000_000)
    sizes = {} if size is None else dict.fromkeys(image.platforms, size)
    return ImageFact(reference, reference, image.platforms, sizes, "declared")


def unread(reference: str) -> ImageFact:
    """Stands in for an image that nobody asked about: to look at a release, never to send it."""
    return ImageFact(reference, reference, (), {}, "unread")


def release_of(
    fleet: Fleet, renderings: Sequence[Rendering], images: Mapping[str, ImageFact]
) -> Release:
    """What the open stores of a fleet should run.

    Args:
        renderings: of every workload; one per store where a template speaks of the store.
        images: answers to ``image_questions``; what the inventory declares need not be among them.

    Raises:
        InventoryError: an image is not known, or lacks an architecture that it is meant for, or two
            services of a store would have one name; all of it at once.
    """
    maker = _Maker(fleet, images)
    shared = {(one.workload, one.variant): one for one in renderings if one.store is None}
    own = {(one.workload, one.variant, one.store): one for one in renderings if one.store}
    for workload in fleet.workloads:
        variants = sorted({one.variant for one in renderings if one.workload == workload.name})
        boxes = {name: box.variant for name, box in fleet.hardware.items() if workload.fits(box)}
        for variant in variants:
            names = frozenset(name for name, one in boxes.items() if one == variant)
            key = workload.name, variant
            for store, hosts in _places(fleet, workload, names):
                rendering = own.get((*key, store.id)) or shared.get(key)
                if rendering is not None:
                    maker.add(workload, rendering, store, hosts)
            maker.close(workload, variant)
    return maker.release()


def _places(
    fleet: Fleet, workload: Workload, boxes: frozenset[str]
) -> Iterator[tuple[Store, tuple[str, ...]]]:
    """The open stores a workload belongs to, with the names of their hosts that it runs on."""
    for store in fleet.stores:
        if store.lifecycle is Lifecycle.OPEN and workload.wants(store):
            hosts = tuple(sorted(host.name for host in store.hosts if host.hardware.name in boxes))
            if hosts:
                yield store, hosts


def _distinct(renderings: Iterable[Rendering]) -> Iterator[Rendering]:
    """Stores that were rendered alike share one body; looking at it once is enough."""
    seen: set[tuple[str, str, int]] = set()
    for one in renderings:
        key = one.workload, one.variant, id(one.body)
        if key not in seen:
            seen.add(key)
            yield one


@dataclass(slots=True)
class _Tally:
    """What the services of one workload and variant came to.

    Attributes:
        contents: how many stores run each content, by account and region.
        groups: log groups, by name.
        astray: region of a store -> regions that its logs go to instead.
    """

    contents: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    groups: dict[str, LogGroup] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    astray: dict[str, frozenset[str]] = field(default_factory=dict)
    blocking: set[str] = field(default_factory=set)
    rendering: Rendering | None = None


class _Maker:
    """Collects the services of a release."""

    def __init__(self, fleet: Fleet, images: Mapping[str, ImageFact]) -> None:
        self._fleet = fleet
        self._answers = images
        self._facts: dict[str, ImageFact] = {}
        self._services: list[DesiredService] = []
        self._shapes: dict[str, ServiceShape] = {}
        self._definitions: dict[str, TaskDefinition] = {}
        self._finished: dict[tuple[str, int], TaskDefinition | None] = {}
        self._problems: dict[Problem, None] = {}
        self._notes: list[str] = []
        self._tally = _Tally()

    def add(
        self, workload: Workload, rendering: Rendering, store: Store, hosts: tuple[str, ...]
    ) -> None:
        """One service of one store."""
        key = workload.name, id(rendering.body)
        if key not in self._finished:
            self._finished[key] = self._definition(workload, rendering)
        definition = self._finished[key]
        if definition is None:
            return
        tally = self._tally
        if definition.content not in self._definitions:
            self._definitions[definition.content] = definition
        shard = store.account.name, store.region
        counts = tally.contents.setdefault(shard, Counter())
        if definition.content not in counts:
            body = definition.body
            for group in log_groups(body, self._fleet.log_retention_days):
                tally.groups[group.name] = group
            away = log_regions(body) - {store.region}
            if away:
                tally.astray[store.region] = away
            tally.blocking.update(blocking_logs(body))
        counts[definition.content] += 1
        tally.uses.update(rendering.uses)
        tally.rendering = rendering
        name = service_name(workload.name, rendering.variant)
        self._services.append(DesiredService(store.id, name, definition.content, hosts))

    def close(self, workload: Workload, variant: str) -> None:
        """The stores of one workload and variant are complete."""
        tally, self._tally = self._tally, _Tally()
        if tally.rendering is None:
            self._notes.append(f"{workload.name} on {variant}: no open store has such a host")
            return
        name = service_name(workload.name, variant)
        other = self._shapes.get(name)
        if other is not None:
            message = f'the service "{name}" is also that of {other.workload} on {other.variant}'
            self._complain(workload, message, "give one of the files another name")
            return
        policy = self._fleet.policies.get(workload.policy)
        self._shapes[name] = ServiceShape(
            name=name,
            workload=workload.name,
            variant=variant,
            architecture=tally.rendering.architecture.value,
            scheduling=Scheduling.DAEMON if workload.daemon else Scheduling.REPLICA,
            placement=placement(workload, variant, tally.rendering.architecture),
            breaker_count=policy.breaker_count if policy else 1,
            log_groups=tuple(tally.groups[group] for group in sorted(tally.groups)),
        )
        self._notes += _notes(name, tally)

    def release(self) -> Release:
        """All of it.

        Raises:
            InventoryError: with everything that is wrong.
        """
        if self._problems:
            raise InventoryError(tuple(self._problems))
        for reference, fact in sorted(self._facts.items()):
            if fact.source == "unread":
                self._notes.append(f"{reference}: only a plan asks ECR for its digest")
        services = tuple(sorted(self._services, key=lambda one: (one.store, one.service)))
        shapes = dict(sorted(self._shapes.items()))
        definitions = dict(sorted(self._definitions.items()))
        facts = dict(sorted(self._facts.items()))
        return Release(
            id=_identity(self._fleet.digest, services, shapes, facts),
            inventory=self._fleet.digest,
            services=services,
            shapes=shapes,
            task_definitions=definitions,
            images=facts,
            notes=tuple(self._notes),
        )

    def _definition(self, workload: Workload, rendering: Rendering) -> TaskDefinition | None:
        pins = {}
        for reference in images_of(rendering.body):
            fact = self._fact(workload, reference, rendering)
            if fact is None:
                return None
            pins[reference] = fact.pinned
        body = finished(rendering.body, pins)
        return TaskDefinition(str(body["family"]), content_of(body), body)

    def _fact(self, workload: Workload, reference: str, rendering: Rendering) -> ImageFact | None:
        """What is known of an image, or None after saying what is wrong with it."""
        fact = self._answers.get(reference) or declared(workload, reference)
        architecture = rendering.architecture
        if fact is None:
            message = f'nobody asked ECR about "{reference}", so it cannot be pinned'
            self._complain(workload, message, "write it by digest, with platforms:")
            return None
        if fact.source != "unread":
            if not is_by_digest(fact.pinned):
                message = f'"{reference}" has no digest: it is "{fact.pinned}"'
                self._complain(workload, message, None)
                return None
            if not fits(fact.platforms, architecture):
                held = ", ".join(fact.platforms) or "nothing that could be told"
                message = (
                    f'the image "{reference}" holds {held}, not linux/{architecture.value}, '
                    f"which {rendering.variant} needs"
                )
                hint = "build it for that platform too, or narrow where:"
                self._complain(workload, message, hint)
                return None
        self._facts[reference] = fact
        return fact

    def _complain(self, workload: Workload, message: str, hint: str | None) -> None:
        source = workload.source
        words = f"{workload.name}: {message}"
        self._problems[Problem(source.file, source.line, "", words, hint)] = None


def _notes(name: str, tally: _Tally) -> Iterator[str]:
    if tally.uses:
        bodies = len({content for counts in tally.contents.values() for content in counts})
        (account, region), most = max(
            ((shard, len(counts)) for shard, counts in tally.contents.items()),
            key=lambda entry: (entry[1], entry[0]),
        )
        words = f"{name}: its template uses {', '.join(sorted(tally.uses))}, which makes "
        words += f"{bodies} task definition{'' if bodies == 1 else 's'}"
        if most > REGISTER_BURST:
            seconds = most - REGISTER_BURST
            words += (
                f"; {most} of them in {account}/{region}, where RegisterTaskDefinition refills at "
                f"1 per second: at least {span(seconds)}. What differs from store to store "
                "belongs in /etc/fleet/store.json or in attributes of hosts"
            )
        yield words
    for region, others in sorted(tally.astray.items()):
        yield (
            f"{name}: stores in {region} send their logs to {', '.join(sorted(others))}, and fleet "
            "makes log groups in a store's own region only: write {{ store.region }}"
        )
    if tally.blocking:
        names = sorted(tally.blocking)
        yield (
            f"{name}: the log of {', '.join(names[:_FEW])} is blocking, which stops the container "
            "when its shop is offline: mode: non-blocking"
        )


def _identity(
    inventory: str,
    services: Sequence[DesiredService],
    shapes: Mapping[str, ServiceShape],
    facts: Mapping[str, ImageFact],
) -> str:
    digest = hashlib.sha256(inventory.encode())
    for service in services:
        words = (service.store, service.service, service.content, *service.hosts)
        digest.update("\0".join(words).encode() + b"\n")
    for part in (*shapes.values(), *((fact.reference, fact.pinned) for fact in facts.values())):
        digest.update(repr(part).encode() + b"\n")
    return digest.hexdigest()[:12]


def service_settings(shape: ServiceShape) -> dict[str, Any]:
    """What CreateService and UpdateService both take, and what is compared to find a difference.

    One task per host, and a host cannot run two for want of ports and memory, so the old task goes
    before the new one comes (maximum 100, minimum 0). ECS's own breaker counts failures of tasks
    (COUNT) and goes back to the last completed deployment. Availability zones mean nothing to a
    shop, and AWS turns their rebalancing on for new services.
    """
    return {
        "deploymentConfiguration": {
            "maximumPercent": 100,
            "minimumHealthyPercent": 0,
            "deploymentCircuitBreaker": {
                "enable": True,
                "rollback": True,
                "thresholdConfiguration": {"type": "COUNT", "value": shape.breaker_count},
            },
        },
        "placementConstraints": [dict(one) for one in shape.placement],
        "availabilityZoneRebalancing": "DISABLED",
        "enableECSManagedTags": True,
        "propagateTags": "SERVICE",
    }


def update_input(
    shape: ServiceShape, *, cluster: str, task_definition: str, desired_count: int
) -> dict[str, Any]:
    """The whole input of UpdateService; it never forces a deployment."""
    made: dict[str, Any] = {
        "cluster": cluster,
        "service": shape.name,
        "taskDefinition": task_definition,
        **service_settings(shape),
    }
    if shape.scheduling is Scheduling.REPLICA:
        made["desiredCount"] = desired_count
    return made


def service_input(
    shape: ServiceShape, *, cluster: str, task_definition: str, desired_count: int
) -> dict[str, Any]:
    """The input of CreateService, without tags and client token.

    The launch type is always said: a cluster's default capacity provider must not apply.

    Args:
        cluster: name of the store's cluster.
        task_definition: ARN, or FAMILY:REVISION.
        desired_count: one task per registered host that matches; DAEMON has none.
    """
    made: dict[str, Any] = {
        "cluster": cluster,
        "serviceName": shape.name,
        "taskDefinition": task_definition,
        "launchType": "EXTERNAL",
        "schedulingStrategy": shape.scheduling.value,
        **service_settings(shape),
    }
    if shape.scheduling is Scheduling.REPLICA:
        made["desiredCount"] = desired_count
    return made
