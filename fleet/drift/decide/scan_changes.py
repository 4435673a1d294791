"""Compares what a scan found with what earlier scans found: new, the same, gone, or not seen.

A finding is gone only if the scan covered it and did not find it. Rules report nothing where they
cannot see, as the tasks of a disconnected host; what is missing for such a reason, or because
something was not read, is not resolved.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.finding_kinds import Need, Subject
from fleet.inventory.decide.power import planned_off
from fleet.model.drift import (
    Finding,
    HostConnection,
    Reconciled,
    ShardSeen,
    Spell,
    StoreState,
    Unread,
)
from fleet.model.inventory import Lifecycle, Store
from fleet.model.observed import NotRead
from fleet.model.printable import some
from fleet.model.scan_result import FindingChanges, PastFinding
from fleet.model.wanted import Wanted

#: ``Finding.key``.
Key = tuple[str, str, str, str, str, str]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a scan covered, beside what it could not read.

    Attributes:
        digests: whether tasks were read to compare image digests.
        deep: whether hosts were asked.
        connections: by (store, host), where that is certain.
        known: hosts that SSM and ECS both know, so that they are connected somehow.
        hosts: names of the hosts of each store that was scanned.
        wanted: by store id; what a rollout is at work on is not reported.
        answered: hosts that were asked and answered.
        watched: ids of done rollouts whose stores are still watched.
        whole: whether these are all stores of the inventory, so that a finding cannot be about
            another store as well.
    """

    digests: bool
    deep: bool
    connections: Mapping[tuple[str, str], Spell] = field(default_factory=dict)
    known: Collection[tuple[str, str]] = frozenset()
    hosts: Mapping[str, Collection[str]] = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    answered: Collection[tuple[str, str]] = frozenset()
    watched: Collection[str] = frozenset()
    whole: bool = True

    def is_over(self, finding: Finding) -> bool:
        """Tell whether the records alone say that it is gone, whatever could not be read."""
        kind = CATALOGUE.get(finding.code)
        if kind is None:
            return False
        ended = Need.COUNTED in kind.needs and finding.subject not in self.watched
        return kind.from_records or ended

    def covers(self, finding: Finding) -> bool:
        """Tell whether the scan would have found this again; nothing unread is considered."""
        kind = CATALOGUE.get(finding.code)
        needs = kind.needs if kind else frozenset()
        if (Need.TASKS in needs and not self.digests) or (Need.PROBE in needs and not self.deep):
            return False
        wanted = self.wanted.get(finding.store)
        if wanted is not None and wanted.store.lifecycle is not Lifecycle.OPEN:
            return True
        if wanted is not None and _is_in_rollout(finding, wanted):
            return False
        hows = self._connections(finding)
        unmet = {
            Need.NAMED_CLUSTER: not self._has_named_cluster(finding),
            Need.NAMED_HOSTS: not self._has_named_hosts(finding),
            Need.COUNTED: not self._has_counted(finding),
            Need.PROBE: self._is_silent(finding.store, finding.host),
            Need.CONNECTED: not hows <= {HostConnection.CONNECTED},
            # One host that is connected is enough to know that a site is not dark.
            Need.CONNECTION: None in hows and not hows - {None, HostConnection.DARK},
        }
        return not any(unmet.get(need) for need in needs)

    def _has_named_cluster(self, finding: Finding) -> bool:
        cluster = finding.resources.cluster
        return self.whole or any(one.store.cluster == cluster for one in self.wanted.values())

    def _has_named_hosts(self, finding: Finding) -> bool:
        """Tell whether the hosts that it names were scanned, and their machine ids compared."""
        of_machine = bool(finding.resources.machine_id)
        return not any(
            (store not in self.hosts and not self.whole)
            or (of_machine and self._is_dark(store, host))
            for store, host in named_hosts(finding)
        )

    def _has_counted(self, finding: Finding) -> bool:
        """Tell whether the scan would have found again each finding that it adds up."""
        return all(
            self.covers(
                replace(finding, code=code, store=store, host=host, subject=subject, data={})
            )
            for code, store, host, subject in finding.resources.counted
        )

    def _is_dark(self, store: str, host: str) -> bool:
        spell = self.connections.get((store, host))
        silent = {HostConnection.DARK, HostConnection.POWERED_OFF}
        return spell is not None and spell.connection in silent

    def _is_silent(self, store: str, host: str) -> bool:
        """Tell whether a host that is registered somehow has not answered."""
        key = store, host
        if key in self.answered or host not in self.hosts.get(store, ()):
            return False
        return key in self.connections or key in self.known

    def _connections(self, finding: Finding) -> set[HostConnection | None]:
        """Return how the finding's hosts are connected; None for one of which that is unknown."""
        hows: set[HostConnection | None] = set()
        for name in self.hosts.get(finding.store, ()):
            key = finding.store, name
            if finding.host not in {"", name}:
                continue
            if key in self.connections:
                hows.add(self.connections[key].connection)
            elif key in self.known:
                hows.add(None)
        return hows


def _is_in_rollout(finding: Finding, wanted: Wanted) -> bool:
    """Tell whether it may be about what a rollout is at work on, which is not reported."""
    kind = CATALOGUE.get(finding.code)
    if kind is None:
        return finding.subject in wanted.rolling
    if kind.needs_release and finding.subject in wanted.idle:
        return True
    match kind.subject:
        case Subject.TASK:
            return bool(wanted.rolling)
        case Subject.SERVICE_PART:
            return finding.subject.partition("/")[0] in wanted.rolling
        case Subject.NAME:
            return finding.subject in wanted.rolling


def named_hosts(finding: Finding) -> frozenset[tuple[str, str]]:
    """Return (store, host) of the hosts that it names in full, as those of other stores."""
    pairs = (id_.partition("/") for id_ in finding.resources.hosts)
    return frozenset((store, name) for store, slash, name in pairs if slash)


def answered(shards: Iterable[ShardSeen]) -> frozenset[tuple[str, str]]:
    """Return (store, host) of the hosts that were asked and answered."""
    return frozenset(
        (store, host)
        for shard in shards
        for store, seen in shard.stores.items()
        for host, probe in seen.probes.items()
        if not isinstance(probe, NotRead)
    )


def unsettled(known: Iterable[tuple[str, str]], found: Reconciled) -> tuple[str, ...]:
    """Return a note that names the hosts of which it is not certain how they are connected.

    Args:
        known: hosts that SSM and ECS both know.
    """
    silent = {StoreState.NOT_VERIFIED, StoreState.NOT_COUNTED}
    names = sorted(
        f"{store}/{host}"
        for store, host in known
        if (store, host) not in found.connections and found.states.get(store) not in silent
    )
    if not names:
        return ()
    verb = "is" if len(names) == 1 else "are"
    return (
        f"how {some(names, 3)} {verb} connected is not known: it has just changed, and a change "
        "counts when it has held",
    )


def switched_off(
    stores: Iterable[Store], connections: Mapping[tuple[str, str], Spell], now: datetime
) -> tuple[str, ...]:
    """Return a note that names the hosts that are switched off until their stores open."""
    off = {
        store.id: store
        for store in stores
        for host in store.hosts
        if (spell := connections.get((store.id, host.name))) is not None
        and spell.connection is HostConnection.POWERED_OFF
    }
    if not off:
        return ()
    if len(off) > 1:
        return (f"{some(sorted(off), 3)} are powered off while they are closed (planned)",)
    (store,) = off.values()
    planned = planned_off(store, now, now, 0.0)
    words = planned.words if planned is not None else "powered off (planned)"
    return (f"{store.id} is {words} there",)


def known_to_both(
    ids: Mapping[tuple[str, str], tuple[str, str]], shards: Iterable[ShardSeen]
) -> frozenset[tuple[str, str]]:
    """Return (store, host) of the hosts that SSM and ECS both know.

    Args:
        ids: ``mi-`` id and container instance ARN by (store, host), of hosts that ECS knows.
    """
    nodes = {
        node.id
        for shard in shards
        if not isinstance(shard.nodes, NotRead)
        for node in shard.nodes.value
    }
    return frozenset(host for host, (node, _arn) in ids.items() if node in nodes)


def changes_of(
    found: Sequence[Finding],
    open_: Sequence[PastFinding],
    unread: Sequence[Unread],
    coverage: Coverage,
    at: datetime,
) -> FindingChanges:
    """Compare what a scan found with the findings that are open in the records.

    A row of a store that is not in scope stays as it is and is in no part of the result. In a scan
    of the whole fleet, rows of stores that have left the inventory are resolved.

    Args:
        open_: rows that are not resolved; other stores' among them do no harm.
        unread: what the scan could not read.
        at: the scan's time.
    """
    now = _one_per_key(found)
    before = {row.finding.key: row for row in open_}
    gaps = _Gaps(unread)
    resolved, not_verified = [], []
    for key, row in before.items():
        store = row.finding.store
        is_in_scope = store in coverage.hosts
        if key in now or not (coverage.whole or is_in_scope):
            continue
        if coverage.is_over(row.finding):
            resolved.append(replace(row, resolved_at=at))
            continue
        has_left = bool(store) and not is_in_scope
        if has_left or (coverage.covers(row.finding) and not gaps.touch(row.finding)):
            resolved.append(replace(row, resolved_at=at))
        else:
            not_verified.append(row)
    return FindingChanges(
        at=at,
        opened=tuple(finding for key, finding in now.items() if key not in before),
        kept=tuple((before[key], finding) for key, finding in now.items() if key in before),
        resolved=tuple(resolved),
        not_verified=tuple(not_verified),
    )


class _Gaps:
    """What could not be read, indexed so that thousands of findings can be compared with it."""

    def __init__(self, unread: Sequence[Unread]) -> None:
        self._any = bool(unread)
        self._all = any(not gap.account for gap in unread)
        self._stores = {gap.store for gap in unread if gap.store}
        self._accounts = {gap.account for gap in unread if not gap.region and not gap.store}
        self._shards = {(gap.account, gap.region) for gap in unread if not gap.store}
        # A finding of an account and region rests on each of its stores too.
        self._touched = {gap.account for gap in unread if not gap.region}
        self._touched_shards = {(gap.account, gap.region) for gap in unread}

    def touch(self, finding: Finding) -> bool:
        """Tell whether something that the finding may rest on was not read."""
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
    """Return the worst finding of each key: two rules that see one thing make one row."""
    worst: dict[Key, Finding] = {}
    for finding in found:
        known = worst.get(finding.key)
        if known is None or finding.severity.rank > known.severity.rank:
            worst[finding.key] = finding
    return worst
