"""The gate of a wave: what it counts, when it lets go, halts, waits or asks, and its numbers."""

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change, ObservedChange
from fleet.model.gate import Check, Count, Gate, GateAnswer, Mark, Signal
from fleet.model.policy import Amount, OnUnclear, Policy
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.darkness import DarknessResult, Excess
from fleet.rollout.decide.gate import count, evaluate, with_signals
from tests import rollouts

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
POLICY = Policy("standard")
QUIET = DarknessResult(Excess.NO, 1.0, "0/8 updated, 9/792 others", "no excess")
DARKENED = DarknessResult(
    Excess.YES, 0.001, "4/8 updated, 0/792 others", "updated stores go dark more"
)
UNCLEAR = DarknessResult(
    Excess.UNCLEAR, None, "1/8 updated, 0/3 others", "3 stores to compare with"
)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def ask(counts: Mapping[str, Count] | Count, **said: Any) -> Gate:
    """A wave that has been complete for so long that its bake is over, and its patience is not."""
    by_variant = {"arm64": counts} if isinstance(counts, Count) else counts
    return evaluate(
        by_variant,
        said.pop("darkness", QUIET),
        said.pop("policy", POLICY),
        **{"wave_at": ago(90), "complete_since": ago(30), "now": NOW, **said},
    )


def arm64(change: Change) -> str:
    return change.service.removeprefix("vision-")


tallies = st.builds(
    lambda ok, failed, dark, waiting, undelivered, by_hand: Count(
        sent=ok + failed + dark + waiting + undelivered + by_hand,
        ok=ok,
        failed=failed,
        dark=dark,
        waiting=waiting,
        undelivered=undelivered,
        by_hand=by_hand,
    ),
    *[st.integers(0, 60)] * 2,
    *[st.integers(0, 10)] * 4,
)
policies = st.builds(
    lambda success, coverage, sample, failures: replace(
        POLICY, success=success, coverage=coverage, min_sample=sample, max_failures=failures
    ),
    st.floats(0.5, 1.0),
    st.floats(0.0, 1.0),
    st.integers(1, 20),
    st.integers(0, 5).map(lambda n: Amount(count=n))
    | st.integers(0, 20).map(lambda n: Amount(percent=Decimal(n))),
)
findings = st.sampled_from([QUIET, DARKENED, UNCLEAR])
unsent = st.dictionaries(st.sampled_from("ab"), st.just(Count(parked=3)))
moments = st.sampled_from([None, ago(1), ago(30), ago(600)])


# what a store counts as


@given(st.lists(st.sampled_from([Verdict.OK, Verdict.FAILED]), max_size=8), st.integers(1, 8))
def test_a_dark_store_counts_neither_as_ok_nor_as_failed(known: list[Verdict], dark: int) -> None:
    rows = [rollouts.change(f"store-{n}", verdict) for n, verdict in enumerate(known)]
    rows += [rollouts.change(f"dark-{n}", Verdict.DARK) for n in range(dark)]

    counted = count(rows, arm64)["arm64"]

    assert counted.ok == known.count(Verdict.OK)
    assert counted.failed == known.count(Verdict.FAILED)
    assert counted.dark == dark
    assert counted.sent == len(known) + dark


def test_an_undelivered_store_counts_neither_as_ok_nor_as_failed() -> None:
    counted = count([rollouts.change("a", Verdict.UNDELIVERED)], arm64)["arm64"]

    assert counted == Count(sent=1, undelivered=1)


def test_a_store_is_as_good_as_its_worst_service_of_a_variant() -> None:
    rows = [
        rollouts.change("a", Verdict.OK),
        rollouts.change("a", Verdict.FAILED, service="telemetry-arm64"),
    ]

    assert count(rows, lambda _: "arm64") == {"arm64": Count(sent=1, failed=1)}


def test_a_store_counts_once_in_each_of_its_variants() -> None:
    rows = [
        rollouts.change("a", Verdict.OK),
        rollouts.change("a", Verdict.FAILED, service="vision-amd64"),
    ]

    assert count(rows, arm64) == {
        "amd64": Count(sent=1, failed=1),
        "arm64": Count(sent=1, ok=1),
    }


def test_parked_and_unchanged_stores_are_told_but_not_sent() -> None:
    rows = [
        rollouts.planned("a", verdict=Verdict.PARKED),
        rollouts.planned("b", verdict=Verdict.UNCHANGED),
        rollouts.planned("c"),
    ]

    assert count(rows, arm64) == {"arm64": Count(parked=1, unchanged=1)}


@pytest.mark.parametrize(
    "row",
    [
        rollouts.change("a", Verdict.FAILED, stage=Stage.SKIPPED),
        rollouts.change("a", Verdict.OK, stage=Stage.UNDONE),
    ],
    ids=["skipped", "set back"],
)
def test_what_a_person_took_out_is_no_part_of_it(row: Change) -> None:
    assert count([row], arm64) == {"arm64": Count()}


def test_a_store_that_ran_it_already_is_told_as_unchanged_and_not_as_ok() -> None:
    row = rollouts.planned("a", verdict=Verdict.UNCHANGED, stage=Stage.SKIPPED)

    assert count([row], arm64) == {"arm64": Count(unchanged=1)}


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (Verdict.UNDELIVERED, Count(sent=1, undelivered=1)),
        (Verdict.CHANGED_BY_HAND, Count(sent=1, by_hand=1)),
    ],
)
def test_a_change_that_was_refused_or_let_go_was_tried(verdict: Verdict, expected: Count) -> None:
    row = rollouts.planned("a", verdict=verdict, stage=Stage.HELD)

    assert count([row], arm64) == {"arm64": expected}


def test_a_dark_store_that_was_set_back_stays_in_the_number_sent() -> None:
    row = rollouts.change("a", Verdict.DARK, stage=Stage.UNDONE)

    assert count([row], arm64) == {"arm64": Count(sent=1, dark=1)}


# when it lets go


@given(policies, findings, moments, unsent)
def test_zero_sent_always_advances(
    policy: Policy, darkness: DarknessResult, since: datetime | None, counts: dict[str, Count]
) -> None:
    gate = ask(counts, policy=policy, darkness=darkness, complete_since=since)

    assert gate.answer is GateAnswer.ADVANCE
    assert "nothing to judge" in gate.reason


@given(tallies, tallies, findings, moments)
def test_amd64_never_clears_arm64(
    amd64: Count, arm: Count, darkness: DarknessResult, since: datetime | None
) -> None:
    both = ask({"amd64": amd64, "arm64": arm}, darkness=darkness, complete_since=since)
    alone = ask({"arm64": arm}, darkness=darkness, complete_since=since)

    if both.answer is GateAnswer.ADVANCE:
        assert alone.answer is GateAnswer.ADVANCE


def test_a_good_wave_advances_with_its_numbers() -> None:
    gate = ask(Count(sent=8, ok=8))

    assert gate.answer is GateAnswer.ADVANCE
    assert gate.reason == "8/8 ok of 8 sent, baked 10m"
    assert {check.mark for check in gate.checks} == {Mark.OK}


def test_two_dark_stores_of_ten_do_not_hold_the_others_back() -> None:
    assert ask(Count(sent=10, ok=8, dark=2)).answer is GateAnswer.ADVANCE


def test_a_wave_bakes_after_its_last_verdict() -> None:
    gate = ask(Count(sent=8, ok=8), complete_since=ago(4))

    assert gate.answer is GateAnswer.WAIT
    assert gate.again_at == ago(4) + timedelta(seconds=600)
    bake = next(check for check in gate.checks if check.name == "bake")
    assert (bake.seen, bake.needed, bake.mark) == ("4m", "needed 10m", Mark.WAIT)


def test_a_late_failure_begins_the_bake_anew() -> None:
    rows = [rollouts.change("a", Verdict.FAILED, since=ago(minutes)) for minutes in (20, 2, 9)]
    gate = ask(Count(sent=300, ok=297, failed=3), complete_since=ago(30), failures=rows)

    assert gate.answer is GateAnswer.WAIT
    assert gate.again_at == ago(2) + timedelta(seconds=600)


def test_it_waits_for_verdicts() -> None:
    gate = ask(Count(sent=8, ok=5, waiting=3), complete_since=None)

    assert gate.answer is GateAnswer.WAIT
    assert gate.reason == "waiting for 3 of 8 verdicts"


def test_it_waits_for_the_rest_of_the_wave() -> None:
    gate = ask(Count(sent=8, ok=8), complete_since=None)

    assert gate.answer is GateAnswer.WAIT
    assert "more of the wave to come" in gate.reason


# when it stops


def test_failures_over_the_budget_halt_before_every_verdict_is_in() -> None:
    gate = ask(Count(sent=8, ok=4, failed=2, waiting=2), complete_since=None)

    assert gate.answer is GateAnswer.HALT
    assert gate.reason == "2 failures, budget 1"
    assert gate.checks[0].mark is Mark.OVER
    assert gate.checks[0].detail == "min_sample 5 reached: 6"


def test_failures_over_the_budget_wait_for_the_sample() -> None:
    gate = ask(Count(sent=8, ok=1, failed=2, waiting=5), complete_since=None)

    assert gate.answer is GateAnswer.WAIT
    assert gate.checks[0].mark is Mark.WAIT
    assert "not reached" in gate.checks[0].detail


def test_a_wave_smaller_than_the_sample_needs_all_its_verdicts() -> None:
    assert ask(Count(sent=2, ok=0, failed=2)).answer is GateAnswer.HALT


def test_success_that_can_no_longer_be_reached_halts() -> None:
    gate = ask(Count(sent=8, ok=7, failed=1))

    assert gate.answer is GateAnswer.HALT
    assert gate.reason == "success 7/8=87.5 % with every verdict in, needed 95 %"


def test_excess_darkness_halts_at_once() -> None:
    gate = ask(Count(sent=8, ok=4, dark=4), darkness=DARKENED, complete_since=None)

    assert gate.answer is GateAnswer.HALT
    assert "4/8 updated, 0/792 others" in gate.reason


def test_a_halt_for_darkness_blames_no_variant() -> None:
    counts = {"amd64": Count(sent=4, ok=2, dark=2), "arm64": Count(sent=4, ok=2, dark=2)}

    gate = ask(counts, darkness=DARKENED, complete_since=None)

    assert gate.reason.startswith("4/8 updated, 0/792 others dark")


def test_accepted_failures_no_longer_count() -> None:
    assert ask(Count(sent=8, ok=6, failed=2), accepted={"arm64": 2}).answer is GateAnswer.ADVANCE


def test_failures_accepted_of_one_variant_are_not_those_of_another() -> None:
    gate = ask({"orin": Count(sent=8, ok=6, failed=2)}, accepted={"xavier": 2})

    assert gate.answer is GateAnswer.HALT


def test_one_bad_variant_halts_and_is_named_with_its_common_reason() -> None:
    cause = "exit 1: libnvinfer.so.8: cannot open"
    failed = [
        rollouts.change(store, Verdict.FAILED, observed=ObservedChange(cause=cause), since=ago(40))
        for store in ("store-322", "store-205")
    ]
    gate = ask({"orin": Count(sent=6, ok=6), "xavier": Count(sent=2, failed=2)}, failures=failed)

    assert gate.answer is GateAnswer.HALT
    assert gate.reason == (
        f"xavier: 2 failures, budget 1; every failure is xavier, one common reason: {cause}"
    )
    row = gate.checks[-1]
    assert (row.name, row.seen) == ("by variant", "orin 6/6 ok · xavier 0/2 ok")
    assert row.mark is Mark.UNDER


@pytest.mark.parametrize(("stores", "named"), [("a", False), ("ab", True)])
def test_a_reason_is_common_to_two_failures_and_not_to_one(stores: str, *, named: bool) -> None:
    failed = [
        rollouts.change(store, Verdict.FAILED, observed=ObservedChange(cause="exit 1"))
        for store in stores
    ]
    none = replace(POLICY, max_failures=Amount(count=0))
    bad = Count(sent=8, ok=8 - len(failed), failed=len(failed))

    reason = ask(bad, policy=none, failures=failed).reason
    assert reason.endswith("one common reason: exit 1") is named


def test_different_reasons_are_not_called_common() -> None:
    failed = [
        rollouts.change(store, Verdict.FAILED, observed=ObservedChange(cause=store))
        for store in ("a", "b")
    ]

    assert "common" not in ask(Count(sent=8, ok=6, failed=2), failures=failed).reason


# when it asks


def test_missing_coverage_is_waited_for_with_patience_and_then_asked_about() -> None:
    silent = Count(sent=8, ok=4, dark=3, undelivered=1)

    waits = ask(silent)
    assert waits.answer is GateAnswer.WAIT
    assert waits.again_at == ago(30) + timedelta(seconds=3600)

    asks = ask(silent, complete_since=ago(61))
    assert asks.answer is GateAnswer.ASK
    assert asks.reason == (
        "coverage 4/8=50 %, needed 80 %: 3 dark, 1 undelivered; nothing has come for 1h"
    )


def test_patience_begins_anew_when_a_person_has_answered() -> None:
    silent = Count(sent=8, ok=4, by_hand=4)

    gate = ask(silent, complete_since=ago(300), wave_at=ago(10))

    assert gate.answer is GateAnswer.WAIT
    assert "4 changed by hand" in gate.reason


def test_darkness_without_anything_to_compare_with_asks_a_person() -> None:
    gate = ask(Count(sent=10, ok=9, dark=1), darkness=UNCLEAR)

    assert gate.answer is GateAnswer.ASK
    assert "3 stores to compare with" in gate.reason


def test_dark_stores_that_nobody_can_explain_are_asked_about_before_the_next_ones_are_sent() -> (
    None
):
    asks = ask(Count(sent=1, dark=1), darkness=UNCLEAR, complete_since=None)
    assert asks.answer is GateAnswer.ASK
    assert "1/8 updated, 0/3 others dark" in asks.reason


WAITING_POLICY = replace(POLICY, on_unclear=OnUnclear.WAIT)


@pytest.mark.parametrize("complete", [None, ago(30)])
def test_a_policy_that_waits_asks_when_its_patience_is_over(complete: datetime | None) -> None:
    for minutes, answer in ((59, GateAnswer.WAIT), (60, GateAnswer.ASK), (61, GateAnswer.ASK)):
        unclear = replace(UNCLEAR, since=ago(minutes))
        counted = Count(sent=10, ok=9, dark=1)
        gate = ask(counted, darkness=unclear, policy=WAITING_POLICY, complete_since=complete)
        assert gate.answer is answer
    assert gate.again_at is None


def test_a_policy_that_waits_names_the_next_look() -> None:
    unclear = replace(UNCLEAR, since=ago(10), again_at=ago(-4))
    gate = ask(Count(sent=1, dark=1), darkness=unclear, policy=WAITING_POLICY, complete_since=None)
    assert (gate.answer, gate.again_at) == (GateAnswer.WAIT, ago(-4))


def test_a_wave_is_held_while_its_dark_stores_may_be_an_excess() -> None:
    suspected = replace(UNCLEAR, excess=Excess.SUSPECTED, since=ago(5), again_at=ago(-4))
    gate = ask(Count(sent=10, ok=9, dark=1), darkness=suspected)
    assert (gate.answer, gate.again_at) == (GateAnswer.WAIT, ago(-4))
    mark = next(check.mark for check in gate.checks if check.name == "darkness")
    assert mark is Mark.WAIT


def test_it_does_not_ask_while_something_is_in_progress() -> None:
    silent = Count(sent=8, ok=4, dark=3, waiting=1)

    assert ask(silent, complete_since=None, wave_at=ago(600)).answer is GateAnswer.WAIT


# whatever is counted


@given(tallies, policies, findings, moments, st.integers(1, 20))
def test_more_failures_never_turn_a_halt_into_an_advance(
    counted: Count, policy: Policy, darkness: DarknessResult, since: datetime | None, more: int
) -> None:
    before = ask(counted, policy=policy, darkness=darkness, complete_since=since)
    worse = replace(counted, failed=counted.failed + more, sent=counted.sent + more)
    after = ask(worse, policy=policy, darkness=darkness, complete_since=since)

    if before.answer is GateAnswer.HALT:
        assert after.answer is not GateAnswer.ADVANCE


@given(tallies, policies, findings, moments, st.integers(1, 60))
def test_more_ok_never_turn_an_advance_into_a_halt(
    counted: Count, policy: Policy, darkness: DarknessResult, since: datetime | None, more: int
) -> None:
    before = ask(counted, policy=policy, darkness=darkness, complete_since=since)
    better = replace(counted, ok=counted.ok + more, sent=counted.sent + more)
    after = ask(better, policy=policy, darkness=darkness, complete_since=since)

    if before.answer is GateAnswer.ADVANCE and counted.sent:
        assert after.answer is GateAnswer.ADVANCE


@given(tallies, policies, findings, moments)
def test_every_answer_prints_its_numbers(
    counted: Count, policy: Policy, darkness: DarknessResult, since: datetime | None
) -> None:
    gate = ask(counted, policy=policy, darkness=darkness, complete_since=since)

    assert gate.reason
    if counted.sent:
        names = [check.name for check in gate.checks]
        assert names[:5] == ["failures", "success", "coverage", "darkness", "bake"]
        assert all(check.seen and check.needed for check in gate.checks)
    if gate.answer is GateAnswer.ADVANCE:
        assert not [c for c in gate.checks if c.mark in {Mark.OVER, Mark.UNDER, Mark.UNCLEAR}]


def test_ten_thousand_changes_are_judged_in_a_tenth_of_a_second() -> None:
    verdicts = [Verdict.OK] * 96 + [Verdict.FAILED] + [Verdict.DARK] * 2 + [Verdict.WAITING]
    rows = [
        rollouts.change(f"store-{n}", verdicts[n % 100], service=f"vision-{'ab'[n % 2]}")
        for n in range(10_000)
    ]
    failed = [row for row in rows if row.verdict is Verdict.FAILED]

    def cpu_seconds() -> float:
        begun = time.process_time()
        ask(count(rows, arm64), failures=failed, complete_since=None)
        return time.process_time() - begun

    assert min(cpu_seconds() for _ in range(5)) < 0.1


def test_a_passing_gate_speaks_for_all_variants_and_says_whose_numbers_it_shows() -> None:
    gate = ask({"amd64": Count(sent=3, ok=3), "arm64": Count(sent=2, ok=2)})

    assert gate.reason == "amd64 3/3 ok · arm64 2/2 ok, baked 10m"
    assert gate.checks[-1].detail == "the numbers above are of arm64"
    assert gate.checks[1].seen == "2/2=100 %"


def row(answer: GateAnswer, name: str = "alarms") -> Signal:
    return Signal(Check(name, "seen", "needed", Mark.OK), answer, f"{name}: {answer.value}")


@pytest.mark.parametrize(
    ("counts", "rows", "expected", "reason"),
    [
        (Count(sent=8, ok=8), [GateAnswer.ADVANCE], GateAnswer.ADVANCE, "8/8 ok"),
        (Count(sent=8, ok=8), [GateAnswer.WAIT], GateAnswer.WAIT, "alarms: wait"),
        (Count(sent=8, ok=8), [GateAnswer.ASK, GateAnswer.WAIT], GateAnswer.ASK, "alarms: ask"),
        (Count(sent=8, ok=8), [GateAnswer.ADVANCE, GateAnswer.HALT], GateAnswer.HALT, "alarms"),
        (Count(sent=8, ok=5, failed=3), [GateAnswer.HALT], GateAnswer.HALT, "3 failures"),
        (Count(), [GateAnswer.HALT], GateAnswer.HALT, "alarms: halt"),
    ],
)
def test_the_worst_of_verdicts_and_further_rows_decides(
    counts: Count, rows: list[GateAnswer], expected: GateAnswer, reason: str
) -> None:
    gate = with_signals(ask(counts), [row(answer) for answer in rows])

    assert (gate.answer, gate.reason.startswith(reason)) == (expected, True)
    assert [check.name for check in gate.checks][-len(rows) :] == ["alarms"] * len(rows)


@given(st.lists(st.sampled_from(GateAnswer), min_size=1), st.sampled_from(GateAnswer))
def test_of_any_answers_the_worst_decides(said: list[GateAnswer], first: GateAnswer) -> None:
    order = [GateAnswer.ADVANCE, GateAnswer.WAIT, GateAnswer.ASK, GateAnswer.HALT]
    gate = with_signals(Gate(first, "verdicts", (), {}), [row(answer) for answer in said])
    assert gate.answer is max((first, *said), key=order.index)


# every limit: at it, just below, just above

MANY = replace(POLICY, max_failures=Amount(count=50))


def numbers(gate: Gate, name: str) -> Check:
    return next(check for check in gate.checks if check.name == name)


@pytest.mark.parametrize(
    ("ok", "answer"),
    [(94, GateAnswer.HALT), (95, GateAnswer.ADVANCE), (96, GateAnswer.ADVANCE)],
)
def test_success_is_enough_at_its_limit(ok: int, answer: GateAnswer) -> None:
    gate = ask(Count(sent=100, ok=ok, failed=100 - ok), policy=MANY)
    assert gate.answer is answer
    assert numbers(gate, "success").mark is (Mark.OK if ok >= 95 else Mark.UNDER)


@pytest.mark.parametrize(
    ("ok", "answer"),
    [(79, GateAnswer.WAIT), (80, GateAnswer.ADVANCE), (81, GateAnswer.ADVANCE)],
)
def test_coverage_is_enough_at_its_limit(ok: int, answer: GateAnswer) -> None:
    gate = ask(Count(sent=100, ok=ok, dark=100 - ok))
    assert gate.answer is answer
    assert numbers(gate, "coverage").mark is (Mark.OK if ok >= 80 else Mark.UNDER)
    assert numbers(gate, "coverage").detail == f"dark {100 - ok}"


@pytest.mark.parametrize(
    ("failed", "answer"),
    [(0, GateAnswer.ADVANCE), (1, GateAnswer.ADVANCE), (2, GateAnswer.HALT)],
)
def test_two_percent_of_seventy_five_stores_is_one_failure(failed: int, answer: GateAnswer) -> None:
    gate = ask(Count(sent=75, ok=75 - failed, failed=failed))
    assert gate.answer is answer
    assert numbers(gate, "failures").needed == "budget 1"
    assert numbers(gate, "failures").mark is (Mark.OVER if failed > 1 else Mark.OK)


@pytest.mark.parametrize(
    ("verdicts", "answer"),
    [(4, GateAnswer.WAIT), (5, GateAnswer.HALT), (6, GateAnswer.HALT)],
)
def test_failures_halt_once_the_sample_is_reached(verdicts: int, answer: GateAnswer) -> None:
    gate = ask(Count(sent=20, failed=verdicts, waiting=20 - verdicts), complete_since=None)
    assert gate.answer is answer
    assert numbers(gate, "coverage").detail == f"waiting {20 - verdicts}"


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [(599, GateAnswer.WAIT), (600, GateAnswer.ADVANCE), (601, GateAnswer.ADVANCE)],
)
def test_a_bake_is_over_at_its_end(seconds: float, answer: GateAnswer) -> None:
    since = NOW - timedelta(seconds=seconds)
    gate = ask(Count(sent=10, ok=10), complete_since=since)
    assert gate.answer is answer
    assert numbers(gate, "bake").mark is (Mark.WAIT if seconds < 600 else Mark.OK)


@pytest.mark.parametrize(
    ("seconds", "answer"),
    [(3599, GateAnswer.WAIT), (3600, GateAnswer.ASK), (3601, GateAnswer.ASK)],
)
def test_patience_is_over_at_its_end(seconds: float, answer: GateAnswer) -> None:
    since = NOW - timedelta(seconds=seconds)
    gate = ask(Count(sent=10, ok=1, dark=9), wave_at=since, complete_since=since)
    assert gate.answer is answer


def test_of_two_variants_that_wait_the_one_of_which_nothing_is_known_is_named() -> None:
    counts = {"a": Count(sent=5, dark=5), "b": Count(sent=5, ok=5)}
    assert ask(counts, complete_since=ago(1)).reason.startswith("a: coverage 0/5=0 %")
