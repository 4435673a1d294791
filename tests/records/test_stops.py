"""Stops of every send: one is in force at most, and every process sees it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from fleet.model.stop import Stop
from fleet.records.opening import open_records
from fleet.records.records import Records

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def test_nothing_is_stopped_before_somebody_says_so(records: Records) -> None:
    assert (records.stops.latest(), records.stops.in_force()) == (None, None)
    assert records.stops.lift(by="anna", at=NOON) is None


def test_a_stop_is_in_force_until_it_is_lifted(records: Records) -> None:
    stop, is_new = records.stops.set(by="anna on laptop", at=NOON, why="bad image")
    assert (stop, is_new) == (Stop(NOON, "anna on laptop", "bad image"), True)
    assert records.stops.in_force() == stop
    lifted = records.stops.lift(by="ben on desk", at=LATER)
    assert lifted == Stop(NOON, "anna on laptop", "bad image", LATER, "ben on desk")
    assert (records.stops.in_force(), records.stops.latest()) == (None, lifted)


def test_a_second_stop_leaves_the_first_as_it_is(records: Records) -> None:
    first, _ = records.stops.set(by="anna", at=NOON, why="bad image")
    again, is_new = records.stops.set(by="ben", at=LATER, why="me too")
    assert (again, is_new) == (first, False)
    assert records.stops.lift(by="ben", at=LATER) is not None
    assert records.stops.lift(by="ben", at=LATER) is None


def test_a_stop_after_a_lifted_one_is_another_stop(records: Records) -> None:
    records.stops.set(by="anna", at=NOON, why="first")
    records.stops.lift(by="anna", at=NOON)
    stop, is_new = records.stops.set(by="anna", at=LATER, why="second")
    assert (stop.why, is_new) == ("second", True)
    assert records.stops.in_force() == stop


def test_another_process_sees_it(database_url: str | None, tmp_path: Path) -> None:
    with open_records(database_url, tmp_path) as one, open_records(database_url, tmp_path) as other:
        one.stops.set(by="anna", at=NOON, why="bad image")
        found = other.stops.in_force()
        assert found is not None
        assert found.why == "bad image"
        other.stops.lift(by="ben", at=LATER)
        assert one.stops.in_force() is None
