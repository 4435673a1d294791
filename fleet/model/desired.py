"""The desired state: the services of every store, and task definitions by their content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fleet.model.inventory import Architecture

#: Fields that only DescribeTaskDefinition has (ECS API reference, TaskDefinition).
ADDED_BY_ECS = frozenset(
    {
        "taskDefinitionArn",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "deleteRequestedAt",
    }
)


def content_of(body: Mapping[str, Any]) -> str:
    """Return the address of a task definition: SHA-256 (hex) over its canonical JSON.

    Stores that render the same body share one revision in their account and region.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The input of RegisterTaskDefinition, images pinned by digest, without tags.

    Attributes:
        family: the name under which ECS numbers its revisions.
        content: ``content_of(body)``; fleet tags every revision with it.
        body: as it is sent.
    """

    family: str
    content: str
    body: Mapping[str, Any]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "TaskDefinition":
        """Return a body with its family and address."""
        return cls(str(body["family"]), content_of(body), body)


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a workload's template renders to for one variant, before it is completed and pinned.

    Attributes:
        architecture: of every host of the variant.
        body: input of RegisterTaskDefinition; ``family`` is WORKLOAD-VARIANT unless written.
        store: id of its store; None when it is the same for all stores.
        uses: the values of the store that it uses, as ``("store.region",)``.
    """

    workload: str
    variant: str
    architecture: Architecture
    body: Mapping[str, Any]
    store: str | None = None
    uses: tuple[str, ...] = ()


class Scheduling(StrEnum):
    """SchedulingStrategy of a service. DAEMON on EXTERNAL is only known from third parties."""

    REPLICA = "REPLICA"
    DAEMON = "DAEMON"


@dataclass(frozen=True, slots=True)
class LogGroup:
    """A CloudWatch log group that a container writes to (``awslogs-group``).

    Attributes:
        name: of the group.
        retention_days: set when fleet makes the group; an existing one is left as it is.
    """

    name: str
    retention_days: int


@dataclass(frozen=True, slots=True)
class ServiceShape:
    """The settings of the services of one workload and variant, which are the same in every store.

    Attributes:
        name: of the ECS service, as ``vision-arm64``.
        workload: as in the inventory.
        variant: of the hardware it runs on.
        architecture: of that, as ``arm64``.
        scheduling: REPLICA with one task per matching host, or DAEMON.
        placement: ``placementConstraints`` as CreateService takes them.
        breaker_count: failed tasks after which ECS restores the last completed deployment.
        log_groups: those that must exist before a task can start.
    """

    name: str
    workload: str
    variant: str
    architecture: str
    scheduling: Scheduling
    placement: tuple[Mapping[str, Any], ...]
    breaker_count: int = 1
    log_groups: tuple[LogGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class DesiredService:
    """One service that one store should run.

    Attributes:
        store: id of the store.
        service: name of its ``ServiceShape``.
        content: address of its task definition.
        hosts: names of the store's hosts that match, in name order; one task on each.
    """

    store: str
    service: str
    content: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ServicePreview:
    """Everything that a rollout would send for one service of one store.

    Attributes:
        definition: input of RegisterTaskDefinition.
        create: input of CreateService, without tags and without the number of the revision.
        update: input of UpdateService; a rollout sends the fields that differ.
        hosts: name and hardware of every host that would run a task.
        images: of its containers.
    """

    shape: ServiceShape
    definition: TaskDefinition
    create: Mapping[str, Any]
    update: Mapping[str, Any]
    log_groups: tuple[LogGroup, ...]
    hosts: tuple[tuple[str, str], ...]
    images: tuple["ImageFact", ...]


@dataclass(frozen=True, slots=True)
class ImageFact:
    """An image of a release.

    Attributes:
        reference: as the inventory writes it.
        pinned: as in task definitions, ``name@sha256:...``.
        platforms: of its index, as ``linux/arm64``.
        bytes: compressed size by platform; the size of a missing platform is unknown.
        source: ``ecr`` when the registry was read, ``declared`` when the inventory says so,
            ``unread`` when ECR was not asked; such a release is shown and never sent.
        manifests: digests of the platforms' images, where the index was read. Docker may report
            one of them for an image that was pulled by the digest of the index.
    """

    reference: str
    pinned: str
    platforms: tuple[str, ...]
    bytes: Mapping[str, int] = field(default_factory=dict)
    source: str = "declared"
    manifests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Release:
    """The desired state of a committed inventory.

    Attributes:
        id: twelve hex digits of a digest over everything below; equal releases have the same id.
        inventory: digest of its inventory.
        services: in store and service order.
        shapes: by service name.
        task_definitions: by content.
        images: by reference.
        notes: warnings, as of a template that makes 500 task definitions.
    """

    id: str
    inventory: str
    services: tuple[DesiredService, ...]
    shapes: Mapping[str, ServiceShape]
    task_definitions: Mapping[str, TaskDefinition]
    images: Mapping[str, ImageFact] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
