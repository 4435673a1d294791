"""Service events in AWS's words ("Amazon ECS service event messages")."""

import uuid
from collections.abc import Sequence

from fleet.sandbox.control_plane.entities import Deployment, Service, Task

#: Events that a service remembers. (API reference, ``events``.)
MOST = 100
_SEE = "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."


def say(service: Service, now: float, text: str) -> None:
    """Add an event, newest first."""
    event = {
        "id": str(uuid.uuid4()),
        "createdAt": round(now, 3),
        "message": f"(service {service.name}) {text}",
    }
    service.events = [event, *service.events[: MOST - 1]]


def started(service: Service, now: float, tasks: Sequence[Task]) -> None:
    """Say that tasks were placed."""
    say(service, now, f"has started {len(tasks)} tasks: {_names(tasks)}.")


def stopped(service: Service, now: float, tasks: Sequence[Task]) -> None:
    """Say that tasks were told to stop."""
    say(service, now, f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")


def unplaced(service: Service, now: float, obstacle: str) -> None:
    """Say that no instance was found for a task."""
    say(
        service,
        now,
        "was unable to place a task because no container instance met all of its requirements."
        f" {obstacle} {_SEE}",
    )


def inconsistent(service: Service, now: float) -> None:
    """Say that tasks end again and again."""
    say(service, now, f"is unable to consistently start tasks successfully. {_SEE}")


def unhealthy(service: Service, now: float, task: Task) -> None:
    """Say that a task failed its health checks."""
    say(service, now, f"(task {task.id}) failed container health checks.")


def steady(service: Service, now: float) -> None:
    """Say that the service is steady."""
    say(service, now, "has reached a steady state.")


def completed(service: Service, now: float, deployment: Deployment) -> None:
    """Say that a deployment completed."""
    say(service, now, f"(deployment {deployment.id}) deployment completed.")


def failed(service: Service, now: float, deployment: Deployment, why: str) -> None:
    """Say that a deployment failed."""
    say(service, now, f"(deployment {deployment.id}) deployment failed: {why}.")


def rolling_back(service: Service, now: float, to: str) -> None:
    """Say that the service returns to the deployment of a number."""
    say(service, now, f"rolling back to deployment ecs-svc/{to}.")


def _names(tasks: Sequence[Task]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)
