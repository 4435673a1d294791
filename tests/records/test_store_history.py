"""What is recorded of one store, across runs, rollouts and scans."""

from datetime import timedelta

from fleet.model.drift import StoreState
from fleet.model.scan_result import Scan
from fleet.model.verdicts import Verdict
from fleet.records.records import Records
from tests import rollouts
from tests.rollouts import BEGAN, CALLER, NOW


def audited(records: Records, store: str, minutes: int) -> None:
    run = records.start_run("register", caller_arn=CALLER, command="fleet", at=BEGAN)
    at = BEGAN + timedelta(minutes=minutes)
    records.audit(run, at=at, caller_arn=CALLER, action=f"a{minutes}", store=store, why="because")


def test_the_latest_changes_of_a_store_come_first(records: Records) -> None:
    for store, minutes in (("store-042", 1), ("store-042", 3), ("store-007", 2)):
        audited(records, store, minutes)

    found = records.stores.audit("store-042")

    assert [entry.action for entry in found] == ["a3", "a1"]
    assert [entry.action for entry in records.stores.audit("store-042", limit=1)] == ["a3"]
    later = BEGAN + timedelta(minutes=2)
    assert [entry.action for entry in records.stores.audit("store-042", since=later)] == ["a3"]


def test_rollouts_that_touch_a_store_come_with_its_own_changes_newest_first(
    records: Records,
) -> None:
    both = [rollouts.change("store-001", Verdict.OK), rollouts.planned("store-002")]
    first = records.rollouts.start(rollouts.spec(), both, (), caller=CALLER, at=BEGAN, run="r1")
    only = [rollouts.change("store-001", Verdict.FAILED)]
    second = records.rollouts.start(rollouts.spec(), only, (), caller=CALLER, at=NOW, run="r2")

    found = records.stores.rollouts("store-001")

    assert [one.id for one in found] == [second.id, first.id]
    assert [[change.verdict for change in one.changes] for one in found] == [
        [Verdict.FAILED],
        [Verdict.OK],
    ]
    assert found[0].title == "vision 1.8.3 -> 1.9.0"
    assert [one.id for one in records.stores.rollouts("store-002")] == [first.id]
    assert len(records.stores.rollouts("store-001", limit=1)) == 1
    assert records.stores.rollouts("store-009") == ()


def test_the_last_scan_is_the_newest_that_came_to_its_end(records: Records) -> None:
    assert records.stores.last_scan() is None
    done = Scan("drift-1", "", BEGAN, NOW, {"store-001": StoreState.OK})
    records.scans.begin(done)
    records.scans.begin(Scan("drift-2", "", NOW, None))

    assert records.stores.last_scan() == done
