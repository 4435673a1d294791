"""A store's history from the records alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.drift.history import history_of
from fleet.model.rollout import EventKind, RolloutEvent
from fleet.model.store_story import MomentKind, StoreHistory
from fleet.records.opening import open_records
from fleet.records.records import Records
from tests import rollouts, scanned
from tests.scanned import LAST, NIGHT, NOW


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


def history(records: Records, days: int = 30) -> StoreHistory:
    return history_of(records, scanned.fleet().stores[0], NOW, days=days)


def test_nights_outages_and_findings_come_in_the_order_in_which_they_happened(
    records: Records,
) -> None:
    scanned.nights(records)

    told = history(records)

    assert [(one.kind, one.host) for one in told.moments] == [
        (MomentKind.STATE, ""),
        (MomentKind.OUTAGE, ""),
        (MomentKind.STATE, ""),
        (MomentKind.FOUND, ""),
    ]
    assert (told.scans, told.unfinished) == (4, 0)


def test_scans_that_never_ended_are_counted_apart(records: Records) -> None:
    scanned.write(records, 1)
    scanned.write(records, 0, finished_at=None, states={})

    told = history(records)

    assert (told.scans, told.unfinished) == (1, 1)


def test_what_a_rollout_said_of_the_store_is_told_and_of_others_not(records: Records) -> None:
    rows = [rollouts.change("store-042"), rollouts.change("store-077")]
    begun = records.rollouts.start(
        rollouts.spec(), rows, (), caller=rollouts.CALLER, at=LAST - NIGHT, run="run-1"
    )
    lease = records.leases.take("shard", "a test", 60.0)
    assert lease is not None
    events = [
        RolloutEvent(0, begun.id, LAST, EventKind.SENT, f"sent to {store}", store)
        for store in ("store-042", "store-077")
    ]
    records.rollouts.write_tick(lease, begun, (), events)

    told = history(records)

    assert [(one.words, one.source) for one in told.moments] == [("sent to store-042", begun.id)]


def test_only_the_days_asked_for_are_told(records: Records) -> None:
    scanned.nights(records)

    assert [one.kind for one in history(records, 1).moments] == [MomentKind.STATE]


def test_of_a_store_without_scans_it_says_so(records: Records) -> None:
    told = history(records)

    assert (told.scan, told.scans, told.moments) == (None, 0, ())
