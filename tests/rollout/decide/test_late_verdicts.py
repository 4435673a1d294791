"""What late verdicts of earlier waves do to a rollout: they halt it, hold it, or ask a person."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import CONVOY, Change
from fleet.model.darkness import DarknessTest
from fleet.model.gate import GateAnswer, Mark, Sample, Signal
from fleet.model.policy import Amount
from fleet.model.rollout import Phase, VerbName, WavePlan
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.late_verdicts import NAME, late_verdicts, lost_wave
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import POLICY, after, planned, said, sent, state
from tests.rollout.decide.ticks import settled

#: Only the budget counts, not the share of successes.
BUDGET = replace(POLICY, success=0.01, max_failures=Amount(count=2))
#: Only the share of successes counts.
SUCCESS = replace(POLICY, max_failures=Amount(count=999))


def ok(number: int, wave: int = 0, verdict: Verdict = Verdict.OK, **fields: Any) -> Change:
    known: dict[str, Any] = {"ok_at": after(10), "look_at": after(99999), **fields}
    return sent(f"store-{number:04}", verdict, wave=wave, **known)


def goods(count: int, wave: int = 0, first: int = 0) -> list[Change]:
    return [ok(first + n, wave) for n in range(count)]


def failed(number: int, wave: int = 0, **fields: Any) -> Change:
    return ok(number, wave, Verdict.FAILED, **{"is_late": True, **fields})


def dark(number: int, wave: int = 0, **fields: Any) -> Change:
    known = {"is_late": True, "away_since": after(7000), **fields}
    return ok(number, wave, Verdict.DARK, **known)


def after_two_waves(*rows: Change, **fields: Any) -> TickState:
    """Wave 2 of four is sent now; there is more to send."""
    now = [sent("store-8000", wave=2, look_at=after(99999)), planned("store-9000", wave=2)]
    names = ("canary", "wave 1", "wave 2", "wave 3")
    waves = tuple(
        WavePlan(name, tuple(c.store for c in (*rows, *now) if c.wave == index))
        for index, name in enumerate(names)
    )
    known = DarknessTest(history=Sample(0, 1000))
    told = {"at": 7400.0, "wave": 2, "waves": waves, "darkness": known, **fields}
    return state(*rows, *now, **told)


def row_of(rows: TickState) -> Signal:
    found = late_verdicts(rows)
    assert found is not None
    return found


def test_there_is_no_row_while_there_is_no_earlier_store() -> None:
    assert late_verdicts(state(ok(1))) is None


def test_good_earlier_stores_hold_nothing_and_are_told_with_their_period() -> None:
    row = row_of(after_two_waves(*goods(20)))
    assert row.answer is GateAnswer.ADVANCE
    assert (row.check.name, row.check.seen, row.check.needed) == (NAME, "20/20 ok", "budget 1")
    assert row.check.detail == "read every 10m"


@pytest.mark.parametrize(
    ("late", "answer"), [(1, GateAnswer.ADVANCE), (2, GateAnswer.ADVANCE), (3, GateAnswer.HALT)]
)
def test_late_failures_over_the_budget_of_all_earlier_stores_halt(
    late: int, answer: GateAnswer
) -> None:
    bad = [failed(500 + n) for n in range(late)]
    row = row_of(after_two_waves(*goods(20), *goods(20, 1, 100), *bad, policy=BUDGET))
    assert row.answer is answer
    assert row.check.mark is (Mark.OVER if answer is GateAnswer.HALT else Mark.OK)


def test_a_budget_in_percent_is_of_the_earlier_stores_that_were_sent() -> None:
    policy = replace(BUDGET, max_failures=Amount(percent=Decimal(2)))
    bad = [failed(500), failed(501), failed(502)]
    fits = row_of(after_two_waves(*goods(147), *bad, policy=policy))
    assert (fits.answer, fits.check.needed) == (GateAnswer.ADVANCE, "budget 3")
    over = row_of(after_two_waves(*goods(146), *bad, policy=policy))
    assert over.reason == "earlier waves: 3 late failures of arm64, budget 2"


def test_what_failed_before_its_wave_passed_was_judged_by_its_own_gate() -> None:
    bad = [failed(500 + n, is_late=False) for n in range(9)]
    assert row_of(after_two_waves(*goods(20), *bad, policy=BUDGET)).answer is GateAnswer.ADVANCE


@pytest.mark.parametrize(
    ("good", "answer"), [(20, GateAnswer.ADVANCE), (19, GateAnswer.ADVANCE), (18, GateAnswer.HALT)]
)
def test_a_wave_that_would_not_pass_with_its_late_failure_halts(
    good: int, answer: GateAnswer
) -> None:
    row = row_of(after_two_waves(*goods(good), *goods(99, 1, 100), failed(500), policy=SUCCESS))
    assert row.answer is answer
    if answer is GateAnswer.HALT:
        assert "canary would not pass now: arm64 success 18/19=94.7 %, needed 95 %" in row.reason


def test_a_late_failure_in_a_canary_of_two_halts_a_running_rollout() -> None:
    rows = after_two_waves(ok(1), failed(2))
    settled(rows, seen=())
    assert rows.rollout.phase is Phase.HALTED
    assert rows.rollout.why.startswith("earlier waves: canary would not pass now")


def test_a_rollout_whose_last_wave_has_passed_halts_too() -> None:
    rows = state(ok(1), failed(2), wave=2, at=7400, owed_until=after(9999))
    settled(rows, seen=())
    assert rows.rollout.phase is Phase.HALTED


def test_accepted_late_failures_count_no_more() -> None:
    rows = after_two_waves(ok(1), failed(2), phase=Phase.HALTED)
    (answer,) = obey(rows, [said(VerbName.RESUME)]).values()
    assert answer == "resumed, 1 failure accepted"
    settled(rows, seen=())
    assert rows.rollout.phase is Phase.RUNNING


def test_an_accepted_failure_makes_no_room_for_another() -> None:
    taken = failed(2, failure_accepted=True)
    assert row_of(after_two_waves(ok(1), taken, failed(3))).answer is GateAnswer.HALT


@pytest.mark.parametrize(("lost", "is_lost"), [(2, False), (3, True)])
def test_an_earlier_wave_is_lost_below_its_coverage(lost: int, is_lost: bool) -> None:
    rows = [*goods(10 - lost), *(dark(500 + n) for n in range(lost))]
    assert (lost_wave(after_two_waves(*rows)) is not None) is is_lost


#: Stores by what a count of them by hand says: judged, not judged, lost since, and set back.
KNOWN = (ok(0), failed(0, is_late=False), failed(0))
UNKNOWN = (dark(0, is_late=False, away_since=None),)
LOST = (dark(0), ok(0, away_since=after(7000)))
SET_BACK = (ok(0, stage=Stage.UNDONE),)


@given(
    st.lists(st.sampled_from((*KNOWN * 5, *UNKNOWN, *LOST, *SET_BACK)), min_size=1, max_size=30),
)
def test_a_wave_is_lost_when_a_count_by_hand_says_so(drawn: list[Change]) -> None:
    rows = [replace(row, store=f"store-{number:04}") for number, row in enumerate(drawn)]
    of = len([row for row in drawn if row not in SET_BACK])
    known = len([row for row in drawn if row in KNOWN])
    is_lost = any(row in LOST for row in drawn) and known < POLICY.coverage * of
    assert (lost_wave(after_two_waves(*rows)) is not None) is is_lost


@pytest.mark.parametrize(
    "gone",
    [
        dark(2),
        ok(2, away_since=after(7390)),
        ok(2, 0, Verdict.CHANGED_BY_HAND, stage=Stage.HELD, is_late=True),
    ],
)
def test_stores_that_are_dark_away_or_changed_by_hand_say_nothing_any_more(gone: Change) -> None:
    found = lost_wave(after_two_waves(ok(1), gone))
    assert found is not None
    assert (found.name, found.known, found.of) == ("canary", 1, 2)


def test_nothing_is_sent_while_an_earlier_wave_is_lost() -> None:
    rows = after_two_waves(dark(1), dark(2))
    assert choose_stores(rows).to_send == ()
    done = settled(rows, seen=("store-9000",))
    assert done.actions == ()
    assert done.gate is not None
    assert done.gate.answer is GateAnswer.WAIT
    assert rows.rollout.phase is Phase.RUNNING


def test_a_loss_that_this_tick_has_read_stops_its_sends() -> None:
    rows = after_two_waves(ok(1), ok(2), policy=replace(POLICY, concurrency=Amount(count=2)))
    choice = choose_stores(rows)
    assert choice.to_send == ("store-9000",)
    rows.put(ok(1, away_since=after(7400)))

    assert settle(rows, choice, frozenset({"store-9000"})).actions == ()


@pytest.mark.parametrize(("waited", "phase"), [(-1, Phase.RUNNING), (0, Phase.PAUSED)])
def test_a_person_is_asked_when_the_stores_do_not_come_back(waited: float, phase: Phase) -> None:
    at = 7000 + POLICY.patience_s + waited
    rows = after_two_waves(dark(1), dark(2), at=at, wave_at=after(7100))
    settled(rows, seen=())
    assert rows.rollout.phase is phase


def test_a_loss_is_accepted_by_resume_and_a_later_one_is_not() -> None:
    rows = after_two_waves(dark(1), dark(2), ok(3, 1), phase=Phase.PAUSED)
    (answer,) = obey(rows, [said(VerbName.RESUME)]).values()
    assert answer == "resumed, 2 stores lost after the wave had passed accepted"
    assert lost_wave(rows) is None
    rows.put(ok(3, 1, away_since=after(7500)))
    assert lost_wave(rows) is not None


def test_a_skipped_store_is_no_loss() -> None:
    assert lost_wave(after_two_waves(ok(1), dark(2, stage=Stage.SKIPPED))) is None


def test_the_convoy_has_a_gate_of_its_own() -> None:
    assert late_verdicts(state(failed(1, CONVOY), wave=1)) is None
