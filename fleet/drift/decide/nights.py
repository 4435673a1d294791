"""One scan beside the scans before: what is new, worse, the same, gone, or could not be looked at.

Everything here is pure. Nothing is gone because it could not be read, and nothing is new because
somebody looked twice.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from fleet.drift.decide.availability import availability_of, spells_of, unsteady_spells
from fleet.drift.decide.looked import Coverage, named_hosts
from fleet.inventory.decide.ignore_rules import expired, rule_for
from fleet.model.desired import DesiredService, Release
from fleet.model.drift import (
    Background,
    Finding,
    Reconciled,
    ShardSeen,
    StoreSeen,
    StoreState,
    Unread,
)
from fleet.model.drift_settings import Ignore
from fleet.model.history import RolloutSummary
from fleet.model.inventory import Fleet, Lifecycle, Store, Workload
from fleet.model.night import (
    Change,
    FindingChanges,
    Night,
    PastFinding,
    ReleaseLine,
    Scan,
    StoreFacts,
    Told,
    Totals,
)
from fleet.model.observed import NotRead
from fleet.model.services import ServiceState
from fleet.model.spans import moment
from fleet.model.wanted import Owed, Wanted

#: Nights that a report shows.
NIGHTS = 30
#: ``Finding.key``.
Key = tuple[str, str, str, str, str, str]


def changes_of(
    found: Sequence[Finding],
    open_: Sequence[PastFinding],
    unread: Sequence[Unread],
    scope_store_ids: Collection[str],
    at: datetime,
    *,
    whole: bool = False,
    coverage: Coverage | None = None,
) -> FindingChanges:
    """Compare what a scan found with the findings that are open in the records.

    A row that was not found is resolved only if the scan looked there and everything it rests on
    was read; one of a store that is not in scope stays as it is and is in no part of the result.

    Args:
        open_: rows that are not resolved; other stores' among them do no harm.
        unread: what the scan could not read.
        scope_store_ids: stores that it looked at.
        at: the scan's time.
        whole: whether these are all stores of the inventory. Then findings of stores that have left
            it are resolved, and so are an account's and the fleet's own that are gone.
        coverage: what it covered; None for everything.
    """
    now = _one_per_key(found)
    before = {row.finding.key: row for row in open_}
    scope, gaps = frozenset(scope_store_ids), _Gaps(unread)
    resolved, not_verified = [], []
    for key, row in before.items():
        store = row.finding.store
        if key in now or not (whole or store in scope):
            continue
        has_left = bool(store) and store not in scope
        if not has_left and (_is_hidden(row, coverage) or gaps.touch(row.finding)):
            not_verified.append(row)
        else:
            resolved.append(replace(row, resolved_at=at))
    return FindingChanges(
        at=at,
        opened=tuple(finding for key, finding in now.items() if key not in before),
        kept=tuple((before[key], finding) for key, finding in now.items() if key in before),
        resolved=tuple(resolved),
        not_verified=tuple(not_verified),
    )


def night_of(
    *,
    fleet: Fleet,
    scope: Sequence[Store],
    scan: Scan,
    caller: str,
    reconciled: Reconciled,
    changes: FindingChanges,
    background: Background,
    shards: Sequence[ShardSeen],
    wanted: Mapping[str, Wanted],
    scans: Sequence[Scan] = (),
    began: Mapping[Key, int] | None = None,
    rollouts: Sequence[RolloutSummary] = (),
    notes: Sequence[str] = (),
) -> Night:
    """The whole report of a scan.

    Args:
        scope: stores that were looked at.
        scan: this one, finished, with its states.
        caller: who we were at AWS.
        changes: of ``changes_of``, whether or not they could be recorded.
        background: as the rules had it: with what was remembered before this scan.
        shards: what was read.
        wanted: by store id.
        scans: recorded ones of the last ``NIGHTS`` days; this one among them does no harm.
        began: by ``Finding.key``, how often each began in the last seven days, before this scan
            was recorded.
        rollouts: the latest ones, newest first.
        notes: what else to know.
    """
    nights = _nights(scans, scan)
    workloads = {workload.name: workload for workload in fleet.workloads}
    owes = {
        store: owes_of(one, workloads, background.release)
        for store, one in wanted.items()
        if one.owed
    }
    told, ignored = _told(changes, began or {}, owes, fleet)
    resolved = tuple(
        row for row in changes.resolved if rule_for(row.finding, fleet.ignores, changes.at) is None
    )
    hosts = {(host.store, host.name): host for store in scope for host in store.hosts}
    spells = spells_of(background.memory, reconciled.connections, hosts)
    return Night(
        fleet=fleet.name,
        scan=scan,
        caller=caller,
        totals=_totals(scope, scan, nights),
        unread=reconciled.unread,
        findings=told,
        resolved=resolved,
        ignored=ignored,
        expired=expired(fleet.ignores, changes.at),
        returned=reconciled.returned,
        releases=lines_of(fleet.workloads, shards, wanted, background, rollouts),
        nights=nights,
        spells=unsteady_spells(spells, nights),
        availability=availability_of(scope, nights, spells),
        stores=tuple(_facts(store) for store in sorted(scope, key=lambda store: store.id)),
        notes=tuple(notes),
        is_first=not _is_compared(scans, scan, scope),
    )


def _is_compared(scans: Sequence[Scan], this: Scan, scope: Sequence[Store]) -> bool:
    """Whether any recorded scan, of whatever part of the fleet, has looked at these stores."""
    ids = {store.id for store in scope}
    return any(
        one.id != this.id and one.finished_at is not None and not ids.isdisjoint(one.states)
        for one in scans
    )


def _is_hidden(row: PastFinding, coverage: Coverage | None) -> bool:
    return coverage is not None and not coverage.covers(row.finding)


class _Gaps:
    """What could not be read, in a form that thousands of findings can be held against."""

    def __init__(self, unread: Sequence[Unread]) -> None:
        self._any = bool(unread)
        self._all = any(not gap.account for gap in unread)
        self._stores = {gap.store for gap in unread if gap.store}
        self._accounts = {gap.account for gap in unread if not gap.region and not gap.store}
        self._shards = {(gap.account, gap.region) for gap in unread if not gap.store}
        # What an account and region as a whole shows rests on each of its stores too.
        self._touched = {gap.account for gap in unread if not gap.region}
        self._touched_shards = {(gap.account, gap.region) for gap in unread}

    def touch(self, finding: Finding) -> bool:
        """Whether something that the finding may rest on was not read; in doubt it was not."""
        if self._all or not finding.account:
            return self._any
        shard = finding.account, finding.region
        if not finding.store:
            return finding.account in self._touched or shard in self._touched_shards
        return (
            finding.store in self._stores
            or any(store in self._stores for store, _host in named_hosts(finding))
            or finding.account in self._accounts
            or shard in self._shards
        )


def _one_per_key(found: Sequence[Finding]) -> Mapping[Key, Finding]:
    """By key, the worst of each: two rules that see one thing make one row."""
    worst: dict[Key, Finding] = {}
    for finding in found:
        known = worst.get(finding.key)
        if known is None or finding.severity.rank > known.severity.rank:
            worst[finding.key] = finding
    return worst


def _told(
    changes: FindingChanges, began: Mapping[Key, int], owes: Mapping[str, str], fleet: Fleet
) -> tuple[tuple[Told, ...], tuple[tuple[Finding, Ignore], ...]]:
    """Tonight's findings in the order of reading, and those that a rule ignores."""
    found = [
        (finding, Change.NEW, changes.at, began.get(finding.key, 0) + 1)
        for finding in changes.opened
    ]
    found += [
        (finding, _moved(row.finding, finding), row.first_seen, began.get(finding.key, 0))
        for row, finding in changes.kept
    ]
    found += [
        (row.finding, Change.NOT_VERIFIED, row.first_seen, began.get(row.finding.key, 0))
        for row in changes.not_verified
    ]
    told, ignored = [], []
    for finding, change, first_seen, times in found:
        rule = rule_for(finding, fleet.ignores, changes.at)
        if rule is not None:
            ignored.append((finding, rule))
            continue
        words = owes.get(finding.store, "")
        told.append(Told(finding, change, first_seen, max(times, 1), words))
    told.sort(key=lambda one: _order(one.finding, one.change))
    ignored.sort(key=lambda pair: _order(pair[0], Change.SAME))
    return tuple(told), tuple(ignored)


def _moved(before: Finding, now: Finding) -> Change:
    if now.severity is before.severity:
        return Change.SAME
    return Change.WORSE if now.severity.rank > before.severity.rank else Change.BETTER


def _order(finding: Finding, change: Change) -> tuple[object, ...]:
    first = change in {Change.NEW, Change.WORSE}
    place = finding.store, finding.host, finding.code, finding.subject
    return not first, -finding.severity.rank, *place, finding.account, finding.region


def told_at(scans: Sequence[Scan]) -> datetime | None:
    """When the latest scan of the whole fleet began that came to its end; None without one."""
    begun = [scan.started_at for scan in scans if not scan.selection and scan.finished_at]
    return max(begun, default=None)


def _nights(scans: Sequence[Scan], last: Scan) -> tuple[Scan, ...]:
    """The last scan of the whole fleet of every day (UTC), and this one for its own day."""
    of_day = {}
    for scan in sorted(scans, key=lambda scan: scan.started_at):
        if not scan.selection and scan.finished_at and scan.started_at < last.started_at:
            of_day[scan.started_at.astimezone(UTC).date()] = scan
    of_day.pop(last.started_at.astimezone(UTC).date(), None)
    return (*of_day.values(), last)[-NIGHTS:]


def _totals(scope: Sequence[Store], scan: Scan, nights: Sequence[Scan]) -> Totals:
    """What is known of each store in scope; one without a state was not verified."""
    ids = [store.id for store in scope]
    count = Counter(scan.states.get(store, StoreState.NOT_VERIFIED) for store in ids)
    not_counted = count[StoreState.NOT_COUNTED]
    dark, not_verified = count[StoreState.DARK], count[StoreState.NOT_VERIFIED]
    of_open = len(ids) - not_counted
    before = nights[:-1]
    return Totals(
        open=of_open,
        verified=of_open - dark - not_verified,
        dark=dark,
        not_verified=not_verified,
        not_counted=not_counted,
        dark_before=sum(_was(store, before) is StoreState.DARK for store in ids)
        if before
        else None,
    )


def _was(store: str, before: Sequence[Scan]) -> StoreState | None:
    """What a store last was in a night that could tell; a blind night is no end of a dark time."""
    for scan in reversed(before):
        state = scan.states.get(store, StoreState.NOT_VERIFIED)
        if state is not StoreState.NOT_VERIFIED:
            return state
    return None


def _facts(store: Store) -> StoreFacts:
    """Labels of the team's; what fleet itself knows has the last word on its own names."""
    own = {
        "link": store.link.kind,
        "carrier": store.link.carrier or "",
        "account": store.account.name,
        "region": store.region,
        "ring": store.ring,
        "hardware": ",".join(sorted({host.hardware.name for host in store.hosts})),
    }
    return StoreFacts(store.id, store.name, {**store.labels, **own})


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
                _phase_words(latest) if latest else "",
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


def _phase_words(rollout: RolloutSummary) -> str:
    """``ro-118 HALTED, begun 23 Nov 01:02Z``: an end where there is one, for that is news."""
    word, at = (
        ("begun", rollout.started_at)
        if rollout.finished_at is None
        else ("ended", rollout.finished_at)
    )
    return f"{rollout.id} {rollout.phase.upper()}, {word} {moment(at)}"
