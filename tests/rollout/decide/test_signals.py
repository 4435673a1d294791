"""Alarms and checks: when they are read, and what their readings say of a rollout."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change
from fleet.model.gate import GateAnswer, Mark, Signal
from fleet.model.policy import Amount, HttpProbe, MetricBaseline, PolicyCheck
from fleet.model.rollout import Phase, VerbName
from fleet.model.signals import AlarmState, AlarmValue, SignalReadings, SignalsSeen
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.signal_readings import note_signals, usual_of
from fleet.rollout.decide.signal_reads import (
    PUBLISHED_S,
    read_again_at,
    signals_to_read,
    value_key,
)
from fleet.rollout.decide.signals import signals
from fleet.rollout.decide.store_choice import choose_stores
from fleet.rollout.decide.tick import settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.tick_states import POLICY, after, place, planned, said, sent, state

SHARD = ("emea-prod", "eu-west-1")
LATENCY = "latency-{store}"
HTTP = PolicyCheck("till answers", http=HttpProbe("https://{store}.example/health"))
METRIC = PolicyCheck(
    "checkout latency",
    metric=MetricBaseline(
        "Shops", "Latency", (("Store", "{store}"),), period_s=600.0, at_most=Decimal("1.5")
    ),
)
FRESH = POLICY.fresh_s


def board(*rows: Change, at: float = 600, **fields: Any) -> TickState:
    told = {"alarms": (LATENCY,), "checks": (), **fields}
    policy = replace(POLICY, alarms=told.pop("alarms"), checks=told.pop("checks"))
    return state(*rows, at=at, policy=policy, **told)


def good(store: str = "s-1", ok_at: float = 120, **fields: Any) -> Change:
    return sent(store, Verdict.OK, ok_at=after(ok_at), look_at=after(9999), **fields)


def states(changed: float = 300, **alarms: AlarmValue) -> dict[str, AlarmState]:
    """Alarms by store, as ``s_1=AlarmValue.ALARM``."""
    return {
        name: AlarmState(name, value, "3 errors", after(changed))
        for store, value in alarms.items()
        for name in [f"latency-{store.replace('_', '-')}"]
    }


def read(rows: TickState, seen: SignalsSeen | None = None, *, to_send: str = "") -> TickState:
    """Read what is due, with this answer of the only account and region."""
    asked = signals_to_read(rows, (to_send,) if to_send else ())
    assert asked is not None, "nothing was due"
    note_signals(rows, asked, {SHARD: seen} if seen else {}, {})
    return rows


def later(rows: TickState, at: float) -> TickState:
    return TickState(rows.rollout, rows.changes, after(at))


def only(rows: TickState) -> Signal:
    (signal,) = signals(rows)
    return signal


FIRES, FINE, NEW = AlarmValue.ALARM, AlarmValue.OK, AlarmValue.INSUFFICIENT_DATA


def test_a_policy_without_alarms_and_checks_reads_nothing_and_has_no_row() -> None:
    rows = state(good())
    assert signals_to_read(rows, ("s-1",)) is None
    assert (signals(rows), read_again_at(rows)) == ((), None)


def test_an_alarm_that_fires_after_the_release_was_sent_halts() -> None:
    rows = read(board(good(), good("s-2")), SignalsSeen(states(s_1=FIRES, s_2=FINE)))

    signal = only(rows)

    assert signal.answer is GateAnswer.HALT
    assert signal.reason == "alarm latency-s-1 (3 errors) fires"
    assert (signal.check.seen, signal.check.needed) == ("1/2 firing", "none firing")
    assert signal.check.mark is Mark.OVER


def test_too_little_data_is_neither_firing_nor_unread() -> None:
    signal = only(read(board(good()), SignalsSeen(states(s_1=NEW))))
    assert (signal.answer, signal.check.mark) == (GateAnswer.ADVANCE, Mark.OK)
    assert "1 with too little data, which is neither" in signal.check.detail


def test_a_store_without_an_alarm_is_counted_and_a_pattern_without_any_asks() -> None:
    some = only(read(board(good(), good("s-2")), SignalsSeen(states(s_1=FINE))))
    assert some.answer is GateAnswer.ADVANCE
    assert "1 without an alarm of that name" in some.check.detail

    none = only(read(board(good()), SignalsSeen()))
    assert none.answer is GateAnswer.ASK
    assert "CloudWatch has no alarm of this name" in none.reason


def test_an_alarm_that_cannot_be_read_asks() -> None:
    signal = only(read(board(good()), SignalsSeen(alarms_unread="AccessDenied")))
    assert (signal.answer, signal.check.mark) == (GateAnswer.ASK, Mark.UNCLEAR)
    assert "AccessDenied; never read" in signal.check.detail
    lost = only(read(board(good())))
    assert lost.answer is GateAnswer.ASK


@pytest.mark.parametrize(
    ("seconds", "answer"), [(0, GateAnswer.ADVANCE), (-1, GateAnswer.ADVANCE), (1, GateAnswer.ASK)]
)
def test_a_reading_counts_for_as_long_as_it_is_fresh(seconds: float, answer: GateAnswer) -> None:
    rows = read(board(good(), at=600), SignalsSeen(states(s_1=FINE)))
    failed = SignalsSeen(alarms_unread="throttled")
    rows = read(later(rows, 600 + FRESH / 2), failed)
    assert only(later(rows, 600 + FRESH + seconds)).answer is answer


def test_an_alarm_that_fires_halts_although_another_region_cannot_be_read() -> None:
    there = ("emea-prod", "eu-north-1")
    rows = board(good(), good("s-2"), places=_in_two_regions())
    asked = signals_to_read(rows, ())
    assert asked is not None
    seen = {
        SHARD: SignalsSeen(states(s_1=FIRES)),
        there: SignalsSeen(alarms_unread="AccessDenied"),
    }
    note_signals(rows, asked, seen, {})
    assert only(rows).answer is GateAnswer.HALT


def test_an_alarm_of_all_stores_is_looked_for_in_every_region_and_may_be_in_one() -> None:
    rows = board(good(), good("s-2"), places=_in_two_regions(), alarms=("errors-{region}", "all"))
    asked = signals_to_read(rows, ())
    assert asked is not None
    assert {shard[1]: read.alarms for shard, read in asked.by_shard.items()} == {
        "eu-west-1": ("errors-eu-west-1", "all"),
        "eu-north-1": ("errors-eu-north-1", "all"),
    }
    here = {n: AlarmState(n, FINE) for n in ("errors-eu-west-1", "all")}
    note_signals(rows, asked, {shard: SignalsSeen(here) for shard in asked.by_shard}, {})
    assert [signal.answer for signal in signals(rows)] == [GateAnswer.ADVANCE] * 2


def _in_two_regions() -> Mapping[str, Any]:
    return {"s-1": place("s-1"), "s-2": place("s-2", region="eu-north-1")}


# before the first send


def test_an_alarm_that_fires_before_anything_was_sent_asks_and_nothing_is_sent() -> None:
    rows = board(planned("s-1"), planned("s-2"), at=60)
    choice = choose_stores(rows)
    read(rows, SignalsSeen(states(changed=0, s_1=FINE, s_2=FIRES)), to_send="s-1")

    done = settle(rows, choice, frozenset(choice.to_send))

    assert done.actions == ()
    assert rows.rollout.phase is Phase.PAUSED
    assert "alarm latency-s-2 (3 errors) fires already, before anything was sent" in (
        rows.rollout.why
    )


def test_nothing_is_read_while_nothing_can_be_sent() -> None:
    assert signals_to_read(board(planned("s-1"), at=60), ()) is None


def test_what_a_person_knew_of_when_they_resumed_is_accepted() -> None:
    rows = board(planned("s-1"), at=60)
    read(rows, SignalsSeen(states(changed=0, s_1=FIRES)), to_send="s-1")
    rows.rollout = replace(rows.rollout, answered_at=after(90))
    rows = read(later(rows, 90), SignalsSeen(states(changed=0, s_1=FIRES)), to_send="s-1")

    signal = only(rows)

    assert signal.answer is GateAnswer.ADVANCE
    assert signal.check.detail.startswith("1 accepted")


def test_what_began_to_fire_while_nobody_read_it_is_not_accepted_by_resume() -> None:
    rows = board(good(), at=600, answered_at=after(600))
    signal = only(read(rows, SignalsSeen(states(changed=500, s_1=FIRES))))
    assert signal.answer is GateAnswer.HALT


def test_an_unread_alarm_that_a_person_accepted_asks_no_more() -> None:
    denied = SignalsSeen(alarms_unread="AccessDenied")
    rows = read(board(good(), at=600), denied)
    rows.rollout = replace(rows.rollout, answered_at=after(700))
    rows = read(later(rows, 700), denied)
    signal = only(rows)
    assert (signal.answer, signal.check.mark) == (GateAnswer.ADVANCE, Mark.UNCLEAR)
    assert signal.check.detail.startswith("accepted")


@pytest.mark.parametrize(
    ("changed", "answer"),
    [(-1, GateAnswer.ASK), (0, GateAnswer.HALT), (1, GateAnswer.HALT)],
)
def test_an_alarm_that_fired_before_its_store_was_sent_the_release_asks_at_the_end_of_the_wave(
    changed: float, answer: GateAnswer
) -> None:
    seen = SignalsSeen(states(changed=changed, s_1=FIRES))
    during = only(read(board(good()), seen))
    assert during.answer is (GateAnswer.ADVANCE if changed < 0 else GateAnswer.HALT)
    complete = only(read(board(good(), baking_since=after(200)), seen))
    assert complete.answer is answer


def test_an_alarm_of_a_store_that_is_still_to_be_sent_the_release_says_nothing() -> None:
    rows = board(planned("s-2"), alarms=(LATENCY,), at=60)
    read(rows, SignalsSeen(states(s_2=FIRES)), to_send="s-2")
    rows = TickState(rows.rollout, [good("s-1"), planned("s-2")], after(60))
    assert only(rows).answer is GateAnswer.ADVANCE


# when they are read


def test_they_are_read_several_times_within_the_time_for_which_a_reading_counts() -> None:
    rows = read(board(good(), at=600), SignalsSeen(states(s_1=FINE)))
    assert read_again_at(rows) == after(600 + FRESH / 5)
    assert signals_to_read(later(rows, 600 + FRESH / 5 - 1), ()) is None
    assert signals_to_read(later(rows, 600 + FRESH / 5), ()) is not None


def test_a_complete_wave_waits_for_one_more_reading() -> None:
    rows = read(board(good(), at=600), SignalsSeen(states(s_1=FINE)))
    rows = later(rows, 610)
    rows.rollout = replace(rows.rollout, baking_since=after(610))
    signal = only(rows)
    assert (signal.answer, signal.again_at) == (GateAnswer.WAIT, after(610))
    assert only(read(rows, SignalsSeen(states(s_1=FINE)))).answer is GateAnswer.ADVANCE


def test_a_reading_that_fails_is_not_repeated_at_once() -> None:
    rows = read(board(good(), at=600), SignalsSeen(states(s_1=FINE)))
    rows = later(rows, 610)
    rows.rollout = replace(rows.rollout, baking_since=after(610))
    signal = only(read(rows, SignalsSeen(alarms_unread="throttled")))
    assert (signal.answer, signal.again_at) == (GateAnswer.WAIT, after(610 + FRESH / 5))


def test_a_rollout_that_does_not_run_reads_nothing() -> None:
    rows = board(good(), phase=Phase.HALTED)
    assert signals_to_read(rows, ()) is None
    assert read_again_at(rows) is None


def watched(at: float, **fields: Any) -> TickState:
    """A rollout that was done at second 700, and whose alarms were read then."""
    rows = read(board(good(), at=700, **fields), SignalsSeen(states(s_1=FINE)))
    rows.rollout = replace(rows.rollout, phase=Phase.DONE, finished_at=after(700), wave=1, tick=9)
    return later(rows, at)


def test_the_alarms_of_a_rollout_that_is_done_are_read_as_often_as_its_stores() -> None:
    every_s = POLICY.watch_every_s
    assert read_again_at(watched(701)) == after(700 + every_s)
    assert signals_to_read(watched(700 + every_s - 1), ()) is None
    assert signals_to_read(watched(700 + every_s), ()) is not None
    rows = watched(701)
    assert settle(rows, choose_stores(rows), frozenset()).wake_at == after(700 + every_s)


def test_the_alarms_are_read_no_more_when_the_watch_is_over() -> None:
    over = 700 + POLICY.watch_for_s
    assert signals_to_read(watched(over - 1), ()) is not None
    assert signals_to_read(watched(over), ()) is None
    assert read_again_at(watched(over)) is None


def test_an_alarm_that_fires_after_the_rollout_was_done_recalls_the_release() -> None:
    rows = read(watched(9000), SignalsSeen(states(8000, s_1=FIRES)))
    settle(rows, choose_stores(rows), frozenset())
    assert rows.rollout.recalled == "alarm latency-s-1 (3 errors) fires"
    assert rows.rollout.phase is Phase.DONE
    rows = read(watched(9000), SignalsSeen(states(s_1=FINE)))
    settle(rows, choose_stores(rows), frozenset())
    assert rows.rollout.recalled == ""


# probes


def probed(rows: TickState, **answers: str) -> TickState:
    asked = signals_to_read(rows, ())
    assert asked is not None
    told = {store.replace("_", "-"): words for store, words in answers.items()}
    note_signals(rows, asked, {}, {p: told[p.store] for p in asked.probes if p.store in told})
    return rows


def test_a_store_that_does_not_answer_as_expected_halts() -> None:
    rows = board(good(), good("s-2"), alarms=(), checks=(HTTP,))
    signal = only(probed(rows, s_1="", s_2="HTTP 500"))
    assert signal.answer is GateAnswer.HALT
    assert signal.check.seen == "1/2 without HTTP 200"
    assert signal.check.needed == "limit 0"
    assert "s-2 HTTP 500" in signal.reason


@pytest.mark.parametrize(("limit", "halts"), [(0, True), (1, True), (2, False), (3, False)])
def test_as_many_stores_may_fail_as_the_limit_says(limit: int, halts: bool) -> None:
    check = replace(HTTP, max_stores=Amount(count=limit))
    rows = board(good(), good("s-2"), good("s-3"), alarms=(), checks=(check,))
    signal = only(probed(rows, s_1="HTTP 500", s_2="HTTP 500", s_3=""))
    assert (signal.answer is GateAnswer.HALT) == halts


def test_only_stores_that_are_ok_and_connected_are_asked() -> None:
    rows = board(
        good("s-1"),
        sent("s-2"),
        good("s-3", away_since=after(500)),
        planned("s-4"),
        sent("s-5", Verdict.FAILED),
        alarms=(),
        checks=(HTTP,),
    )
    asked = signals_to_read(rows, ())
    assert asked is not None
    assert [p.url for p in asked.probes] == ["https://s-1.example/health"]


def test_a_url_that_is_the_same_for_all_stores_is_asked_once() -> None:
    check = PolicyCheck("web shop", http=HttpProbe("https://shop.example/health"))
    rows = board(good("s-1"), good("s-2"), alarms=(), checks=(check,))
    asked = signals_to_read(rows, ())
    assert asked is not None
    assert [(p.store, p.url) for p in asked.probes] == [("", "https://shop.example/health")]


def test_where_nothing_could_be_asked_in_time_a_person_is_asked() -> None:
    assert only(probed(board(good(), alarms=(), checks=(HTTP,)))).answer is GateAnswer.ASK


def test_a_check_without_a_store_to_ask_holds_nothing_back() -> None:
    rows = board(sent("s-1", Verdict.FAILED), alarms=(), checks=(HTTP,), baking_since=after(300))
    assert only(probed(rows)).answer is GateAnswer.ADVANCE


# metrics

MIDNIGHT = datetime(2026, 11, 23, 0, 0, tzinfo=UTC)


def measured(now: float, *before: float | None, usual_weeks: int = 4) -> SignalsSeen:
    values = dict(enumerate((now, *before)))
    return SignalsSeen(
        metrics={
            value_key(METRIC.name, "s-1", week): value
            for week, value in values.items()
            if value is not None
        }
    )


def test_a_metric_is_compared_with_the_same_period_of_the_weeks_before() -> None:
    rows = board(good(ok_at=-3600), at=700, alarms=(), checks=(METRIC,))
    asked = signals_to_read(rows, ())
    assert asked is not None
    begins = [query.begins for query in asked.by_shard[SHARD].metrics]
    assert [begins[0] - one for one in begins] == [timedelta(weeks=week) for week in range(5)]
    assert begins[0].timestamp() % 600 == 0
    # The latest period that is whole, and that CloudWatch has had time to take in.
    ended = (rows.now - begins[0]).total_seconds() - 600
    assert PUBLISHED_S <= ended < PUBLISHED_S + 600


def test_the_same_hour_is_so_by_the_stores_clock() -> None:
    """London puts its clock back on 25 October 2026 at 01:00Z."""
    row = good(ok_at=0)
    rows = board(row, alarms=(), checks=(METRIC,))
    now = datetime(2026, 10, 27, 2, 15, tzinfo=UTC)
    rows = TickState(rows.rollout, [replace(row, ok_at=datetime(2026, 10, 26, tzinfo=UTC))], now)
    asked = signals_to_read(rows, ())
    assert asked is not None
    (latest, week_ago, *_) = [query.begins for query in asked.by_shard[SHARD].metrics]
    assert latest == datetime(2026, 10, 27, 2, 0, tzinfo=UTC)
    assert week_ago == datetime(2026, 10, 20, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(("now", "halts"), [(149.0, False), (150.0, False), (151.0, True)])
def test_a_value_may_be_as_high_as_the_limit(now: float, halts: bool) -> None:
    rows = board(good(ok_at=-3600), at=700, alarms=(), checks=(METRIC,))
    signal = only(read(rows, measured(now, 90, 100, 100, 400)))
    assert (signal.answer is GateAnswer.HALT) == halts
    if halts:
        assert signal.check.seen == "1/1 stores over 1.5x of their usual"
        assert "s-1 151 (usual 100)" in signal.check.detail


@pytest.mark.parametrize(("now", "halts"), [(49.0, True), (50.0, False), (51.0, False)])
def test_a_value_may_be_as_low_as_the_limit(now: float, halts: bool) -> None:
    assert METRIC.metric is not None
    low = replace(METRIC.metric, at_most=None, at_least=Decimal("0.5"))
    rows = board(good(ok_at=-3600), at=700, alarms=(), checks=(replace(METRIC, metric=low),))
    assert (only(read(rows, measured(now, 100, 100))).answer is GateAnswer.HALT) == halts


def test_a_usual_value_is_the_median_of_at_least_half_of_the_weeks() -> None:
    assert usual_of([1.0, 3.0, None, None]) == 2.0
    assert usual_of([1.0, None, None, None]) is None
    assert usual_of([1.0, 2.0, 100.0, 3.0]) == 2.5
    assert usual_of([]) is None


def test_where_no_store_has_a_usual_value_a_person_is_asked() -> None:
    rows = board(good(ok_at=-3600), at=700, alarms=(), checks=(METRIC,))
    signal = only(read(rows, measured(100.0, 90)))
    assert signal.answer is GateAnswer.ASK
    assert "no store has a value and a usual one" in signal.reason


def test_a_complete_wave_waits_until_its_stores_can_be_measured() -> None:
    ok_at = 120.0
    rows = board(good(ok_at=ok_at), at=200, alarms=(), checks=(METRIC,), baking_since=after(130))
    signal = only(read(rows, SignalsSeen()))
    assert signal.answer is GateAnswer.WAIT
    assert signal.again_at is not None
    whole = (signal.again_at - after(ok_at)).total_seconds() - PUBLISHED_S
    assert 600 <= whole < 1200
    then = TickState(rows.rollout, rows.changes, signal.again_at)
    assert only(read(then, measured(100, 100, 100))).answer is GateAnswer.ADVANCE


def test_a_metric_is_read_once_a_period() -> None:
    rows = board(good(ok_at=-3600), at=800, alarms=(), checks=(METRIC,))
    rows = read(rows, measured(100, 100, 100))
    asked = signals_to_read(later(rows, 800 + FRESH / 5), ())
    assert asked is None or not asked.by_shard
    asked = signals_to_read(later(rows, 800 + 600), ())
    assert asked is not None
    assert len(asked.by_shard[SHARD].metrics) == 5


def test_readings_are_kept_beside_each_other() -> None:
    rows = board(good(ok_at=-3600), at=800, checks=(METRIC, HTTP))
    rows = probed(rows, s_1="")
    assert [one.name for one in rows.rollout.signals.checks] == [METRIC.name, HTTP.name]
    assert isinstance(rows.rollout.signals, SignalReadings)


# what a person accepts


def test_an_alarm_that_began_to_fire_anew_is_not_the_one_that_was_accepted() -> None:
    rows = read(board(good(), at=600), SignalsSeen(states(changed=300, s_1=FIRES)))
    rows.rollout = replace(rows.rollout, answered_at=after(700))
    same = read(later(rows, 700), SignalsSeen(states(changed=300, s_1=FIRES)))
    assert only(same).answer is GateAnswer.ADVANCE
    anew = read(later(same, 800), SignalsSeen(states(changed=750, s_1=FIRES)))
    assert only(anew).answer is GateAnswer.HALT


def test_resume_says_which_alarms_and_checks_it_accepts() -> None:
    rows = board(good(), at=600, checks=(HTTP,))
    asked = signals_to_read(rows, ())
    assert asked is not None
    seen = {SHARD: SignalsSeen(states(s_1=FIRES))}
    note_signals(rows, asked, seen, dict.fromkeys(asked.probes, "HTTP 500"))
    rows = later(rows, 700)
    rows.rollout = replace(rows.rollout, phase=Phase.HALTED)

    (answer,) = obey(rows, [said(VerbName.RESUME)]).values()

    assert answer == "resumed, alarm latency-s-1, till answers s-1 accepted"
    assert rows.rollout.signals.unanswered(rows.rollout.answered_at) == ()


# every wait ends

ANSWERS = st.sampled_from(["fine", "unread", "nothing", "fires"])


@given(st.lists(ANSWERS, min_size=1, max_size=12), st.booleans())
def test_a_complete_wave_is_held_no_longer_than_a_reading_can_take(
    answers: list[str], accepted: bool
) -> None:
    """Whatever CloudWatch answers, and in which order, it goes on, halts or asks in time."""
    assert METRIC.metric is not None
    rows = board(good(), at=130, checks=(METRIC,), baking_since=after(130))
    if accepted:
        rows.rollout = replace(rows.rollout, answered_at=after(129))
    latest = 130 + 2 * METRIC.metric.period_s + PUBLISHED_S + 2 * FRESH
    for tick in range(1000):
        asked = signals_to_read(rows, ())
        if asked is not None:
            answer = answers[tick % len(answers)]
            values = measured(100, 100, 100).metrics
            seen = {
                "fine": SignalsSeen(states(s_1=FINE), values),
                "unread": SignalsSeen(alarms_unread="no", metrics_unread="no"),
                "nothing": SignalsSeen(),
                "fires": SignalsSeen(states(s_1=FIRES), values),
            }[answer]
            note_signals(rows, asked, {SHARD: seen}, {})
        said_now = signals(rows)
        if all(one.answer is GateAnswer.ADVANCE for one in said_now):
            return
        if any(one.answer in {GateAnswer.HALT, GateAnswer.ASK} for one in said_now):
            return
        moments = [one.again_at for one in said_now if one.answer is GateAnswer.WAIT]
        assert all(moment is not None and moment >= rows.now for moment in moments)
        again = min(moment for moment in [*moments, read_again_at(rows)] if moment is not None)
        rows = TickState(rows.rollout, rows.changes, max(again, rows.now + timedelta(seconds=1)))
        assert rows.now <= after(latest), "it waits for ever"
    pytest.fail("it never came to an end")
