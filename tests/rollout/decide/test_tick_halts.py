"""What halts a rollout, whom it asks, and which stores are set back because of it."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change, ObservedChange
from fleet.model.gate import GateAnswer, Sample
from fleet.model.policy import OnHalt, Policy, Window
from fleet.model.rollout import ActionKind, Phase
from fleet.model.verdicts import Stage, Verdict
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


def untouched(dark: int, of: int, looked: float = 590) -> list[Change]:
    """Stores of a later wave, of which some went away at second 10."""
    return [
        planned(
            f"store-9{n:02}",
            wave=1,
            looked_at=after(looked),
            away_since=after(10) if n < dark else None,
        )
        for n in range(of)
    ]


def sampled(*others: Change, policy: Policy = POLICY) -> Sample | None:
    gone = sent("store-001", Verdict.DARK, away_since=after(100))
    fresh = planned("store-800", wave=1)
    return settled(state(gone, fresh, *others, at=600, policy=policy)).untouched


def test_untouched_stores_that_went_dark_since_the_wave_began_are_counted() -> None:
    assert sampled(*untouched(dark=2, of=10)) == Sample(2, 10)


def test_a_store_that_was_away_before_the_wave_began_is_not_compared() -> None:
    long_gone = planned("store-999", wave=1, looked_at=after(590), away_since=after(-100))
    assert sampled(*untouched(dark=0, of=3), long_gone) == Sample(0, 3)


def test_a_store_that_was_last_looked_at_before_the_wave_is_not_compared() -> None:
    assert sampled(*untouched(dark=0, of=3, looked=-1)) == Sample(0, 0)


def test_a_store_that_has_been_away_for_less_than_a_flap_is_not_dark() -> None:
    flap = planned("store-999", wave=1, looked_at=after(590), away_since=after(400))
    assert sampled(flap) == Sample(0, 1)


def test_without_anybody_away_nobody_is_compared() -> None:
    assert settled(state(*canary(), *untouched(dark=0, of=3))).untouched is None


def test_darkness_far_beyond_that_of_untouched_stores_halts() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK, away_since=after(100)) for n in range(8)]
    rows = state(*dark, *untouched(dark=0, of=40), at=600)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED
    assert all(of(rows, f"store-{n:03}").stage is Stage.UNDOING for n in range(8))


def test_darkness_of_updated_and_untouched_stores_alike_halts_nothing() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK, away_since=after(100)) for n in range(8)]
    rows = state(*dark, *untouched(dark=40, of=40), at=600)
    settled(rows)
    assert rows.rollout.phase is Phase.RUNNING
