"""The life of a task: placed, running, stopping, stopped."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.control_plane import service_events
from fleet.sandbox.control_plane.assumptions import (
    INCONSISTENT_AFTER,
    RESTART_DELAYS_S,
    TASK_HEALTHY_AFTER_S,
)
from fleet.sandbox.control_plane.call import Context
from fleet.sandbox.control_plane.entities import (
    ContainerInstanceEntity,
    DeploymentEntity,
    ServiceEntity,
    TaskDefinitionEntity,
    TaskEntity,
    arn_prefix,
)
from fleet.sandbox.control_plane.placement import demand_of

SCHEDULER = "ServiceSchedulerInitiated"
UNHEALTHY = "Task failed container health checks"
_NOT_A_FAILURE = {"UserInitiated", SCHEDULER}


def start(
    context: Context,
    service: ServiceEntity,
    deployment: DeploymentEntity,
    definition: TaskDefinitionEntity,
    instance: ContainerInstanceEntity,
) -> TaskEntity:
    """Place a task of a service; its agent is told once the call is over."""
    tags = _tags(service, definition)
    return start_on(
        context, definition, instance, service=service.key, deployment=deployment.number, tags=tags
    )


def start_on(
    context: Context,
    definition: TaskDefinitionEntity,
    instance: ContainerInstanceEntity,
    *,
    service: str = "",
    deployment: str = "",
    started_by: str = "",
    tags: dict[str, str] | None = None,
) -> TaskEntity:
    """Place a task, of a service or of nobody; its agent is told once the call is over."""
    demand = demand_of(definition.content)
    task = TaskEntity(
        instance.account,
        instance.region,
        instance.cluster,
        context.world.hex_id(32),
        instance.id,
        definition.arn,
        service,
        deployment,
        context.now,
        demand.cpu,
        demand.memory,
        list(demand.ports),
        list(demand.udp_ports),
        is_checked(definition.content),
        [],
        tags=tags or {},
        started_by=started_by,
    )
    task.containers = [
        _container(context, task, container)
        for container in definition.content["containerDefinitions"]
    ]
    context.world.save(task)
    context.world.work.send_task(task)
    return task


def stop(context: Context, task: TaskEntity, code: str, reason: str) -> None:
    """Ask for a task to stop; only its agent can say that it has.

    One that no agent has taken yet is stopped here and now.
    """
    if task.desired_status == "STOPPED":
        return
    task.desired_status = "STOPPED"
    task.stop_code = code
    task.stopped_reason = reason
    task.times["stoppingAt"] = context.now
    if task.last_status == "PROVISIONING":
        stopped(context, task)
        return
    task.version += 1
    context.world.save(task)
    context.world.work.send_task(task)


def stopped(context: Context, task: TaskEntity) -> None:
    """Note that a task has ended or is lost; the scheduler looks at its service."""
    task.desired_status = task.last_status = "STOPPED"
    task.times.setdefault("stoppingAt", context.now)
    task.times["stoppedAt"] = context.now
    task.version += 1
    for container in task.containers:
        container["lastStatus"] = "STOPPED"
    context.world.save(task)
    context.world.remember_stopped(task)
    service = context.state.service(task.service)
    if service is not None:
        context.world.work.reconcile(service)
        if task.stop_code not in _NOT_A_FAILURE:
            count_failure(context, service, task)


def count_failure(context: Context, service: ServiceEntity, task: TaskEntity) -> None:
    """Count a failed task: the next start waits longer, and the circuit breaker may trip."""
    deployment = context.state.deployments_of.get(service.key, {}).get(task.deployment)
    if deployment is None or deployment.status != "PRIMARY":
        return
    note_failure(context, deployment)
    if deployment.failed_starts == INCONSISTENT_AFTER:
        service_events.inconsistent(service, context.now)
        context.world.save(service)


def note_failure(context: Context, deployment: DeploymentEntity) -> None:
    """Count one more failure of a deployment in a row."""
    deployment.failed_starts += 1
    if deployment.rollout_state == "IN_PROGRESS":
        deployment.failed_tasks += 1
    step = min(deployment.failed_starts, len(RESTART_DELAYS_S)) - 1
    deployment.start_after = context.now + RESTART_DELAYS_S[step]
    deployment.updated_at = context.now
    context.world.save(deployment)


def healthy(task: TaskEntity, now: float) -> bool:
    """Say whether it counts: its health checks say so, or it has run long enough without any."""
    if task.last_status != "RUNNING" or task.desired_status != "RUNNING":
        return False
    if task.checked:
        return task.health == "HEALTHY"
    return now >= healthy_at(task)


def healthy_at(task: TaskEntity) -> float:
    """Return when a running task without health checks will count as healthy."""
    return task.times.get("startedAt", 0.0) + TASK_HEALTHY_AFTER_S


def is_checked(content: Mapping[str, Any]) -> bool:
    """Say whether the health of a definition's tasks is found by health checks."""
    return any(
        container.get("essential", True) and container.get("healthCheck")
        for container in content["containerDefinitions"]
    )


def _container(context: Context, task: TaskEntity, definition: Mapping[str, Any]) -> dict[str, Any]:
    prefix = arn_prefix("ecs", task.account, task.region)
    shown = {
        "containerArn": f"{prefix}:container/{task.cluster}/{task.id}/{context.world.hex_id(32)}",
        "taskArn": task.arn,
        "name": definition["name"],
        "image": definition["image"],
        "lastStatus": "PENDING",
        "networkInterfaces": [],
        "healthStatus": "UNKNOWN",
        "cpu": str(definition.get("cpu", 0)),
    }
    for name in ("memory", "memoryReservation"):
        if name in definition:
            shown[name] = str(definition[name])
    return shown


def _tags(service: ServiceEntity, definition: TaskDefinitionEntity) -> dict[str, str]:
    tags: dict[str, str] = {}
    if service.managed_tags:
        tags = {"aws:ecs:clusterName": service.cluster, "aws:ecs:serviceName": service.name}
    if service.propagate_tags == "SERVICE":
        tags |= service.tags
    elif service.propagate_tags == "TASK_DEFINITION":
        tags |= definition.tags
    return tags
