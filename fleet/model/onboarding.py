"""What register can find a host to be, and what it can decide to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from fleet.model.inventory import Host, Store
from fleet.model.observed import Activation, Cluster, ContainerInstance, ManagedInstance, NodeTier


class HostClass(StrEnum):
    """What a host is, from its own ledger, SSM's and ECS's; the meaning is in the glossary."""

    FRESH = "fresh"
    HERE = "here"
    ASLEEP = "asleep"
    ECS_GHOST = "ecs-ghost"
    NODE_GHOST = "node-ghost"
    ELSEWHERE = "elsewhere"
    HALF = "half"
    STRANGER = "stranger"
    UNPINNED = "unpinned"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Classification:
    """A class and why: ``reason`` is one sentence with the values that decided it."""

    host_class: HostClass
    reason: str


class CheckResult(StrEnum):
    """How a preflight check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One preflight check.

    Attributes:
        name: short, as ``disk``.
        result: ok, warn or fail; one fail refuses the host before any activation is spent.
        seen: what was seen, beside what is needed.
        fix: what to do about it; "" when ok.
    """

    name: str
    result: CheckResult
    seen: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class StoreLedgers:
    """What AWS says about one store, read before deciding.

    Attributes:
        cluster: the store's cluster, or None when there is none.
        container_instances: in that cluster, INACTIVE ones not among them.
        managed_instances: SSM nodes tagged for the store or named by a host's vault.
        activations: of this store's hosts, used up and expired ones included.
        tier: room for nodes in the account and region.
    """

    cluster: Cluster | None
    container_instances: tuple[ContainerInstance, ...]
    managed_instances: tuple[ManagedInstance, ...]
    activations: tuple[Activation, ...]
    tier: NodeTier | None


@dataclass(frozen=True, slots=True)
class DeleteActivation:
    """Delete an activation of this host that is open or used up; nodes are not touched by it."""

    activation_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class DeregisterOrphan:
    """Deregister a node that our activation for this host made and that no host holds."""

    managed_instance_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Activate:
    """Create an activation for this host: limit 1, short expiry."""

    reason: str


@dataclass(frozen=True, slots=True)
class Install:
    """One SSH exec that brings the host from what it is to three running services.

    Attributes:
        activate: use a new activation, because the host's vault holds no id.
        set_runtime: docker's default runtime to set first, or None; restarts docker.
        docker_source: the install script's ``--docker-install-source``: ``none`` where docker is
            there already, which also keeps RHEL, where the script cannot install it, working.
        reason: why.
    """

    activate: bool
    set_runtime: str | None
    docker_source: str
    reason: str


@dataclass(frozen=True, slots=True)
class PutAttributes:
    """Set custom attributes of a container instance that are missing or differ."""

    container_instance_arn: str
    attributes: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class TagContainerInstance:
    """Set tags of a container instance that are missing or differ."""

    container_instance_arn: str
    tags: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class TagNode:
    """Set tags of a managed instance that are missing or differ."""

    managed_instance_id: str
    tags: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until the ledgers agree: everything runs on the host, AWS does not show it yet."""

    reason: str


@dataclass(frozen=True, slots=True)
class PinMachine:
    """Remember the machine id of a host that was verified."""

    machine_id: str
    reason: str


HostStep = (
    DeleteActivation
    | DeregisterOrphan
    | Activate
    | Install
    | PutAttributes
    | TagContainerInstance
    | TagNode
    | Await
    | PinMachine
)


@dataclass(frozen=True, slots=True)
class HostPlan:
    """What register will do with one host.

    Attributes:
        host: which.
        classification: what it is and why.
        checks: the preflight, in a fixed order; empty when it was not reached.
        steps: in order; empty for a no-op or a refusal.
        refusal: why nothing is done although something should be; "" otherwise.
        fix: what to type or do about a refusal.
        locked: whether the refusal is that another run is at work on the host.
    """

    host: Host
    classification: Classification
    checks: tuple[Check, ...] = ()
    steps: tuple[HostStep, ...] = ()
    refusal: str = ""
    fix: str = ""
    locked: bool = False

    def has(self, *kinds: type[HostStep]) -> bool:
        """Whether one of its steps is of these kinds."""
        return any(isinstance(step, kinds) for step in self.steps)


@dataclass(frozen=True, slots=True)
class StorePlan:
    """What register will do with one store.

    Attributes:
        create_cluster: whether its cluster has to be made first, and why; "" when it is there.
    """

    store: Store
    hosts: tuple[HostPlan, ...]
    create_cluster: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Verified(StrEnum):
    """How far a host is on the way to healthy, seen in three ledgers."""

    YES = "yes"
    NOT_ON_HOST = "not-on-host"
    NOT_ONLINE = "not-online"
    NOT_IN_CLUSTER = "not-in-cluster"
    NOT_CONNECTED = "not-connected"
    TWINS = "twins"
    ATTRIBUTES_DIFFER = "attributes-differ"


@dataclass(frozen=True, slots=True)
class Verification:
    """A verdict and why; everything but YES is a named state that running again resumes."""

    verified: Verified
    reason: str
    managed_instance_id: str = ""
    container_instance_arn: str = ""
