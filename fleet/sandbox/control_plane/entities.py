"""Entities of the control plane: clusters, hosts, services, tasks, activations, commands.

Entities hold JSON values only. Each is stored as one row, written whole when it changes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

Attributes = dict[str, str | None]
_REGION = re.compile(r"[a-z]{2,3}(-[a-z]+){1,2}-[0-9]{1,2}")
_CUSTOM_PREFIXES = ("ecs.", "com.amazonaws.ecs.")
#: Statuses after which nothing more happens to a command's invocation.
INVOCATION_ENDED = frozenset({"Success", "Failed", "Cancelled", "TimedOut"})


def arn_prefix(service: str, account: str, region: str) -> str:
    """Return ``arn:aws:ecs:eu-west-1:111122223333``, with the partition of the region."""
    partition = "aws"
    if region.startswith("cn-"):
        partition = "aws-cn"
    elif region.startswith("us-gov-"):
        partition = "aws-us-gov"
    return f"arn:{partition}:{service}:{region}:{account}"


def is_region(name: str) -> bool:
    """Say whether a name has the form of a region's name."""
    return _REGION.fullmatch(name) is not None


def is_custom(attribute: str) -> bool:
    """Say whether an attribute's name may be set by people; the others belong to the agent."""
    return not attribute.startswith(_CUSTOM_PREFIXES)


@dataclass(slots=True)
class Entity:
    """One thing of one account and region.

    Attributes:
        KIND: name of its kind in the database.
        KEY: the attribute that is unique among its kind in an account and region.
    """

    KIND: ClassVar[str]
    KEY: ClassVar[str] = "id"
    account: str
    region: str

    @property
    def key(self) -> str:
        """Return what is unique among its kind in its account and region."""
        return str(getattr(self, self.KEY))

    def as_row(self) -> dict[str, Any]:
        """Return the JSON object that is stored for it."""
        return {name: getattr(self, name) for name in _FIELDS[self.KIND]}


@dataclass(slots=True)
class EcsResource(Entity):
    """An entity that has an ARN of ECS, in the long form."""

    ARN: ClassVar[str]

    @property
    def arn(self) -> str:
        """Return its Amazon resource name."""
        return f"{arn_prefix('ecs', self.account, self.region)}:{self.ARN.format(self)}"


@dataclass(slots=True)
class ClusterEntity(EcsResource):
    """An ECS cluster. It is INACTIVE after it was deleted, and then its name is free again."""

    KIND: ClassVar[str] = "cluster"
    KEY: ClassVar[str] = "name"
    ARN: ClassVar[str] = "cluster/{0.name}"
    name: str
    status: str = "ACTIVE"
    tags: dict[str, str] = field(default_factory=dict)
    settings: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class ContainerInstanceEntity(EcsResource):
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
        ever_connected: whether an agent was ever heard.
    """

    KIND: ClassVar[str] = "container_instance"
    ARN: ClassVar[str] = "container-instance/{0.cluster}/{0.id}"
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


@dataclass(slots=True)
class ActivationEntity(Entity):
    """An SSM activation; of its code only a salted hash is stored."""

    KIND: ClassVar[str] = "activation"
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


@dataclass(slots=True)
class ManagedInstanceEntity(Entity):
    """A node in SSM.

    Attributes:
        id: ``mi-`` and 17 hex digits.
        fingerprint: of the hardware; a token is given to the same machine only.
        information: what the last full ping said, in wire form.
        last_ping_at: epoch seconds, or None before the first.
    """

    KIND: ClassVar[str] = "managed_instance"
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


@dataclass(slots=True)
class ServiceSetting(Entity):
    """A setting of SSM that was changed from its default."""

    KIND: ClassVar[str] = "service_setting"
    id: str
    value: str
    changed_at: float
    changed_by: str


@dataclass(slots=True)
class RoleSession(Entity):
    """Temporary credentials, known by their access key alone; the secret parts are not stored.

    Attributes:
        managed_instance_id: of the node that holds them, or "" for a person's assumed role.
    """

    KIND: ClassVar[str] = "role_session"
    KEY: ClassVar[str] = "access_key"
    access_key: str
    arn: str
    expires_at: float
    managed_instance_id: str = ""


@dataclass(slots=True)
class Invocation(Entity):
    """What one node makes of one command of Run Command.

    Attributes:
        command: UUID; every invocation of a SendCommand has the same.
        node: ``mi-`` id.
        parameters: as sent, in wire form.
        delivery_s: seconds in which the agent has to take it (``TimeoutSeconds``).
        execution_s: seconds in which it has to end (``executionTimeout``).
        status: Pending, InProgress, Success, Failed or TimedOut.
        details: ``StatusDetails``, which is finer: DeliveryTimedOut, ExecutionTimedOut, ...
        taken_at: when the agent took it.
        code: exit status; -1 before the end.
    """

    KIND: ClassVar[str] = "command_invocation"
    command: str
    node: str
    name: str
    document: str
    comment: str
    parameters: dict[str, Any]
    requested_at: float
    delivery_s: float
    execution_s: float
    status: str = "Pending"
    details: str = "Pending"
    taken_at: float | None = None
    ended_at: float | None = None
    code: int = -1
    out: str = ""
    err: str = ""

    @property
    def key(self) -> str:
        """Return command and node."""
        return f"{self.command}/{self.node}"


@dataclass(slots=True)
class TaskDefinitionEntity(EcsResource):
    """One revision of a family.

    Attributes:
        content: as it was registered, whole, without the tags.
        deregistered_at: epoch seconds from when it is INACTIVE, or None.
    """

    KIND: ClassVar[str] = "task_definition"
    ARN: ClassVar[str] = "task-definition/{0.key}"
    family: str
    revision: int
    content: dict[str, Any]
    registered_at: float
    registered_by: str
    tags: dict[str, str] = field(default_factory=dict)
    deregistered_at: float | None = None

    @property
    def key(self) -> str:
        """Return ``family:revision``."""
        return f"{self.family}:{self.revision}"

    @property
    def status(self) -> str:
        """Return ACTIVE or INACTIVE."""
        return "ACTIVE" if self.deregistered_at is None else "INACTIVE"


@dataclass(slots=True)
class ServiceEntity(EcsResource):
    """An ECS service. A new one of the same name takes the place of an INACTIVE one.

    Attributes:
        task_definition: ARN of the newest deployment's.
        strategy: REPLICA or DAEMON.
        desired_count: of a DAEMON service, the number of instances that match.
        configuration: ``deploymentConfiguration`` with every default filled in.
        request: what CreateService was sent; the same request again is recognised by it.
        status: ACTIVE, DRAINING while tasks of a deleted service stop, then INACTIVE.
        events: the newest 100, newest first, in wire form.
        completed: ``deployment``, ``revision`` and ``task_definition`` of the last deployment that
            completed; empty before the first.
        steady: whether the last event about it was that it is steady.
        obstacle: why the last placement failed, "" after one that did not.
    """

    KIND: ClassVar[str] = "service"
    ARN: ClassVar[str] = "service/{0.key}"
    cluster: str
    name: str
    created_at: float
    created_by: str
    task_definition: str
    strategy: str
    desired_count: int
    configuration: dict[str, Any]
    placement_constraints: list[dict[str, Any]]
    zone_rebalancing: str
    managed_tags: bool
    propagate_tags: str
    execute_command: bool
    request: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)
    status: str = "ACTIVE"
    events: list[dict[str, Any]] = field(default_factory=list)
    completed: dict[str, str] = field(default_factory=dict)
    steady: bool = False
    obstacle: str = ""

    @property
    def key(self) -> str:
        """Return cluster and name."""
        return f"{self.cluster}/{self.name}"


@dataclass(slots=True)
class DeploymentEntity(Entity):
    """An entry of ``service.deployments``; it is removed once its last task has stopped.

    Attributes:
        number: of 19 digits; the id is ``ecs-svc/`` and this.
        revision: number of the service revision; the same as ``number`` but for a rollback,
            which deploys an earlier revision again.
        record: id of the service deployment that it belongs to.
        status: PRIMARY or ACTIVE.
        rollout_state: IN_PROGRESS, COMPLETED or FAILED.
        failed_tasks: what the circuit breaker counts.
        failed_starts: tasks in a row that ended by themselves; the next start waits longer for it.
        start_after: epoch seconds before which no task is started.
        is_rollback: whether the circuit breaker went back to an earlier revision.
    """

    KIND: ClassVar[str] = "deployment"
    KEY: ClassVar[str] = "number"
    service: str
    number: str
    revision: str
    record: str
    task_definition: str
    created_at: float
    updated_at: float
    rollout_reason: str
    status: str = "PRIMARY"
    rollout_state: str = "IN_PROGRESS"
    failed_tasks: int = 0
    failed_starts: int = 0
    start_after: float = 0.0
    is_rollback: bool = False

    @property
    def id(self) -> str:
        """Return the id that AWS shows."""
        return f"ecs-svc/{self.number}"


@dataclass(slots=True)
class ServiceRevision(EcsResource):
    """What a service was told to run at one time; never changes."""

    KIND: ClassVar[str] = "service_revision"
    KEY: ClassVar[str] = "number"
    ARN: ClassVar[str] = "service-revision/{0.service}/{0.number}"
    service: str
    number: str
    task_definition: str
    created_at: float


@dataclass(slots=True)
class ServiceDeploymentEntity(EcsResource):
    """The record of one request to deploy, a rollback of it included; never removed.

    Attributes:
        sources: numbers of the revisions that had tasks when it began.
        target: number of the revision it was to bring.
        status: as AWS names them, PENDING to ROLLBACK_FAILED.
        rollback: ``reason``, ``startedAt`` and ``revision`` once it was rolled back.
        breaker: ``status``, ``failureCount`` and ``threshold``, fixed when it ended.
        configuration: the deployment configuration it began with.
    """

    KIND: ClassVar[str] = "service_deployment"
    ARN: ClassVar[str] = "service-deployment/{0.service}/{0.id}"
    service: str
    id: str
    created_at: float
    updated_at: float
    sources: list[str]
    target: str
    configuration: dict[str, Any]
    status: str = "IN_PROGRESS"
    status_reason: str = ""
    finished_at: float | None = None
    stopped_at: float | None = None
    rollback: dict[str, Any] = field(default_factory=dict)
    breaker: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class TaskEntity(EcsResource):
    """A task on a container instance; removed an hour after it has stopped.

    Attributes:
        instance: id of the container instance.
        service: key of its service; "" for a task that was started by itself.
        deployment: number of the deployment that started it, or "".
        cpu, memory: reserved on the instance, in CPU units and MiB.
        ports, udp_ports: of the host, reserved as well.
        checked: whether an essential container has a health check.
        containers: in wire form.
        proved: whether it was ever healthy.
        started_by: what the caller of StartTask gave.
    """

    KIND: ClassVar[str] = "task"
    ARN: ClassVar[str] = "task/{0.cluster}/{0.id}"
    cluster: str
    id: str
    instance: str
    task_definition: str
    service: str
    deployment: str
    created_at: float
    cpu: int
    memory: int
    ports: list[int]
    udp_ports: list[int]
    checked: bool
    containers: list[dict[str, Any]]
    tags: dict[str, str] = field(default_factory=dict)
    desired_status: str = "RUNNING"
    last_status: str = "PROVISIONING"
    health: str = "UNKNOWN"
    version: int = 1
    times: dict[str, float] = field(default_factory=dict)
    stop_code: str = ""
    stopped_reason: str = ""
    proved: bool = False
    started_by: str = ""

    @property
    def instance_arn(self) -> str:
        """Return the ARN of the container instance that it is on."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:container-instance/{self.cluster}/{self.instance}"

    @property
    def group(self) -> str:
        """Return the group that AWS shows: of its service, else of its family."""
        _, _, service = self.service.partition("/")
        return f"service:{service}" if service else f"family:{self.family}"

    @property
    def starter(self) -> str:
        """Return ``startedBy``: the deployment, else what the caller of StartTask gave."""
        return f"ecs-svc/{self.deployment}" if self.deployment else self.started_by

    @property
    def family(self) -> str:
        """Return the family of its task definition."""
        return self.task_definition.rpartition("/")[2].partition(":")[0]


KINDS: Mapping[str, type[Entity]] = {
    kind.KIND: kind
    for kind in (
        ClusterEntity,
        ContainerInstanceEntity,
        ActivationEntity,
        ManagedInstanceEntity,
        ServiceSetting,
        RoleSession,
        TaskDefinitionEntity,
        ServiceEntity,
        DeploymentEntity,
        ServiceRevision,
        ServiceDeploymentEntity,
        TaskEntity,
        Invocation,
    )
}
_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: tuple(part.name for part in fields(kind)) for name, kind in KINDS.items()
}


def from_row(kind: str, row: Mapping[str, Any]) -> Entity:
    """Return the entity of a stored JSON object; fields that it no longer has are left out."""
    return KINDS[kind](**{name: value for name, value in row.items() if name in _FIELDS[kind]})
