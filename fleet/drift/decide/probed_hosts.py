"""Reads what hosts answer when they are asked (``--deep``), and compares it with limits and ECS.

A host that could not be asked is reported as unread. ECS's tasks were read before the hosts were
asked, so what began or ended in between is no finding.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.commands import host_command, stop_task
from fleet.drift.decide.service_case import Images, images_of
from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.commands import Command
from fleet.model.drift import Evidence, Finding, Probe, ProbedContainer
from fleet.model.drift_settings import Severity
from fleet.model.observed import NotRead, Reading
from fleet.model.printable import many, printable
from fleet.model.services import TaskState
from fleet.model.spans import moment, span
from fleet.rollout.decide.restarts import restarts_at_least

#: What is younger than this may be news to ECS or to docker, and is no finding yet.
YOUNG = timedelta(minutes=5)
#: Tasks read longer ago than this, before the host was asked, prove nothing of it.
OLD = timedelta(minutes=30)
#: Share of the limit below which little disk is a matter of today.
_URGENT = 0.5
#: Containers that the agent makes for itself, as the one that holds a network.
_INTERNAL = "~internal~"
_MIB_PER_GB = 1024
_DAY, _SECOND = timedelta(days=1), timedelta(seconds=1)


def of_hosts(case: StoreCase) -> list[Finding]:
    """Report what is wrong on the hosts of one store that were asked and have answered."""
    if not case.seen.probes or not case.is_open:
        return []
    found: list[Finding] = []
    images = images_of(case)
    for name, host in case.hosts.items():
        reading = case.seen.probes.get(name)
        if isinstance(reading, Reading):
            probed = _Probed(case, host, reading.value, reading.at, images)
            found += _of_host(probed)
    return found


def too_old(
    probe: Reading[Probe] | NotRead, tasks: Reading[tuple[TaskState, ...]] | NotRead | None
) -> bool:
    """Tell whether the tasks were read too long before the host was asked to be compared."""
    if not isinstance(probe, Reading) or not isinstance(tasks, Reading):
        return False
    return abs(probe.at - tasks.at) > OLD


@dataclass(frozen=True, slots=True)
class _Probed:
    """A host that has answered."""

    case: StoreCase
    host: HostCase
    probe: Probe
    at: datetime
    images: Images

    @property
    def name(self) -> str:
        return self.host.host.name

    def says(self, words: str) -> Evidence:
        return Evidence("host", f"{words} (by {self.probe.via})", self.at)

    def command(self, command: str, *, sends: bool = True) -> Command:
        return host_command(self.case, self.host, command, sends=sends)


def _of_host(seen: _Probed) -> Iterator[Finding]:
    yield from _disk(seen)
    yield from _heat(seen)
    yield from _clock(seen)
    tasks = seen.case.seen.tasks
    instance = seen.host.instance
    if isinstance(tasks, Reading) and instance is not None and seen.host.takes_tasks:
        if too_old(seen.case.seen.probes[seen.name], tasks):
            return  # It is reported as unread.
        mine = {t.arn: t for t in tasks.value if t.container_instance_arn == instance.arn}
        yield from _missing(seen, mine, tasks.at)
        yield from _loops(seen, mine)
        # Tasks that are stopping are not listed with the others; ECS counts them as running.
        if sum(t.last_status == "RUNNING" for t in mine.values()) >= instance.running_tasks:
            yield from _unknown(seen, {t.arn for t in tasks.value}, tasks.at)
        yield from _old_images(seen, mine)


def _disk(seen: _Probed) -> Iterator[Finding]:
    limit, free = seen.case.background.settings.disk_free_mb, seen.probe.disk_free_mb
    if free >= limit:
        return
    total = f" of {_gb(seen.probe.disk_total_mb)}" if seen.probe.disk_total_mb else ""
    yield seen.case.found(
        codes.DISK_LOW,
        f"{_gb(free)}{total} are free on {seen.name} (limit {_gb(limit)})",
        seen.says(f"{free} MiB free on /"),
        host=seen.name,
        fix=seen.command("docker image prune --all --force --filter until=168h"),
        severity=Severity.HIGH if free < _URGENT * limit else None,
        data={"free_mb": free, "limit_mb": limit},
    )


def _gb(mib: int) -> str:
    return f"{mib / _MIB_PER_GB:.1f} GB"


def _heat(seen: _Probed) -> Iterator[Finding]:
    limit, heat = seen.case.background.settings.temperature_c, seen.probe.temperature_c
    if heat is None or heat <= limit:
        return
    yield seen.case.found(
        codes.HOT,
        f"{seen.name} is at {heat:.0f} °C (limit {limit:.0f} °C)",
        seen.says(f"{heat:.1f} °C"),
        host=seen.name,
        fix=seen.command("cat /sys/class/thermal/thermal_zone*/temp", sends=False),
        data={"temperature_c": heat, "limit_c": limit},
    )


def _clock(seen: _Probed) -> Iterator[Finding]:
    limit, offset = seen.case.background.settings.clock_s, seen.probe.clock_offset_s
    if abs(offset) <= limit:
        return
    way = "ahead" if offset > 0 else "behind"
    yield seen.case.found(
        codes.CLOCK_WRONG,
        f"the clock of {seen.name} is {span(abs(offset))} {way} (limit {span(limit)})",
        seen.says(f"clock {offset:+.1f} s"),
        host=seen.name,
        fix=seen.command("timedatectl set-ntp true"),
        data={"offset_s": offset, "limit_s": limit},
    )


def _missing(seen: _Probed, tasks: Mapping[str, TaskState], at: datetime) -> Iterator[Finding]:
    there = {(one.task_arn, one.container) for one in seen.probe.containers}
    for task in tasks.values():
        started = task.started_at
        runs = task.last_status == task.desired_status == "RUNNING"
        in_work = task.service in seen.case.wanted.rolling
        if in_work or not runs or started is None or at - started < YOUNG:
            continue
        for container in task.containers:
            gone = container.status == "RUNNING" and (task.arn, container.name) not in there
            if gone and not _is_replaced(seen, container.name, at):
                yield _missing_one(seen, task, container.name, at)


def _loops(seen: _Probed, tasks: Mapping[str, TaskState]) -> Iterator[Finding]:
    """Report containers that their agent starts again and again, while ECS sees a task RUNNING.

    A rollout that is at work does not silence it: no release that is meant to run does that.
    """
    limit = seen.case.background.settings.restarts_per_day
    for one in seen.probe.containers:
        task = tasks.get(one.task_arn)
        if task is None:
            continue
        count = restarts_at_least(one, task.started_at, seen.probe.clock_offset_s)
        made = one.created_at or task.started_at
        lived = seen.at - made if made is not None else _DAY
        if max(count * min(1.0, _DAY / max(lived, _SECOND)), one.ends or 0) <= limit:
            continue
        code = "" if one.last_exit is None else f", last exit {one.last_exit}"
        yield seen.case.found(
            codes.CRASH_LOOP,
            f"{one.container} of {task.service} on {seen.name} was started again {count} times in "
            f"{span(lived.total_seconds())}{code} (limit {limit} a day), and its task is RUNNING",
            seen.says(f"{many(count, 'restart')}{code}"),
            Evidence("ECS", f"task {task.id[:8]} {task.last_status}"),
            host=seen.name,
            subject=f"{task.service}/{one.container}",
            fix=seen.command(_LOGS.format(task=_plain(one.task_arn)), sends=False),
            since=made,
            data={"task": task.arn, "restarts": count, "limit": limit},
        )


def _is_replaced(seen: _Probed, container: str, at: datetime) -> bool:
    """Tell whether a container of the same name began after ECS was asked."""
    return any(
        one.container == container and one.started_at is not None and one.started_at > at - YOUNG
        for one in seen.probe.containers
    )


def _missing_one(seen: _Probed, task: TaskState, container: str, at: datetime) -> Finding:
    running = len(seen.probe.containers)
    return seen.case.found(
        codes.CONTAINER_MISSING,
        f"ECS says that {container} of {task.service or 'no service'} runs on {seen.name}, and "
        f"docker does not run it ({running} others)",
        seen.says(f"docker runs {_named(seen.probe.containers)}"),
        Evidence("ECS", f"task {task.id[:8]} RUNNING", at),
        host=seen.name,
        subject=f"{task.service}/{container}",
        fix=seen.command("systemctl restart ecs"),
        data={"task": task.arn, "container": container},
    )


def _unknown(seen: _Probed, known: set[str], at: datetime) -> Iterator[Finding]:
    for one in seen.probe.containers:
        began = one.started_at
        young = began is not None and began > at - YOUNG
        if not one.task_arn or one.task_arn in known or young or _INTERNAL in one.container:
            continue
        since = f" since {moment(began)}" if began else ""
        yield seen.case.found(
            codes.CONTAINER_UNKNOWN,
            f"docker runs {printable(one.container, limit=80)} on {seen.name}{since}, and ECS has "
            "no such task",
            seen.says(f"label of task {_id(one.task_arn)[:8]}"),
            Evidence("ECS", "no such task", at),
            host=seen.name,
            subject=f"{_id(one.task_arn)}/{one.container}",
            fix=seen.command(_STOP_LABELLED.format(task=_plain(one.task_arn))),
            since=began,
            data={"task": one.task_arn, "container": one.container},
        )


#: Shows how the containers of one task ended.
_LOGS = (
    "docker ps --quiet --filter label=com.amazonaws.ecs.task-arn={task} | "
    "xargs -r -n1 docker logs --tail 50"
)
#: Stops what docker runs of one task; the ARN is checked for what a shell could take amiss.
_STOP_LABELLED = (
    "docker ps --quiet --filter label=com.amazonaws.ecs.task-arn={task} | xargs -r docker stop"
)


def _plain(arn: str) -> str:
    return "".join(c for c in arn if (c.isascii() and c.isalnum()) or c in ":/-_")


def _old_images(seen: _Probed, tasks: Mapping[str, TaskState]) -> Iterator[Finding]:
    """Report other images that only the host knows; ECS's own are reported from its tasks."""
    for one in seen.probe.containers:
        task = tasks.get(one.task_arn)
        if task is None or task.service in seen.case.wanted.rolling:
            continue
        told = next((c for c in task.containers if c.name == one.container), None)
        image = told.image if told else ""
        found = seen.images.mismatch(task.service, one.container, image, one.digest)
        if found is None:
            continue
        by_ecs = told is not None and told.image_digest == one.digest
        if by_ecs and seen.case.background.digests:
            continue
        yield seen.case.found(
            codes.CONTAINER_OLD_IMAGE,
            f"docker on {seen.name} runs {one.container} of {task.service} from {found}",
            seen.says(f"digest {found.digest}"),
            Evidence("inventory", f"pins {found.pinned}"),
            host=seen.name,
            subject=f"{task.service}/{one.container}",
            fix=stop_task(seen.case, task),
            severity=found.severity,
            data={"task": task.arn, "digest": found.digest, "pinned": found.pinned},
        )


def _named(containers: tuple[ProbedContainer, ...]) -> str:
    names = ", ".join(sorted(printable(one.container, limit=40) for one in containers))
    return names or "nothing"


def _id(arn: str) -> str:
    return arn.rpartition("/")[2]
