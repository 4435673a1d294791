"""Reads hosts as scans last saw them: from the records, without a call to AWS."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleet.model.drift import HostMemory
from fleet.model.inventory import Store
from fleet.model.scan_result import PastFinding, Scan
from fleet.model.store_story import HostNow, HostsNow

if TYPE_CHECKING:
    from fleet.records.records import Records


def hosts_now(
    records: "Records", stores: Sequence[Store], now: datetime, *, keep_days: int
) -> HostsNow:
    """Return every host of these stores, in the order of the stores.

    Args:
        keep_days: how far back scans are recorded.
    """
    ids = [store.id for store in stores]
    began = now - timedelta(days=keep_days)
    scans = finished(records.scans.since(began))
    last = last_scans(scans, ids)
    memory = records.scans.memory(ids, began)
    open_ = _by_store(records.scans.open(ids))
    return HostsNow(
        at=now,
        scan=scans[-1] if scans else records.stores.last_scan(),
        hosts=tuple(
            host
            for store in stores
            for host in hosts_of(store, memory, last.get(store.id), open_.get(store.id, ()))
        ),
        unscanned=tuple(store.id for store in stores if store.id not in last),
    )


def finished(scans: Iterable[Scan]) -> tuple[Scan, ...]:
    """Return the scans that came to their end, oldest first."""
    return tuple(scan for scan in scans if scan.finished_at is not None)


def last_scans(scans: Sequence[Scan], store_ids: Iterable[str]) -> Mapping[str, Scan]:
    """Return the last scan of each store.

    Args:
        scans: oldest first.
    """
    missing, last = set(store_ids), {}
    for scan in reversed(scans):
        seen = missing & scan.states.keys()
        last.update(dict.fromkeys(seen, scan))
        missing -= seen
        if not missing:
            break
    return last


def hosts_of(
    store: Store,
    memory: Mapping[tuple[str, str], HostMemory],
    last: Scan | None,
    open_: Iterable[PastFinding],
) -> tuple[HostNow, ...]:
    """Return the hosts of one store.

    Args:
        last: the last scan that looked at it.
        open_: findings of the store and its hosts.
    """
    findings = list(open_)
    hosts = []
    for host in store.hosts:
        known = memory.get((store.id, host.name), HostMemory())
        spell = known.spells[-1] if known.spells else None
        hosts.append(
            HostNow(
                host=host,
                connection=spell.connection if spell else None,
                since=spell.since if spell else None,
                seen_at=spell.last_seen if spell else None,
                verified=bool(spell and last and spell.last_seen >= last.started_at),
                managed_instance_id=known.managed_instance_id,
                container_instance_arn=known.container_instance_arn,
                versions=known.versions,
                findings=tuple(f for f in findings if f.finding.host in {"", host.name}),
            )
        )
    return tuple(hosts)


def _by_store(findings: Iterable[PastFinding]) -> Mapping[str, Sequence[PastFinding]]:
    found: dict[str, list[PastFinding]] = {}
    for past in findings:
        found.setdefault(past.finding.store, []).append(past)
    return found
