"""The task engine of the ECS agent: starts the containers of a payload and reports their states.

Behaviour is that of amazon-ecs-agent 1.105.1 (agent-protocol.md §2.3, §3, §5; ecs-anywhere.md §3).
A task's life is driven by events only; while nothing happens it has no timer. Left out:
``dependsOn``, links, resources, roles and secrets, and the SubmitTaskStateChange PENDING that
carries nothing but a digest; a container is as good as its image.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.containers import Container, Containers
from fleet.sandbox.agents.image_store import Download, Pulled
from fleet.sandbox.agents.machine import Machine, text_of
from fleet.sandbox.agents.outbox import Outbox
from fleet.sandbox.agents.registration import Settings
from fleet.sandbox.agents.task_state import (
    LABEL_TASK,
    AgentTask,
    TaskPart,
    Unrecognised,
    bindings,
    labels,
)

#: A sidecar's end alone is told by a ticker of 10 to 30 s (agent-protocol.md §2.3).
SIDECAR_TOLD_AFTER_S = 20.0


class TaskEngine:
    """The tasks of one agent.

    All of it happens under the containers' lock; what goes to AWS is queued and sent without it.

    Args:
        machine: the host.
        containers: its engine; outlives the agent.
        outbox: for state changes.
        tell_health: called when the health of a container changed.
        log: the agent's log.
    """

    def __init__(
        self,
        machine: Machine,
        containers: Containers,
        *,
        outbox: Outbox,
        tell_health: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self._machine = machine
        self._containers = containers
        self._outbox = outbox
        self._tell_health = tell_health
        self._log = log
        self._life = 0
        self._cluster = ""
        self._settings = Settings()
        self._save: Callable[[list[dict[str, Any]]], None] = lambda _: None
        self._tasks: dict[str, AgentTask] = {}
        self._downloads: dict[tuple[str, str], Download] = {}

    def start(
        self,
        cluster: str,
        settings: Settings,
        saved: list[dict[str, Any]],
        save: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        """Take up the tasks of the state file: see what became of them, and tell what is new.

        Containers that ended meanwhile (a reboot, a crash without an agent) end their task now.
        """
        with self._containers.lock:
            self._life += 1
            self._cluster, self._settings, self._save = cluster, settings, save
            try:
                tasks = [AgentTask.from_json(content) for content in saved]
            except (KeyError, TypeError, ValueError) as error:
                self._log(f"the saved tasks cannot be read, their containers are orphans: {error}")
                tasks = []
            self._tasks = {task.arn: task for task in tasks}
            self._containers.listener = self
            for task in tasks:
                self._take_up(task)
            self._keep()

    def stop(self) -> None:
        """Stop with the agent; containers run on, pulls do not."""
        with self._containers.lock:
            self._life += 1
            for download in self._downloads.values():
                self._containers.images.cancel_pull(download)
            self._downloads = {}
            self._outbox.clear()
            if self._containers.listener is self:
                self._containers.listener = None

    def payload(self, tasks: list[Mapping[str, Any]]) -> bool:
        """Take the tasks of a PayloadMessage; whether it may be acknowledged.

        A task that is known already is only told what is desired of it, so that a repeated
        payload changes nothing. One that cannot be parsed is reported STOPPED, and then the
        payload is not acknowledged, though its other tasks start.
        """
        good = True
        with self._containers.lock:
            for content in tasks:
                arn = text_of(content.get("arn"))
                desired = content.get("desiredStatus", "RUNNING")
                if not arn:
                    good = False
                elif arn in self._tasks:
                    if desired == "STOPPED":
                        self._want_stopped(self._tasks[arn])
                elif desired == "STOPPED":
                    self._report_unknown(arn, "")
                else:
                    good = self._accept(arn, content) and good
            self._keep()
        return good

    def stop_candidates(self, manifest: list[Mapping[str, Any]]) -> list[dict[str, str]]:
        """Return the tasks that run here and that a manifest does not list as RUNNING."""
        listed = {
            each.get("taskArn") for each in manifest if each.get("desiredStatus") == "RUNNING"
        }
        with self._containers.lock:
            return [
                {
                    "taskArn": task.arn,
                    "taskClusterArn": task.plan.cluster_arn,
                    "desiredStatus": "STOPPED",
                }
                for task in self._tasks.values()
                if task.desired == "RUNNING" and task.status != "STOPPED" and task.arn not in listed
            ]

    def stop_tasks(self, arns: list[str]) -> None:
        """Stop those of them that are here."""
        with self._containers.lock:
            for arn in arns:
                if (task := self._tasks.get(arn)) is not None:
                    self._want_stopped(task)
            self._keep()

    def health(self) -> list[dict[str, Any]]:
        """Return ``tasks`` of PublishHealthRequest: containers whose check has a result."""
        with self._containers.lock:
            told = []
            for task in self._tasks.values():
                states = [
                    {"containerName": part.plan.name, "healthStatus": container.health.upper()}
                    for part in task.parts
                    if (container := self._containers.find(part.id)) is not None
                    and container.health in {"healthy", "unhealthy"}
                ]
                if states:
                    told.append({"taskArn": task.arn, "containers": states})
            return told

    def tasks(self) -> list[AgentTask]:
        """Return what the agent knows of, also what has stopped lately."""
        with self._containers.lock:
            return list(self._tasks.values())

    def restarts(self, container_id: str) -> int | None:
        """Return the RestartCount of task metadata v4; None for one without a restart policy."""
        with self._containers.lock:
            for task in self._tasks.values():
                for part in task.parts:
                    if part.id == container_id:
                        return None if part.plan.restart is None else part.restarts
        return None

    def exited(self, container: Container) -> None:
        """Restart a container that ended, end its task, or note it."""
        task, part = self._find(container)
        if task is None or part is None or part.over:
            return
        if task.desired == "RUNNING" and part.may_restart(container):
            self._log(f"restarting {container.name}, which ended with {container.exit_code}")
            part.restarts += 1
            self._start(task, part)
            self._keep()
            return
        part.end(container)
        if part.plan.essential or task.over:
            self._wind_up(task)
        else:
            self._later(SIDECAR_TOLD_AFTER_S, lambda: self._tell_sidecar(task))
        self._keep()

    def health_changed(self, container: Container) -> None:
        """Report to AWS that the result of a health check changed."""
        if container.labels.get(LABEL_TASK) in self._tasks:
            self._tell_health()

    def _accept(self, arn: str, content: Mapping[str, Any]) -> bool:
        try:
            task = AgentTask.from_content(content)
        except Unrecognised as error:
            self._report_unknown(arn, f"UnrecogniedTaskError: {error}")
            return False
        self._tasks[arn] = task
        self._begin(task)
        return True

    def _report_unknown(self, arn: str, reason: str) -> None:
        body = {"cluster": self._cluster, "task": arn, "status": "STOPPED", "reason": reason}
        self._outbox.put(arn, body, lambda: None)

    def _take_up(self, task: AgentTask) -> None:
        """Go on with a task that was saved."""
        if task.status == "STOPPED":
            if task.reported == "STOPPED":
                self._clear_away_later(task)
            else:
                self._tell(task)
            return
        for part in task.parts:
            container = self._containers.find(part.id) if part.id else None
            if part.id and container is None and not part.over:
                part.over, part.reason = True, "CannotInspectContainerError: No such container"
            elif container is not None and container.status == "exited" and not part.over:
                part.end(container)
        if task.desired == "STOPPED" or any(p.over and p.plan.essential for p in task.parts):
            self._wind_up(task)
        elif not all(part.id for part in task.parts):
            self._begin(task)
        else:
            for part in task.parts:
                container = self._containers.find(part.id)
                if container is not None and container.status == "created" and not part.over:
                    self._start(task, part)
            self._see_whether_running(task)

    def _begin(self, task: AgentTask) -> None:
        for part in task.parts:
            if not part.id and not part.pulled:
                self._pull(task, part)
        self._create_when_pulled(task)

    def _pull(self, task: AgentTask, part: TaskPart) -> None:
        cached = self._containers.images.cached(part.plan.image)
        if cached is not None and self._settings.pull in {"once", "prefer-cached"}:
            part.pulled = True
            return
        life = self._life
        began = self._machine.clock.now()

        def done(pulled: Pulled) -> None:
            if life != self._life:
                return
            self._downloads.pop((task.arn, part.plan.name), None)
            still_there = self._containers.images.cached(part.plan.image) is not None
            if not pulled.error:
                part.pull_started_at, part.pull_stopped_at = began, self._machine.clock.now()
                part.digest, part.pulled = pulled.digest, True
                self._create_when_pulled(task)
            elif self._settings.pull == "default" and still_there:
                self._log(f"using the cached {part.plan.image}: {pulled.error}")
                part.pulled = True
                self._create_when_pulled(task)
            else:
                self._log(f"task {task.arn}: {pulled.error}")
                part.over, part.reason = True, pulled.error
                self._wind_up(task)
            self._keep()

        download = self._containers.images.pull(part.plan.image, done)
        self._downloads[task.arn, part.plan.name] = download

    def _create_when_pulled(self, task: AgentTask) -> None:
        if task.desired == "STOPPED" or not all(part.pulled for part in task.parts):
            return
        ports = 0
        for part in task.parts:
            if not part.id:
                part.bindings = bindings(part.plan, ports)
                ports += len(part.bindings)
                self._create(task, part)
                self._start(task, part)

    def _create(self, task: AgentTask, part: TaskPart) -> None:
        seed = f"{self._machine.id} {task.arn} {part.plan.name}"
        part.id = hashlib.sha256(seed.encode()).hexdigest()
        plan = task.plan
        self._containers.create(
            Container(
                part.id,
                f"ecs-{plan.family}-{plan.version}-{part.plan.name}-{part.id[:20]}",
                part.plan.image,
                labels(self._cluster, plan, part.plan),
                [f"{each['protocol']}/{each['hostPort']}" for each in part.bindings],
                part.plan.check,
            )
        )

    def _start(self, task: AgentTask, part: TaskPart) -> None:
        life = self._life

        def started(container: Container) -> None:
            if life != self._life:
                return
            if container.error:
                part.over, part.reason = True, container.error
                self._wind_up(task)
            elif task.desired == "STOPPED":
                self._containers.stop(container.id, self._patience(part))
            else:
                self._see_whether_running(task)
            self._keep()

        self._containers.start(part.id, started)

    def _see_whether_running(self, task: AgentTask) -> None:
        states = [self._containers.find(part.id) for part in task.parts if not part.over]
        if task.status == "NONE" and all(c is not None and c.status == "running" for c in states):
            task.status = "RUNNING"
        if task.status == "RUNNING" and task.reported == "NONE":
            self._tell(task)

    def _want_stopped(self, task: AgentTask) -> None:
        if task.desired != "STOPPED" and task.status != "STOPPED":
            self._log(f"stopping {task.arn}")
            self._wind_up(task)

    def _wind_up(self, task: AgentTask) -> None:
        """End what still runs of it, and tell AWS once nothing does."""
        task.desired = "STOPPED"
        for part in task.parts:
            download = self._downloads.pop((task.arn, part.plan.name), None)
            if download is not None:
                self._containers.images.cancel_pull(download)
            if part.over:
                continue
            if not part.id:
                part.over = True
                continue
            self._containers.stop(part.id, self._patience(part))
        if task.over and task.status != "STOPPED":
            task.status, task.stopped_at = "STOPPED", self._machine.clock.now()
            self._tell(task)

    def _patience(self, part: TaskPart) -> float:
        timeout = part.plan.stop_timeout_s
        return self._settings.stop_timeout_s if timeout is None else timeout

    def _clear_away_later(self, task: AgentTask) -> None:
        age = self._machine.clock.now() - (task.stopped_at or 0.0)
        self._later(self._settings.task_cleanup_s - age, lambda: self._clear_away(task))

    def _clear_away(self, task: AgentTask) -> None:
        for part in task.parts:
            self._containers.remove(part.id)
        self._tasks.pop(task.arn, None)
        self._keep()

    def _tell_sidecar(self, task: AgentTask) -> None:
        if task.status == "RUNNING":
            self._tell(task)

    def _tell(self, task: AgentTask) -> None:
        """Queue what is known of it now."""
        life, status = self._life, task.status

        def sent() -> None:
            with self._containers.lock:
                if life != self._life:
                    return
                task.reported = status
                self._keep()
                if status == "STOPPED":
                    self._clear_away_later(task)

        self._outbox.put(task.arn, task.state_change(self._cluster), sent)

    def _find(self, container: Container) -> tuple[AgentTask | None, TaskPart | None]:
        task = self._tasks.get(container.labels.get(LABEL_TASK, ""))
        parts = task.parts if task is not None else ()
        return task, next((part for part in parts if part.id == container.id), None)

    def _later(self, seconds: float, step: Callable[[], None]) -> None:
        life = self._life

        def run() -> None:
            with self._containers.lock:
                if life == self._life:
                    step()

        self._machine.schedule.at(self._machine.clock.now() + max(0.0, seconds), run)

    def _keep(self) -> None:
        self._save([task.as_json() for task in self._tasks.values()])
