"""The life of a deployment: it begins, completes, fails, is rolled back."""

from typing import Any

from fleet.sandbox.control_plane import service_events
from fleet.sandbox.control_plane.breaker import threshold
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.region_state import RegionState
from fleet.sandbox.control_plane.workloads import (
    Deployment,
    Service,
    ServiceDeployment,
    ServiceRevision,
)

TASKS_FAILED = "tasks failed to start"
_UNFINISHED = {"PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}


def deployments_of(state: RegionState, service: Service) -> list[Deployment]:
    """Those that have tasks, and the newest, which comes first."""
    found = state.deployments_of.get(service.key, {}).values()
    return sorted(found, key=lambda d: (d.status != "PRIMARY", -d.created_at, d.number))


def primary_of(state: RegionState, service: Service) -> Deployment:
    """The newest deployment; a service that is not INACTIVE always has one."""
    return deployments_of(state, service)[0]


def record_of(state: RegionState, service: Service, deployment: Deployment) -> ServiceDeployment:
    """The service deployment that a deployment belongs to."""
    return state.records_of[service.key][deployment.record]


def begin(context: Context, service: Service, task_definition: str) -> Deployment:
    """Start a deployment because somebody asked for it; an unfinished one before it is stopped."""
    number = _number(context)
    revision = ServiceRevision(
        service.account, service.region, service.key, number, task_definition, context.now
    )
    context.world.save(revision)
    _supersede(context, service)
    record = ServiceDeployment(
        service.account,
        service.region,
        service.key,
        context.world.hex_id(21),
        context.now,
        context.now,
        sorted({d.revision for d in deployments_of(context.state, service)}),
        number,
        dict(service.configuration),
    )
    context.world.save(record)
    return _primary(
        context, service, task_definition, revision=number, record=record, number=number
    )


def complete(context: Context, service: Service, primary: Deployment) -> None:
    """Everything runs as asked; a later rollback comes back to here."""
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


def trip(context: Context, service: Service, primary: Deployment) -> None:
    """The circuit breaker gives a deployment up, and goes back if it is told to and can."""
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
        _finish(
            context,
            record,
            "ROLLBACK_FAILED",
            f"{reason} No rollback candidate was found to run the rollback.",
        )
    else:
        back = f"rolling back to deploymentId ecs-svc/{service.completed['deployment']}."
        roll_back(context, service, reason, f"ECS deployment circuit breaker: {back}")


def roll_back(context: Context, service: Service, why: str, rollout_reason: str) -> None:
    """Deploy the last revision that completed again, within the same service deployment.

    Args:
        context: of the scheduler or of a call.
        service: one with a completed deployment.
        why: for the record.
        rollout_reason: of the deployment that goes back.
    """
    failed = primary_of(context.state, service)
    record = record_of(context.state, service, failed)
    if failed.rollout_state == "IN_PROGRESS":
        _set(context, failed, "FAILED", why)
    goal = service.completed
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
        revision=goal["revision"],
        record=record,
        number=_number(context),
    )
    back.is_rollback = True
    back.rollout_reason = rollout_reason
    context.world.save(back)


def drop_empty(context: Context, service: Service) -> None:
    """Forget deployments before the newest whose last task has stopped."""
    live = {task.deployment for task in context.state.live_tasks_of.get(service.key, {}).values()}
    for deployment in deployments_of(context.state, service)[1:]:
        if deployment.number not in live:
            context.world.forget(deployment)


def breaker_now(service: Service, deployment: Deployment) -> dict[str, Any]:
    """What the circuit breaker has counted of a deployment and when it would trip."""
    settings = service.configuration["deploymentCircuitBreaker"]
    return {
        "status": "MONITORING" if settings["enable"] else "DISABLED",
        "failureCount": deployment.failed_tasks,
        "threshold": threshold(settings, service.desired_count),
    }


def end(context: Context, service: Service) -> None:
    """Close what is unfinished: the service was deleted."""
    _supersede(context, service)
    for deployment in deployments_of(context.state, service):
        context.world.forget(deployment)


def _supersede(context: Context, service: Service) -> None:
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
    service: Service,
    task_definition: str,
    *,
    revision: str,
    record: ServiceDeployment,
    number: str,
) -> Deployment:
    made = Deployment(
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
    context.world.work.look_at(service)
    return made


def _set(context: Context, deployment: Deployment, state: str, reason: str) -> None:
    deployment.rollout_state = state
    deployment.rollout_reason = reason
    deployment.updated_at = context.now
    context.world.save(deployment)


def _finish(context: Context, record: ServiceDeployment, status: str, reason: str = "") -> None:
    record.status = status
    record.status_reason = reason or record.status_reason
    record.finished_at = context.now
    record.updated_at = context.now
    if status == "STOPPED":
        record.stopped_at = context.now
    context.world.save(record)


def _number(context: Context) -> str:
    return f"{int(context.world.hex_id(16), 16) % 10**19:019}"
