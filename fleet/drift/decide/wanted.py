"""Decides what each store should run: the committed release, what it owes, and who is at work.

A rollout hides differences in what it holds, because it makes them. One that is paused for weeks,
or that nobody ticks, would hide them for as long, so an idle rollout hides only what a release
would change.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.desired import DesiredService, Release
from fleet.model.drift import Background, ShardSeen
from fleet.model.history import ActiveRollout, RolloutSummary
from fleet.model.inventory import Lifecycle, Store, Workload
from fleet.model.observed import NotRead
from fleet.model.rollout import Hold
from fleet.model.scan_result import ReleaseLine
from fleet.model.services import ServiceState
from fleet.model.spans import moment
from fleet.model.verdicts import Stage
from fleet.model.wanted import IdleRollout, Owed, Wanted


def wanted_of(
    stores: Sequence[Store],
    release: Release | NotRead,
    owed: Iterable[tuple[str, Change]],
    holds: Iterable[Hold],
    now: datetime,
    *,
    idle: Collection[str] = frozenset(),
) -> dict[str, Wanted]:
    """Return what these stores should run, by store id.

    Args:
        release: without it nothing is known of services; what is owed still is.
        owed: rollout ids and changes as the records have them, oldest first; the latest counts.
        holds: stores and workloads that active rollouts have to themselves.
        now: since when a change without any time is owed, as in a rollout rebuilt from AWS's tags.
        idle: ids of idle rollouts.
    """
    services: dict[str, list[DesiredService]] = {}
    workloads: dict[str, str] = {}
    if not isinstance(release, NotRead):
        workloads = {name: shape.workload for name, shape in release.shapes.items()}
        for service in release.services:
            services.setdefault(service.store, []).append(service)
    debts: dict[str, dict[str, Owed]] = {}
    for rollout, change in owed:
        debts.setdefault(change.store, {})[change.service] = _owed(rollout, change, now)
    held = {(hold.store, hold.workload): hold.rollout for hold in holds}
    wanted = {}
    for store in stores:
        keys = ((name, (store.id, workload)) for name, workload in workloads.items())
        by = {name: held[key] for name, key in keys if key in held}
        wanted[store.id] = Wanted(
            store,
            tuple(services.get(store.id, ())),
            owed=debts.get(store.id, {}),
            rolling={name: rollout for name, rollout in by.items() if rollout not in idle},
            idle={name: rollout for name, rollout in by.items() if rollout in idle},
        )
    return wanted


def _owed(rollout: str, change: Change, now: datetime) -> Owed:
    words = change.verdict.value
    if change.stage is Stage.UNDONE:
        words = f"{words}, set back"
    since = change.since or change.looked_at or change.sent_at or now
    return Owed(rollout, change.service, change.content, words, since)


def idle_rollouts(
    rollouts: Iterable[ActiveRollout], now: datetime, limit_s: float
) -> tuple[IdleRollout, ...]:
    """Return the active rollouts that have been idle for at least so many seconds."""
    found = []
    for one in rollouts:
        waits = one.phase.awaits_person
        since = one.phase_at if waits else one.moved_at
        if now - since >= timedelta(seconds=limit_s):
            found.append(IdleRollout(one, since, waits))
    return tuple(found)


def waiting_rollouts(
    rollouts: Iterable[ActiveRollout], wanted: Iterable[Wanted], *, whole: bool
) -> tuple[ActiveRollout, ...]:
    """Return the rollouts that wait for a person, in a part of the fleet those that hold it."""
    here = {id_ for one in wanted for id_ in (*one.rolling.values(), *one.idle.values())}
    return tuple(one for one in rollouts if one.phase.awaits_person and (whole or one.id in here))


def release_lines(
    workloads: Iterable[Workload],
    shards: Iterable[ShardSeen],
    wanted: Mapping[str, Wanted],
    background: Background,
    rollouts: Sequence[RolloutSummary],
) -> tuple[ReleaseLine, ...]:
    """Return how far each workload's release has come in the open stores in scope.

    A store is on the release when each of its services of the workload is set to the content that
    is wanted, has no older deployment left with tasks, and owes no rollout of it. One that was not
    read is in ``of`` and ``unread``. Without a release there are no lines.

    Args:
        rollouts: newest first.
    """
    release = background.release
    if isinstance(release, NotRead):
        return ()
    running = {
        store: {
            service.name: service for service in one.services.value if service.status == "ACTIVE"
        }
        for shard in shards
        for store, one in shard.stores.items()
        if not isinstance(one.services, NotRead)
    }
    lines = []
    names = {workload.name: release_name(workload, release) for workload in workloads}
    for workload, stores in sorted(_by_workload(wanted.values(), release).items()):
        on = owed = unread = 0
        for one, services in stores:
            owes = any(_owes(one, service) for service in services)
            owed += owes
            if one.store.id not in running:
                unread += 1
                continue
            here = running[one.store.id]
            on += not owes and all(
                _runs(here.get(service.service), service.content, background)
                for service in services
            )
        latest = next((rollout for rollout in rollouts if workload in rollout.changed), None)
        phase = _phase_words(latest) if latest else ""
        name = names.get(workload, release.id)
        lines.append(ReleaseLine(workload, name, on, len(stores), owed, phase, unread))
    return tuple(lines)


def release_name(workload: Workload, release: Release) -> str:
    """Return the tags of its images, as ``1.9.0``, or the release's id where it has none."""
    tags = {_tag(image.reference) for image in workload.images.values()} - {""}
    return ", ".join(sorted(tags)) or release.id


def owed_words(
    wanted: Wanted, workloads: Mapping[str, Workload], release: Release | NotRead
) -> str:
    """Return what a store still owes, as ``vision 1.9.0 (ro-118)``; "" for nothing.

    What is owed of an older release is named without its tags.
    """
    words = []
    for service, owed in sorted(wanted.owed.items()):
        name = service
        if not isinstance(release, NotRead) and service in release.shapes:
            name = release.shapes[service].workload
            is_current = any(
                one.service == service and one.content == owed.content for one in wanted.services
            )
            if name in workloads and is_current:
                name += f" {release_name(workloads[name], release)}"
        words.append(f"{name} ({owed.rollout})")
    return ", ".join(dict.fromkeys(words))


def _tag(reference: str) -> str:
    """Return ``1.9.0`` of ``registry:5000/vision:1.9.0``; "" where only a digest is named."""
    name, _at, _digest = reference.partition("@")
    return name.rpartition("/")[2].partition(":")[2]


def _by_workload(
    wanted: Iterable[Wanted], release: Release
) -> Mapping[str, list[tuple[Wanted, list[DesiredService]]]]:
    found: dict[str, list[tuple[Wanted, list[DesiredService]]]] = defaultdict(list)
    for one in wanted:
        if one.store.lifecycle is not Lifecycle.OPEN:
            continue
        mine: dict[str, list[DesiredService]] = defaultdict(list)
        for service in one.services:
            mine[release.shapes[service.service].workload].append(service)
        for workload, services in mine.items():
            found[workload].append((one, services))
    return found


def _runs(service: ServiceState | None, content: str, background: Background) -> bool:
    if service is None or background.content_of(service.task_definition) != content:
        return False
    return not any(
        deployment.running or deployment.pending
        for deployment in service.deployments
        if deployment.task_definition != service.task_definition
    )


def _owes(wanted: Wanted, service: DesiredService) -> bool:
    owed = wanted.owed.get(service.service)
    return owed is not None and owed.content == service.content


def _phase_words(rollout: RolloutSummary) -> str:
    """Return ``ro-118 HALTED, begun 23 Nov 01:02Z``, with its end where it has one."""
    word, at = "begun", rollout.started_at
    if rollout.finished_at is not None:
        word, at = "ended", rollout.finished_at
    return f"{rollout.id} {rollout.phase.upper()}, {word} {moment(at)}"
