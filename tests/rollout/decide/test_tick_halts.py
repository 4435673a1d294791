"""What halts a rollout, whom it asks, and which stores are set back because of it."""

from dataclasses import replace
from datetime import time
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change, HostContact, ObservedChange
from fleet.model.darkness import DarknessTest, Presence, Survey
from fleet.model.gate import GateAnswer, Sample
from fleet.model.hours import OpenSpan
from fleet.model.policy import Amount, OnHalt, OnUnclear, Window
from fleet.model.rollout import ActionKind, Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick import Settled
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import (
    POLICY,
    after,
    opening,
    place,
    planned,
    sent,
    state,
)
from tests.rollout.decide.ticks import canary, kinds, later, of, settled


def failing(**fields: Any) -> TickState:
    bad = [sent(f"store-1{n:02}", Verdict.FAILED) for n in range(4)]
    return state(*canary(*bad, later()), **fields)


def test_failures_halt_and_nothing_more_is_sent() -> None:
    rows = failing()
    done = settled(rows)
    assert rows.rollout.phase is Phase.HALTED
    assert done.gate is not None
    assert done.gate.answer is GateAnswer.HALT
    assert done.actions == ()


def test_a_halt_is_told_with_its_numbers() -> None:
    rows = failing()
    settled(rows)
    gate = next(e for e in rows.events if e.kind == "gate")
    assert gate.text.startswith("gate canary: halt: ")
    assert gate.data["answer"] == "halt"
    assert gate.data["counts"]["arm64"]["failed"] == 4


def test_a_halt_rolls_back_where_the_policy_says_so() -> None:
    rows = failing(policy=replace(POLICY, on_halt=OnHalt.ROLLBACK))
    done = settled(rows)
    assert rows.rollout.phase is Phase.ROLLING_BACK
    assert {kind for kind, _ in kinds(done)} == {ActionKind.UNDO}
    assert len(done.actions) == 8


def test_a_halted_rollout_is_not_halted_again() -> None:
    rows = failing(phase=Phase.HALTED, why="as it was")
    settled(rows)
    assert rows.rollout.why == "as it was"
    assert rows.events == []


def test_a_convoy_that_fails_halts_the_wave() -> None:
    back = [sent(f"store-1{n:02}", Verdict.FAILED, wave=CONVOY) for n in range(5)]
    rows = state(later(), *back, wave=1)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED


def test_a_wave_of_dark_stores_asks_a_person_when_its_patience_is_over() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK) for n in range(5)]
    rows = state(*dark, later(), at=POLICY.patience_s, baking_since=after(0))
    settled(rows)
    assert rows.rollout.phase is Phase.PAUSED
    assert rows.rollout.why.startswith("inconclusive, a person must decide")


@pytest.mark.parametrize("phase", [Phase.HALTED, Phase.ABORTED])
def test_a_dark_store_is_set_back_at_once_when_nothing_goes_on(phase: Phase) -> None:
    rows = state(sent(verdict=Verdict.DARK), phase=phase)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert of(rows).stage is Stage.UNDOING
    assert phase.value in of(rows).reason


def test_a_dark_store_may_return_while_the_rollout_runs_or_is_paused() -> None:
    for phase in (Phase.RUNNING, Phase.PAUSED):
        rows = state(sent(verdict=Verdict.DARK), phase=phase)
        assert settled(rows).actions == ()


def test_a_dark_store_is_set_back_where_nobody_watches_while_a_person_is_asked() -> None:
    for phase in (Phase.PAUSED, Phase.AWAITING):
        rows = state(sent(verdict=Verdict.DARK), phase=phase)
        assert kinds(settled(rows, unwatched=True)) == [(ActionKind.UNDO, "store-042")]
        assert settled(state(sent(verdict=Verdict.DARK), phase=phase)).actions == ()


def test_what_could_not_be_pulled_is_set_back_where_ecs_still_tries() -> None:
    trying = sent(
        verdict=Verdict.UNDELIVERED, observed=ObservedChange(task_definition=sent().target)
    )
    restored = sent(
        verdict=Verdict.UNDELIVERED, observed=ObservedChange(task_definition="arn:before")
    )
    assert kinds(settled(state(trying, phase=Phase.HALTED))) == [(ActionKind.UNDO, "store-042")]
    assert settled(state(restored, phase=Phase.HALTED)).actions == ()


def test_a_dark_store_that_was_seen_running_the_release_has_nothing_to_take_back() -> None:
    rows = state(sent(verdict=Verdict.DARK, ok_at=after(30)), phase=Phase.HALTED)
    assert settled(rows).actions == ()


def closing(seconds: float, **fields: Any) -> TickState:
    """A dark store that opens so many seconds after the tick."""
    policy = replace(POLICY, window=Window.CLOSED)
    places = {"store-042": place(hours=opening(60 + seconds, 40000))}
    return state(sent(verdict=Verdict.DARK), policy=policy, places=places, **fields)


def test_a_dark_store_is_set_back_before_it_opens() -> None:
    rows = closing(300)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert "its window closes" in of(rows).reason


def test_a_dark_store_whose_window_goes_on_is_left_to_return() -> None:
    assert settled(closing(360)).actions == ()


def test_a_paused_rollout_sets_back_what_would_be_applied_in_opening_hours() -> None:
    assert kinds(settled(closing(300, phase=Phase.PAUSED))) == [(ActionKind.UNDO, "store-042")]


def test_a_dark_store_is_set_back_at_the_end_of_the_rollout() -> None:
    rows = state(*canary(sent(verdict=Verdict.DARK)), wave=2)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert rows.rollout.finished_at is None


def test_what_could_not_be_pulled_is_sent_again_after_its_wait() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1)
    early = state(row, at=POLICY.pull_wait_s - 1)
    settled(early)
    assert of(early).stage is Stage.SENT
    due = state(row, at=POLICY.pull_wait_s)
    settled(due)
    assert of(due).stage is Stage.PLANNED


def test_a_paused_rollout_sends_nothing_again() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1)
    rows = state(row, at=9999, phase=Phase.PAUSED)
    settled(rows)
    assert of(rows).stage is Stage.SENT


def surveyed(looks: int = 5, **fields: Any) -> ObservedChange:
    survey = Survey(after(590), looks=looks, **{"presence": Presence.HERE, **fields})
    return ObservedChange(survey=survey)


def untouched(of: int) -> list[Change]:
    """Stores of a later wave that are connected at every survey."""
    return [planned(f"store-9{n:02}", wave=1, observed=surveyed()) for n in range(of)]


def dark(of: int, **fields: Any) -> list[Change]:
    gone = surveyed(presence=Presence.AWAY)
    shown = {"away_since": after(100), "observed": gone, **fields}
    return [sent(f"store-{n:03}", Verdict.DARK, **shown) for n in range(1, of + 1)]


#: What the darkness test makes of eight of eight dark stores.
EXCESS = DarknessTest(log_ratios=(9.0,) * 5, updated_dark=8, others_of=40)


def test_an_excess_of_dark_stores_halts_and_sets_them_back() -> None:
    rows = state(*dark(8), *untouched(40), at=600, darkness=EXCESS)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED
    assert all(of(rows, f"store-{n:03}").stage is Stage.UNDOING for n in range(1, 9))


def test_dark_stores_that_are_no_excess_halt_nothing() -> None:
    rows = state(*dark(1), *untouched(40), at=600)
    settled(rows)
    assert rows.rollout.phase is Phase.RUNNING


def unclear(control: int, *, at: float = 600, **fields: Any) -> tuple[TickState, Settled]:
    """One dark store, one whose turn it is, and so many to compare with."""
    policy = replace(fields.pop("policy", POLICY), concurrency=Amount(count=9))
    rows = state(
        *dark(1), planned("store-500"), *untouched(control), at=at, policy=policy, **fields
    )
    return rows, settled(rows)


@pytest.mark.parametrize(("control", "clear"), [(19, False), (20, True), (21, True)])
def test_nothing_is_sent_while_too_few_stores_can_be_compared_with(
    control: int, clear: bool
) -> None:
    rows, done = unclear(control)
    assert (kinds(done) == [(ActionKind.SEND, "store-500")]) is clear
    assert (rows.rollout.phase is Phase.RUNNING) is clear


@pytest.mark.parametrize(("hours", "clear"), [(19, False), (20, True), (21, True)])
def test_store_hours_on_record_stand_in_for_a_control_group(hours: int, clear: bool) -> None:
    rows, done = unclear(3, darkness=DarknessTest(history=Sample(0, hours)))
    assert (kinds(done) == [(ActionKind.SEND, "store-500")]) is clear
    assert (rows.rollout.phase is Phase.RUNNING) is clear


def test_a_policy_may_wait_while_it_is_unclear_and_says_until_when() -> None:
    waits = replace(POLICY, on_unclear=OnUnclear.WAIT)
    rows, done = unclear(3, policy=waits)
    assert rows.rollout.phase is Phase.RUNNING
    assert done.actions == ()
    assert done.gate is not None
    assert done.gate.answer is GateAnswer.WAIT
    assert done.gate.again_at is not None
    assert "nothing is sent until then" in done.gate.reason


def test_waiting_ends_with_a_question_whose_time_does_not_move() -> None:
    waits = replace(POLICY, on_unclear=OnUnclear.WAIT)
    held = DarknessTest(held_since=after(600), holds="unclear")
    for late, phase in ((3599, Phase.RUNNING), (3600, Phase.PAUSED)):
        rows, _ = unclear(3, policy=waits, darkness=held, at=600 + late)
        assert rows.rollout.phase is phase
        assert rows.rollout.darkness.held_since == after(600)


def test_sends_go_on_when_the_dark_store_is_back() -> None:
    held = DarknessTest(held_since=after(500), holds="unclear")
    back = sent("store-001", Verdict.OK, look_at=after(9999), observed=surveyed())
    rows = state(back, planned("store-500"), at=600, darkness=held)
    done = settled(rows)
    assert rows.rollout.darkness.holds == ""
    assert done.wake_at == rows.now


def switched_off(*, until: float, **fields: Any) -> TickState:
    """A store that was sent the release and switched off at second 30, until it opens."""
    where = place(hours=opening(until, 30), off_when_closed=("cam-1",))
    row = sent(
        away_since=after(40),
        observed=ObservedChange(
            hosts={"cam-1": HostContact(connected=False, away_since=after(40))}
        ),
    )
    return state(row, places={"store-042": where}, **fields)


@pytest.mark.parametrize("phase", [Phase.HALTED, Phase.ABORTED])
def test_a_store_that_is_switched_off_is_set_back_when_nothing_goes_on(phase: Phase) -> None:
    rows = switched_off(until=40000, phase=phase)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert of(rows).reason.startswith(f"switched off while the rollout is {phase.value}")


def test_a_store_that_is_switched_off_is_left_to_open_in_its_window() -> None:
    rows = switched_off(until=40000)
    assert settled(rows).actions == ()
    assert of(rows).stage is Stage.SENT


def test_a_store_that_is_switched_off_is_set_back_where_it_opens_outside_its_window() -> None:
    policy = replace(POLICY, between=OpenSpan(time(20), time(21)), window=Window.CLOSED)
    rows = switched_off(until=40000, policy=policy)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_a_store_that_is_switched_off_may_be_set_back_without_waiting_for_power() -> None:
    policy = replace(POLICY, rollback_in_window=True)
    rows = switched_off(until=40000, policy=policy, phase=Phase.HALTED)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_a_store_whose_host_is_late_at_opening_is_not_switched_off() -> None:
    rows = switched_off(until=55, phase=Phase.HALTED)
    assert settled(rows).actions == ()
