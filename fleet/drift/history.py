"""Collects a store's history from the records alone."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fleet.drift.decide.store_history import moments_of, outages_of
from fleet.drift.explain import spells_by_host
from fleet.drift.hosts import finished
from fleet.model.inventory import Store
from fleet.model.rollout import RolloutEvent
from fleet.model.store_story import StoreHistory

if TYPE_CHECKING:
    from fleet.records.records import Records


def history_of(records: "Records", store: Store, now: datetime, *, days: int) -> StoreHistory:
    """Return nights, outages, findings, rollouts and changes of a store in the last days."""
    since = now - timedelta(days=days)
    recorded = records.scans.since(since)
    scans = [scan for scan in finished(recorded) if store.id in scan.states]
    memory = records.scans.memory([store.id], since)
    return StoreHistory(
        store=store,
        at=now,
        since=since,
        scans=len(scans),
        unfinished=sum(scan.finished_at is None for scan in recorded),
        scan=scans[-1] if scans else None,
        moments=moments_of(
            store.id,
            since,
            scans,
            outages_of(spells_by_host(store, memory), since),
            records.scans.store_findings(store.id),
            _events(records, store, since),
            records.stores.audit(store.id, since=since),
        ),
    )


def _events(records: "Records", store: Store, since: datetime) -> list[RolloutEvent]:
    return [
        event
        for rollout in records.stores.rollouts(store.id)
        if rollout.finished_at is None or rollout.finished_at >= since
        for event in records.rollouts.events(rollout.id, store=store.id)
    ]
