"""Service events in AWS's words ("Amazon ECS service event messages")."""

import uuid
from collections.abc import Sequence

from fleet.sandbox.control_plane.entities import DeploymentEntity, ServiceEntity, TaskEntity

#: Events that a service remembers. (API reference, ``events``.)
MOST = 100
_SEE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


def say(service: ServiceEntity, now: float, text: str) -> None:
    """Add an event, newest first."""
    event = {
        "id": str(uuid.uuid4()),
        "createdAt": round(now, 3),
        "message": f"(service {service.name}) {text}",
    }
    service.events = [event, *service.events[: MOST - 1]]


def started(service: ServiceEntity, now: float, tasks: Sequence[TaskEntity]) -> None:
    """Say that tasks were placed."""
    say(service, now, f"has started {len(tasks)} tasks: {_names(tasks)}.")


def stopped(service: ServiceEntity, now: float, tasks: Sequence[TaskEntity]) -> None:
    """Say that tasks were told to stop."""
    say(service, now, f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")


def unplaced(service: ServiceEntity, now: float, obstacle: str) -> None:
    """Say that no instance was found for a task."""
    say(
        service,
        now,
        "was unable to place a task because no container instance met all of its requirements."
        f" {obstacle} {_SEE}",
    )


def inconsistent(service: ServiceEntity, now: float) -> None:
    """Say that tasks end again and again."""
    say(service, now, f"is unable to consistently start tasks successfully. {_SEE}")


def unhealthy(service: ServiceEntity, now: float, task: TaskEntity) -> None:
    """Say that a task failed its health checks."""
    say(service, now, f"(task {task.id}) failed container health checks.")


def steady(service: ServiceEntity, now: float) -> None:
    """Say that the service is steady."""
    say(service, now, "has reached a steady state.")


def completed(service: ServiceEntity, now: float, deployment: DeploymentEntity) -> None:
    """Say that a deployment completed."""
    say(service, now, f"(deployment {deployment.id}) deployment completed.")


def failed(service: ServiceEntity, now: float, deployment: DeploymentEntity, why: str) -> None:
    """Say that a deployment failed."""
    say(service, now, f"(deployment {deployment.id}) deployment failed: {why}.")


def rolling_back(service: ServiceEntity, now: float, to: str) -> None:
    """Say that the service returns to the deployment of a number."""
    say(service, now, f"rolling back to deployment ecs-svc/{to}.")


def _names(tasks: Sequence[TaskEntity]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)
