"""What the committed inventory wants to run: services per store, task definitions by content."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from fleet.model.inventory import Architecture

#: What DescribeTaskDefinition says beyond what was registered (ECS API reference, TaskDefinition).
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


#: Values that ECS fills in where nothing was said (ECS API reference, "Default").
ECS_DEFAULTS: Mapping[str, Any] = {
    "essential": True,
    "protocol": "tcp",
    "networkMode": "bridge",
    "interval": 30,
    "timeout": 5,
    "retries": 3,
    "restartAttemptPeriod": 300,
}


def content_of(body: Mapping[str, Any]) -> str:
    """Return the address of a task definition: SHA-256 (hex) over its canonical JSON.

    Stores that render the same body share one revision of it, in every account and region.
    """
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class TaskDefinition:
    """The input of RegisterTaskDefinition, images pinned by digest, without tags.

    Attributes:
        family: its name at ECS, where every registration of it is a revision.
        content: ``content_of(body)``; fleet tags every revision with it.
        body: what is sent.
    """

    family: str
    content: str
    body: Mapping[str, Any]

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> "TaskDefinition":
        """Return a body under its own address."""
        return cls(str(body["family"]), content_of(body), body)


@dataclass(frozen=True, slots=True)
class Rendering:
    """What a workload's template gave for one variant, before anything is added or pinned.

    Attributes:
        architecture: that every box of the variant has.
        body: input of RegisterTaskDefinition; ``family`` is WORKLOAD-VARIANT unless written.
        store: id of the store it is for; None when it is the same for all.
        uses: what it says of that store, as ``("region",)``.
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
    """What the services of one workload and variant have in common in every store.

    Attributes:
        name: of the ECS service, as ``vision-arm64``.
        workload: as in the inventory.
        variant: of the hardware it runs on.
        architecture: of that, as ``arm64``.
        scheduling: REPLICA with one task per matching host, or DAEMON.
        placement: ``placementConstraints`` as CreateService takes them.
        breaker_count: task failures after which ECS restores the last completed deployment.
        log_groups: what must exist before a task can start.
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
class ServiceSheet:
    """Everything that would be sent for one service of one store, to be looked at.

    Attributes:
        definition: input of RegisterTaskDefinition; its content address is tagged on the revision.
        create: input of CreateService, without tags; the revision is not known before it is made.
        update: input of UpdateService, likewise; a rollout sends of it what differs.
        hosts: name and hardware of every host that a task would land on.
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
    """What is known of an image that a release uses.

    Attributes:
        reference: as the inventory writes it.
        pinned: ``name@sha256:...``, which is what task definitions say.
        platforms: what its index holds, as ``linux/arm64``.
        bytes: compressed size by platform; a platform that is missing is of unknown size.
        source: ``ecr`` when the registry was read, ``declared`` when the inventory said so,
            ``unread`` when nobody asked: good for looking at, never for sending.
        manifests: digests of what the index holds, where it was read: docker may report the
            platform's own digest of an image that was pulled by the index's.
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
        id: twelve hex digits of a digest over everything below; equal releases are one release.
        inventory: digest of the inventory it was made of.
        services: in store and service order.
        shapes: by service name.
        task_definitions: by content.
        images: by reference.
        notes: things to know that are no errors, as a template of 500 bodies.
    """

    id: str
    inventory: str
    services: tuple[DesiredService, ...]
    shapes: Mapping[str, ServiceShape]
    task_definitions: Mapping[str, TaskDefinition]
    images: Mapping[str, ImageFact] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
