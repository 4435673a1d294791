"""A wave passes on what was seen of it lately, and not on what was true an hour ago."""

from datetime import timedelta

import pytest

from fleet.model.changes import Change
from fleet.model.gate import Count, Gate, GateAnswer
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.freshness import bake_ends, hold_until_read, restart_bake_after_gap
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import POLICY, after, seconds, sent, state

HOUR = 3600.0
PASSES = "4/4 ok"
PASSING = Gate(GateAnswer.ADVANCE, PASSES, (), {"xavier": Count(sent=4, ok=4)})


def good(looked_at: float, count: int = 4) -> list[Change]:
    return [
        sent(f"store-{n:03}", Verdict.OK, looked_at=after(looked_at)) for n in range(1, count + 1)
    ]


def asked(rows: list[Change], at: float, answer: GateAnswer = GateAnswer.ADVANCE) -> Gate:
    """What becomes of a gate that passes after a bake that began at second 0."""
    some = baking(rows, at)
    ok = sum(row.verdict is Verdict.OK for row in rows)
    gate = Gate(answer, PASSES, (), {"xavier": Count(sent=len(rows), ok=ok, failed=len(rows) - ok)})
    return hold_until_read(some, rows, gate, lambda _: "xavier")


def baking(rows: list[Change], at: float, last: float | None = None) -> TickState:
    updated = None if last is None else after(last)
    return state(*rows, at=at, baking_since=after(0), updated_at=updated)


def test_a_wave_that_was_watched_to_the_end_of_its_bake_passes() -> None:
    assert asked(good(looked_at=550), at=POLICY.bake_s).answer is GateAnswer.ADVANCE


def test_a_wave_of_which_nothing_was_seen_in_the_end_is_looked_at_before_it_passes() -> None:
    gate = asked(good(looked_at=200), at=POLICY.bake_s)
    assert gate.answer is GateAnswer.WAIT
    assert gate.reason == (
        "xavier: 4 of 4 good stores were not read since 23 Nov 02:05Z; "
        "they are read before it goes on"
    )


def test_one_store_that_cannot_be_read_holds_no_wave() -> None:
    rows = [*good(looked_at=550, count=9), sent("store-010", Verdict.OK, looked_at=after(100))]
    assert asked(rows, at=POLICY.bake_s).answer is GateAnswer.ADVANCE


def test_a_wave_that_cannot_be_looked_at_is_asked_about_when_its_patience_is_over() -> None:
    late = POLICY.bake_s + POLICY.patience_s
    assert seconds(asked(good(looked_at=200), at=POLICY.bake_s).again_at) == late
    assert asked(good(looked_at=200), at=late).answer is GateAnswer.ASK


def test_after_a_late_failure_the_good_ones_are_looked_at_anew() -> None:
    rows = [*good(looked_at=550), sent("store-009", Verdict.FAILED, since=after(590))]
    assert asked(rows, at=590 + POLICY.bake_s).answer is GateAnswer.WAIT


def test_what_is_set_back_or_failed_needs_no_look() -> None:
    rows = [sent("store-001", Verdict.OK, stage=Stage.UNDONE, looked_at=after(0))]
    assert asked(rows, at=POLICY.bake_s).answer is GateAnswer.ADVANCE


@pytest.mark.parametrize("answer", [GateAnswer.WAIT, GateAnswer.HALT, GateAnswer.ASK])
def test_a_gate_that_does_not_pass_says_what_it_said(answer: GateAnswer) -> None:
    assert asked(good(looked_at=0), at=HOUR, answer=answer).reason == PASSES


@pytest.mark.parametrize("order", [("orin", "xavier"), ("xavier", "orin")])
def test_a_variant_that_was_watched_does_not_clear_one_that_was_not(order: tuple[str, str]) -> None:
    rows = [
        *(sent(f"orin-{n}", Verdict.OK, looked_at=after(550)) for n in range(4)),
        *(sent(f"xavier-{n}", Verdict.OK, looked_at=after(200)) for n in range(4)),
    ]
    passes = Gate(GateAnswer.ADVANCE, PASSES, (), dict.fromkeys(order, Count(sent=4, ok=4)))
    held = hold_until_read(
        baking(rows, POLICY.bake_s), rows, passes, lambda c: c.store.partition("-")[0]
    )
    assert held.answer is GateAnswer.WAIT
    assert held.reason.startswith("xavier: 4 of 4 good stores were not read")


def test_a_bake_that_nobody_watched_lasts_until_somebody_does() -> None:
    rows = good(looked_at=500)
    some = baking(rows, at=HOUR, last=500)

    restart_bake_after_gap(some, PASSING)

    assert seconds(some.rollout.baking_since) == HOUR - POLICY.bake_s
    gate = hold_until_read(some, rows, PASSING, lambda _: "xavier")
    assert gate.answer is GateAnswer.WAIT


@pytest.mark.parametrize("gap", [15.0, 400.0])
def test_ticks_that_take_their_time_are_no_gap(gap: float) -> None:
    some = baking(good(looked_at=0), at=HOUR, last=HOUR - gap)
    restart_bake_after_gap(some, PASSING)
    assert some.rollout.baking_since == after(0)


def test_a_gap_ends_no_bake_early() -> None:
    some = baking(good(looked_at=0), at=HOUR, last=0)
    some.rollout = state(baking_since=after(HOUR) - timedelta(seconds=60)).rollout
    restart_bake_after_gap(some, PASSING)
    assert seconds(some.rollout.baking_since) == HOUR - 60


@pytest.mark.parametrize(
    ("old", "answer"),
    [(1, GateAnswer.ADVANCE), (2, GateAnswer.ADVANCE), (3, GateAnswer.WAIT)],
)
def test_as_many_as_coverage_asks_for_must_have_been_read(old: int, answer: GateAnswer) -> None:
    rows = good(looked_at=550, count=10)
    rows[:old] = [sent(f"store-9{n:02}", Verdict.OK, looked_at=after(100)) for n in range(old)]
    assert asked(rows, at=POLICY.bake_s).answer is answer


@pytest.mark.parametrize(("late", "ends"), [(Verdict.OK, 600), (Verdict.FAILED, 1100)])
def test_only_a_late_failure_begins_a_bake_anew(late: Verdict, ends: float) -> None:
    rows = [sent("store-001", late, since=after(500)), sent("store-002", Verdict.OK)]
    assert seconds(bake_ends(rows, after(0), POLICY)) == ends
