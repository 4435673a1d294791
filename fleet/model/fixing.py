"""The plan of ``fleet drift --fix``, why each step is safe, and the results.

A fix is decided twice by the same rule: for the plan that people read, and again from what AWS says
right before it is done.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from fleet.model import aws_actions
from fleet.model.drift import Finding
from fleet.model.observed import Activation, Cluster, ContainerInstance, ManagedInstance
from fleet.model.services import ServiceState, TaskState


@dataclass(frozen=True, slots=True)
class DeregisterInstance:
    """Take a container instance out of its cluster.

    Attributes:
        instance: ARN.
        force: also with tasks, which ECS then forgets; it starts no others for them where they
            are not wanted.
    """

    action: ClassVar[str] = aws_actions.DEREGISTER_CONTAINER_INSTANCE.id
    cluster: str
    instance: str
    force: bool = False


@dataclass(frozen=True, slots=True)
class DeregisterNode:
    """Take a node (``mi-``) out of SSM."""

    action: ClassVar[str] = aws_actions.DEREGISTER_MANAGED_INSTANCE.id
    node: str


@dataclass(frozen=True, slots=True)
class RepairAttributes:
    """Set custom attributes of a container instance (by ARN)."""

    action: ClassVar[str] = aws_actions.PUT_ATTRIBUTES.id
    cluster: str
    instance: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeleteAttributes:
    """Remove custom attributes of a container instance (by ARN)."""

    action: ClassVar[str] = aws_actions.DELETE_ATTRIBUTES.id
    cluster: str
    instance: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TagResource:
    """Set tags of a cluster or service, by its ARN."""

    action: ClassVar[str] = aws_actions.TAG_RESOURCE.id
    arn: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RepairNodeTags:
    """Set tags of a node in SSM."""

    action: ClassVar[str] = aws_actions.ADD_TAGS.id
    node: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RemoveActivation:
    """Delete an activation by its id; nodes that registered with it stay."""

    action: ClassVar[str] = aws_actions.DELETE_ACTIVATION.id
    activation: str


#: One call to AWS, with its exact arguments.
Deed = (
    DeregisterInstance
    | DeregisterNode
    | RepairAttributes
    | DeleteAttributes
    | TagResource
    | RepairNodeTags
    | RemoveActivation
)


@dataclass(frozen=True, slots=True)
class Fix:
    """What would be done about one finding.

    Attributes:
        what: in words, as ``deregister container instance 3f2a...``.
        deeds: in the order in which they are done.
        why: why it is safe, from what was read a moment ago.
    """

    finding: Finding
    what: str
    deeds: tuple[Deed, ...]
    why: str

    @property
    def deregistrations(self) -> int:
        """Return how many things it takes out of ECS or SSM for good."""
        return sum(isinstance(deed, DeregisterInstance | DeregisterNode) for deed in self.deeds)


@dataclass(frozen=True, slots=True)
class Left:
    """A finding that is not touched.

    Attributes:
        why: in one sentence.
        by_hand: whether its kind is never fixed by itself; False where this one might have been.
    """

    finding: Finding
    why: str
    by_hand: bool = False


@dataclass(frozen=True, slots=True)
class Already:
    """A finding that is no longer true; ``why`` says what was seen instead."""

    finding: Finding
    why: str


@dataclass(frozen=True, slots=True)
class FixPlan:
    """What would be done after one scan.

    Attributes:
        scan: id of the scan that found it.
        fixes: by store, host and code.
        left: what is not touched, and why.
        already: what is no longer so.
    """

    scan: str
    fixes: tuple[Fix, ...] = ()
    left: tuple[Left, ...] = ()
    already: tuple[Already, ...] = ()


class Outcome(StrEnum):
    """What came of a fix.

    DONE; ALREADY: somebody else had done it; REFUSED: it was no longer what had been planned, and
    nothing was done; FAILED: AWS or the records did not let it be done; NOT_BEGUN: the run was
    stopped before it.
    """

    DONE = "done"
    ALREADY = "already"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_BEGUN = "not-begun"

    @property
    def is_good(self) -> bool:
        """Return whether the finding is gone."""
        return self in {Outcome.DONE, Outcome.ALREADY}


@dataclass(frozen=True, slots=True)
class Fixed:
    """What came of one fix, in words."""

    fix: Fix
    outcome: Outcome
    words: str


@dataclass(frozen=True, slots=True)
class FixObservation:
    """What AWS says now of what one finding is about; what its rule does not need is empty.

    Attributes:
        at: AWS's time of the oldest part, aware UTC.
        cluster: the store's; None when there is none.
        instances: of the store's cluster, without INACTIVE ones.
        nodes: that SSM knows of those that were asked for, with their tags.
        tasks: of the store's cluster that are not STOPPED.
        services: of the store's cluster, by those tasks or by the finding.
        activation: None when SSM knows it no more.
        rollouts: that hold the store.
    """

    at: datetime
    cluster: Cluster | None = None
    instances: tuple[ContainerInstance, ...] = ()
    nodes: tuple[ManagedInstance, ...] = ()
    tasks: tuple[TaskState, ...] = ()
    services: tuple[ServiceState, ...] = ()
    activation: Activation | None = None
    rollouts: frozenset[str] = field(default_factory=frozenset)
