"""The rows of one tick: what was moved is known, and told once."""

from dataclasses import replace

from fleet.model.changes import CONVOY
from fleet.model.rollout import Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState, is_parked, is_sent
from tests.rollout.decide.tick_states import after, parked, planned, sent, state, undone


def test_only_rows_that_became_another_are_moved() -> None:
    rows = state(sent("store-001"), sent("store-002"))
    rows.move(rows.change("store-002", "vision-arm64"), reason="looked at")
    assert [c.store for c in rows.moved] == ["store-002"]


def test_a_row_that_is_put_back_as_it_was_is_not_moved() -> None:
    rows = state(sent())
    (before,) = rows.changes
    rows.move(before, reason="another")
    rows.put(before)
    assert rows.moved == ()


def test_a_new_verdict_is_dated_now() -> None:
    rows = state(sent(since=after(0)), at=60)
    moved = rows.move(rows.changes[0], verdict=Verdict.OK)
    assert moved.since == after(60)


def test_the_same_verdict_again_keeps_its_date() -> None:
    rows = state(sent(since=after(0)), at=60)
    assert rows.move(rows.changes[0], verdict=Verdict.WAITING).since == after(0)


def test_a_verdict_with_a_date_of_its_own_keeps_that() -> None:
    rows = state(sent(), at=60)
    assert rows.move(rows.changes[0], verdict=Verdict.OK, since=after(55)).since == after(55)


def test_rows_keep_their_order_when_they_move() -> None:
    rows = state(sent("store-002"), sent("store-001"))
    rows.move(rows.changes[0], reason="another")
    assert [c.store for c in rows.changes] == ["store-002", "store-001"]


def test_a_store_is_named_once_for_all_its_services() -> None:
    rows = state(sent(), sent(service="telemetry-arm64"))
    assert rows.stores(rows.changes) == ["store-042"]
    assert len(rows.of_store("store-042")) == 2


def test_a_store_without_changes_has_no_rows() -> None:
    assert state(sent()).of_store("store-999") == ()


def test_a_phase_is_told_when_it_begins_and_not_again() -> None:
    rows = state(sent())
    rows.enter_phase(Phase.PAUSED, "a pause")
    rows.enter_phase(Phase.PAUSED, "another reason")
    assert [e.text for e in rows.events] == ["paused: a pause"]
    assert rows.rollout.why == "another reason"


def test_the_wave_of_now_and_the_convoy_are_apart() -> None:
    rows = state(sent("store-001"), planned("store-002", wave=1), parked("store-003", wave=CONVOY))
    assert [c.store for c in rows.current] == ["store-001"]
    assert [c.store for c in rows.convoy] == ["store-003"]


def test_what_was_set_back_still_counts_as_sent_and_what_was_skipped_does_not() -> None:
    assert is_sent(undone())
    assert not is_sent(sent(stage=Stage.SKIPPED))
    assert not is_sent(planned())


def test_only_an_unsent_row_can_be_parked() -> None:
    assert is_parked(parked())
    assert not is_parked(planned())
    assert not is_parked(parked(stage=Stage.SKIPPED))


def test_a_row_that_joins_another_wave_is_found_there_in_order() -> None:
    rows = state(sent("store-001"), sent("store-002"), sent("store-003", wave=CONVOY))
    rows.move(rows.changes[0], wave=CONVOY)
    assert [c.store for c in rows.convoy] == ["store-001", "store-003"]
    assert [c.store for c in rows.current] == ["store-002"]


def test_a_state_that_goes_on_has_the_same_rows_and_none_of_them_moved() -> None:
    rows = state(sent("store-001"), sent("store-002"))
    rows.move(rows.changes[0], wave=CONVOY)
    later = rows.again(rows.rollout, after(90), None)
    assert (later.changes, later.moved, later.now) == (rows.changes, (), after(90))
    later.move(later.changes[1], wave=CONVOY)
    assert [c.store for c in rows.convoy] == ["store-001"]
    assert [c.store for c in later.convoy] == ["store-001", "store-002"]


def test_stores_with_a_verdict_are_counted_as_they_get_it() -> None:
    rows = state(sent("store-1"), sent("store-2"))
    assert rows.judged(0) == (0, 2)
    rows.move(rows.change("store-1", "vision-arm64"), verdict=Verdict.OK)
    assert rows.judged(0) == (1, 2)
    rows.move(rows.change("store-1", "vision-arm64"), verdict=Verdict.WAITING)
    assert rows.judged(0) == (0, 2)
    rows.move(rows.change("store-2", "vision-arm64"), wave=CONVOY)
    assert (rows.judged(0), rows.judged(CONVOY)) == ((0, 1), (0, 1))


def _stores(rows: TickState) -> tuple[str, ...]:
    return (*(c.store for c in rows.where(is_sent)), rows.rollout.why)


def test_a_question_is_asked_again_when_a_change_or_the_rollout_is_another() -> None:
    rows = state(sent("store-1"), sent("store-2"))
    first = rows.once(_stores)
    assert first[:2] == ("store-1", "store-2")
    assert rows.once(_stores) is first
    rows.move(rows.changes[0], stage=Stage.SKIPPED)
    assert rows.once(_stores)[0] == "store-2"
    rows.rollout = replace(rows.rollout, why="another")
    assert rows.once(_stores) == ("store-2", "another")
    assert rows.again(rows.rollout, after(90), None).once(_stores) == ("store-2", "another")
