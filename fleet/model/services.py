"""What ECS says of services, tasks and deployments, with ECS's own words and times."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from fleet.model.observed import Cluster, ContainerInstance


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of a service's ``deployments``.

    Attributes:
        id: ``ecs-svc/...``.
        status: PRIMARY (the newest), ACTIVE (still has tasks) or INACTIVE.
        task_definition: ARN.
        failed_tasks: consecutive failures; 0 once a task runs.
        rollout_state: IN_PROGRESS, COMPLETED or FAILED.
        rollout_reason: in ECS's words.
    """

    id: str
    status: str
    task_definition: str
    desired: int
    pending: int
    running: int
    failed_tasks: int
    rollout_state: str
    rollout_reason: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ServiceState:
    """A service as DescribeServices shows it.

    Attributes:
        status: ACTIVE, DRAINING or INACTIVE.
        task_definition: ARN of what it should run now.
        running: counts hosts that have been off for a week too; no proof of life.
        deployments: newest first; the first is PRIMARY.
        tags: ``fleet:rollout``, ``fleet:previous`` and the others.
        events: newest first, (time, text), the latest few.
        settings: the rest that fleet decides on, as AWS words it: ``placementConstraints``,
            ``deploymentConfiguration``, ``availabilityZoneRebalancing``, ``launchType`` and the
            like. ECS fills in defaults, as ``strategy: ROLLING``.
    """

    cluster: str
    name: str
    arn: str
    status: str
    task_definition: str
    scheduling: str
    desired: int
    running: int
    pending: int
    deployments: tuple[Deployment, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    events: tuple[tuple[datetime, str], ...] = ()
    created_at: datetime | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ContainerState:
    """A container of a task.

    Attributes:
        exit_code: None while it runs.
        reason: why it ended or could not start, in the agent's words.
        image_digest: what really runs, or "".
        health: HEALTHY, UNHEALTHY or UNKNOWN.
        image: reference that the task definition names.
    """

    name: str
    status: str
    exit_code: int | None = None
    reason: str = ""
    image_digest: str = ""
    health: str = "UNKNOWN"
    image: str = ""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task as DescribeTasks shows it; of a host that is away it is as last heard.

    Attributes:
        last_status: PROVISIONING, PENDING, ACTIVATING, RUNNING, ..., STOPPED.
        desired_status: RUNNING or STOPPED.
        health: HEALTHY, UNHEALTHY, or UNKNOWN without a health check.
        stop_code: TaskFailedToStart, EssentialContainerExited, ServiceSchedulerInitiated, ...
        stopped_reason: in ECS's words.
        stopping_at: since when ECS wants it stopped; None as long as it does not.
    """

    arn: str
    service: str
    container_instance_arn: str
    task_definition: str
    last_status: str
    desired_status: str
    health: str = "UNKNOWN"
    created_at: datetime | None = None
    started_at: datetime | None = None
    stopped_at: datetime | None = None
    stop_code: str = ""
    stopped_reason: str = ""
    containers: tuple[ContainerState, ...] = ()
    stopping_at: datetime | None = None

    @property
    def id(self) -> str:
        """Return the last part of its ARN."""
        return self.arn.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class ServiceDeployment:
    """ECS's own record of a deployment, which outlives it and says who ended it.

    Attributes:
        arn: of the record.
        status: PENDING, IN_PROGRESS, SUCCESSFUL, STOPPED, STOP_REQUESTED, ROLLBACK_REQUESTED,
            ROLLBACK_IN_PROGRESS, ROLLBACK_SUCCESSFUL or ROLLBACK_FAILED.
        task_definition: ARN of its target revision, "" when AWS did not say.
        breaker: TRIGGERED, MONITORING, MONITORING_COMPLETE, DISABLED or "".
        failures: that the breaker counted.
        reason: in ECS's words.
    """

    arn: str
    status: str
    task_definition: str
    breaker: str = ""
    failures: int = 0
    reason: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoreView:
    """What AWS says of one store at one time. What was not read is None, never empty.

    Attributes:
        store: id.
        at: AWS's time of the oldest reply in it, aware UTC.
        cluster: None when there is none (or when it was not read; see ``problem``).
        services: ACTIVE and DRAINING ones.
        instances: container instances that are not INACTIVE.
        tasks: of the services that were asked for, stopped ones included.
        deployments: records by service name, newest first; None too where ECS keeps none.
        problem: why the store could not be read; "" when it was.
    """

    store: str
    at: datetime
    cluster: Cluster | None = None
    services: tuple[ServiceState, ...] | None = None
    instances: tuple[ContainerInstance, ...] | None = None
    tasks: tuple[TaskState, ...] | None = None
    deployments: Mapping[str, tuple[ServiceDeployment, ...]] | None = None
    problem: str = ""


def revision(arn: str) -> str:
    """Return the family and number of a task definition's ARN, as ``vision-arm64:13``.

    An empty ARN, as of a service that does not exist, is ``nothing``.
    """
    return arn.rpartition("/")[2] or "nothing"
