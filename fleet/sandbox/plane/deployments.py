"""The life of a deployment: it begins, completes, fails, is rolled back."""

from typing import Any

from fleet.sandbox.plane import service_events
from fleet.sandbox.plane.breaker import threshold
from fleet.sandbox.plane.realm import Realm
from fleet.sandbox.plane.turn import Turn
from fleet.sandbox.plane.workloads import (
    Deployment,
    Service,
    ServiceDeployment,
    ServiceRevision,
)

TASKS_FAILED = "tasks failed to start"
_UNFINISHED = {"PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS"}


def deployments_of(realm: Realm, service: Service) -> list[Deployment]:
    """Those that have tasks, and the newest, which comes first."""
    found = realm.deployments_of.get(service.key, {}).values()
    return sorted(found, key=lambda d: (d.status != "PRIMARY", -d.created_at, d.number))


def primary_of(realm: Realm, service: Service) -> Deployment:
    """The newest deployment; a service that is not INACTIVE always has one."""
    return deployments_of(realm, service)[0]


def record_of(realm: Realm, service: Service, deployment: Deployment) -> ServiceDeployment:
    """The service deployment that a deployment belongs to."""
    return realm.records_of[service.key][deployment.record]


def begin(turn: Turn, service: Service, task_definition: str) -> Deployment:
    """Start a deployment because somebody asked for it; an unfinished one before it is stopped."""
    number = _number(turn)
    revision = ServiceRevision(
        service.account, service.region, service.key, number, task_definition, turn.now
    )
    turn.world.save(revision)
    _supersede(turn, service)
    record = ServiceDeployment(
        service.account,
        service.region,
        service.key,
        turn.world.hex_id(21),
        turn.now,
        turn.now,
        sorted({d.revision for d in deployments_of(turn.realm, service)}),
        number,
        dict(service.configuration),
    )
    turn.world.save(record)
    return _primary(turn, service, task_definition, revision=number, record=record, number=number)


def complete(turn: Turn, service: Service, primary: Deployment) -> None:
    """Everything runs as asked; a later rollback comes back to here."""
    _set(turn, primary, "COMPLETED", f"ECS deployment {primary.id} completed.")
    record = record_of(turn.realm, service, primary)
    if record.breaker.get("status") != "TRIGGERED":
        record.breaker = breaker_now(service, primary)
        if record.breaker["status"] == "MONITORING":
            record.breaker["status"] = "MONITORING_COMPLETE"
    _finish(turn, record, "ROLLBACK_SUCCESSFUL" if primary.is_rollback else "SUCCESSFUL")
    service.completed = {
        "deployment": primary.number,
        "revision": primary.revision,
        "task_definition": primary.task_definition,
    }
    service_events.completed(service, turn.now, primary)


def trip(turn: Turn, service: Service, primary: Deployment) -> None:
    """The circuit breaker gives a deployment up, and goes back if it is told to and can."""
    record = record_of(turn.realm, service, primary)
    record.breaker = {**breaker_now(service, primary), "status": "TRIGGERED"}
    reason = f"ECS deployment circuit breaker: {TASKS_FAILED}."
    _set(turn, primary, "FAILED", reason)
    service_events.failed(service, turn.now, primary, TASKS_FAILED)
    if primary.is_rollback:
        _finish(turn, record, "ROLLBACK_FAILED", reason)
    elif not service.configuration["deploymentCircuitBreaker"]["rollback"]:
        _finish(turn, record, "STOPPED", reason)
    elif not service.completed:
        _finish(
            turn,
            record,
            "ROLLBACK_FAILED",
            f"{reason} No rollback candidate was found to run the rollback.",
        )
    else:
        back = f"rolling back to deploymentId ecs-svc/{service.completed['deployment']}."
        roll_back(turn, service, reason, f"ECS deployment circuit breaker: {back}")


def roll_back(turn: Turn, service: Service, why: str, rollout_reason: str) -> None:
    """Deploy the last revision that completed again, within the same service deployment.

    Args:
        turn: of the scheduler or of a call.
        service: one with a completed deployment.
        why: for the record.
        rollout_reason: of the deployment that goes back.
    """
    failed = primary_of(turn.realm, service)
    record = record_of(turn.realm, service, failed)
    if failed.rollout_state == "IN_PROGRESS":
        _set(turn, failed, "FAILED", why)
    goal = service.completed
    service_events.rolling_back(service, turn.now, goal["deployment"])
    record.status = "ROLLBACK_IN_PROGRESS"
    record.status_reason = why
    record.updated_at = turn.now
    record.rollback = {"reason": why, "startedAt": turn.now, "revision": goal["revision"]}
    turn.world.save(record)
    failed.status = "ACTIVE"
    turn.world.save(failed)
    back = _primary(
        turn,
        service,
        goal["task_definition"],
        revision=goal["revision"],
        record=record,
        number=_number(turn),
    )
    back.is_rollback = True
    back.rollout_reason = rollout_reason
    turn.world.save(back)


def drop_empty(turn: Turn, service: Service) -> None:
    """Forget deployments before the newest whose last task has stopped."""
    live = {task.deployment for task in turn.realm.live_tasks_of.get(service.key, {}).values()}
    for deployment in deployments_of(turn.realm, service)[1:]:
        if deployment.number not in live:
            turn.world.forget(deployment)


def breaker_now(service: Service, deployment: Deployment) -> dict[str, Any]:
    """What the circuit breaker has counted of a deployment and when it would trip."""
    settings = service.configuration["deploymentCircuitBreaker"]
    return {
        "status": "MONITORING" if settings["enable"] else "DISABLED",
        "failureCount": deployment.failed_tasks,
        "threshold": threshold(settings, service.desired_count),
    }


def end(turn: Turn, service: Service) -> None:
    """Close what is unfinished: the service was deleted."""
    _supersede(turn, service)
    for deployment in deployments_of(turn.realm, service):
        turn.world.forget(deployment)


def _supersede(turn: Turn, service: Service) -> None:
    for deployment in deployments_of(turn.realm, service):
        record = record_of(turn.realm, service, deployment)
        if record.status in _UNFINISHED:
            record.breaker = breaker_now(service, deployment)
            _finish(turn, record, "STOPPED", "The service deployment was superseded.")
        if deployment.status == "PRIMARY":
            deployment.status = "ACTIVE"
            deployment.updated_at = turn.now
            turn.world.save(deployment)


def _primary(
    turn: Turn,
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
        turn.now,
        turn.now,
        f"ECS deployment ecs-svc/{number} in progress.",
    )
    turn.world.save(made)
    service.task_definition = task_definition
    service.steady = False
    turn.world.save(service)
    turn.world.agenda.look_at(service)
    return made


def _set(turn: Turn, deployment: Deployment, state: str, reason: str) -> None:
    deployment.rollout_state = state
    deployment.rollout_reason = reason
    deployment.updated_at = turn.now
    turn.world.save(deployment)


def _finish(turn: Turn, record: ServiceDeployment, status: str, reason: str = "") -> None:
    record.status = status
    record.status_reason = reason or record.status_reason
    record.finished_at = turn.now
    record.updated_at = turn.now
    if status == "STOPPED":
        record.stopped_at = turn.now
    turn.world.save(record)


def _number(turn: Turn) -> str:
    return f"{int(turn.world.hex_id(16), 16) % 10**19:019}"
