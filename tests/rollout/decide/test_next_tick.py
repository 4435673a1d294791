"""When a rollout has something to do next: never at once where nothing is to be done."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.model.changes import Change, ObservedChange, Undo
from fleet.model.darkness import Presence, Survey
from fleet.model.gate import Gate, GateAnswer
from fleet.model.policy import Window
from fleet.model.rollout import ActionKind, Phase, RolloutAction
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.control_sample import SOON_S
from fleet.rollout.decide.next_tick import (
    AT_LEAST_EVERY_S,
    may_undo,
    next_tick,
    pulls_again_at,
    waits_for_person,
)
from fleet.rollout.decide.store_choice import StoreChoice, choose_stores
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import (
    POLICY,
    after,
    opening,
    parked,
    place,
    planned,
    seconds,
    sent,
    state,
    undone,
)

AT_NIGHT = replace(POLICY, window=Window.CLOSED)
CAREFUL = replace(POLICY, window=Window.CLOSED, rollback_in_window=True)


def wake(
    rows: TickState, gate: Gate | None = None, choice: StoreChoice | None = None
) -> float | None:
    at, _ = next_tick(rows, choice or choose_stores(rows), gate, acts=False)
    return seconds(at)


def waits_for(rows: TickState, gate: Gate | None = None) -> str:
    return next_tick(rows, choose_stores(rows), gate, acts=False)[1]


def bakes(until: float) -> Gate:
    return Gate(GateAnswer.WAIT, "bakes", (), {}, after(until))


def test_a_finished_rollout_wakes_for_nobody() -> None:
    assert wake(state(sent(), phase=Phase.DONE, finished_at=after(30))) is None


def test_what_a_tick_did_is_seen_at_once() -> None:
    rows = state(sent(look_at=after(300)))
    assert next_tick(rows, choose_stores(rows), None, acts=True) == (after(60), "")


def test_the_first_look_that_is_due_wakes() -> None:
    rows = state(sent("store-001", look_at=after(300)), sent("store-002", look_at=after(90)))
    assert wake(rows) == 90


def test_a_look_that_is_overdue_wakes_now_and_not_in_the_past() -> None:
    assert wake(state(sent(look_at=after(10)))) == 60


def test_the_end_of_the_bake_wakes_before_a_later_look() -> None:
    rows = state(sent(verdict=Verdict.OK, look_at=after(300)))
    assert wake(rows, bakes(200)) == 200
    assert waits_for(rows, bakes(200)) == "bakes"


def test_a_row_that_nothing_is_to_be_seen_of_wakes_nobody() -> None:
    rows = state(sent(verdict=Verdict.FAILED), phase=Phase.HALTED, why="too many failures")
    assert wake(rows) is None
    assert waits_for(rows) == "too many failures"


def test_a_paused_rollout_without_anything_in_flight_waits_for_a_person() -> None:
    assert wake(state(planned(), parked("store-002"), phase=Phase.PAUSED)) is None


def test_a_paused_rollout_still_watches_what_is_in_flight() -> None:
    assert wake(state(sent(look_at=after(75)), phase=Phase.PAUSED)) == 75


def test_somebody_whose_turn_has_only_just_come_wakes_at_once() -> None:
    before = StoreChoice((), (), ())
    assert wake(state(planned()), choice=before) == 60


def test_somebody_whose_turn_it_was_already_is_no_reason_to_wake_at_once() -> None:
    assert wake(state(planned())) == 60 + AT_LEAST_EVERY_S


def test_a_store_that_was_put_off_wakes_when_it_may_be_tried_again() -> None:
    assert wake(state(planned(look_at=after(120)))) == 120


def test_the_opening_of_a_window_wakes() -> None:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    assert wake(state(planned(), policy=AT_NIGHT, places=places)) == 3600


def test_an_owed_store_is_waited_for_until_the_patience_ends() -> None:
    rows = state(parked(look_at=after(5000)), wave=2, owed_until=after(3000))
    assert wake(rows) == 3000


def test_a_parked_store_is_asked_again_now_and_then() -> None:
    assert wake(state(parked(look_at=after(180)), wave=2)) == 180


def test_what_could_not_be_pulled_wakes_when_its_wait_is_over() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1, look_at=after(900))
    assert wake(state(row)) == POLICY.pull_wait_s


def test_a_pull_whose_tries_are_used_up_is_not_tried_again() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, pulls_failed=POLICY.pulls + 1)
    assert pulls_again_at(state(row), row) is None


def test_a_pull_of_what_was_not_sent_again_waits_for_nothing() -> None:
    row = undone(verdict=Verdict.UNDELIVERED, pulls_failed=1)
    assert pulls_again_at(state(row), row) is None


def test_what_is_to_be_set_back_is_tried_at_once() -> None:
    assert wake(state(sent(stage=Stage.UNDOING), phase=Phase.ROLLING_BACK)) == 60


def test_what_aws_would_not_set_back_is_asked_again_after_a_while() -> None:
    row = sent(stage=Stage.UNDOING, look_at=after(120))
    assert wake(state(row, phase=Phase.ROLLING_BACK)) == 120


def test_a_paused_rollout_wakes_for_no_pull_that_it_would_not_try_again() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(-900), pulls_failed=1, look_at=after(180))
    assert wake(state(row, phase=Phase.PAUSED)) == 180


def test_a_store_whose_wait_is_over_and_that_has_no_place_wakes_nobody_at_once() -> None:
    rows = state(sent("store-001", look_at=after(90)), planned("store-002", look_at=after(10)))
    assert wake(rows) == 60 + SOON_S, "its first survey"
    surveyed = ObservedChange(survey=Survey(after(60), Presence.HERE, 1))
    rows = state(
        sent("store-001", look_at=after(90)),
        planned("store-002", look_at=after(10), observed=surveyed),
    )
    assert wake(rows) == 90


def careful(row: Change, **fields: Any) -> TickState:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    return state(row, policy=CAREFUL, places=places, **fields)


def test_where_the_policy_says_so_a_shop_is_set_back_when_it_has_closed() -> None:
    row = sent(verdict=Verdict.OK, stage=Stage.UNDOING)
    rows = careful(row, phase=Phase.ROLLING_BACK)
    assert not may_undo(rows, row)
    assert wake(rows) == 3600


def test_a_dark_shop_is_set_back_at_any_time() -> None:
    row = sent(verdict=Verdict.DARK, stage=Stage.UNDOING)
    assert may_undo(careful(row), row)


def test_an_open_shop_is_set_back_at_once_unless_the_policy_says_otherwise() -> None:
    places = {"store-042": place(hours=opening(-3600, 3600))}
    row = sent(stage=Stage.UNDOING)
    assert may_undo(state(row, policy=AT_NIGHT, places=places), row)


STILL = [
    sent(verdict=Verdict.OK, look_at=after(61)),
    sent(verdict=Verdict.FAILED),
    sent(look_at=after(61)),
    sent(verdict=Verdict.DARK, look_at=after(61)),
    planned(look_at=after(61)),
    planned(wave=1),
    planned(stage=Stage.SENDING, look_at=after(61)),
    parked(look_at=after(61)),
    parked(wave=1),
    undone(look_at=after(61), undo=Undo(settled=False)),
    undone(look_at=after(61), undo=Undo(settled=True)),
    sent(stage=Stage.SKIPPED),
    sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD),
]


@pytest.mark.parametrize("row", STILL, ids=lambda c: f"{c.stage.value} {c.verdict.value}")
def test_a_rollout_that_has_nothing_to_do_now_does_not_wake_now(row: Change) -> None:
    for phase in Phase:
        rows = state(row, phase=phase, why="waits")
        at, _ = next_tick(rows, choose_stores(rows), None, acts=False)
        assert at is None or at >= rows.now + timedelta(seconds=1), phase


@pytest.mark.parametrize(
    ("rows", "waits"),
    [
        (state(sent(verdict=Verdict.OK), phase=Phase.HALTED), True),
        (state(sent(verdict=Verdict.OK), phase=Phase.RUNNING), False),
        (state(sent(verdict=Verdict.WAITING), phase=Phase.HALTED), False),
        (state(planned(stage=Stage.SENDING), phase=Phase.PAUSED), False),
        (state(sent(stage=Stage.UNDOING), phase=Phase.AWAITING), False),
    ],
    ids=["halted", "running", "not judged yet", "call in doubt", "being set back"],
)
def test_a_rollout_waits_for_a_person_once_nothing_of_it_is_under_way(
    rows: TickState, *, waits: bool
) -> None:
    assert waits_for_person(rows.rollout, rows.changes, ()) is waits


def test_a_rollout_that_acts_waits_for_nobody() -> None:
    rows = state(sent(verdict=Verdict.OK), phase=Phase.HALTED)
    action = RolloutAction(ActionKind.UNDO, "store-042", "vision-arm64", "halted")
    assert not waits_for_person(rows.rollout, rows.changes, [action])
