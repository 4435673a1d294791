"""Explains why tasks of a revision ended, counts the causes, and keeps failed pulls apart."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from fleet.model.printable import printable
from fleet.model.services import ContainerState, TaskState

#: Longest piece of an agent's message that goes into a reason.
_WORDS = 160
#: What ECS says of every task whose container ended; it says nothing about the cause.
_SAYS_NOTHING = frozenset({"Essential container in task exited", "Task failed to start"})


class FailureKind(StrEnum):
    """Says how a task failed.

    PULL: the image did not arrive. RAN: it arrived, and could not start, ended, or was unhealthy.
    """

    PULL = "pull"
    RAN = "ran"


@dataclass(frozen=True, slots=True)
class TaskFailure:
    """Describes a task that ended by itself.

    Attributes:
        head: what happened, as ``exit 1``.
        detail: the agent's words for it, or "".
        task: its id.
        instance: ARN of the container instance it was on.
    """

    kind: FailureKind
    head: str
    detail: str
    task: str
    instance: str
    at: datetime | None

    @property
    def cause(self) -> str:
        """Return what it shares with similar failures, as ``exit 1: cannot open libx.so``."""
        return f"{self.head}: {self.detail}" if self.detail else self.head


def failures(tasks: Iterable[TaskState], target: str, since: datetime) -> tuple[TaskFailure, ...]:
    """Return the failed tasks of one revision that were made since a moment, the newest first.

    Tasks that a person stopped or that the scheduler replaced have not failed. STOPPED tasks are
    visible for at least an hour, so an empty answer later than that is no good news.
    """
    found = [
        failure
        for task in tasks
        if task.task_definition == target and _moment(task) >= since
        for failure in (_failure(task),)
        if failure is not None
    ]
    return tuple(sorted(found, key=lambda f: (f.at or since, f.task), reverse=True))


def _moment(task: TaskState) -> datetime:
    moment = task.created_at or task.started_at or task.stopped_at
    # Without any time it cannot be called old; AWS always sends createdAt.
    return moment or datetime.max.replace(tzinfo=UTC)


def _failure(task: TaskState) -> TaskFailure | None:
    if task.last_status != "STOPPED" and task.desired_status != "STOPPED":
        return None
    ill = "health check" in task.stopped_reason
    if task.stop_code not in {"TaskFailedToStart", "EssentialContainerExited"} and not ill:
        return None
    kind, head, detail = FailureKind.RAN, "", ""
    pull = _pull_error(task)
    if pull:
        kind, head, detail = FailureKind.PULL, "image not pulled", pull
    elif ill:
        head = "failed its health check"
    else:
        head, detail = _ended(task)
    return TaskFailure(
        kind,
        head,
        printable(detail, limit=_WORDS),
        task.id,
        task.container_instance_arn,
        task.stopped_at,
    )


def _pull_error(task: TaskState) -> str:
    """Return the agent's words for an image that was not pulled, or "".

    The agent names the error CannotPull...Error; a container that started had its image.
    A pull that times out is a DockerTimeoutError, which says "pulled" (agent source, errors of
    the docker client).
    """
    texts = [c.reason for c in task.containers if c.exit_code is None]
    for text in (*texts, task.stopped_reason):
        if "CannotPull" in text or ("DockerTimeoutError" in text and "pull" in text):
            return text
    return ""


def _ended(task: TaskState) -> tuple[str, str]:
    culprit = _culprit(task.containers)
    said = "" if task.stopped_reason in _SAYS_NOTHING else task.stopped_reason
    if culprit is None:
        return ("could not start" if task.stop_code == "TaskFailedToStart" else "ended"), said
    detail = culprit.reason or said
    if len(task.containers) > 1:
        detail = f"{culprit.name}: {detail}" if detail else culprit.name
    if culprit.exit_code is None:
        return "could not start", detail
    return f"exit {culprit.exit_code}", detail


def _culprit(containers: Sequence[ContainerState]) -> ContainerState | None:
    """Return the container that explains the end: one with a reason, else a bad exit, else any."""
    ended = [c for c in containers if c.exit_code is not None or c.reason]
    return max(ended, key=lambda c: (bool(c.reason), bool(c.exit_code)), default=None)


def counted(found: Sequence[TaskFailure]) -> str:
    """Return ``exit 1 x2: cannot open libx.so; exit 137``: the most frequent first."""
    groups = Counter((f.head, f.detail) for f in found)
    words = []
    for (head, detail), times in groups.most_common():
        many = f" x{times}" if times > 1 else ""
        words.append(f"{head}{many}: {detail}" if detail else f"{head}{many}")
    return "; ".join(words)


def common_cause(found: Sequence[TaskFailure]) -> str:
    """Return the most frequent cause; failures of different stores are compared by it."""
    causes = Counter(f.cause for f in found)
    return causes.most_common(1)[0][0] if causes else ""
