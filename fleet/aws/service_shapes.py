"""AWS's replies about services, tasks and deployments as values of the model."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet.aws.shapes import clean, part_of, tags_of, utc
from fleet.model.aws_actions import (
    CREATE_SERVICE,
    DESCRIBE_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_REVISIONS,
    DESCRIBE_SERVICES,
    DESCRIBE_TASKS,
    UPDATE_SERVICE,
)
from fleet.model.services import (
    ContainerState,
    Deployment,
    ServiceDeployment,
    ServiceState,
    TaskState,
)

#: Events kept of a service; ECS shows the last 100, and the newest few say what goes on.
EVENTS_KEPT = 10
#: What of a service is a setting that fleet chooses, beside task definition and count.
SETTINGS = (
    "availabilityZoneRebalancing",
    "deploymentConfiguration",
    "deploymentController",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "launchType",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
)


@part_of(DESCRIBE_SERVICES)
def service_of(raw: Mapping[str, Any], cluster: str) -> ServiceState:
    """One of DescribeServices' ``services``."""
    return _service(raw, cluster)


@part_of(CREATE_SERVICE)
def created_service_of(body: Mapping[str, Any], cluster: str) -> ServiceState:
    """What CreateService made, or had made before."""
    return _service(body["service"], cluster)


@part_of(UPDATE_SERVICE)
def updated_service_of(body: Mapping[str, Any], cluster: str) -> ServiceState:
    """The service after UpdateService; ECS leaves its tags out."""
    return _service(body["service"], cluster)


def _service(raw: Mapping[str, Any], cluster: str) -> ServiceState:
    return ServiceState(
        cluster=cluster,
        name=clean(raw["serviceName"]),
        arn=clean(raw["serviceArn"]),
        status=clean(raw["status"]),
        task_definition=clean(raw.get("taskDefinition")),
        scheduling=clean(raw.get("schedulingStrategy") or "REPLICA"),
        desired=int(raw.get("desiredCount", 0)),
        running=int(raw.get("runningCount", 0)),
        pending=int(raw.get("pendingCount", 0)),
        deployments=_newest_first(raw.get("deployments") or ()),
        tags={clean(k): clean(v) for k, v in tags_of(raw.get("tags")).items()},
        events=_events(raw.get("events") or ()),
        created_at=utc(raw.get("createdAt")),
        settings={name: raw[name] for name in SETTINGS if name in raw},
    )


def _newest_first(raw: Any) -> tuple[Deployment, ...]:
    """PRIMARY before the others, whatever the times say; ECS calls the newest one so."""
    found = [_deployment(one) for one in raw]
    found.sort(key=lambda one: _seconds(one.created_at), reverse=True)
    found.sort(key=lambda one: one.status != "PRIMARY")
    return tuple(found)


def _deployment(raw: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=clean(raw["id"]),
        status=clean(raw["status"]),
        task_definition=clean(raw["taskDefinition"]),
        desired=int(raw.get("desiredCount", 0)),
        pending=int(raw.get("pendingCount", 0)),
        running=int(raw.get("runningCount", 0)),
        failed_tasks=int(raw.get("failedTasks", 0)),
        rollout_state=clean(raw.get("rolloutState")),
        rollout_reason=clean(raw.get("rolloutStateReason")),
        created_at=utc(raw.get("createdAt")),
        updated_at=utc(raw.get("updatedAt")),
    )


def _events(raw: Any) -> tuple[tuple[datetime, str], ...]:
    told = [(at, clean(one.get("message"))) for one in raw if (at := utc(one.get("createdAt")))]
    told.sort(key=lambda event: event[0], reverse=True)
    return tuple(told[:EVENTS_KEPT])


@part_of(DESCRIBE_TASKS)
def task_of(raw: Mapping[str, Any]) -> TaskState:
    """One of DescribeTasks' ``tasks``; ``service`` is "" for a task that no service started."""
    kind, _, service = clean(raw.get("group")).partition(":")
    return TaskState(
        arn=clean(raw["taskArn"]),
        service=service if kind == "service" else "",
        container_instance_arn=clean(raw.get("containerInstanceArn")),
        task_definition=clean(raw["taskDefinitionArn"]),
        last_status=clean(raw["lastStatus"]),
        desired_status=clean(raw["desiredStatus"]),
        health=clean(raw.get("healthStatus") or "UNKNOWN"),
        created_at=utc(raw.get("createdAt")),
        started_at=utc(raw.get("startedAt")),
        stopped_at=utc(raw.get("stoppedAt")),
        stop_code=clean(raw.get("stopCode")),
        stopped_reason=clean(raw.get("stoppedReason")),
        containers=tuple(_container(one) for one in raw.get("containers") or ()),
        stopping_at=utc(raw.get("stoppingAt")),
    )


def _container(raw: Mapping[str, Any]) -> ContainerState:
    exit_code = raw.get("exitCode")
    return ContainerState(
        name=clean(raw["name"]),
        status=clean(raw.get("lastStatus")),
        exit_code=None if exit_code is None else int(exit_code),
        reason=clean(raw.get("reason")),
        image_digest=clean(raw.get("imageDigest")),
        health=clean(raw.get("healthStatus") or "UNKNOWN"),
        image=clean(raw.get("image")),
    )


@part_of(DESCRIBE_SERVICE_REVISIONS)
def revision_of(raw: Mapping[str, Any]) -> tuple[str, str]:
    """ARNs of a service revision and of the task definition in it."""
    return clean(raw["serviceRevisionArn"]), clean(raw.get("taskDefinition"))


@part_of(DESCRIBE_SERVICE_DEPLOYMENTS)
def target_of(raw: Mapping[str, Any]) -> str:
    """ARN of the service revision that a deployment was to bring; "" when AWS does not say."""
    return clean((raw.get("targetServiceRevision") or {}).get("arn"))


@part_of(DESCRIBE_SERVICE_DEPLOYMENTS)
def service_deployment_of(
    raw: Mapping[str, Any], task_definitions: Mapping[str, str]
) -> ServiceDeployment:
    """One of DescribeServiceDeployments' ``serviceDeployments``.

    Args:
        task_definitions: by ARN of service revision, as far as they were told.
    """
    breaker = raw.get("deploymentCircuitBreaker") or {}
    reason = raw.get("statusReason") or (raw.get("rollback") or {}).get("reason")
    return ServiceDeployment(
        arn=clean(raw["serviceDeploymentArn"]),
        status=clean(raw["status"]),
        task_definition=task_definitions.get(target_of(raw), ""),
        breaker=clean(breaker.get("status")),
        failures=int(breaker.get("failureCount", 0)),
        reason=clean(reason),
        created_at=utc(raw.get("createdAt")),
        finished_at=utc(raw.get("finishedAt") or raw.get("stoppedAt")),
    )


@part_of(DESCRIBE_SERVICE_DEPLOYMENTS)
def _seconds(at: datetime | None) -> float:
    return at.timestamp() if at else 0.0
