"""What runs in clusters, as the control plane remembers it: from task definitions to tasks.

Like the entities of ``state`` these hold JSON values only, each kept as one row.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from fleet.sandbox.control_plane.arns import arn_prefix


@dataclass(slots=True)
class TaskDefinition:
    """One revision of a family.

    Attributes:
        content: as it was registered, whole, without the tags.
        deregistered_at: epoch seconds from when it is INACTIVE, or None.
    """

    KIND: ClassVar[str] = "task_definition"
    account: str
    region: str
    family: str
    revision: int
    content: dict[str, Any]
    registered_at: float
    registered_by: str
    tags: dict[str, str] = field(default_factory=dict)
    deregistered_at: float | None = None

    @property
    def key(self) -> str:
        """Unique in its state."""
        return f"{self.family}:{self.revision}"

    @property
    def arn(self) -> str:
        """Amazon resource name."""
        return f"{arn_prefix('ecs', self.account, self.region)}:task-definition/{self.key}"

    @property
    def status(self) -> str:
        """ACTIVE or INACTIVE."""
        return "ACTIVE" if self.deregistered_at is None else "INACTIVE"


@dataclass(slots=True)
class Service:
    """An ECS service; a new one of the same name takes the place of an INACTIVE one.

    Attributes:
        task_definition: ARN of the newest deployment's.
        strategy: REPLICA or DAEMON.
        desired_count: of a DAEMON service, as many instances as match.
        configuration: ``deploymentConfiguration`` with every default filled in.
        request: what CreateService was sent, to know the same request again.
        status: ACTIVE, DRAINING while tasks of a deleted service stop, then INACTIVE.
        events: the newest 100, newest first, in wire form.
        completed: ``deployment``, ``revision`` and ``task_definition`` of the last deployment that
            completed; empty before the first.
        steady: whether the last event about it was that it is steady.
        obstacle: why the last placement failed, "" after one that did not.
    """

    KIND: ClassVar[str] = "service"
    account: str
    region: str
    cluster: str
    name: str
    created_at: float
    created_by: str
    task_definition: str
    strategy: str
    desired_count: int
    configuration: dict[str, Any]
    placement_constraints: list[dict[str, Any]]
    placement_strategy: list[dict[str, Any]]
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
        """Unique in its state."""
        return f"{self.cluster}/{self.name}"

    @property
    def arn(self) -> str:
        """Amazon resource name, in the long form."""
        return f"{arn_prefix('ecs', self.account, self.region)}:service/{self.key}"


@dataclass(slots=True)
class Deployment:
    """An entry of ``service.deployments``; it is gone once its last task has stopped.

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
        is_rollback: whether the circuit breaker or a person went back to an earlier revision.
    """

    KIND: ClassVar[str] = "deployment"
    account: str
    region: str
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
    def key(self) -> str:
        """Unique in its state."""
        return self.number

    @property
    def id(self) -> str:
        """As AWS shows it."""
        return f"ecs-svc/{self.number}"


@dataclass(slots=True)
class ServiceRevision:
    """What a service was told to run at one time; never changes."""

    KIND: ClassVar[str] = "service_revision"
    account: str
    region: str
    service: str
    number: str
    task_definition: str
    created_at: float

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.number

    @property
    def arn(self) -> str:
        """Amazon resource name."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:service-revision/{self.service}/{self.number}"


@dataclass(slots=True)
class ServiceDeployment:
    """The record of one request to deploy, a rollback of it included; kept for good.

    Attributes:
        sources: numbers of the revisions that had tasks when it began.
        target: number of the revision it was to bring.
        status: as AWS names them, PENDING to ROLLBACK_FAILED.
        rollback: ``reason``, ``startedAt`` and ``revision`` once it turned round.
        breaker: ``status``, ``failureCount`` and ``threshold``, frozen when it ended.
        configuration: the deployment configuration it began with.
    """

    KIND: ClassVar[str] = "service_deployment"
    account: str
    region: str
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

    @property
    def key(self) -> str:
        """Unique in its state."""
        return self.id

    @property
    def arn(self) -> str:
        """Amazon resource name."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:service-deployment/{self.service}/{self.id}"


@dataclass(slots=True)
class Task:
    """A task on a container instance; forgotten an hour after it has stopped.

    Attributes:
        instance: id of the container instance.
        service: key of its service; "" for a task that somebody started by itself.
        deployment: number of the deployment that started it, or "".
        cpu, memory: reserved on the instance, in CPU units and MiB.
        ports, udp_ports: of the host, reserved as well.
        checked: whether an essential container has a health check.
        containers: in wire form.
        proved: whether it was ever healthy.
        started_by: what whoever started it by itself said.
    """

    KIND: ClassVar[str] = "task"
    account: str
    region: str
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
    def key(self) -> str:
        """Unique in its state."""
        return self.id

    @property
    def arn(self) -> str:
        """Amazon resource name, in the long form."""
        return f"{arn_prefix('ecs', self.account, self.region)}:task/{self.cluster}/{self.id}"

    @property
    def instance_arn(self) -> str:
        """Of the container instance that it is on."""
        prefix = arn_prefix("ecs", self.account, self.region)
        return f"{prefix}:container-instance/{self.cluster}/{self.instance}"

    @property
    def group(self) -> str:
        """As AWS shows it: of its service, else of its family."""
        _, _, service = self.service.partition("/")
        return f"service:{service}" if service else f"family:{self.family}"

    @property
    def starter(self) -> str:
        """``startedBy``: the deployment, else what was said."""
        return f"ecs-svc/{self.deployment}" if self.deployment else self.started_by

    @property
    def family(self) -> str:
        """Of its task definition."""
        return self.task_definition.rpartition("/")[2].partition(":")[0]
