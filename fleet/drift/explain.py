"""Collects everything known of a store, or of a kind of finding, from the records alone."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING

from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.store_history import outages_of
from fleet.drift.hosts import finished, hosts_of, last_scans
from fleet.errors import UsageError
from fleet.inventory.decide.ignore_rules import rule_for
from fleet.model.drift import HostMemory, Spell
from fleet.model.drift_settings import Ignore
from fleet.model.inventory import Fleet, Store
from fleet.model.scan_result import PastFinding
from fleet.model.store_story import CodeStory, StoreStory

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Resolved findings, rollouts and audited changes that a story goes back to.
PAST = 10
ROLLOUTS = 5
AUDITED = 50


def explain_store(
    records: "Records", fleet: Fleet, store: Store, now: datetime, *, host: str = "", days: int = 30
) -> StoreStory:
    """Return what is recorded of a store.

    Args:
        host: only of this host and of the store as a whole; "" for all.
        days: in which outages are looked for.

    Raises:
        UsageError: the store has no such host; names those that it has.
    """
    names = [one.name for one in store.hosts]
    if host and host not in names:
        raise UsageError(
            f"no host {host!r} in {store.id}", hint=f"hosts there: {', '.join(names) or 'none'}"
        )
    began = now - timedelta(days=days)
    kept = now - timedelta(days=max(days, fleet.drift.keep_days))
    scan = last_scans(finished(records.scans.since(kept)), [store.id]).get(store.id)
    memory = records.scans.memory([store.id], began)
    findings = [
        past
        for past in records.scans.store_findings(store.id)
        if not host or past.finding.host in {"", host}
    ]
    open_ = [past for past in findings if past.resolved_at is None]
    owed = records.rollouts.owed()
    outages = outages_of(spells_by_host(store, memory), began)
    return StoreStory(
        store=store,
        at=now,
        scan=scan,
        state=scan.states.get(store.id) if scan else None,
        host=host,
        hosts=tuple(
            one for one in hosts_of(store, memory, scan, open_) if host in {"", one.host.name}
        ),
        open=_with_rules(sorted(open_, key=_weight), fleet, now),
        past=tuple(past for past in findings if past.resolved_at is not None)[:PAST],
        outages=tuple(one for one in outages if not host or one.host in {"", host}),
        days=days,
        owed=tuple((id_, change) for id_, change in owed if change.store == store.id),
        rollouts=records.stores.rollouts(store.id, limit=ROLLOUTS),
        audit=records.stores.audit(store.id, limit=AUDITED),
    )


def explain_code(records: "Records", fleet: Fleet, entry: FindingKind, now: datetime) -> CodeStory:
    """Return what a kind of finding means, and where it is open."""
    open_ = [past for past in records.scans.open() if past.finding.code == entry.code]
    return CodeStory(
        code=entry.code,
        severity=entry.severity,
        title=entry.title,
        meaning=entry.meaning,
        remedy=entry.remedy,
        safe=entry.safe,
        at=now,
        scan=records.stores.last_scan(),
        open=_with_rules(open_, fleet, now),
    )


def what_is_meant(
    word: str, fleet: Fleet, catalogue: Mapping[str, FindingKind]
) -> FindingKind | Store:
    """Return the kind of finding or the store that somebody typed; codes in any case.

    Raises:
        UsageError: it is neither; names the nearest.
    """
    code = word.upper().replace("-", "_")
    if code in catalogue:
        return catalogue[code]
    for store in fleet.stores:
        if store.id == word:
            return store
    near = get_close_matches(code, catalogue, n=2) + get_close_matches(
        word, [store.id for store in fleet.stores], n=2
    )
    raise UsageError(
        f"{word!r} is neither a store of the inventory nor a code of `fleet drift`",
        hint=f"did you mean {', '.join(near)}?" if near else f"codes: {', '.join(catalogue)}",
    )


def spells_by_host(
    store: Store, memory: Mapping[tuple[str, str], HostMemory]
) -> Mapping[str, tuple[Spell, ...]]:
    """Return how each host of a store was connected, as far as is recorded."""
    return {
        host.name: memory.get((store.id, host.name), HostMemory()).spells for host in store.hosts
    }


def _with_rules(
    findings: list[PastFinding], fleet: Fleet, now: datetime
) -> tuple[tuple[PastFinding, Ignore | None], ...]:
    return tuple((past, rule_for(past.finding, fleet.ignores, now)) for past in findings)


def _weight(past: PastFinding) -> tuple[int, datetime]:
    return -past.finding.severity.rank, past.first_seen
