"""The life of a task: placed, running, told to stop, stopped."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.plane import service_events
from fleet.sandbox.plane.arns import arn_prefix
from fleet.sandbox.plane.liberties import (
    INCONSISTENT_AFTER,
    RESTART_DELAYS_S,
    TASK_HEALTHY_AFTER_S,
)
from fleet.sandbox.plane.placing import demand_of
from fleet.sandbox.plane.realm import ContainerInstance
from fleet.sandbox.plane.turn import Turn
from fleet.sandbox.plane.workloads import Deployment, Service, Task, TaskDefinition

SCHEDULER = "ServiceSchedulerInitiated"
UNHEALTHY = "Task failed container health checks"
_NOT_A_FAILURE = {"UserInitiated", SCHEDULER}


def start(
    turn: Turn,
    service: Service,
    deployment: Deployment,
    definition: TaskDefinition,
    instance: ContainerInstance,
) -> Task:
    """Place a task of a service; its agent is told once the call is over."""
    tags = _tags(service, definition)
    return start_on(
        turn, definition, instance, service=service.key, deployment=deployment.number, tags=tags
    )


def start_on(
    turn: Turn,
    definition: TaskDefinition,
    instance: ContainerInstance,
    *,
    service: str = "",
    deployment: str = "",
    started_by: str = "",
    tags: dict[str, str] | None = None,
) -> Task:
    """Place a task, of a service or of nobody; its agent is told once the call is over."""
    demand = demand_of(definition.content)
    task = Task(
        instance.account,
        instance.region,
        instance.cluster,
        turn.world.hex_id(32),
        instance.id,
        definition.arn,
        service,
        deployment,
        turn.now,
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
        _container(turn, task, container)
        for container in definition.content["containerDefinitions"]
    ]
    turn.world.save(task)
    turn.world.agenda.tell(task)
    return task


def stop(turn: Turn, task: Task, code: str, reason: str) -> None:
    """Want a task stopped; only its agent can say that it has.

    One that no agent has taken yet is stopped here and now.
    """
    if task.desired_status == "STOPPED":
        return
    task.desired_status = "STOPPED"
    task.stop_code = code
    task.stopped_reason = reason
    task.times["stoppingAt"] = turn.now
    if task.last_status == "PROVISIONING":
        stopped(turn, task)
        return
    task.version += 1
    turn.world.save(task)
    turn.world.agenda.tell(task)


def stopped(turn: Turn, task: Task) -> None:
    """A task has ended, or is given up for lost; its service is looked at."""
    task.desired_status = task.last_status = "STOPPED"
    task.times.setdefault("stoppingAt", turn.now)
    task.times["stoppedAt"] = turn.now
    task.version += 1
    for container in task.containers:
        container["lastStatus"] = "STOPPED"
    turn.world.save(task)
    turn.world.remember_stopped(task)
    service = turn.realm.service(task.service)
    if service is not None:
        turn.world.agenda.look_at(service)
        if task.stop_code not in _NOT_A_FAILURE:
            count_failure(turn, service, task)


def count_failure(turn: Turn, service: Service, task: Task) -> None:
    """A task went wrong: the next start waits longer, and the circuit breaker may hear of it."""
    deployment = turn.realm.deployments_of.get(service.key, {}).get(task.deployment)
    if deployment is None or deployment.status != "PRIMARY":
        return
    note_failure(turn, deployment)
    if deployment.failed_starts == INCONSISTENT_AFTER:
        service_events.inconsistent(service, turn.now)
        turn.world.save(service)


def note_failure(turn: Turn, deployment: Deployment) -> None:
    """One more failure of a deployment in a row."""
    deployment.failed_starts += 1
    if deployment.rollout_state == "IN_PROGRESS":
        deployment.failed_tasks += 1
    step = min(deployment.failed_starts, len(RESTART_DELAYS_S)) - 1
    deployment.start_after = turn.now + RESTART_DELAYS_S[step]
    deployment.updated_at = turn.now
    turn.world.save(deployment)


def healthy(task: Task, now: float) -> bool:
    """Whether it counts: its health checks say so, or it has run long enough without any."""
    if task.last_status != "RUNNING" or task.desired_status != "RUNNING":
        return False
    if task.checked:
        return task.health == "HEALTHY"
    return now >= healthy_at(task)


def healthy_at(task: Task) -> float:
    """When a running task without health checks will count as healthy."""
    return task.times.get("startedAt", 0.0) + TASK_HEALTHY_AFTER_S


def is_checked(content: Mapping[str, Any]) -> bool:
    """Whether the health of a definition's tasks is found by health checks."""
    return any(
        container.get("essential", True) and container.get("healthCheck")
        for container in content["containerDefinitions"]
    )


def _container(turn: Turn, task: Task, definition: Mapping[str, Any]) -> dict[str, Any]:
    prefix = arn_prefix("ecs", task.account, task.region)
    shown = {
        "containerArn": f"{prefix}:container/{task.cluster}/{task.id}/{turn.world.hex_id(32)}",
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


def _tags(service: Service, definition: TaskDefinition) -> dict[str, str]:
    tags: dict[str, str] = {}
    if service.managed_tags:
        tags = {"aws:ecs:clusterName": service.cluster, "aws:ecs:serviceName": service.name}
    if service.propagate_tags == "SERVICE":
        tags |= service.tags
    elif service.propagate_tags == "TASK_DEFINITION":
        tags |= definition.tags
    return tags
