"""While every send is stopped nothing is sent, nobody is asked, and no time runs out."""

from dataclasses import replace

import pytest

from fleet.model.changes import Change
from fleet.model.gate import GateAnswer
from fleet.model.rollout import ActionKind, Phase, VerbName
from fleet.model.stop import Stop
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.next_tick import next_tick
from fleet.rollout.decide.stopped import stop_words
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import POLICY, after, planned, said, seconds, sent, state
from tests.rollout.decide.ticks import canary, kinds, later, settled

STOP = Stop(after(30), "anna on laptop", "1.9.0 kills tills")
PATIENCE = POLICY.patience_s


def lifted(at: float) -> Stop:
    return replace(STOP, lifted_at=after(at), lifted_by="ben")


def silent() -> list[Change]:
    """A canary of which nothing comes: its only store is dark."""
    return [sent("store-001", Verdict.DARK, look_at=after(99_999)), later()]


def test_nothing_is_sent_while_it_is_stopped_and_it_is_said_why() -> None:
    rows = state(planned(), stop=STOP)
    assert choose_stores(rows).to_send == ()
    assert choose_stores(rows).waits_for == STOP.words
    assert kinds(settled(rows)) == []


def test_what_is_lifted_is_sent() -> None:
    assert kinds(settled(state(planned(), stop=lifted(50)))) == [(ActionKind.SEND, "store-042")]


def test_stores_are_set_back_although_it_is_stopped() -> None:
    rows = state(sent(), phase=Phase.ROLLING_BACK, stop=STOP)
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_a_rollback_can_be_said_while_it_is_stopped() -> None:
    rows = state(sent(), stop=STOP)
    obey(rows, [said(VerbName.ROLLBACK)])
    assert kinds(settled(rows)) == [(ActionKind.UNDO, "store-042")]


def test_failures_halt_although_it_is_stopped() -> None:
    failed = [sent(f"store-{n:03}", Verdict.FAILED, look_at=after(9999)) for n in range(1, 6)]
    rows = state(*failed, later(), stop=STOP)
    settled(rows)
    assert rows.rollout.phase is Phase.HALTED


def test_a_good_wave_passes_and_the_next_one_is_not_sent() -> None:
    rows = state(*canary(later()), at=9_000, baking_since=after(600), stop=STOP)
    done = settled(rows)
    assert (kinds(done), rows.rollout.phase) == ([], Phase.RUNNING)


@pytest.mark.parametrize(
    ("stop", "at", "phase"),
    [
        (None, PATIENCE - 1, Phase.RUNNING),
        (None, PATIENCE, Phase.PAUSED),
        (STOP, PATIENCE, Phase.RUNNING),
        (STOP, 50 * PATIENCE, Phase.RUNNING),
        (lifted(40_000), 40_000, Phase.RUNNING),
        (lifted(40_000), 40_000 + PATIENCE - 1, Phase.RUNNING),
        (lifted(40_000), 40_000 + PATIENCE, Phase.PAUSED),
        (lifted(40_000), 40_000 + PATIENCE + 1, Phase.PAUSED),
    ],
)
def test_patience_does_not_run_out_because_of_a_stop(
    stop: Stop | None, at: float, phase: Phase
) -> None:
    rows = state(*silent(), at=at, baking_since=after(0), stop=stop)
    gate = settled(rows).gate
    assert rows.rollout.phase is phase
    assert gate is not None
    assert (gate.answer is GateAnswer.ASK) == (phase is Phase.PAUSED)


def test_an_image_that_was_not_pulled_is_not_tried_again_while_it_is_stopped() -> None:
    row = sent(verdict=Verdict.UNDELIVERED, pulls_failed=1, look_at=after(0))
    rows = state(row, at=4_000, stop=STOP)
    settled(rows)
    assert rows.change("store-042", row.service).stage is Stage.SENT


def test_a_stopped_rollout_is_ticked_all_the_same() -> None:
    rows = state(planned(), stop=STOP)
    at, _why = next_tick(rows, choose_stores(rows), None, acts=False)
    assert seconds(at) == 75


@pytest.mark.parametrize(
    ("stop", "now", "words"),
    [
        (None, 60, ""),
        (STOP, 60, STOP.words),
        (lifted(40), 60, "sending goes on: ben has lifted the stop, 23 Nov 02:00Z"),
        (lifted(40), 3640, "sending goes on: ben has lifted the stop, 23 Nov 02:00Z"),
        (lifted(40), 3641, ""),
        (lifted(-1), 60, ""),
    ],
)
def test_the_events_tell_of_a_stop_and_for_a_while_of_its_end(
    stop: Stop | None, now: float, words: str
) -> None:
    assert stop_words(stop, state(planned()).rollout, after(now)) == words


def test_a_rollout_that_has_ended_says_nothing_of_it() -> None:
    rows = state(sent(verdict=Verdict.OK), phase=Phase.DONE, stop=STOP)
    assert stop_words(STOP, rows.rollout, rows.now) == ""
