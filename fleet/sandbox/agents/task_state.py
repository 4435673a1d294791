"""What the agent knows of a task and its containers, and how that is kept and told."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fleet.sandbox.agents.containers import Container
from fleet.sandbox.agents.payload import ContainerPlan, TaskPlan, plan_from_json


@dataclass(slots=True)
class Part:
    """A container of a task.

    Attributes:
        id: of the container once it is made, else "".
        pulled: whether its image is there.
        digest: that a pull resolved; "" for a cached image, as the agent has it.
        over: whether it will not run again.
        reason: the agent's error about it, or "".
    """

    plan: ContainerPlan
    id: str = ""
    pulled: bool = False
    digest: str = ""
    pull_started_at: float | None = None
    pull_stopped_at: float | None = None
    bindings: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    exit_code: int | None = None
    reason: str = ""

    def end(self, container: Container) -> None:
        """Note that its container has ended for good."""
        self.over = True
        self.exit_code = container.exit_code

    def may_restart(self, container: Container) -> bool:
        """Whether its restart policy brings it back; offline too, as that is the agent's own."""
        policy = self.plan.restart
        if policy is None or container.started_at is None or container.finished_at is None:
            return False
        lived = container.finished_at - container.started_at
        return (
            container.exit_code not in policy.ignored_exit_codes
            and lived >= policy.attempt_period_s
        )


@dataclass(slots=True)
class Task:
    """A task.

    Attributes:
        desired: RUNNING or STOPPED.
        status: NONE (on its way), RUNNING or STOPPED.
        reported: the last status that AWS has.
        stopped_at: epoch seconds, or None.
    """

    plan: TaskPlan
    parts: list[Part]
    desired: str = "RUNNING"
    status: str = "NONE"
    reported: str = "NONE"
    stopped_at: float | None = None

    @property
    def arn(self) -> str:
        """Of the task."""
        return self.plan.arn

    @property
    def over(self) -> bool:
        """Whether nothing of it runs or will run."""
        return all(part.over for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """For the state file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Task":
        """What ``as_json`` gave and JSON kept."""
        plan = plan_from_json(content["plan"])
        parts = [
            Part(**{**part, "plan": container})
            for part, container in zip(content["parts"], plan.containers, strict=True)
        ]
        return cls(**{**content, "plan": plan, "parts": parts})

    def state_change(self, cluster: str) -> dict[str, Any]:
        """The body of SubmitTaskStateChange for what is known now (agent-protocol.md §2.3)."""
        body: dict[str, Any] = {
            "cluster": cluster,
            "task": self.arn,
            "status": self.status,
            "reason": "",
            "containers": [_container(part, self.status) for part in self.parts],
        }
        pulls = [part for part in self.parts if part.pull_started_at is not None]
        if pulls:
            body["pullStartedAt"] = min(p.pull_started_at or 0.0 for p in pulls)
            body["pullStoppedAt"] = max(p.pull_stopped_at or 0.0 for p in pulls)
        if self.stopped_at is not None:
            body["executionStoppedAt"] = self.stopped_at
        return body


def _container(part: Part, task_status: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "containerName": part.plan.name,
        "status": "STOPPED" if part.over else task_status,
        "networkBindings": part.bindings,
    }
    if part.id:
        content["runtimeId"] = part.id
    if part.digest:
        content["imageDigest"] = part.digest
    if part.exit_code is not None:
        content["exitCode"] = part.exit_code
    if part.reason:
        content["reason"] = part.reason
    return content
