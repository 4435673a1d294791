"""How far every workload's committed release has come, and what a store owes of it, in words."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC

from fleet.model.desired import DesiredService, Release
from fleet.model.drift import Background, ShardSeen, StoreSeen
from fleet.model.history import RolloutSummary
from fleet.model.inventory import Lifecycle, Workload
from fleet.model.night import ReleaseLine
from fleet.model.observed import NotRead
from fleet.model.services import ServiceState
from fleet.model.wanted import Owed, Wanted


def lines_of(
    workloads: Iterable[Workload],
    shards: Iterable[ShardSeen],
    wanted: Mapping[str, Wanted],
    background: Background,
    rollouts: Sequence[RolloutSummary],
) -> tuple[ReleaseLine, ...]:
    """One line per workload that open stores in scope should run; none without a release.

    A store is on the release when each of its services of the workload is told to run the content
    that is wanted, has no older deployment left with tasks, and no rollout is owed by it. One that
    was not read is in ``of`` and ``unread``.

    Args:
        rollouts: newest first.
    """
    release = background.release
    if isinstance(release, NotRead):
        return ()
    seen = {store: one for shard in shards for store, one in shard.stores.items()}
    lines = []
    by_workload = _by_workload(wanted.values(), release)
    names = {workload.name: release_name(workload, release) for workload in workloads}
    for workload, stores in sorted(by_workload.items()):
        on = owed = unread = 0
        for one, services in stores:
            owes = any(_owes(one, service) for service in services)
            running = _services(seen.get(one.store.id))
            owed += owes
            if not _is_read(seen.get(one.store.id)):
                unread += 1
                continue
            on += not owes and all(
                _runs(running.get(service.service), service.content, background.contents)
                for service in services
            )
        latest = next((rollout for rollout in rollouts if workload in rollout.workloads), None)
        lines.append(
            ReleaseLine(
                workload,
                names.get(workload, release.id),
                on,
                len(stores),
                owed,
                _phase(latest) if latest else "",
                unread,
            )
        )
    return tuple(lines)


def release_name(workload: Workload, release: Release) -> str:
    """What people call it: the tags of its images, as ``1.9.0``; without any, the release's id."""
    tags = {_tag(image.reference) for image in workload.images.values()} - {""}
    return ", ".join(sorted(tags)) or release.id


def owes_of(wanted: Wanted, workloads: Mapping[str, Workload], release: Release | NotRead) -> str:
    """What a store still owes, as ``vision 1.9.0 (ro-118)``; "" when nothing.

    What a rollout of an older release is owed has no name any more.
    """
    words = []
    for service, owed in sorted(wanted.owed.items()):
        name = service
        if not isinstance(release, NotRead) and service in release.shapes:
            name = release.shapes[service].workload
            if name in workloads and _is_wanted(wanted, service, owed):
                name += f" {release_name(workloads[name], release)}"
        words.append(f"{name} ({owed.rollout})")
    return ", ".join(dict.fromkeys(words))


def _tag(reference: str) -> str:
    """``1.9.0`` of ``registry:5000/vision:1.9.0``; "" where only a digest is named."""
    name, _at, _digest = reference.partition("@")
    return name.rpartition("/")[2].partition(":")[2]


def _by_workload(
    wanted: Iterable[Wanted], release: Release
) -> Mapping[str, list[tuple[Wanted, tuple[DesiredService, ...]]]]:
    found = defaultdict(list)
    for one in wanted:
        if one.store.lifecycle is not Lifecycle.OPEN:
            continue
        mine = defaultdict(list)
        for service in one.services:
            mine[release.shapes[service.service].workload].append(service)
        for workload, services in mine.items():
            found[workload].append((one, tuple(services)))
    return found


def _is_read(seen: StoreSeen | None) -> bool:
    return seen is not None and not isinstance(seen.services, NotRead)


def _services(seen: StoreSeen | None) -> Mapping[str, ServiceState]:
    if seen is None or isinstance(seen.services, NotRead):
        return {}
    return {service.name: service for service in seen.services.value if service.status == "ACTIVE"}


def _runs(service: ServiceState | None, content: str, contents: Mapping[str, str]) -> bool:
    if service is None or contents.get(service.task_definition) != content:
        return False
    return not any(
        deployment.running or deployment.pending
        for deployment in service.deployments
        if deployment.task_definition != service.task_definition
    )


def _owes(wanted: Wanted, service: DesiredService) -> bool:
    owed = wanted.owed.get(service.service)
    return owed is not None and owed.content == service.content


def _is_wanted(wanted: Wanted, service: str, owed: Owed) -> bool:
    return any(one.service == service and one.content == owed.content for one in wanted.services)


def _phase(rollout: RolloutSummary) -> str:
    """``ro-118 HALTED, begun 23 Nov 01:02Z``: an end where there is one, for that is news."""
    word, at = (
        ("begun", rollout.started_at)
        if rollout.finished_at is None
        else ("ended", rollout.finished_at)
    )
    return f"{rollout.id} {rollout.phase.upper()}, {word} {at.astimezone(UTC):%d %b %H:%MZ}"
