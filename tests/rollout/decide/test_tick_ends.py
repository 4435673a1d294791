"""When a rollout is over, and what it still owes then."""

from dataclasses import replace

import pytest

from fleet.model.changes import CONVOY, Undo
from fleet.model.policy import Window
from fleet.model.rollout import ActionKind, Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.call_results import apply_results
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import (
    OLD,
    POLICY,
    SERVICE,
    after,
    opening,
    parked,
    place,
    planned,
    said,
    sent,
    state,
    undone,
    view,
)
from tests.rollout.decide.ticks import ENDED_PHASES, QUICK, canary, good, kinds, of, settled


def test_a_rollback_sets_back_what_is_found_out_to_have_been_sent_since() -> None:
    rows = state(sent(), planned("store-002"), phase=Phase.ROLLING_BACK, why="rollback by me")
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert of(rows).reason == "rollback by me"


def test_a_rollback_sets_back_what_was_to_be_sent_again() -> None:
    rows = state(planned(sends=1), phase=Phase.ROLLING_BACK, why="rollback by me")
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_a_rollback_is_over_when_every_store_runs_what_it_ran_before() -> None:
    rows = state(undone(undo=Undo(settled=True)), phase=Phase.ROLLING_BACK, why="by me")
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.ROLLED_BACK, "by me")
    assert rows.rollout.finished_at == rows.now


def test_a_rollback_goes_on_while_a_store_has_not_settled() -> None:
    rows = state(undone(undo=Undo(settled=False)), phase=Phase.ROLLING_BACK)
    settled(rows)
    assert rows.rollout.finished_at is None


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.ABORTED, Phase.DONE, Phase.RUNNING])
def test_a_rollout_is_not_over_while_a_store_waits_for_its_window_to_be_set_back(
    phase: Phase,
) -> None:
    careful = replace(POLICY, window=Window.CLOSED, rollback_in_window=True)
    row = sent(verdict=Verdict.OK, stage=Stage.UNDOING)
    places = {"store-042": place(hours=opening(-3600, 3600))}
    rows = state(row, policy=careful, places=places, phase=phase, wave=2)
    done = settled(rows)
    assert done.actions == ()
    assert rows.rollout.finished_at is None
    assert done.wake_at == after(3600)


def test_an_aborted_rollout_is_over_when_it_is_known_what_became_of_what_was_sent() -> None:
    waiting = state(sent(look_at=after(90)), planned("store-002"), phase=Phase.ABORTED)
    settled(waiting)
    assert waiting.rollout.finished_at is None
    known = state(sent(verdict=Verdict.OK), planned("store-002"), phase=Phase.ABORTED)
    settled(known)
    assert known.rollout.finished_at == known.now


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLING_BACK, Phase.RUNNING])
def test_no_rollout_is_over_while_a_call_is_in_doubt(phase: Phase) -> None:
    rows = state(planned(stage=Stage.SENDING), phase=phase, wave=2)
    settled(rows)
    assert rows.rollout.finished_at is None


def test_a_rollout_is_done_after_its_last_wave() -> None:
    rows = state(*canary(), wave=2)
    done = settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.DONE, "4 ok")
    assert rows.rollout.finished_at == rows.now
    assert done.why == "its stores are watched"


def test_a_rollout_is_done_though_a_parked_store_owes_it() -> None:
    rows = state(*canary(parked()), wave=2)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.DONE, "4 ok, 1 owed")


def test_a_store_that_was_set_back_and_did_not_get_the_image_is_said_to_owe_it() -> None:
    rows = state(*canary(undone(verdict=Verdict.UNDELIVERED, undo=Undo(settled=True))), wave=2)
    settled(rows)
    assert rows.rollout.why == "4 ok, 1 undelivered, 1 owed"


def test_a_dark_store_that_has_the_release_is_said_to_be_dark_and_not_to_owe_it() -> None:
    dark = sent(verdict=Verdict.DARK, ok_at=after(30), look_at=after(90))
    rows = state(*canary(dark), wave=2)
    settled(rows)
    assert rows.rollout.why == "4 ok, 1 dark"


def test_a_rollout_is_not_done_while_a_returned_store_is_under_way() -> None:
    rows = state(*canary(sent(wave=CONVOY, look_at=after(90))), wave=2)
    settled(rows)
    assert rows.rollout.phase is Phase.RUNNING


def test_a_rollout_that_was_resumed_for_its_owed_stores_waits_for_them() -> None:
    rows = state(*canary(parked(look_at=after(90))), wave=2, owed_until=after(3000))
    settled(rows)
    assert rows.rollout.finished_at is None


def test_it_is_done_when_the_patience_for_owed_stores_is_over() -> None:
    rows = state(*canary(parked(look_at=after(90))), wave=2, owed_until=after(60))
    settled(rows)
    assert rows.rollout.phase is Phase.DONE


def test_it_is_done_at_once_when_nobody_owes_any_more() -> None:
    rows = state(*canary(), wave=2, owed_until=after(3000))
    settled(rows)
    assert rows.rollout.phase is Phase.DONE


def test_a_done_rollout_of_which_a_store_was_set_back_is_finished_again() -> None:
    rows = state(undone(verdict=Verdict.OK, undo=Undo(settled=True)), phase=Phase.DONE, wave=2)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.finished_at) == (Phase.DONE, rows.now)


@pytest.mark.parametrize("phase", ENDED_PHASES)
def test_a_finished_rollout_stays_as_it_finished(phase: Phase) -> None:
    policy = replace(POLICY, watch_for_s=0.0)
    rows = state(*canary(parked()), phase=phase, wave=2, finished_at=after(10), policy=policy)
    done = settled(rows)
    assert rows.rollout.finished_at == after(10)
    assert (rows.moved, done.actions, done.wake_at) == ((), (), None)


def set_back(*stores: str) -> TickState:
    """A dark store that a person had set back."""
    rows = state(sent(verdict=Verdict.DARK), good(1), wave=2, policy=QUICK)
    obey(rows, [said(VerbName.ROLLBACK, *stores)])
    undo = CallResult(ActionKind.UNDO, "store-042", SERVICE, CallOutcome.DONE, after(60), OLD)
    apply_results(rows, [undo])
    return rows


def test_a_dark_store_that_a_person_set_back_by_name_owes_nothing() -> None:
    rows = set_back("store-042")
    settled(rows)
    assert rows.rollout.why == "1 ok"


def test_a_dark_store_that_a_person_set_back_by_name_is_not_sent_to_when_it_returns() -> None:
    rows = set_back("store-042")
    observe(rows, {"store-042": view()})
    assert of(rows).stage is Stage.UNDONE
