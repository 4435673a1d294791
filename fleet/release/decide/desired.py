"""Builds a release from the inventory and its rendered templates: what every store should run."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

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
)
from fleet.model.images import fits, images_of, is_by_digest, is_in_ecr
from fleet.model.inventory import Fleet, Lifecycle, Store, Workload
from fleet.model.printable import many
from fleet.model.spans import span
from fleet.release.decide.service_input import placement
from fleet.release.decide.task_body import blocking_logs, finished, log_groups, log_regions

#: Burst of RegisterTaskDefinition per account and region, which then refills at one per second
#: (Amazon ECS service quotas, "task definition modify actions").
REGISTER_BURST = 20
_FEW = 5


def image_questions(fleet: Fleet, renderings: Iterable[Rendering]) -> tuple[str, ...]:
    """Return the images that ECR must be asked about: tags, and digests without platforms."""
    workloads = {workload.name: workload for workload in fleet.workloads}
    # Stores that were rendered alike share one body.
    bodies = {(one.workload, id(one.body)): one for one in renderings}.values()
    return tuple(
        sorted(
            {
                image
                for one in bodies
                for image in images_of(one.body)
                if is_in_ecr(image) and declared(workloads[one.workload], image) is None
            }
        )
    )


def declared(workload: Workload, reference: str) -> ImageFact | None:
    """Return what the inventory says of an image, if that is enough to pin it."""
    image = next((one for one in workload.images.values() if one.reference == reference), None)
    if image is None or not image.platforms or not is_by_digest(reference):
        return None
    size = None if image.size_mb is None else round(image.size_mb * 1_000_000)
    sizes = {} if size is None else dict.fromkeys(image.platforms, size)
    return ImageFact(reference, reference, image.platforms, sizes, "declared")


def unread(reference: str) -> ImageFact:
    """Return a stand-in for an image that ECR was not asked about; it is never sent."""
    return ImageFact(reference, reference, (), {}, "unread")


def release_of(
    fleet: Fleet, renderings: Sequence[Rendering], images: Mapping[str, ImageFact]
) -> Release:
    """Return what the open stores of a fleet should run.

    Args:
        renderings: of every workload; one per store where a template uses the store.
        images: answers to ``image_questions``, by reference.

    Raises:
        InventoryError: with all problems: an image is not known or lacks an architecture that it
            is needed for, or two services of a store have the same name.
    """
    builder = _ReleaseBuilder(fleet, images)
    shared = {(one.workload, one.variant): one for one in renderings if one.store is None}
    own = {(one.workload, one.variant, one.store): one for one in renderings if one.store}
    for workload in fleet.workloads:
        variants = sorted({one.variant for one in renderings if one.workload == workload.name})
        boxes = {name: box.variant for name, box in fleet.hardware.items() if workload.fits(box)}
        for variant in variants:
            hardware = frozenset(name for name, one in boxes.items() if one == variant)
            key = workload.name, variant
            builder.add(
                workload,
                variant,
                [
                    (store, hosts, rendering)
                    for store, hosts in _places(fleet, workload, hardware)
                    if (rendering := own.get((*key, store.id)) or shared.get(key)) is not None
                ],
            )
    return builder.release()


def _places(
    fleet: Fleet, workload: Workload, hardware: frozenset[str]
) -> Iterator[tuple[Store, tuple[str, ...]]]:
    """Yield the open stores that run a workload, with the names of their hosts that run it."""
    for store in fleet.stores:
        if store.lifecycle is Lifecycle.OPEN and workload.wants(store):
            hosts = tuple(sorted(h.name for h in store.hosts if h.hardware.name in hardware))
            if hosts:
                yield store, hosts


@dataclass(slots=True)
class _ServiceSummary:
    """What the services of one workload and variant have in common.

    Attributes:
        contents: by account and region, the content addresses that stores run.
        groups: log groups, by name.
        uses: the values of stores that the template uses.
        other_regions: by region of a store, the regions that its logs go to instead.
        blocking: containers whose logging is blocking.
    """

    contents: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    groups: dict[str, LogGroup] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    other_regions: dict[str, frozenset[str]] = field(default_factory=dict)
    blocking: set[str] = field(default_factory=set)
    rendering: Rendering | None = None


class _ReleaseBuilder:
    """Collects the services of a release, its problems and its notes."""

    def __init__(self, fleet: Fleet, images: Mapping[str, ImageFact]) -> None:
        self._fleet = fleet
        self._answers = images
        self._images: dict[str, ImageFact] = {}
        self._services: list[DesiredService] = []
        self._shapes: dict[str, ServiceShape] = {}
        self._definitions: dict[str, TaskDefinition] = {}
        self._finished: dict[tuple[str, int], TaskDefinition | None] = {}
        self._problems: dict[Problem, None] = {}
        self._notes: list[str] = []

    def add(
        self,
        workload: Workload,
        variant: str,
        places: Iterable[tuple[Store, tuple[str, ...], Rendering]],
    ) -> None:
        """Add the services of one workload and variant."""
        name = f"{workload.name}-{variant}".replace("/", "-")
        summary = _ServiceSummary()
        for store, hosts, rendering in places:
            key = workload.name, id(rendering.body)
            if key not in self._finished:
                self._finished[key] = self._definition(workload, rendering)
            definition = self._finished[key]
            if definition is not None:
                self._summarize(summary, store, rendering, definition)
                self._services.append(DesiredService(store.id, name, definition.content, hosts))
        if summary.rendering is None:
            self._notes.append(f"{workload.name} on {variant}: no open store has such a host")
            return
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
            architecture=summary.rendering.architecture.value,
            scheduling=Scheduling.DAEMON if workload.daemon else Scheduling.REPLICA,
            placement=placement(workload, variant, summary.rendering.architecture),
            breaker_count=policy.breaker_count if policy else 1,
            log_groups=tuple(summary.groups[group] for group in sorted(summary.groups)),
        )
        self._notes += _notes(name, summary)

    def release(self) -> Release:
        """Return the release.

        Raises:
            InventoryError: with all problems.
        """
        if self._problems:
            raise InventoryError(tuple(self._problems))
        images = dict(sorted(self._images.items()))
        self._notes += [
            f"{reference}: only a plan asks ECR for its digest"
            for reference, image in images.items()
            if image.source == "unread"
        ]
        services = tuple(sorted(self._services, key=lambda one: (one.store, one.service)))
        shapes = dict(sorted(self._shapes.items()))
        return Release(
            id=_identity(self._fleet.digest, services, shapes, images),
            inventory=self._fleet.digest,
            services=services,
            shapes=shapes,
            task_definitions=dict(sorted(self._definitions.items())),
            images=images,
            notes=tuple(self._notes),
        )

    def _summarize(
        self,
        summary: _ServiceSummary,
        store: Store,
        rendering: Rendering,
        definition: TaskDefinition,
    ) -> None:
        summary.rendering = rendering
        summary.uses.update(rendering.uses)
        self._definitions.setdefault(definition.content, definition)
        contents = summary.contents.setdefault((store.account.name, store.region), set())
        if definition.content in contents:
            return
        contents.add(definition.content)
        for group in log_groups(definition.body, self._fleet.log_retention_days):
            summary.groups[group.name] = group
        others = log_regions(definition.body) - {store.region}
        if others:
            summary.other_regions[store.region] = others
        summary.blocking.update(blocking_logs(definition.body))

    def _definition(self, workload: Workload, rendering: Rendering) -> TaskDefinition | None:
        """Return the finished task definition; None after a problem with an image."""
        pins = {}
        for reference in images_of(rendering.body):
            image = self._image(workload, reference, rendering)
            if image is None:
                return None
            pins[reference] = image.pinned
        return TaskDefinition.of(finished(rendering.body, pins))

    def _image(self, workload: Workload, reference: str, rendering: Rendering) -> ImageFact | None:
        """Return what is known of an image; None after a problem with it."""
        image = self._answers.get(reference) or declared(workload, reference)
        if image is None:
            message = f'nobody asked ECR about "{reference}", so it cannot be pinned'
            self._complain(workload, message, "write it by digest, with platforms:")
            return None
        if image.source != "unread":
            if not is_by_digest(image.pinned):
                message = f'"{reference}" has no digest: it is "{image.pinned}"'
                self._complain(workload, message, None)
                return None
            if not fits(image.platforms, rendering.architecture):
                held = ", ".join(image.platforms) or "nothing that could be told"
                message = (
                    f'the image "{reference}" holds {held}, not '
                    f"linux/{rendering.architecture.value}, which {rendering.variant} needs"
                )
                hint = "build it for that platform too, or narrow where:"
                self._complain(workload, message, hint)
                return None
        self._images[reference] = image
        return image

    def _complain(self, workload: Workload, message: str, hint: str | None) -> None:
        source = workload.source
        text = f"{workload.name}: {message}"
        self._problems[Problem(source.file, source.line, "", text, hint)] = None


def _notes(name: str, summary: _ServiceSummary) -> Iterator[str]:
    """Yield what to know of a service before it is sent."""
    if summary.uses:
        bodies = len(frozenset().union(*summary.contents.values()))
        (account, region), contents = max(
            summary.contents.items(), key=lambda entry: (len(entry[1]), entry[0])
        )
        text = f"{name}: its template uses {', '.join(sorted(summary.uses))}, which makes "
        text += many(bodies, "task definition")
        over_burst = len(contents) - REGISTER_BURST
        if over_burst > 0:
            text += (
                f"; {len(contents)} of them in {account}/{region}, where RegisterTaskDefinition "
                f"refills at 1 per second: at least {span(over_burst)}. What differs from store to "
                "store belongs in /etc/fleet/store.json or in attributes of hosts"
            )
        yield text
    for region, others in sorted(summary.other_regions.items()):
        yield (
            f"{name}: stores in {region} send their logs to {', '.join(sorted(others))}, and fleet "
            "makes log groups in a store's own region only: write {{ store.region }}"
        )
    if summary.blocking:
        names = sorted(summary.blocking)
        yield (
            f"{name}: the log of {', '.join(names[:_FEW])} is blocking, which stops the container "
            "when its shop is offline: mode: non-blocking"
        )


def _identity(
    inventory: str,
    services: Sequence[DesiredService],
    shapes: Mapping[str, ServiceShape],
    images: Mapping[str, ImageFact],
) -> str:
    digest = hashlib.sha256(inventory.encode())
    for service in services:
        words = (service.store, service.service, service.content, *service.hosts)
        digest.update("\0".join(words).encode() + b"\n")
    for part in (*shapes.values(), *((image.reference, image.pinned) for image in images.values())):
        digest.update(repr(part).encode() + b"\n")
    return digest.hexdigest()[:12]
