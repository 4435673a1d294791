"""What follows from the verdicts: waves begin, pass and halt; stores are sent to and set back."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.decide.board import Board
from fleet.decide.noting import note
from fleet.decide.rollout import Settled, begin, settle
from fleet.decide.sight import see
from fleet.decide.turns import take_turn
from fleet.decide.verbs import obey
from fleet.model.gate import Answer, Sample
from fleet.model.policy import AfterCanary, Amount, OnHalt, Policy, Window
from fleet.model.rollout import CONVOY, ActionKind, Change, Phase, Stage, VerbName, Verdict
from fleet.model.written import Outcome, Written
from tests.decide.boards import (
    OLD,
    POLICY,
    SERVICE,
    after,
    board,
    opening,
    parked,
    place,
    planned,
    said,
    sent,
    undone,
    view,
)

QUICK = replace(POLICY, bake_s=0.0, concurrency=Amount(count=100))
ENDED_PHASES = (Phase.DONE, Phase.ABORTED, Phase.ROLLED_BACK)


def good(number: int, wave: int = 0, **fields: Any) -> Change:
    return sent(f"store-{number:03}", Verdict.OK, wave=wave, look_at=after(9999), **fields)


def canary(*others: Change) -> list[Change]:
    """Four good stores of a canary, and others."""
    return [*(good(n) for n in range(1, 5)), *others]


def later(number: int = 900) -> Change:
    return planned(f"store-{number:03}", wave=1)


def settled(
    rows: Board, seen: tuple[str, ...] | None = None, *, unwatched: bool = False
) -> Settled:
    """A tick that has looked at everybody whose turn it is, unless somebody else is named."""
    turn = take_turn(rows)
    looked = frozenset(turn.next_up if seen is None else seen)
    return settle(rows, turn, looked, None, unwatched=unwatched)


def of(rows: Board, store: str = "store-042") -> Change:
    return rows.change(store, SERVICE)


def kinds(done: Settled) -> list[tuple[ActionKind, str]]:
    return [(action.kind, action.store) for action in done.actions]


def test_the_first_tick_begins_the_first_wave() -> None:
    rows = board(planned(), wave_at=None)
    begin(rows)
    assert rows.rollout.wave_at == rows.now
    assert [e.text for e in rows.events] == ["canary begins: 1 store"]


def test_a_wave_that_has_begun_is_not_begun_again() -> None:
    rows = board(planned(), wave_at=after(5))
    begin(rows)
    assert rows.rollout.wave_at == after(5)
    assert rows.events == []


def test_a_rollout_that_was_aborted_before_its_first_tick_begins_no_wave() -> None:
    rows = board(planned(), wave_at=None, phase=Phase.ABORTED)
    begin(rows)
    assert rows.events == []


def test_a_store_that_was_looked_at_is_sent_the_release() -> None:
    rows = board(planned())
    assert kinds(settled(rows)) == [(ActionKind.SEND, "store-042")]
    assert of(rows).stage is Stage.SENDING


def test_both_services_of_a_store_are_sent_together() -> None:
    rows = board(planned(), planned(service="telemetry-arm64"))
    assert len(settled(rows).actions) == 2


def test_a_store_that_was_not_looked_at_is_sent_nothing() -> None:
    rows = board(planned())
    assert settled(rows, seen=()).actions == ()
    assert of(rows).stage is Stage.PLANNED


def test_a_store_with_a_host_away_is_sent_nothing() -> None:
    rows = board(planned(away_since=after(59)))
    assert settled(rows).actions == ()


def test_a_store_of_which_one_service_is_away_is_sent_nothing_at_all() -> None:
    rows = board(planned(), planned(service="telemetry-arm64", away_since=after(59)))
    assert settled(rows).actions == ()


def test_what_was_found_in_flight_in_this_tick_takes_its_place() -> None:
    rows = board(
        planned("store-001", stage=Stage.PLANNED),
        planned("store-002"),
        policy=replace(QUICK, concurrency=Amount(count=1)),
    )
    turn = take_turn(rows)
    assert turn.next_up == ("store-001",)
    rows.move(rows.change("store-002", SERVICE), stage=Stage.SENT, sends=1)
    assert settle(rows, turn, frozenset({"store-001"}), None).actions == ()


def test_each_send_says_for_which_wave_it_is() -> None:
    rows = board(planned("store-001"), planned("store-002", wave=CONVOY), policy=QUICK)
    assert [a.why for a in settled(rows).actions] == ["canary of ro-118", "convoy of ro-118"]


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.RUNNING])
def test_nothing_is_sent_but_by_a_running_rollout(phase: Phase) -> None:
    rows = board(planned(), parked("store-002", wave=CONVOY), phase=phase)
    assert ActionKind.SEND not in [kind for kind, _ in kinds(settled(rows, seen=("store-042",)))]


def test_a_wave_whose_verdicts_are_in_begins_to_bake() -> None:
    rows = board(*canary(later()))
    assert settled(rows).actions == ()
    assert rows.rollout.baking_since == rows.now


def test_a_wave_bakes_from_its_last_verdict_on() -> None:
    rows = board(*canary(later()), baking_since=after(20))
    settled(rows)
    assert rows.rollout.baking_since == after(20)


UNSETTLED = [
    sent(),
    planned(stage=Stage.SENDING),
    planned(look_at=after(90)),
    sent(stage=Stage.UNDOING),
    sent(verdict=Verdict.UNDELIVERED, since=after(50), pulls_failed=1),
]


@pytest.mark.parametrize("row", UNSETTLED, ids=lambda c: f"{c.stage.value} {c.verdict.value}")
def test_a_wave_bakes_not_while_a_store_is_unsettled(row: Change) -> None:
    rows = board(*canary(row, later()), baking_since=after(20))
    settled(rows)
    assert rows.rollout.baking_since is None


SETTLED = [
    sent(verdict=Verdict.OK),
    sent(verdict=Verdict.FAILED),
    sent(verdict=Verdict.DARK),
    parked(),
    undone(),
    planned(stage=Stage.SKIPPED),
    sent(verdict=Verdict.UNDELIVERED, pulls_failed=99),
    sent(verdict=Verdict.CHANGED_BY_HAND, stage=Stage.HELD),
]


@pytest.mark.parametrize("row", SETTLED, ids=lambda c: f"{c.stage.value} {c.verdict.value}")
def test_a_wave_bakes_with_whatever_has_settled(row: Change) -> None:
    rows = board(*canary(row, later()))
    settled(rows)
    assert rows.rollout.baking_since is not None


def test_a_wave_that_has_baked_lets_the_next_one_begin() -> None:
    rows = board(*canary(later()), baking_since=after(0), at=600)
    settled(rows)
    assert (rows.rollout.wave, rows.rollout.wave_at) == (1, rows.now)
    assert rows.rollout.baking_since is None
    assert "wave 1 begins: 1 store" in [e.text for e in rows.events]


def test_a_wave_that_is_a_second_short_of_its_bake_goes_on_baking() -> None:
    rows = board(*canary(later()), baking_since=after(0), at=599)
    done = settled(rows)
    assert rows.rollout.wave == 0
    assert done.wake_at == after(600)


def test_accepted_failures_are_of_their_wave_only() -> None:
    rows = board(*canary(later()), baking_since=after(0), at=600, accepted={"arm64": 2})
    settled(rows)
    assert rows.rollout.accepted == {}


def test_a_canary_whose_policy_asks_for_it_waits_to_be_promoted() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = board(*canary(later()), baking_since=after(0), at=600, policy=policy)
    done = settled(rows)
    assert (rows.rollout.phase, rows.rollout.wave) == (Phase.AWAITING, 0)
    assert done.wake_at is None or done.wake_at > rows.now


def test_a_canary_that_was_promoted_beforehand_goes_on() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = board(*canary(later()), baking_since=after(0), at=600, policy=policy, promoted=True)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.wave) == (Phase.RUNNING, 1)


def test_a_promoted_canary_begins_the_next_wave_in_the_same_tick() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = board(
        *canary(later()), baking_since=after(0), at=700, policy=policy, phase=Phase.AWAITING
    )
    obey(rows, [said(VerbName.PROMOTE)])
    settled(rows)
    assert rows.rollout.wave == 1


def test_a_canary_that_is_all_there_is_needs_no_promotion() -> None:
    policy = replace(POLICY, after_canary=AfterCanary.PROMOTE)
    rows = board(*canary(), baking_since=after(0), at=600, policy=policy)
    rows.rollout = replace(
        rows.rollout, spec=replace(rows.rollout.spec, waves=rows.rollout.spec.waves[:1])
    )
    settled(rows)
    assert rows.rollout.phase is Phase.DONE


def failing(**fields: Any) -> Board:
    bad = [sent(f"store-1{n:02}", Verdict.FAILED) for n in range(4)]
    return board(*canary(*bad, later()), **fields)


def test_failures_halt_and_nothing_more_is_sent() -> None:
    rows = failing()
    done = settled(rows)
    assert rows.rollout.phase is Phase.HALTED
    assert done.gate is not None
    assert done.gate.answer is Answer.HALT
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
    rows = board(later(), *back, wave=1)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED


def test_a_wave_of_dark_stores_asks_a_person_when_its_patience_is_over() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK) for n in range(5)]
    rows = board(*dark, later(), at=POLICY.patience_s, baking_since=after(0))
    settled(rows)
    assert rows.rollout.phase is Phase.PAUSED
    assert rows.rollout.why.startswith("inconclusive, a person must decide")


@pytest.mark.parametrize("phase", [Phase.HALTED, Phase.ABORTED])
def test_a_dark_store_is_set_back_at_once_when_nothing_goes_on(phase: Phase) -> None:
    rows = board(sent(verdict=Verdict.DARK), phase=phase)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert of(rows).stage is Stage.UNDOING
    assert phase.value in of(rows).reason


def test_a_dark_store_may_return_while_the_rollout_runs_or_is_paused() -> None:
    for phase in (Phase.RUNNING, Phase.PAUSED):
        rows = board(sent(verdict=Verdict.DARK), phase=phase)
        assert settled(rows).actions == ()


def test_a_dark_store_is_set_back_where_nobody_watches_while_a_person_is_asked() -> None:
    for phase in (Phase.PAUSED, Phase.AWAITING):
        rows = board(sent(verdict=Verdict.DARK), phase=phase)
        assert kinds(settled(rows, unwatched=True)) == [(ActionKind.UNDO, "store-042")]
        assert settled(board(sent(verdict=Verdict.DARK), phase=phase)).actions == ()


def test_what_could_not_be_pulled_is_set_back_where_ecs_still_tries() -> None:
    trying = sent(verdict=Verdict.UNDELIVERED, evidence={"runs": sent().target})
    restored = sent(verdict=Verdict.UNDELIVERED, evidence={"runs": "arn:before"})
    assert kinds(settled(board(trying, phase=Phase.HALTED))) == [(ActionKind.UNDO, "store-042")]
    assert settled(board(restored, phase=Phase.HALTED)).actions == ()


def test_a_dark_store_that_was_seen_running_the_release_has_nothing_to_take_back() -> None:
    evidence = {"try": after(0).isoformat(), "ok_at": after(30).isoformat()}
    rows = board(sent(verdict=Verdict.DARK, evidence=evidence), phase=Phase.HALTED)
    assert settled(rows).actions == ()


def closing(seconds: float, **fields: Any) -> Board:
    """A dark store that opens so many seconds after the tick."""
    policy = replace(POLICY, window=Window.CLOSED)
    places = {"store-042": place(hours=opening(60 + seconds, 40000))}
    return board(sent(verdict=Verdict.DARK), policy=policy, places=places, **fields)


def test_a_dark_store_is_set_back_before_it_opens() -> None:
    rows = closing(300)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert "its window closes" in of(rows).reason


def test_a_dark_store_whose_window_goes_on_is_left_to_return() -> None:
    assert settled(closing(360)).actions == ()


def test_a_paused_rollout_sets_back_what_would_be_applied_in_opening_hours() -> None:
    assert kinds(settled(closing(300, phase=Phase.PAUSED))) == [(ActionKind.UNDO, "store-042")]


def test_a_dark_store_is_set_back_at_the_end_of_the_rollout() -> None:
    rows = board(*canary(sent(verdict=Verdict.DARK)), wave=2)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert rows.rollout.finished_at is None


def test_what_could_not_be_pulled_is_sent_again_after_its_wait() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1)
    early = board(row, at=POLICY.pull_wait_s - 1)
    settled(early)
    assert of(early).stage is Stage.SENT
    due = board(row, at=POLICY.pull_wait_s)
    settled(due)
    assert of(due).stage is Stage.PLANNED


def test_a_paused_rollout_sends_nothing_again() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1)
    rows = board(row, at=9999, phase=Phase.PAUSED)
    settled(rows)
    assert of(rows).stage is Stage.SENT


def test_a_rollback_sets_back_what_is_found_out_to_have_been_sent_since() -> None:
    rows = board(sent(), planned("store-002"), phase=Phase.ROLLING_BACK, why="rollback by me")
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]
    assert of(rows).reason == "rollback by me"


def test_a_rollback_sets_back_what_was_to_be_sent_again() -> None:
    rows = board(planned(sends=1), phase=Phase.ROLLING_BACK, why="rollback by me")
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_a_rollback_is_over_when_every_store_runs_what_it_ran_before() -> None:
    rows = board(undone(evidence={"settled": True}), phase=Phase.ROLLING_BACK, why="by me")
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.ROLLED_BACK, "by me")
    assert rows.rollout.finished_at == rows.now


def test_a_rollback_goes_on_while_a_store_has_not_settled() -> None:
    rows = board(undone(evidence={"settled": False}), phase=Phase.ROLLING_BACK)
    settled(rows)
    assert rows.rollout.finished_at is None


@pytest.mark.parametrize("phase", [Phase.ROLLING_BACK, Phase.ABORTED, Phase.DONE, Phase.RUNNING])
def test_a_rollout_is_not_over_while_a_store_waits_for_its_window_to_be_set_back(
    phase: Phase,
) -> None:
    careful = replace(POLICY, window=Window.CLOSED, rollback_in_window=True)
    row = sent(verdict=Verdict.OK, stage=Stage.UNDOING)
    places = {"store-042": place(hours=opening(-3600, 3600))}
    rows = board(row, policy=careful, places=places, phase=phase, wave=2)
    done = settled(rows)
    assert done.actions == ()
    assert rows.rollout.finished_at is None
    assert done.wake_at == after(3600)


def test_an_aborted_rollout_is_over_when_it_is_known_what_became_of_what_was_sent() -> None:
    waiting = board(sent(look_at=after(90)), planned("store-002"), phase=Phase.ABORTED)
    settled(waiting)
    assert waiting.rollout.finished_at is None
    known = board(sent(verdict=Verdict.OK), planned("store-002"), phase=Phase.ABORTED)
    settled(known)
    assert known.rollout.finished_at == known.now


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLING_BACK, Phase.RUNNING])
def test_no_rollout_is_over_while_a_call_is_in_doubt(phase: Phase) -> None:
    rows = board(planned(stage=Stage.SENDING), phase=phase, wave=2)
    settled(rows)
    assert rows.rollout.finished_at is None


def test_a_rollout_is_done_after_its_last_wave() -> None:
    rows = board(*canary(), wave=2)
    done = settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.DONE, "4 ok")
    assert rows.rollout.finished_at == rows.now
    assert done.wake_at is None


def test_a_rollout_is_done_though_a_parked_store_owes_it() -> None:
    rows = board(*canary(parked()), wave=2)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.why) == (Phase.DONE, "4 ok, 1 owed")


def test_a_rollout_is_not_done_while_a_returned_store_is_under_way() -> None:
    rows = board(*canary(sent(wave=CONVOY, look_at=after(90))), wave=2)
    settled(rows)
    assert rows.rollout.phase is Phase.RUNNING


def test_a_rollout_that_was_resumed_for_its_owed_stores_waits_for_them() -> None:
    rows = board(*canary(parked(look_at=after(90))), wave=2, owed_until=after(3000))
    settled(rows)
    assert rows.rollout.finished_at is None


def test_it_is_done_when_the_patience_for_owed_stores_is_over() -> None:
    rows = board(*canary(parked(look_at=after(90))), wave=2, owed_until=after(60))
    settled(rows)
    assert rows.rollout.phase is Phase.DONE


def test_it_is_done_at_once_when_nobody_owes_any_more() -> None:
    rows = board(*canary(), wave=2, owed_until=after(3000))
    settled(rows)
    assert rows.rollout.phase is Phase.DONE


def test_a_done_rollout_of_which_a_store_was_set_back_is_finished_again() -> None:
    rows = board(undone(verdict=Verdict.OK, evidence={"settled": True}), phase=Phase.DONE, wave=2)
    settled(rows)
    assert (rows.rollout.phase, rows.rollout.finished_at) == (Phase.DONE, rows.now)


@pytest.mark.parametrize("phase", ENDED_PHASES)
def test_a_finished_rollout_stays_as_it_finished(phase: Phase) -> None:
    rows = board(*canary(parked()), phase=phase, wave=2, finished_at=after(10))
    done = settled(rows)
    assert rows.rollout.finished_at == after(10)
    assert (rows.moved, done.actions, done.wake_at) == ((), (), None)


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
    return settled(board(gone, fresh, *others, at=600, policy=policy)).untouched


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
    assert settled(board(*canary(), *untouched(dark=0, of=3))).untouched is None


def test_darkness_far_beyond_that_of_untouched_stores_halts() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK, away_since=after(100)) for n in range(8)]
    rows = board(*dark, *untouched(dark=0, of=40), at=600)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED
    assert all(of(rows, f"store-{n:03}").stage is Stage.UNDOING for n in range(8))


def test_darkness_of_updated_and_untouched_stores_alike_halts_nothing() -> None:
    dark = [sent(f"store-{n:03}", Verdict.DARK, away_since=after(100)) for n in range(8)]
    rows = board(*dark, *untouched(dark=40, of=40), at=600)
    settled(rows)
    assert rows.rollout.phase is Phase.RUNNING


def set_back(*stores: str) -> Board:
    """A dark store that a person had set back."""
    rows = board(sent(verdict=Verdict.DARK), good(1), wave=2, policy=QUICK)
    obey(rows, [said(VerbName.ROLLBACK, *stores)])
    undo = Written(ActionKind.UNDO, "store-042", SERVICE, Outcome.DONE, after(60), OLD)
    note(rows, [undo])
    return rows


def test_a_dark_store_that_a_person_set_back_by_name_owes_nothing() -> None:
    rows = set_back("store-042")
    settled(rows)
    assert rows.rollout.why == "1 ok"


def test_a_dark_store_that_a_person_set_back_by_name_is_not_sent_to_when_it_returns() -> None:
    rows = set_back("store-042")
    see(rows, {"store-042": view()})
    assert of(rows).stage is Stage.UNDONE
