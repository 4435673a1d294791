"""What a service says of itself, in AWS's words ("Amazon ECS service event messages")."""

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
    """Tasks were placed."""
    say(service, now, f"has started {len(tasks)} tasks: {_names(tasks)}.")


def stopped(service: Service, now: float, tasks: Sequence[Task]) -> None:
    """Tasks were told to stop."""
    say(service, now, f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")


def unplaced(service: Service, now: float, obstacle: str) -> None:
    """A task found no instance."""
    say(
        service,
        now,
        "was unable to place a task because no container instance met all of its requirements."
        f" {obstacle} {_SEE}",
    )


def inconsistent(service: Service, now: float) -> None:
    """Tasks end again and again."""
    say(service, now, f"is unable to consistently start tasks successfully. {_SEE}")


def unhealthy(service: Service, now: float, task: Task) -> None:
    """A task failed its health checks."""
    say(service, now, f"(task {task.id}) failed container health checks.")


def steady(service: Service, now: float) -> None:
    """Everything is as it was asked for."""
    say(service, now, "has reached a steady state.")


def completed(service: Service, now: float, deployment: Deployment) -> None:
    """A deployment is through."""
    say(service, now, f"(deployment {deployment.id}) deployment completed.")


def failed(service: Service, now: float, deployment: Deployment, why: str) -> None:
    """A deployment was given up."""
    say(service, now, f"(deployment {deployment.id}) deployment failed: {why}.")


def rolling_back(service: Service, now: float, to: str) -> None:
    """The service goes back to the deployment of a number."""
    say(service, now, f"rolling back to deployment ecs-svc/{to}.")


def _names(tasks: Sequence[Task]) -> str:
    return " ".join(f"(task {task.id})" for task in tasks)
