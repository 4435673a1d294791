"""The life of a deployment: start, completion, failure, rollback by the circuit breaker."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.control_plane import service_events
from fleet.sandbox.control_plane.call import Context
from fleet.sandbox.control_plane.entities import (
    DeploymentEntity,
    ServiceDeploymentEntity,
    ServiceEntity,
    ServiceRevision,
)
from fleet.sandbox.control_plane.world import RegionState

TASKS_FAILED = "tasks failed to start"
_UNFINISHED = {"PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}
DEFAULT_BREAKER = {
    "enable": False,
    "rollback": False,
    "resetOnHealthyTask": True,
    "thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 50},
}
_LEAST_FAILURES = 3
_MOST_FAILURES = 200


def deployments_of(state: RegionState, service: ServiceEntity) -> list[DeploymentEntity]:
    """Return those that have tasks, and the newest, which comes first."""
    found = state.deployments_of.get(service.key, {}).values()
    return sorted(found, key=lambda d: (d.status != "PRIMARY", -d.created_at, d.number))


def primary_of(state: RegionState, service: ServiceEntity) -> DeploymentEntity:
    """Return the newest deployment; a service that is not INACTIVE always has one."""
    return deployments_of(state, service)[0]


def record_of(
    state: RegionState, service: ServiceEntity, deployment: DeploymentEntity
) -> ServiceDeploymentEntity:
    """Return the service deployment that a deployment belongs to."""
    return state.records_of[service.key][deployment.record]


def begin(context: Context, service: ServiceEntity, task_definition: str) -> DeploymentEntity:
    """Start a deployment because somebody asked for it; an unfinished one before it is stopped."""
    world, now = context.world, context.now
    number = _number(context)
    account, region = service.account, service.region
    world.save(ServiceRevision(account, region, service.key, number, task_definition, now))
    _supersede(context, service)
    record = ServiceDeploymentEntity(
        account,
        region,
        service.key,
        world.hex_id(21),
        now,
        now,
        sorted({d.revision for d in deployments_of(context.state, service)}),
        number,
        dict(service.configuration),
    )
    world.save(record)
    return _primary(context, service, task_definition, number, record=record, number=number)


def complete(context: Context, service: ServiceEntity, primary: DeploymentEntity) -> None:
    """Note that everything runs as asked; a later rollback returns to this deployment."""
    _set(context, primary, "COMPLETED", f"ECS deployment {primary.id} completed.")
    record = record_of(context.state, service, primary)
    if record.breaker.get("status") != "TRIGGERED":
        record.breaker = breaker_now(service, primary)
        if record.breaker["status"] == "MONITORING":
            record.breaker["status"] = "MONITORING_COMPLETE"
    _finish(context, record, "ROLLBACK_SUCCESSFUL" if primary.is_rollback else "SUCCESSFUL")
    service.completed = {
        "deployment": primary.number,
        "revision": primary.revision,
        "task_definition": primary.task_definition,
    }
    service_events.completed(service, context.now, primary)


def trip(context: Context, service: ServiceEntity, primary: DeploymentEntity) -> None:
    """Let the circuit breaker give a deployment up, and roll back if it is told to and can."""
    record = record_of(context.state, service, primary)
    record.breaker = {**breaker_now(service, primary), "status": "TRIGGERED"}
    reason = f"ECS deployment circuit breaker: {TASKS_FAILED}."
    _set(context, primary, "FAILED", reason)
    service_events.failed(service, context.now, primary, TASKS_FAILED)
    if primary.is_rollback:
        _finish(context, record, "ROLLBACK_FAILED", reason)
    elif not service.configuration["deploymentCircuitBreaker"]["rollback"]:
        _finish(context, record, "STOPPED", reason)
    elif not service.completed:
        why = f"{reason} No rollback candidate was found to run the rollback."
        _finish(context, record, "ROLLBACK_FAILED", why)
    else:
        _roll_back(context, service, primary, reason)


def _roll_back(
    context: Context, service: ServiceEntity, failed: DeploymentEntity, why: str
) -> None:
    """Deploy the last revision that completed again, within the same service deployment."""
    goal = service.completed
    record = record_of(context.state, service, failed)
    service_events.rolling_back(service, context.now, goal["deployment"])
    record.status = "ROLLBACK_IN_PROGRESS"
    record.status_reason = why
    record.updated_at = context.now
    record.rollback = {"reason": why, "startedAt": context.now, "revision": goal["revision"]}
    context.world.save(record)
    failed.status = "ACTIVE"
    context.world.save(failed)
    back = _primary(
        context,
        service,
        goal["task_definition"],
        goal["revision"],
        record=record,
        number=_number(context),
    )
    back.is_rollback = True
    back.rollout_reason = (
        "ECS deployment circuit breaker: rolling back to deploymentId"
        f" ecs-svc/{goal['deployment']}."
    )
    context.world.save(back)


def drop_empty(context: Context, service: ServiceEntity) -> None:
    """Forget deployments before the newest whose last task has stopped."""
    live = {task.deployment for task in context.state.live_tasks_of.get(service.key, {}).values()}
    for deployment in deployments_of(context.state, service)[1:]:
        if deployment.number not in live:
            context.world.forget(deployment)


def threshold(settings: Mapping[str, Any], desired: int) -> int:
    """Return the failed tasks at which a deployment of ``desired`` tasks is given up; at least 1.

    API reference, ``DeploymentCircuitBreaker`` and ``ThresholdConfiguration``: COUNT is the number
    itself; a percentage is taken of the desired count, and BOUNDED_PERCENT (the default, with 50)
    is kept between 3 and 200.
    """
    limit = settings["thresholdConfiguration"]
    value: int = limit["value"]
    if limit["type"] == "COUNT":
        return max(1, value)
    share = -(-value * desired // 100)
    if limit["type"] == "UNBOUNDED_PERCENT":
        return max(1, share)
    return min(max(share, _LEAST_FAILURES), _MOST_FAILURES)


def breaker_now(service: ServiceEntity, deployment: DeploymentEntity) -> dict[str, Any]:
    """Return what the circuit breaker has counted of a deployment and when it would trip."""
    settings = service.configuration["deploymentCircuitBreaker"]
    return {
        "status": "MONITORING" if settings["enable"] else "DISABLED",
        "failureCount": deployment.failed_tasks,
        "threshold": threshold(settings, service.desired_count),
    }


def end(context: Context, service: ServiceEntity) -> None:
    """Close what is unfinished, because the service was deleted."""
    _supersede(context, service)
    for deployment in deployments_of(context.state, service):
        context.world.forget(deployment)


def _supersede(context: Context, service: ServiceEntity) -> None:
    for deployment in deployments_of(context.state, service):
        record = record_of(context.state, service, deployment)
        if record.status in _UNFINISHED:
            record.breaker = breaker_now(service, deployment)
            _finish(context, record, "STOPPED", "The service deployment was superseded.")
        if deployment.status == "PRIMARY":
            deployment.status = "ACTIVE"
            deployment.updated_at = context.now
            context.world.save(deployment)


def _primary(
    context: Context,
    service: ServiceEntity,
    task_definition: str,
    revision: str,
    *,
    record: ServiceDeploymentEntity,
    number: str,
) -> DeploymentEntity:
    made = DeploymentEntity(
        service.account,
        service.region,
        service.key,
        number,
        revision,
        record.id,
        task_definition,
        context.now,
        context.now,
        f"ECS deployment ecs-svc/{number} in progress.",
    )
    context.world.save(made)
    service.task_definition = task_definition
    service.steady = False
    context.world.save(service)
    context.world.work.reconcile(service)
    return made


def _set(context: Context, deployment: DeploymentEntity, state: str, reason: str) -> None:
    deployment.rollout_state = state
    deployment.rollout_reason = reason
    deployment.updated_at = context.now
    context.world.save(deployment)


def _finish(
    context: Context, record: ServiceDeploymentEntity, status: str, reason: str = ""
) -> None:
    record.status = status
    record.status_reason = reason or record.status_reason
    record.finished_at = record.updated_at = context.now
    if status == "STOPPED":
        record.stopped_at = context.now
    context.world.save(record)


def _number(context: Context) -> str:
    return f"{int(context.world.hex_id(16), 16) % 10**19:019}"
