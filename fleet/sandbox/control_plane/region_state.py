"""What the control plane remembers, for each account and region apart.

Entities hold JSON values only: each is kept as one row, written whole when it changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from fleet.sandbox.control_plane.arns import arn_prefix
from fleet.sandbox.control_plane.commands import Invocation
from fleet.sandbox.control_plane.workloads import (
    Deployment,
    Service,
    ServiceDeployment,
    ServiceRevision,
    Task,
    TaskDefinition,
)

Attributes = dict[str, str | None]
_CUSTOM_PREFIXES = ("ecs.", "com.amazonaws.ecs.")


@dataclass(slots=True)
class Cluster:
    """An ECS cluster; INACTIVE after it was deleted, and then its name is free again."""

    KIND: ClassVar[str] = "cluster"
    account: str
    region: str
    name: str
    status: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)
    settings: list[dict[str, str]] = field(default_factory=list)
    configuration: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.name

    @property
    def arn(self) -> str:
        """Amazon resource name."""
        return f"{arn_prefix('ecs', self.account, self.region)}:cluster/{self.name}"


@dataclass(slots=True)
class ContainerInstance:
    """A registered host as ECS knows it.

    Attributes:
        id: 32 hex digits.
        managed_instance_id: the node whose credentials registered it; AWS shows it as
            ``ec2InstanceId``. Several instances may carry the same one.
        status: ACTIVE, DRAINING or INACTIVE.
        attributes: name to value; None where an attribute has no value.
        resources: as registered, in wire form.
        client_token: of the registration; the same token again is the same registration.
        version: goes up with every change.
        timeline: last sequence number that was used towards this agent.
        ever_connected: whether an agent was heard at all.
    """

    KIND: ClassVar[str] = "container_instance"
    account: str
    region: str
    id: str
    cluster: str
    managed_instance_id: str
    registered_at: float
    status: str = "ACTIVE"
    attributes: Attributes = field(default_factory=dict)
    resources: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    client_token: str = ""
    version: int = 1
    timeline: int = 0
    agent_version: str = ""
    docker_version: str = ""
    ever_connected: bool = False

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.id

    @property
    def arn(self) -> str:
        """Amazon resource name, in the long form."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:container-instance/{self.cluster}/{self.id}"


@dataclass(slots=True)
class Activation:
    """An SSM activation; of its code only a salted hash is known."""

    KIND: ClassVar[str] = "activation"
    account: str
    region: str
    id: str
    code_salt: str
    code_hash: str
    iam_role: str
    limit: int
    created_at: float
    expires_at: float
    count: int = 0
    name: str = ""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.id


@dataclass(slots=True)
class ManagedInstance:
    """A node in SSM.

    Attributes:
        id: ``mi-`` and 17 hex digits.
        fingerprint: of the hardware; a token is given to the same machine only.
        information: what the last full ping said, in wire form.
        last_ping_at: epoch seconds, or None before the first.
    """

    KIND: ClassVar[str] = "managed_instance"
    account: str
    region: str
    id: str
    activation_id: str
    iam_role: str
    registered_at: float
    fingerprint: str
    public_key: str
    name: str = ""
    information: dict[str, str] = field(default_factory=dict)
    last_ping_at: float | None = None
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.id


@dataclass(slots=True)
class ServiceSetting:
    """A setting of SSM that was changed from its default."""

    KIND: ClassVar[str] = "service_setting"
    account: str
    region: str
    id: str
    value: str
    changed_at: float
    changed_by: str

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.id


@dataclass(slots=True)
class RoleSession:
    """Temporary credentials, known by their access key alone; the secret parts are never kept.

    Attributes:
        managed_instance_id: of the node that holds them, or "" for a person's assumed role.
    """

    KIND: ClassVar[str] = "role_session"
    account: str
    region: str
    access_key: str
    arn: str
    expires_at: float
    managed_instance_id: str = ""

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.access_key


Entity = (
    Cluster
    | ContainerInstance
    | Activation
    | ManagedInstance
    | ServiceSetting
    | RoleSession
    | TaskDefinition
    | Service
    | Deployment
    | ServiceRevision
    | ServiceDeployment
    | Task
    | Invocation
)
KINDS: Mapping[str, type[Entity]] = {
    kind.KIND: kind
    for kind in (
        Cluster,
        ContainerInstance,
        Activation,
        ManagedInstance,
        ServiceSetting,
        RoleSession,
        TaskDefinition,
        Service,
        Deployment,
        ServiceRevision,
        ServiceDeployment,
        Task,
        Invocation,
    )
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: tuple(part.name for part in fields(kind)) for name, kind in KINDS.items()
}


def to_row(entity: Entity) -> dict[str, Any]:
    """The JSON object an entity is kept as."""
    return {name: getattr(entity, name) for name in _FIELDS[entity.KIND]}


class RegionState:
    """Everything of one account in one region.

    Attributes:
        instances_of: the container instances of each cluster name, INACTIVE ones included.
        task_definitions: by family and revision.
        services_of: the services of each cluster name, INACTIVE ones included.
        deployments_of: by key of the service and number, oldest first.
        records_of: service deployments by key of the service and id.
        tasks_of: the tasks of each cluster name, stopped ones too while they are remembered.
        tasks_on: by id of the container instance, those that have not stopped.
        live_tasks_of: by key of the service, those that have not stopped.
        invocations: of Run Command, by command and node.
    """

    def __init__(self, account: str, region: str) -> None:
        self.account = account
        self.region = region
        self.clusters: dict[str, Cluster] = {}
        self.instances: dict[str, ContainerInstance] = {}
        self.instances_of: dict[str, dict[str, ContainerInstance]] = {}
        self.activations: dict[str, Activation] = {}
        self.nodes: dict[str, ManagedInstance] = {}
        self.settings: dict[str, ServiceSetting] = {}
        self.task_definitions: dict[str, dict[int, TaskDefinition]] = {}
        self.services_of: dict[str, dict[str, Service]] = {}
        self.deployments_of: dict[str, dict[str, Deployment]] = {}
        self.revisions: dict[str, ServiceRevision] = {}
        self.records_of: dict[str, dict[str, ServiceDeployment]] = {}
        self.tasks_of: dict[str, dict[str, Task]] = {}
        self.tasks_on: dict[str, dict[str, Task]] = {}
        self.live_tasks_of: dict[str, dict[str, Task]] = {}
        self.invocations: dict[str, dict[str, Invocation]] = {}

    def hold(self, entity: Entity) -> None:
        """Take an entity in, new or changed."""
        match entity:
            case Cluster():
                self.clusters[entity.name] = entity
            case ContainerInstance():
                self.instances[entity.id] = entity
                self.instances_of.setdefault(entity.cluster, {})[entity.id] = entity
            case Activation():
                self.activations[entity.id] = entity
            case ManagedInstance():
                self.nodes[entity.id] = entity
            case ServiceSetting():
                self.settings[entity.id] = entity
            case Invocation():
                self.invocations.setdefault(entity.command, {})[entity.node] = entity
            case _:
                self._hold_workload(entity)

    def drop(self, entity: Entity) -> None:
        """Forget an entity; what AWS shows as INACTIVE for ever is never dropped."""
        match entity:
            case Task():
                self.tasks_of.get(entity.cluster, {}).pop(entity.id, None)
                self._not_live(entity)
            case Deployment():
                self.deployments_of.get(entity.service, {}).pop(entity.number, None)
            case Activation():
                self.activations.pop(entity.id, None)
            case ManagedInstance():
                self.nodes.pop(entity.id, None)
            case ServiceSetting():
                self.settings.pop(entity.id, None)

    def service(self, key: str) -> Service | None:
        """The service of a key."""
        cluster, _, name = key.partition("/")
        return self.services_of.get(cluster, {}).get(name)

    def task_definition(self, arn: str) -> TaskDefinition | None:
        """The task definition of an ARN."""
        family, _, revision = arn.rpartition("/")[2].partition(":")
        return self.task_definitions.get(family, {}).get(int(revision))

    def _hold_workload(self, entity: Entity) -> None:
        match entity:
            case Task():
                self._hold_task(entity)
            case Deployment():
                self.deployments_of.setdefault(entity.service, {})[entity.number] = entity
            case Service():
                self.services_of.setdefault(entity.cluster, {})[entity.name] = entity
            case ServiceDeployment():
                self.records_of.setdefault(entity.service, {})[entity.id] = entity
            case ServiceRevision():
                self.revisions[entity.number] = entity
            case TaskDefinition():
                revisions = self.task_definitions.setdefault(entity.family, {})
                revisions[entity.revision] = entity

    def _hold_task(self, task: Task) -> None:
        self.tasks_of.setdefault(task.cluster, {})[task.id] = task
        if task.last_status == "STOPPED":
            self._not_live(task)
        else:
            self.tasks_on.setdefault(task.instance, {})[task.id] = task
            self.live_tasks_of.setdefault(task.service, {})[task.id] = task

    def _not_live(self, task: Task) -> None:
        self.tasks_on.get(task.instance, {}).pop(task.id, None)
        self.live_tasks_of.get(task.service, {}).pop(task.id, None)


def is_custom(attribute: str) -> bool:
    """Whether an attribute's name is one that people may set, and not the agent's."""
    return not attribute.startswith(_CUSTOM_PREFIXES)
