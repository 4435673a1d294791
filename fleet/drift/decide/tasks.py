"""Reports tasks with another image or revision than they should have, of no service, or stuck.

Only tasks on connected hosts prove anything: of a disconnected host ECS shows what it last heard,
for ever (amazon-ecs-agent #818).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.commands import host_command, stop_task
from fleet.drift.decide.service_case import (
    Images,
    ServiceCase,
    back_since,
    by_instance,
    images_of,
    wanted_services,
)
from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.drift import Evidence, Finding
from fleet.model.observed import Reading
from fleet.model.printable import printable
from fleet.model.services import TaskState, revision
from fleet.model.spans import moment, span

#: How long a task may take to stop: containers get 30 s unless the agent or the task definition
#: says otherwise (ECS_CONTAINER_STOP_TIMEOUT), and agents reconnect within minutes.
STOP_S = 900.0
_ON_ITS_WAY = frozenset({"RUNNING", "DEACTIVATING", "STOPPING"})


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The tasks on connected hosts, with what the rules need beside them."""

    case: StoreCase
    services: dict[str, ServiceCase]
    known: frozenset[str]
    images: Images
    at: datetime

    def says(self, words: str) -> Evidence:
        return Evidence("ECS", words, self.at)


def of_digests(case: StoreCase) -> list[Finding]:
    """Report what is wrong with the tasks of one store, where they were asked for and read."""
    tasks, services = case.seen.tasks, case.seen.services
    asked = case.background.digests and case.is_open
    if not asked or not isinstance(tasks, Reading) or not isinstance(services, Reading):
        return []
    seen = _Tasks(
        case,
        {one.name: one for one in wanted_services(case)},
        frozenset(one.name for one in services.value if one.status != "INACTIVE"),
        images_of(case),
        tasks.at,
    )
    hosts = {arn: host for arn, host in by_instance(case).items() if host.takes_tasks}
    found: list[Finding] = []
    for task in tasks.value:
        host = hosts.get(task.container_instance_arn)
        if host is not None and task.last_status in _ON_ITS_WAY:
            found += _of_task(seen, task, host)
    return _once(found)


def _once(found: list[Finding]) -> list[Finding]:
    """Keep the first of several tasks that are wrong in the same way."""
    return list({one.key: one for one in reversed(found)}.values())[::-1]


def _of_task(seen: _Tasks, task: TaskState, host: HostCase) -> Iterator[Finding]:
    if task.service in seen.case.wanted.rolling:
        return
    if task.desired_status == "STOPPED":
        yield from _stuck(seen, task, host)
        return
    if task.last_status != "RUNNING":
        return
    one = seen.services.get(task.service)
    if one is not None:
        yield from _old(seen, one, task, host)
        yield from _drift(seen, task, host)
    elif task.service not in seen.known:
        yield _orphan(seen, task, host)


def _stuck(seen: _Tasks, task: TaskState, host: HostCase) -> Iterator[Finding]:
    """Report a task that does not stop, where ECS tells since when it should have."""
    began = task.stopping_at
    if began is None:
        return
    back = back_since((host,))
    lasted = (seen.at - (max(began, back) if back else began)).total_seconds()
    if lasted <= STOP_S:
        return
    name, id_ = host.host.name, task.id
    of = f"of {task.service} " if task.service else ""
    why = printable(task.stopped_reason, limit=120)
    yield seen.case.found(
        codes.TASK_STUCK_STOPPING,
        f"task {id_[:8]} {of}should have stopped at {moment(began)} and is still "
        f"{task.last_status} on {name}, which is connected",
        seen.says(
            f"lastStatus {task.last_status}, desiredStatus STOPPED{': ' + why if why else ''}"
        ),
        host=name,
        subject=id_,
        fix=host_command(seen.case, host, "systemctl restart ecs"),
        since=began,
        data={"task": task.arn, "stop_code": task.stop_code},
    )


def _old(seen: _Tasks, one: ServiceCase, task: TaskState, host: HostCase) -> Iterator[Finding]:
    """Report a task that a complete deployment has left behind."""
    service, primary = one.service, one.primary
    if service is None or primary is None or task.task_definition == service.task_definition:
        return
    ended = primary.updated_at or primary.created_at
    if primary.rollout_state != "COMPLETED" or ended is None:
        return
    back = back_since((host,))
    lasted = (seen.at - (max(ended, back) if back else ended)).total_seconds()
    if lasted < one.deadline_s:
        return
    name = host.host.name
    yield seen.case.found(
        codes.TASK_OLD_REVISION,
        f"a task of {one.name} on {name} runs {revision(task.task_definition)}, and the service "
        f"has {revision(service.task_definition)} for {span(lasted)}",
        seen.says(f"task {task.id[:8]} runs {revision(task.task_definition)}"),
        one.says(f"deployment of {revision(service.task_definition)} COMPLETED"),
        host=name,
        subject=one.name,
        fix=stop_task(seen.case, task),
        since=ended,
        data={"task": task.arn, "runs": task.task_definition, "wanted": service.task_definition},
    )


def _drift(seen: _Tasks, task: TaskState, host: HostCase) -> Iterator[Finding]:
    for container in task.containers:
        found = seen.images.mismatch(
            task.service, container.name, container.image, container.image_digest
        )
        if found is None or container.status not in {"", "RUNNING"}:
            continue
        name = host.host.name
        yield seen.case.found(
            codes.IMAGE_DRIFT,
            f"{container.name} of {task.service} on {name} runs {found}",
            seen.says(f"imageDigest {found.digest}"),
            Evidence("inventory", f"pins {found.pinned}"),
            host=name,
            subject=f"{task.service}/{container.name}",
            fix=stop_task(seen.case, task),
            severity=found.severity,
            data={"task": task.arn, "digest": found.digest, "pinned": found.pinned},
        )


def _orphan(seen: _Tasks, task: TaskState, host: HostCase) -> Finding:
    name, runs = host.host.name, revision(task.task_definition)
    of = f"of {task.service}, which the cluster does not have," if task.service else "of no service"
    return seen.case.found(
        codes.TASK_ORPHAN,
        f"a task {of} runs {runs} on {name}",
        seen.says(f"task {task.id[:8]} RUNNING"),
        host=name,
        subject=task.id,
        fix=stop_task(seen.case, task),
        since=task.started_at,
        data={"task": task.arn, "runs": task.task_definition},
    )
