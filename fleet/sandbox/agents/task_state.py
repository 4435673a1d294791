"""The state of a task in the ECS agent: its payload, its current, stored and reported state.

Field names and forms are those of agent-protocol.md §2.3 and §3.4: engine settings are JSON in
strings, the health check is Docker's ``Healthcheck`` with nanoseconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fleet.sandbox.agents.containers import INTERVAL_S, RETRIES, Container, HealthCheck

LABEL_TASK = "com.amazonaws.ecs.task-arn"
LABEL_CONTAINER = "com.amazonaws.ecs.container-name"
_NANO = 1e9
RESTART_PERIOD_S = 300.0
#: From where Docker gives out host ports that nobody asked for by number.
_FIRST_DYNAMIC_PORT = 32768


class Unrecognised(Exception):
    """A task that the agent cannot make anything of; the message says why."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``restartPolicy`` of a container that has it enabled.

    Attributes:
        ignored_exit_codes: ends that are not answered with a restart.
        attempt_period_s: it must have run so long before it is restarted.
    """

    ignored_exit_codes: tuple[int, ...] = ()
    attempt_period_s: float = RESTART_PERIOD_S


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """A container of a task, as asked for.

    Attributes:
        ports: ``{"containerPort", "hostPort", "protocol"}`` each; host port 0 is any.
        stop_timeout_s: between SIGTERM and SIGKILL; None is the agent's own.
    """

    name: str
    image: str
    essential: bool = True
    ports: tuple[Mapping[str, Any], ...] = ()
    stop_timeout_s: float | None = None
    restart: RestartPolicy | None = None
    check: HealthCheck | None = None


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task, as asked for."""

    arn: str
    family: str
    version: str
    cluster_arn: str = ""
    containers: tuple[ContainerPlan, ...] = field(default=())


def read_task(content: Mapping[str, Any]) -> TaskPlan:
    """Read a task of a payload; raise Unrecognised when the agent would not take it."""
    arn = str(content.get("arn", ""))
    containers = content.get("containers")
    if not isinstance(containers, list) or not containers:
        raise Unrecognised("the task has no containers")
    try:
        plans = tuple(_container(each) for each in containers)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Unrecognised(f"{type(error).__name__}: {error}") from error
    if len({plan.name for plan in plans}) < len(plans):
        raise Unrecognised("two containers have one name")
    return TaskPlan(
        arn,
        str(content.get("family", "")),
        str(content.get("version", "")),
        str(content.get("taskClusterArn", "")),
        plans,
    )


def bindings(plan: ContainerPlan, taken: int) -> list[dict[str, Any]]:
    """Return ``networkBindings`` of a container; ``taken`` free ports are in use."""
    return [
        {
            "bindIP": "0.0.0.0",  # noqa: S104 - what Docker reports; nothing is bound
            "containerPort": int(port["containerPort"]),
            "hostPort": int(port.get("hostPort") or 0) or _FIRST_DYNAMIC_PORT + taken + number,
            "protocol": str(port.get("protocol") or "tcp"),
        }
        for number, port in enumerate(plan.ports)
    ]


def _container(content: Mapping[str, Any]) -> ContainerPlan:
    policy = content.get("restartPolicy") or {}
    restart = None
    if policy.get("enabled"):
        restart = RestartPolicy(
            tuple(int(code) for code in policy.get("ignoredExitCodes") or ()),
            float(policy.get("restartAttemptPeriod") or RESTART_PERIOD_S),
        )
    timeout = content.get("stopTimeout")
    name, image = content["name"], content["image"]
    if not isinstance(name, str) or not isinstance(image, str) or not name or not image:
        message = "a container needs a name and an image"
        raise ValueError(message)
    return ContainerPlan(
        name,
        image,
        essential=bool(content.get("essential", True)),
        ports=tuple(dict(port) for port in content.get("portMappings") or ()),
        stop_timeout_s=float(timeout) if timeout else None,
        restart=restart,
        check=_check(content),
    )


def _check(content: Mapping[str, Any]) -> HealthCheck | None:
    """Read ``dockerConfig.config``, which the agent hands to Docker."""
    if content.get("healthCheckType") != "docker":
        return None
    config = json.loads((content.get("dockerConfig") or {}).get("config") or "{}")
    check = config.get("Healthcheck")
    if not check:
        return None
    return HealthCheck(
        float(check.get("Interval") or INTERVAL_S * _NANO) / _NANO,
        int(check.get("Retries") or RETRIES),
        float(check.get("StartPeriod") or 0) / _NANO,
    )


def labels(cluster: str, plan: TaskPlan, container: ContainerPlan) -> dict[str, str]:
    """Return those of a container of a task in a cluster, as the agent sets them."""
    return {
        "com.amazonaws.ecs.cluster": cluster,
        LABEL_TASK: plan.arn,
        LABEL_CONTAINER: container.name,
        "com.amazonaws.ecs.task-definition-family": plan.family,
        "com.amazonaws.ecs.task-definition-version": plan.version,
    }


@dataclass(slots=True)
class TaskPart:
    """A container of a task.

    Attributes:
        id: of the container once it is made, else "".
        pulled: whether its image is there.
        digest: that a pull resolved; "" for a cached image, as the agent has it.
        over: whether it will not run again.
        reason: the agent's error about it, or "".
        restarts: how often its restart policy has started it again.
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
    restarts: int = 0

    def end(self, container: Container) -> None:
        """Note that its container has ended for good."""
        self.over = True
        self.exit_code = container.exit_code

    def may_restart(self, container: Container) -> bool:
        """Say whether its restart policy restarts it, also offline."""
        policy = self.plan.restart
        if policy is None or container.started_at is None or container.finished_at is None:
            return False
        lived = container.finished_at - container.started_at
        return (
            container.exit_code not in policy.ignored_exit_codes
            and lived >= policy.attempt_period_s
        )


@dataclass(slots=True)
class AgentTask:
    """A task.

    Attributes:
        content: as the control plane sent it; ``plan`` is read from it.
        desired: RUNNING or STOPPED.
        status: NONE (on its way), RUNNING or STOPPED.
        reported: the last status that AWS has.
        stopped_at: epoch seconds, or None.
    """

    content: Mapping[str, Any]
    plan: TaskPlan
    parts: list[TaskPart]
    desired: str = "RUNNING"
    status: str = "NONE"
    reported: str = "NONE"
    stopped_at: float | None = None

    @property
    def arn(self) -> str:
        """Return the ARN of the task."""
        return self.plan.arn

    @property
    def over(self) -> bool:
        """Say whether nothing of it runs or will run."""
        return all(part.over for part in self.parts)

    def as_json(self) -> dict[str, Any]:
        """Return what the state file holds of it."""
        kept = {name: getattr(self, name) for name in _TASK_FIELDS}
        parts = [{name: getattr(part, name) for name in _PART_FIELDS} for part in self.parts]
        return {**kept, "parts": parts}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> "AgentTask":
        """Return a new task of a payload; raise Unrecognised when the agent would not take it."""
        plan = read_task(content)
        return cls(dict(content), plan, [TaskPart(each) for each in plan.containers])

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "AgentTask":
        """Return the task that ``as_json`` gave and JSON kept."""
        plan = read_task(kept["content"])
        pairs = zip(plan.containers, kept["parts"], strict=True)
        parts = [TaskPart(container, **part) for container, part in pairs]
        return cls(**{**kept, "plan": plan, "parts": parts})

    def state_change(self, cluster: str) -> dict[str, Any]:
        """Return the body of SubmitTaskStateChange (agent-protocol.md §2.3)."""
        body: dict[str, Any] = {
            "cluster": cluster,
            "task": self.arn,
            "status": self.status,
            "reason": "",
            "containers": [_container_change(part, self.status) for part in self.parts],
        }
        pulls = [part for part in self.parts if part.pull_started_at is not None]
        if pulls:
            body["pullStartedAt"] = min(p.pull_started_at or 0.0 for p in pulls)
            body["pullStoppedAt"] = max(p.pull_stopped_at or 0.0 for p in pulls)
        if self.stopped_at is not None:
            body["executionStoppedAt"] = self.stopped_at
        return body


_TASK_FIELDS = tuple(part.name for part in fields(AgentTask) if part.name not in {"plan", "parts"})
_PART_FIELDS = tuple(part.name for part in fields(TaskPart) if part.name != "plan")


def _container_change(part: TaskPart, task_status: str) -> dict[str, Any]:
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
