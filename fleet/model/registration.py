"""The registration of hosts: what a host is, what will be done with it, and how that ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from fleet.model.inventory import Host, Store
from fleet.model.observed import Activation, Cluster, ContainerInstance, ManagedInstance, NodeTier

#: More stores than this are not named one by one.
MANY = 5


class HostClass(StrEnum):
    """The classes of a host before registration; the README's glossary explains each."""

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
    """The class of a host; ``reason`` is one sentence with the values that decided it."""

    host_class: HostClass
    reason: str


class CheckResult(StrEnum):
    """The result of a preflight check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class PreflightCheck:
    """One thing that was checked on a host, or by ``fleet doctor`` on this machine and in AWS.

    Attributes:
        name: short, as ``disk``.
        result: one FAIL refuses the host before an activation is created.
        seen: the value that was seen, beside the one that is needed.
        fix: what to do about it; "" when ok.
    """

    name: str
    result: CheckResult
    seen: str
    fix: str = ""


@dataclass(frozen=True, slots=True)
class StoreLedgers:
    """What AWS says about one store.

    Attributes:
        cluster: the store's cluster, or None when there is none.
        container_instances: in that cluster, without INACTIVE ones.
        managed_instances: SSM nodes that are tagged for the store or named by a host's vault.
        activations: of this store's hosts, including used and expired ones.
        tier: the managed-node quota of the account and region; None when it was not read.
    """

    cluster: Cluster | None
    container_instances: tuple[ContainerInstance, ...]
    managed_instances: tuple[ManagedInstance, ...]
    activations: tuple[Activation, ...]
    tier: NodeTier | None

    def node(self, managed_instance_id: str | None) -> ManagedInstance | None:
        """Return the node with an id."""
        return next((n for n in self.managed_instances if n.id == managed_instance_id), None)

    def instances_of(self, managed_instance_id: str | None) -> tuple[ContainerInstance, ...]:
        """Return the container instances of a node; more than one are twins."""
        if not managed_instance_id:
            return ()
        return tuple(
            i for i in self.container_instances if i.managed_instance_id == managed_instance_id
        )


@dataclass(frozen=True, slots=True)
class DeleteActivation:
    """Delete an activation of this host that is open or used; nodes are not affected."""

    activation_id: str
    reason: str

    @property
    def text(self) -> str:
        """Return what is done."""
        return f"delete activation {self.activation_id}"


@dataclass(frozen=True, slots=True)
class DeregisterOrphan:
    """Deregister a node that our activation for this host made and that no host holds."""

    managed_instance_id: str
    reason: str

    @property
    def text(self) -> str:
        """Return what is done."""
        return f"deregister {self.managed_instance_id}"


@dataclass(frozen=True, slots=True)
class Activate:
    """Create an activation for this host: limit 1, short expiry."""

    text: ClassVar[str] = "create an activation: 1 node, short expiry, deleted once used"
    reason: str


@dataclass(frozen=True, slots=True)
class Install:
    """Install and start docker, the SSM agent and the ECS agent in one SSH exec.

    Attributes:
        activate: use a new activation, because the host's vault holds no node id.
        set_runtime: docker's default runtime to set first, or None; this restarts docker.
        docker_source: the install script's ``--docker-install-source``; ``none`` where docker is
            installed already, so that RHEL works, where the script cannot install it.
    """

    activate: bool
    set_runtime: str | None
    docker_source: str
    reason: str

    @property
    def text(self) -> str:
        """Return what is done."""
        text = "install and register" if self.activate else "finish the installation"
        if self.set_runtime:
            return f"set docker default-runtime {self.set_runtime} (restarts docker), {text}"
        return text


@dataclass(frozen=True, slots=True)
class PutAttributes:
    """Set custom attributes of a container instance that are missing or differ."""

    text: ClassVar[str] = "put attributes"
    container_instance_arn: str
    attributes: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class TagContainerInstance:
    """Set tags of a container instance that are missing or differ."""

    text: ClassVar[str] = "tag the container instance"
    container_instance_arn: str
    tags: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class TagNode:
    """Set tags of a managed instance that are missing or differ."""

    text: ClassVar[str] = "tag the node in SSM"
    managed_instance_id: str
    tags: Mapping[str, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until SSM and ECS show the host connected; all services run on it already."""

    text: ClassVar[str] = "wait until SSM and ECS agree"
    reason: str


@dataclass(frozen=True, slots=True)
class PinMachine:
    """Write the machine id of a registered host into the inventory's pins."""

    text: ClassVar[str] = "pin machine id"
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
class HostRegistration:
    """What register does with one host.

    Attributes:
        checks: the preflight checks in a fixed order; empty when they were not needed.
        steps: in order; empty for a host that needs nothing and for a refusal.
        refusal: why nothing is done although something should be; "" otherwise.
        fix: what to do about a refusal.
        locked: whether the host is refused because another run works on it.
    """

    host: Host
    classification: Classification
    checks: tuple[PreflightCheck, ...] = ()
    steps: tuple[HostStep, ...] = ()
    refusal: str = ""
    fix: str = ""
    locked: bool = False

    def has(self, *kinds: type[HostStep]) -> bool:
        """Return whether one of its steps is of these kinds."""
        return any(isinstance(step, kinds) for step in self.steps)


@dataclass(frozen=True, slots=True)
class StoreRegistration:
    """What register does with one store.

    Attributes:
        create_cluster: why its cluster has to be created first; "" when it need not be.
        tags: of that cluster.
    """

    store: Store
    hosts: tuple[HostRegistration, ...]
    create_cluster: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


class Verified(StrEnum):
    """The first ledger that does not show a host as registered, or YES."""

    YES = "yes"
    NOT_ON_HOST = "not-on-host"
    NOT_ONLINE = "not-online"
    NOT_IN_CLUSTER = "not-in-cluster"
    NOT_CONNECTED = "not-connected"
    TWINS = "twins"
    ATTRIBUTES_DIFFER = "attributes-differ"


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification with its reason; running again resumes from all but YES."""

    verified: Verified
    reason: str
    container_instance_arn: str = ""


class HostOutcome(StrEnum):
    """How the registration of a host ended; all but the first three leave something to do."""

    REGISTERED = "registered"
    ALREADY = "already here"
    REPAIRED = "repaired"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"
    STOPPED = "stopped"
    LOCKED = "locked"

    @property
    def is_good(self) -> bool:
        """Return whether the host was healthy when it was last read."""
        return self in {HostOutcome.REGISTERED, HostOutcome.ALREADY, HostOutcome.REPAIRED}


@dataclass(frozen=True, slots=True)
class HostResult:
    """The result of a run for one host.

    Attributes:
        registration: what was to be done.
        reason: one printable sentence.
        fix: what to do next; "" when nothing is left.
        seconds: from its first step, by the run's clock.
        managed_instance_id: the ``mi-`` id, or "".
        container_instance_arn: or "".
    """

    registration: HostRegistration
    outcome: HostOutcome
    reason: str
    fix: str = ""
    seconds: float = 0.0
    managed_instance_id: str = ""
    container_instance_arn: str = ""

    @property
    def host(self) -> Host:
        """Return the host."""
        return self.registration.host


@dataclass(frozen=True, slots=True)
class ActivationCount:
    """The activations of a run.

    Attributes:
        left_open: ids of those that could not be deleted.
        unsure: how often AWS's answer was lost and no activation was found afterwards: one may be
            open whose code nobody has.
    """

    created: int = 0
    deleted: int = 0
    left_open: tuple[str, ...] = ()
    unsure: int = 0


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """The result of a whole register run."""

    run_id: str
    stores: tuple[Store, ...]
    hosts: tuple[HostResult, ...]
    activations: ActivationCount
    stopped: bool = False

    @property
    def is_good(self) -> bool:
        """Return whether every host is healthy."""
        return all(result.outcome.is_good for result in self.hosts)


@dataclass(frozen=True, slots=True)
class RegisterCommand:
    """The options that a proposed ``fleet register`` command repeats from the run before it.

    Attributes:
        hosts: ids of the hosts that were selected; empty for all hosts of the stores.
        set_runtime: whether docker's default runtime may be set.
        typed: the arguments that selected stores and hosts, as typed. They are used where there
            are too many stores to name, because healthy hosts are left alone anyway.
    """

    hosts: frozenset[str] = frozenset()
    set_runtime: bool = False
    typed: str = ""

    def text(self, stores: Sequence[str]) -> str:
        """Return ``fleet register store-042 --host cam-1 --set-runtime`` for some stores."""
        end = ["--set-runtime"] if self.set_runtime else []
        if self.typed and len(stores) > MANY:
            return " ".join(["fleet register", self.typed, *end])
        words = ["fleet register", *stores]
        for name in sorted({id_.partition("/")[2] for id_ in self.hosts}):
            ids = [f"{store}/{name}" for store in stores if f"{store}/{name}" in self.hosts]
            # A bare name selects that host in every store, so it is used only if all are meant.
            words += [f"--host {w}" for w in ([name] if len(ids) == len(stores) else ids)]
        return " ".join([*words, *end])
