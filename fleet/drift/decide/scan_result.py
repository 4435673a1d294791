"""Makes the result of a scan from what it found, what changed, and the scans before it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.scan_changes import Key
from fleet.drift.decide.store_history import availability_of, spells_of, unsteady_spells
from fleet.drift.decide.wanted import owed_words, release_lines
from fleet.inventory.decide.ignore_rules import expired, rule_for
from fleet.model.drift import Background, Finding, Reconciled, ShardSeen, StoreState
from fleet.model.drift_settings import Ignore
from fleet.model.history import RolloutSummary
from fleet.model.inventory import Fleet, Store
from fleet.model.scan_result import (
    FindingChange,
    FindingChanges,
    OpenFinding,
    Scan,
    ScanResult,
    StoreFacts,
    Totals,
)
from fleet.model.wanted import Wanted

#: Nights that a report shows.
NIGHTS = 30


def scan_result_of(
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
) -> ScanResult:
    """Return the result of a scan.

    Args:
        scope: stores that were scanned.
        scan: this one, finished, with its states.
        caller: our identity at AWS.
        changes: of ``changes_of``, whether or not they could be recorded.
        background: as the rules had it, with what was recorded before this scan.
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
        store: owed_words(one, workloads, background.release)
        for store, one in wanted.items()
        if one.owed
    }
    found, ignored = _open_findings(changes, began or {}, owes, fleet)
    hosts = {(host.store, host.name): host for store in scope for host in store.hosts}
    spells = spells_of(background.memory, reconciled.connections, hosts)
    return ScanResult(
        fleet=fleet.name,
        scan=scan,
        caller=caller,
        totals=_totals(scope, scan, nights),
        unread=reconciled.unread,
        findings=found,
        resolved=tuple(
            row
            for row in changes.resolved
            if rule_for(row.finding, fleet.ignores, changes.at) is None
        ),
        ignored=ignored,
        expired=expired(fleet.ignores, changes.at),
        returned=reconciled.returned,
        releases=release_lines(fleet.workloads, shards, wanted, background, rollouts),
        nights=nights,
        spells=unsteady_spells(spells, nights),
        availability=availability_of(scope, nights, spells),
        stores=tuple(_facts(store) for store in sorted(scope, key=lambda store: store.id)),
        notes=tuple(notes),
        is_first=not _has_earlier_scan(scans, scan, scope),
    )


def _has_earlier_scan(scans: Sequence[Scan], this: Scan, scope: Sequence[Store]) -> bool:
    """Tell whether a recorded scan, of whatever part of the fleet, has seen these stores."""
    ids = {store.id for store in scope}
    return any(
        one.id != this.id and one.finished_at is not None and not ids.isdisjoint(one.states)
        for one in scans
    )


def _open_findings(
    changes: FindingChanges, began: Mapping[Key, int], owes: Mapping[str, str], fleet: Fleet
) -> tuple[tuple[OpenFinding, ...], tuple[tuple[Finding, Ignore], ...]]:
    """Return tonight's findings in the order of reading, and those that a rule ignores."""
    found = [
        (finding, FindingChange.NEW, changes.at, began.get(finding.key, 0) + 1)
        for finding in changes.opened
    ]
    found += [
        (finding, _change(row.finding, finding), row.first_seen, began.get(finding.key, 0))
        for row, finding in changes.kept
    ]
    found += [
        (row.finding, FindingChange.NOT_VERIFIED, row.first_seen, began.get(row.finding.key, 0))
        for row in changes.not_verified
    ]
    shown, ignored = [], []
    for finding, change, first_seen, times in found:
        rule = rule_for(finding, fleet.ignores, changes.at)
        if rule is not None:
            ignored.append((finding, rule))
            continue
        words = owes.get(finding.store, "")
        kind = CATALOGUE.get(finding.code)
        leads = kind is not None and kind.comes_first
        shown.append(OpenFinding(finding, change, first_seen, max(times, 1), words, leads))
    shown.sort(key=lambda one: (not one.comes_first, *_order(one.finding, one.change)))
    ignored.sort(key=lambda pair: _order(pair[0], FindingChange.SAME))
    return tuple(shown), tuple(ignored)


def _change(before: Finding, now: Finding) -> FindingChange:
    if now.severity is before.severity:
        return FindingChange.SAME
    return FindingChange.WORSE if now.severity.rank > before.severity.rank else FindingChange.BETTER


def _order(finding: Finding, change: FindingChange) -> tuple[object, ...]:
    first = change in {FindingChange.NEW, FindingChange.WORSE}
    return not first, -finding.severity.rank, *finding.listed_by


def last_full_scan_at(scans: Sequence[Scan]) -> datetime | None:
    """Return when the latest finished scan of the whole fleet began; None without one."""
    begun = [scan.started_at for scan in scans if not scan.selection and scan.finished_at]
    return max(begun, default=None)


def _nights(scans: Sequence[Scan], last: Scan) -> tuple[Scan, ...]:
    """Return the last scan of the whole fleet of every day (UTC), and this one for its day."""
    of_day = {}
    for scan in sorted(scans, key=lambda scan: scan.started_at):
        if not scan.selection and scan.finished_at and scan.started_at < last.started_at:
            of_day[scan.started_at.astimezone(UTC).date()] = scan
    of_day.pop(last.started_at.astimezone(UTC).date(), None)
    return (*of_day.values(), last)[-NIGHTS:]


def _totals(scope: Sequence[Store], scan: Scan, nights: Sequence[Scan]) -> Totals:
    """Count the stores in scope by their states; one without a state was not verified."""
    ids = [store.id for store in scope]
    count = Counter(scan.states.get(store, StoreState.NOT_VERIFIED) for store in ids)
    not_counted = count[StoreState.NOT_COUNTED]
    dark, not_verified = count[StoreState.DARK], count[StoreState.NOT_VERIFIED]
    of_open = len(ids) - not_counted
    before = nights[:-1]
    dark_before = sum(_state_before(store, before) is StoreState.DARK for store in ids)
    return Totals(
        open=of_open,
        verified=of_open - dark - not_verified,
        dark=dark,
        not_verified=not_verified,
        not_counted=not_counted,
        dark_before=dark_before if before else None,
    )


def _state_before(store: str, before: Sequence[Scan]) -> StoreState | None:
    """Return the state of the last night that could verify the store."""
    for scan in reversed(before):
        state = scan.states.get(store, StoreState.NOT_VERIFIED)
        if state is not StoreState.NOT_VERIFIED:
            return state
    return None


def _facts(store: Store) -> StoreFacts:
    """Return the team's labels; fleet's own facts win over labels of the same names."""
    own = {
        "link": store.link.kind,
        "carrier": store.link.carrier or "",
        "account": store.account.name,
        "region": store.region,
        "ring": store.ring,
        "hardware": ",".join(sorted({host.hardware.name for host in store.hosts})),
    }
    return StoreFacts(store.id, store.name, {**store.labels, **own})
