"""A variant whose stores were all away in the canary is not sent to others before it is judged."""

from typing import Any

import pytest

from fleet.model.changes import CONVOY, Change
from fleet.model.gate import GateAnswer
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.unjudged import unjudged, unjudged_row
from fleet.rollout.decide.verbs import obey
from tests import rollouts
from tests.rollout.decide.tick_states import POLICY, after, parked, planned, said, sent, state
from tests.rollout.decide.ticks import settled

ORIN = "vision-orin"
SHAPES = {"vision-arm64": rollouts.shape(), ORIN: rollouts.shape("orin")}


def canary(*rows: Change, **fields: Any) -> TickState:
    """Good arm64 stores in the canary, what is said of orin, and more orin stores to come."""
    good = [
        sent(f"store-{n:03}", Verdict.OK, looked_at=after(7000), look_at=after(99999))
        for n in range(5)
    ]
    more = [planned(f"store-9{n:02}", service=ORIN) for n in range(3)]
    given = {"at": 700.0, "shapes": SHAPES, "baking_since": after(0), **fields}
    return state(*good, *rows, *(rollouts.planned(c.store, 1, service=ORIN) for c in more), **given)


def away(store: str = "store-100", **fields: Any) -> Change:
    return parked(store, service=ORIN, look_at=after(99999), **fields)


def test_a_variant_of_which_every_canary_store_is_parked_is_not_judged() -> None:
    assert unjudged(canary(away(), away("store-101"))) == {"orin": 3}


@pytest.mark.parametrize(
    "judged",
    [
        sent("store-101", Verdict.OK, service=ORIN),
        sent("store-101", Verdict.FAILED, service=ORIN),
        sent("store-101", Verdict.OK, service=ORIN, wave=CONVOY),
    ],
)
def test_one_verdict_is_enough(judged: Change) -> None:
    assert unjudged(canary(away(), judged)) == {}


@pytest.mark.parametrize(
    "row",
    [
        planned("store-100", service=ORIN, verdict=Verdict.UNCHANGED, stage=Stage.SKIPPED),
        away(stage=Stage.SKIPPED),
    ],
)
def test_what_is_there_already_or_was_skipped_by_a_person_leaves_nothing_to_judge(
    row: Change,
) -> None:
    assert unjudged(canary(row)) == {}


def test_a_variant_of_which_nothing_more_is_to_be_sent_holds_nothing() -> None:
    assert unjudged(state(away(), shapes=SHAPES)) == {}


def test_the_wave_waits_for_a_parked_store_to_come_back() -> None:
    rows = canary(away())
    settled(rows, seen=())
    assert (rows.rollout.phase, rows.rollout.wave) == (Phase.RUNNING, 0)
    assert choose_stores(rows).to_send == ()


@pytest.mark.parametrize(("waited", "phase"), [(-1, Phase.RUNNING), (0, Phase.PAUSED)])
def test_a_person_is_asked_after_the_patience_of_the_policy(waited: float, phase: Phase) -> None:
    rows = canary(away(), at=POLICY.patience_s + waited, wave_at=after(0))
    settled(rows, seen=())
    assert rows.rollout.phase is phase
    if phase is Phase.PAUSED:
        assert "no store has judged orin: those of canary are parked" in rows.rollout.why


def test_a_canary_that_judged_nothing_at_all_does_not_pass() -> None:
    only = [away(), planned("store-900", 1, service=ORIN)]
    rows = state(*only, shapes=SHAPES, at=700, baking_since=after(0))
    settled(rows, seen=())
    assert rows.rollout.wave == 0


def test_a_person_may_let_it_go_on_and_is_told_what_is_accepted() -> None:
    rows = canary(away(), phase=Phase.PAUSED)
    (answer,) = obey(rows, [said(VerbName.RESUME)]).values()
    assert answer == "resumed, orin unjudged accepted"
    assert unjudged_row(rows) is None
    gate = settled(rows, seen=()).gate
    assert gate is not None
    assert "unjudged" not in [check.name for check in gate.checks]


def test_an_answer_to_something_else_before_the_canary_was_complete_is_none_to_this() -> None:
    row = unjudged_row(canary(away(), answered_at=after(-1)))
    assert row is not None
    assert row.answer is GateAnswer.WAIT


def test_no_moment_is_named_before_the_canary_is_complete() -> None:
    row = unjudged_row(canary(away(), baking_since=None))
    assert row is not None
    assert (row.answer, row.again_at) == (GateAnswer.WAIT, None)
