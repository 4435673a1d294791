"""Tells what happened in a store while it was disconnected, as far as ECS still remembers.

Containers on a host that loses its connection go on running; one that ends stays down until the
host is back (amazon-ecs-agent #2916), and its agent then reports what happened. ECS shows stopped
tasks for about an hour.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.drift import HostConnection, HostMemory, Returned, Spell
from fleet.model.observed import Reading
from fleet.model.printable import listed, many
from fleet.model.services import TaskState
from fleet.rollout.decide.task_failures import counted, failures

#: How long ECS shows a task that has stopped (DescribeTasks, "at least one hour").
REMEMBERED = timedelta(hours=1)


def returned(case: StoreCase) -> Returned | None:
    """Return the story of a store whose hosts were all dark and are all back; None of others."""
    hosts = list(case.hosts.values())
    if not case.is_open or not all(host.takes_tasks for host in hosts):
        return None
    last_full_scan_at = case.background.last_full_scan_at
    outages = [
        found for host in hosts if (found := outage(host.memory, last_full_scan_at)) is not None
    ]
    if not hosts or len(outages) < len(hosts):
        return None
    dark_since = min(spell.since for spell in outages)
    last_dark = max(spell.last_seen for spell in outages)
    # Never before it was last seen dark.
    back_at = max(last_dark, *(_back_at(case, host) for host in hosts))
    parts = [*_tasks(case, hosts, dark_since, last_dark), *_boots(case, dark_since)]
    return Returned(
        store=case.store.id,
        dark_since=dark_since,
        back_at=back_at,
        words="; ".join(parts),
        owes="; ".join(_owes(case)),
        # Scans lie a night apart: it came back at some time since the last one that saw it dark.
        at_most=back_at - last_dark > REMEMBERED,
    )


def outage(memory: HostMemory, last_full_scan_at: datetime | None) -> Spell | None:
    """Return the dark spell that a connected host has just come out of, or None.

    Args:
        last_full_scan_at: when the last scan of the whole fleet began. Somebody may have scanned
            the store alone since then; the team still reads of it in the nightly report.
    """
    if not memory.spells:
        return None
    last = memory.spells[-1]
    if last.connection is HostConnection.DARK:
        return last
    if (
        last_full_scan_at is None
        or len(memory.spells) == 1
        or last.connection is not HostConnection.CONNECTED
    ):
        return None
    before = memory.spells[-2]
    untold = before.last_seen >= last_full_scan_at or last.since > last_full_scan_at
    return before if untold and before.connection is HostConnection.DARK else None


def _back_at(case: StoreCase, host: HostCase) -> datetime:
    """Return when it was first seen back."""
    return host.connection.since if host.connection else case.background.now


def _tasks(
    case: StoreCase, hosts: Iterable[HostCase], dark_since: datetime, last_dark: datetime
) -> Iterator[str]:
    tasks = case.seen.tasks
    if tasks is None:
        yield "what its tasks did was not asked"
        return
    if not isinstance(tasks, Reading):
        yield f"what its tasks did could not be read ({tasks.why})"
        return
    arns = {host.instance.arn for host in hosts if host.instance is not None}
    mine = [task for task in tasks.value if task.container_instance_arn in arns]
    forgotten = tasks.at - last_dark > REMEMBERED
    services = dict.fromkeys(one.service for one in case.wanted.services)
    services |= dict.fromkeys(task.service for task in mine if task.service)
    new = _made_since(case, dark_since)
    alike: dict[str, list[str]] = {}
    unsure = False
    for service in services:
        of_it = [task for task in mine if task.service == service]
        lost = [t for t in of_it if _ended(t, dark_since)]
        began = _began(of_it, dark_since)
        if service in new and began and not lost:
            alike.setdefault(f"started for the first time{_at(began)}", []).append(service)
            continue
        alike.setdefault(_story(of_it, lost, began, dark_since), []).append(service)
        unsure = unsure or bool(forgotten and began and not lost)
    for words, those in alike.items():
        yield f"{listed(those)} {words}"
    if unsure:
        yield "ECS has forgotten tasks that stopped more than an hour ago"


def _story(
    tasks: Sequence[TaskState],
    lost: Sequence[TaskState],
    began: Sequence[TaskState],
    dark_since: datetime,
) -> str:
    kept = [t for t in tasks if _runs(t) and t not in began]
    at = _at(began)
    if lost:
        why = _why(lost, dark_since)
        then = ", the others ran on" if kept else ", and does not run again"
        if began:
            then = f", started again{at}"
        times = "lost" if len(lost) == 1 else f"lost {len(lost)} times"
        return f"{times}: {why}{then}"
    if began:
        return f"started again{at}"
    return "ran on without a break" if kept else "does not run"


def _at(began: Sequence[TaskState]) -> str:
    latest = max((t.started_at for t in began if t.started_at), default=None)
    return f" {latest.astimezone(UTC):%H:%MZ}" if latest else ""


def _made_since(case: StoreCase, dark_since: datetime) -> frozenset[str]:
    """Return services that did not exist when the store went dark."""
    seen = case.seen.services
    if not isinstance(seen, Reading):
        return frozenset()
    made = (s for s in seen.value if s.created_at is not None and s.created_at > dark_since)
    return frozenset(service.name for service in made)


def _why(lost: Sequence[TaskState], dark_since: datetime) -> str:
    """Return why tasks ended; those that a person or the scheduler stopped have not failed."""
    by_revision = {task.task_definition for task in lost}
    # A task from before the absence has failed in it all the same.
    since = datetime.min.replace(tzinfo=UTC)
    found = [f for arn in sorted(by_revision) for f in failures(lost, arn, since)]
    if found:
        away = all(f.at is None or f.at >= dark_since for f in found)
        return counted(found) + (" while away" if away else "")
    replaced = many(len(lost), "task")
    return f"{replaced} stopped by {'its service' if _by_scheduler(lost) else 'somebody'}"


def _by_scheduler(lost: Sequence[TaskState]) -> bool:
    return all(task.stop_code == "ServiceSchedulerInitiated" for task in lost)


def _ended(task: TaskState, since: datetime) -> bool:
    stopped = task.stopped_at
    return task.last_status == "STOPPED" and (stopped is None or stopped >= since)


def _runs(task: TaskState) -> bool:
    return task.last_status == "RUNNING" and task.desired_status == "RUNNING"


def _began(tasks: Iterable[TaskState], since: datetime) -> list[TaskState]:
    return [t for t in tasks if _runs(t) and t.started_at is not None and t.started_at >= since]


def _boots(case: StoreCase, dark_since: datetime) -> Iterator[str]:
    """Return reboots, known only of hosts that were asked."""
    booted = {
        name: reading.value.booted_at
        for name, reading in sorted(case.seen.probes.items())
        if isinstance(reading, Reading) and reading.value.booted_at is not None
    }
    stayed = [name for name, at in booted.items() if at < dark_since]
    if stayed:
        yield "no reboot" if len(stayed) == len(case.hosts) else f"no reboot of {listed(stayed)}"
    for name, at in booted.items():
        if name not in stayed:
            yield f"{name} rebooted {at.astimezone(UTC):%H:%MZ}"


def _owes(case: StoreCase) -> Iterator[str]:
    for service, owed in sorted(case.wanted.owed.items()):
        yield f"{service} of {owed.rollout} ({owed.words})"
