"""What AWS and hosts reported when they were read; nothing here is assumed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Generic, TypeVar

from fleet.model.inventory import Architecture

T = TypeVar("T")

#: The state of a host on which docker, the SSM agent and the ECS agent run.
ALL_ACTIVE = "all active"


#: How the recorded state of a container instance ends, by whether its agent is connected.
CONNECTION_WORDS = {True: ", connected", False: ", not connected"}


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """A value and the moment its source said so (for AWS the ``Date`` header), aware UTC."""

    value: T
    at: datetime


@dataclass(frozen=True, slots=True)
class NotRead:
    """Something that could not be read: why, in words for a person."""

    why: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who we are at AWS: STS GetCallerIdentity."""

    account_id: str
    arn: str


class Ping(StrEnum):
    """PingStatus of DescribeInstanceInformation; Inactive is no longer used by AWS."""

    ONLINE = "Online"
    CONNECTION_LOST = "ConnectionLost"
    INACTIVE = "Inactive"


@dataclass(frozen=True, slots=True)
class ManagedInstance:
    """A node in SSM (``mi-`` and 17 hex digits).

    Attributes:
        id: the ``mi-`` id that joins the ledgers.
        name: from the activation's DefaultInstanceName.
        ping: Online or ConnectionLost.
        last_ping_at: the agent pings every 5 minutes; older than 10 to 15 minutes is lost.
        activation_id: the activation it registered with.
        agent_version: of the SSM agent.
        computer_name: host name it reports.
        registered_at: when, or None if AWS does not say.
        tags: None where they were not read: SSM lists nodes without them.
    """

    id: str
    name: str
    ping: Ping
    last_ping_at: datetime | None
    activation_id: str
    agent_version: str = ""
    computer_name: str = ""
    registered_at: datetime | None = None
    tags: Mapping[str, str] | None = None

    @property
    def liveliness(self) -> tuple[bool, float, str]:
        """Return what tells the living node of a name from others: the greatest is it."""
        heard = self.last_ping_at.timestamp() if self.last_ping_at else 0.0
        return self.ping is Ping.ONLINE, heard, self.id


@dataclass(frozen=True, slots=True)
class Activation:
    """An SSM activation; its code is shown once by CreateActivation and never again.

    Attributes:
        id: UUID.
        name: DefaultInstanceName; ours are host ids.
        limit: how many nodes may register with it.
        count: how many did.
        expires_at: after that nobody can register with it.
        tags: flow to the nodes that register.
        created_at: None where AWS did not say.
    """

    id: str
    name: str
    limit: int
    count: int
    expires_at: datetime
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NodeTier:
    """How many hybrid nodes an account and region holds, and which SSM tier they are priced at.

    Attributes:
        tier: ``standard`` or ``advanced``.
        nodes: managed instances registered now.
        limit: most nodes of the tier (1,000 for standard), or None.
    """

    tier: str
    nodes: int
    limit: int | None

    @property
    def text(self) -> str:
        """Return ``managed nodes 640/1000 (standard tier)``."""
        return f"managed nodes {self.nodes}/{self.limit or 'no limit'} ({self.tier} tier)"


@dataclass(frozen=True, slots=True)
class Cluster:
    """An ECS cluster.

    Attributes:
        status: ACTIVE, PROVISIONING, DEPROVISIONING, FAILED or INACTIVE.
        container_instances: registered ones, connected or not.
        services: ACTIVE ones (``activeServicesCount``).
    """

    name: str
    arn: str
    status: str
    container_instances: int
    running_tasks: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    services: int = 0


@dataclass(frozen=True, slots=True)
class ContainerInstance:
    """A host as ECS knows it.

    Attributes:
        arn: unique for ever.
        cluster: name of the cluster it is in.
        managed_instance_id: ECS's ``ec2InstanceId``, which is the ``mi-`` id on EXTERNAL.
        status: ACTIVE, DRAINING, REGISTERING, DEREGISTERING, REGISTRATION_FAILED or INACTIVE.
        agent_connected: whether the agent's session is open; flaps several times an hour.
        registered_at: when.
        attributes: custom and ``ecs.*`` ones, name -> value ("" when there is none).
        version: rises with every change.
        registered: what the host offers to tasks, as ``{"CPU": 4096, "MEMORY": 7800}``: CPU units
            of 1/1024 core, MiB.
        remaining: what of it no task has taken.
    """

    arn: str
    cluster: str
    managed_instance_id: str
    status: str
    agent_connected: bool
    registered_at: datetime | None
    agent_version: str = ""
    docker_version: str = ""
    running_tasks: int = 0
    pending_tasks: int = 0
    attributes: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    version: int = 0
    registered: Mapping[str, int] = field(default_factory=dict)
    remaining: Mapping[str, int] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """Return ``ACTIVE, connected`` or the like, which changes only when the host does."""
        return self.status + CONNECTION_WORDS[self.agent_connected]

    @property
    def liveliness(self) -> tuple[bool, float, str]:
        """Return what tells the living record of a node from others: the greatest is it."""
        registered = self.registered_at.timestamp() if self.registered_at else 0.0
        return self.agent_connected, registered, self.arn


def best_instance(instances: Sequence[ContainerInstance]) -> ContainerInstance:
    """Return the living one of several records of one node: connected first, then the newest.

    RegisterContainerInstance is not idempotent, so one node may have several (containers-roadmap
    #1901, amazon-ecs-agent #782).
    """
    return max(instances, key=lambda instance: instance.liveliness)


class Privilege(StrEnum):
    """How a login may become root."""

    ROOT = "root"
    SUDO = "sudo"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class DockerFacts:
    """Docker on a host.

    Attributes:
        version: of the engine; "" when the engine does not answer.
        active: whether the unit runs.
        default_runtime: as ``runc`` or ``nvidia``; "" when unknown.
        runtimes: the ones it knows.
        running: names of running containers.
    """

    version: str
    active: bool
    default_runtime: str
    runtimes: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SsmAgentFacts:
    """The SSM agent on a host.

    Attributes:
        installed: the binary is there.
        enabled: starts at boot.
        active: runs now.
        version: "" when not installed.
        instance_id: the ``mi-`` id in its vault, or None.
        region: the region in its vault, or None.
    """

    installed: bool
    enabled: bool
    active: bool
    version: str = ""
    instance_id: str | None = None
    region: str | None = None


@dataclass(frozen=True, slots=True)
class EcsAgentFacts:
    """The ECS agent on a host.

    Attributes:
        installed: amazon-ecs-init is there.
        enabled: starts at boot.
        active: its unit runs now.
        version: from :51678, or "".
        config: what /etc/ecs/ecs.config and /var/lib/ecs/ecs.config say; the latter
            wins.
        has_state: /var/lib/ecs/data/agent.db exists.
        cluster: from http://localhost:51678/v1/metadata, or None when it does not answer.
        container_instance_arn: from there, or None when it has not registered.
    """

    installed: bool
    enabled: bool
    active: bool
    version: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    has_state: bool = False
    cluster: str | None = None
    container_instance_arn: str | None = None


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What one SSH round trip found out about a host. Every text is printable.

    Attributes:
        machine: ``uname -m``.
        architecture: of that, or None when it is neither x86_64 nor aarch64.
        hostname: its own name for itself.
        os_id: ``ID`` of /etc/os-release.
        os_version: ``VERSION_ID`` of it.
        os_name: ``PRETTY_NAME`` of it.
        machine_id: /etc/machine-id; "" when there is none.
        privilege: how we can be root.
        systemd: /run/systemd/system exists.
        cpus: count.
        memory_mb: total, in MiB.
        disk_free_mb: on /, in MiB.
        disk_total_mb: on /, in MiB.
        clock_offset_s: host minus our clock, in seconds, good to half the round trip.
        package_manager: dnf, yum, apt, zypper or "".
        gpg: whether gpg is there; the installer only warns without it.
        curl: whether curl is there.
        egress: endpoint -> "" when it answered, else why not.
        shadow_credentials: places whose AWS credentials would win over the agent's own.
        docker: None when not installed.
        ssm: the SSM agent.
        ecs: the ECS agent.
        devices: the asked-for device paths that exist.
        l4t_release: NVIDIA L4T release, as ``R35.4.1``; "" when not a Jetson.
        unused_image_mb: disk that ``docker image prune`` could free, in MiB; None when unknown.
        host_key: fingerprint of the SSH host key we spoke to, ``SHA256:...``.
        installing: since when an install of fleet's runs on the host and whose it is, in words, as
            ``since 2026-11-23T02:00:00Z by pid 4711``; "" when none does, or when we may not look.
    """

    machine: str
    architecture: Architecture | None
    hostname: str
    os_id: str
    os_version: str
    os_name: str
    machine_id: str
    privilege: Privilege
    systemd: bool
    cpus: int
    memory_mb: int
    disk_free_mb: int
    disk_total_mb: int
    clock_offset_s: float
    package_manager: str
    gpg: bool
    curl: bool
    egress: Mapping[str, str]
    shadow_credentials: tuple[str, ...]
    docker: DockerFacts | None
    ssm: SsmAgentFacts
    ecs: EcsAgentFacts
    devices: tuple[str, ...] = ()
    l4t_release: str = ""
    unused_image_mb: int | None = None
    host_key: str = ""
    installing: str = ""

    @property
    def os_major(self) -> str:
        """Return the major version of the operating system, as ``22``."""
        return self.os_version.split(".", maxsplit=1)[0]

    @property
    def inactive(self) -> tuple[str, ...]:
        """Return which of docker, SSM agent and ECS agent do not run, in the order they start."""
        runs = {
            "docker": self.docker is not None and self.docker.active,
            "ssm": self.ssm.active,
            "ecs": self.ecs.active,
        }
        return tuple(name for name, active in runs.items() if not active)

    @property
    def state(self) -> str:
        """Return the state of the three services in few words."""
        if self.docker is None and not self.ssm.instance_id and not self.ecs.installed:
            return "nothing installed"
        return f"{', '.join(self.inactive)} not active" if self.inactive else ALL_ACTIVE
