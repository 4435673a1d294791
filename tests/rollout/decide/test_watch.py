"""How the stores of earlier waves are watched: all of them, spread out, within the read budget."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import CONVOY, Change, ObservedChange
from fleet.model.darkness import Presence, Survey
from fleet.model.policy import Amount
from fleet.model.rollout import Phase
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.next_tick import next_tick
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.store_choice import choose_stores, is_watched, stores_in_flight
from fleet.rollout.decide.surveys import compare
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.watch import (
    READS_PER_SLOT,
    SLOT_S,
    is_earlier,
    is_only_watched,
    watch_period_s,
    watch_schedule,
)
from tests.rollout.decide.tick_states import (
    POLICY,
    after,
    place,
    planned,
    seconds,
    sent,
    state,
    undone,
)
from tests.rollout.decide.tick_states import away as away_view
from tests.rollout.decide.tick_states import view as view_of
from tests.rollout.decide.ticks import settled

EVERY = POLICY.watch_every_s


def ok(store: str = "store-042", verdict: Verdict = Verdict.OK, **fields: Any) -> Change:
    """A store that was good, whatever it is now."""
    return sent(store, verdict, **{"ok_at": after(10), **fields})


def earlier(count: int, **fields: Any) -> list[Change]:
    return [ok(f"store-{n:05}", **fields) for n in range(count)]


def in_wave_1(*rows: Change, **fields: Any) -> TickState:
    return state(*rows, planned("store-900", wave=1), **{"wave": 1, **fields})


def good_view(store: str = "store-042", at: float = 60.0, **said: Any) -> StoreView:
    return view_of(store, at, service={"rev": 13}, view="deep", **said)


def late(row: Change, view: StoreView, at: float) -> Change:
    """An earlier store after a look at it."""
    rows = in_wave_1(row, at=at)
    observe(rows, {row.store: view})
    return rows.change(row.store, row.service)


@pytest.mark.parametrize("wave", [0, 1, 2])
def test_a_good_store_is_watched_whichever_wave_is_sent_now(wave: int) -> None:
    row = ok()
    assert is_watched(state(row, wave=wave), row)


@pytest.mark.parametrize("phase", [Phase.RUNNING, Phase.PAUSED, Phase.HALTED, Phase.AWAITING])
def test_a_rollout_that_waits_is_watched_as_one_that_runs(phase: Phase) -> None:
    row = ok(look_at=after(50))
    assert row.store in [read.store for read in choose_stores(in_wave_1(row, phase=phase)).reads]


@pytest.mark.parametrize(
    ("row", "is_it"),
    [
        (ok(), True),
        (ok(wave=1), False),
        (ok(wave=CONVOY), False),
        (planned(), False),
        (ok(stage=Stage.SKIPPED), False),
    ],
)
def test_earlier_is_what_was_sent_in_a_wave_that_has_passed(row: Change, is_it: bool) -> None:
    assert is_earlier(in_wave_1(row), row) is is_it


def test_all_that_was_sent_is_earlier_once_the_rollout_is_done() -> None:
    row = ok(wave=CONVOY)
    assert is_earlier(state(row, phase=Phase.DONE, finished_at=after(30)), row)


@pytest.mark.parametrize(
    ("row", "is_it"),
    [
        (ok(), True),
        (ok(verdict=Verdict.DARK), True),
        (sent(verdict=Verdict.DARK), False),
        (sent(verdict=Verdict.WAITING), False),
        (sent(verdict=Verdict.FAILED), False),
        (undone(verdict=Verdict.DARK), False),
    ],
)
def test_only_what_was_good_is_read_seldom(row: Change, is_it: bool) -> None:
    assert is_only_watched(in_wave_1(row), row) is is_it


def test_an_earlier_store_that_is_well_is_read_again_within_the_period() -> None:
    rows = in_wave_1(ok())
    observe(rows, {"store-042": good_view()})
    look = seconds(rows.change("store-042", "vision-arm64").look_at)
    assert look is not None
    assert 60 < look <= 60 + EVERY


def test_a_store_of_the_present_wave_keeps_its_quick_looks() -> None:
    rows = state(ok(wave=0))
    observe(rows, {"store-042": good_view()})
    look = seconds(rows.change("store-042", "vision-arm64").look_at)
    assert look is not None
    assert look <= 60 + 120


@given(
    st.integers(1, 2000), st.floats(0, 1e6), st.sampled_from([60.0, 600.0, 601.0]), st.integers(1)
)
def test_every_store_has_a_slot_in_every_period_and_no_slot_holds_more_than_may_be_read(
    count: int, at: float, every: float, seed: int
) -> None:
    policy = replace(POLICY, watch_every_s=every)
    rows = in_wave_1(*earlier(count), policy=policy, seed=seed)
    schedule, period = watch_schedule(rows), timedelta(seconds=watch_period_s(rows))
    looks = [schedule.next_look(f"store-{n:05}", after(at)) for n in range(count)]

    assert all(after(at) < look <= after(at) + period for look in looks)
    assert max(Counter(looks).values()) <= READS_PER_SLOT
    again = schedule.next_look("store-00000", looks[0])
    assert again - looks[0] == period


@pytest.mark.parametrize(
    ("stores", "period_s"),
    [(60, 600.0), (1200, 600.0), (1201, 610.0), (10_000, 5000.0)],
)
def test_the_period_grows_once_the_read_budget_is_used_up(stores: int, period_s: float) -> None:
    assert watch_period_s(in_wave_1(*earlier(stores))) == period_s


def test_each_account_and_region_has_a_budget_of_its_own() -> None:
    rows = earlier(2400)
    places = {
        row.store: place(row.store, region=("eu-west-1", "eu-north-1")[n % 2])
        for n, row in enumerate(rows)
    }
    here = in_wave_1(*rows, places={**places, "store-900": place("store-900")})
    assert watch_period_s(here) == EVERY


def test_a_backlog_of_earlier_stores_is_read_a_few_at_a_time() -> None:
    rows = in_wave_1(*earlier(200, look_at=after(0)), at=7200)
    read = [r.store for r in choose_stores(rows).reads if r.store != "store-900"]
    assert len(read) == READS_PER_SLOT


def test_earlier_stores_that_were_just_read_use_up_the_room_for_others() -> None:
    just = earlier(READS_PER_SLOT - 1, looked_at=after(7200 - SLOT_S / 2), look_at=after(9000))
    waiting = [ok(f"store-1{n:05}", look_at=after(0)) for n in range(9)]
    rows = in_wave_1(*just, *waiting, at=7200)
    assert len([r for r in choose_stores(rows).reads if r.store != "store-900"]) == 1


def test_an_overdue_earlier_store_does_not_make_the_next_tick_begin_at_once() -> None:
    rows = state(*earlier(200, look_at=after(0)), wave=1, at=7200, phase=Phase.PAUSED)
    at, _ = next_tick(rows, choose_stores(rows), None, acts=False)
    assert seconds(at) == 7200 + SLOT_S


def test_the_present_wave_is_read_beside_any_number_of_earlier_stores() -> None:
    now = [sent(f"store-8{n:02}", wave=1, look_at=after(7000)) for n in range(30)]
    rows = state(*earlier(500, look_at=after(0)), *now, wave=1, at=7200)
    read = [r.store for r in choose_stores(rows).reads]
    assert len([store for store in read if store.startswith("store-8")]) == 30


def test_an_earlier_store_that_lost_its_link_is_dark_and_takes_no_place() -> None:
    others = earlier(9, look_at=after(9999))
    rows = in_wave_1(ok(away_since=after(7000)), *others, at=7400, policy=policy_of_one())
    observe(rows, {"store-042": away_view(at=7400, service={"rev": 13})})
    row = rows.change("store-042", "vision-arm64")
    assert row.verdict is Verdict.DARK
    assert "so nothing is left to apply" in row.reason
    assert stores_in_flight(rows) == []
    assert choose_stores(rows).to_send == ("store-900",)


def lost_late(**fields: Any) -> TickState:
    """Three good stores of an earlier wave, away at their last survey, are read once more."""
    gone = ObservedChange(survey=Survey(after(7000), Presence.AWAY, 5))
    lost = [
        ok(f"store-{n:03}", away_since=after(7000), look_at=after(9999), observed=gone)
        for n in range(3)
    ]
    here = ObservedChange(survey=Survey(after(7390), Presence.HERE, 5))
    others = [planned(f"store-1{n:02}", wave=2, observed=here) for n in range(40)]
    rows = state(*lost, sent("store-800", wave=1), *others, wave=1, at=7400, **fields)
    compare(rows, {row.store: away_view(row.store, 7400) for row in lost})
    settled(rows, seen=())
    return rows


def test_earlier_stores_that_went_dark_are_compared_with_untouched_ones() -> None:
    rows = lost_late(wave_at=after(7200))
    assert rows.rollout.phase is Phase.HALTED
    assert "3/4 updated, 0/0 others dark: updated stores go dark more often" in rows.rollout.why


def test_a_store_that_was_away_when_a_person_let_the_rollout_go_on_is_not_compared() -> None:
    assert lost_late(answered_at=after(7300)).rollout.phase is Phase.RUNNING


def policy_of_one() -> Any:
    return replace(POLICY, concurrency=Amount(count=1))


def test_a_store_that_loses_its_link_in_the_present_wave_takes_a_place() -> None:
    row = ok(verdict=Verdict.DARK)
    assert stores_in_flight(state(row)) == ["store-042"]


def test_an_earlier_store_that_somebody_changed_counts_no_more_on_the_new_revision() -> None:
    other = view_of(at=7400, service={"rev": 14}, view="deep")
    row = late(ok(), replace(other, deployments={}), at=7400)
    assert (row.verdict, row.stage) == (Verdict.CHANGED_BY_HAND, Stage.HELD)


def done(*rows: Change, **fields: Any) -> TickState:
    """These rows in a rollout that was done at second 100."""
    given = {"phase": Phase.DONE, "finished_at": after(100), "wave": 2, "tick": 9, **fields}
    return state(*rows, **given)


@pytest.mark.parametrize(("at", "watched"), [(100, True), (86499, True), (86500, False)])
def test_a_rollout_that_is_done_is_watched_for_a_day(at: float, watched: bool) -> None:
    row = ok(look_at=after(0))
    rows = done(row, at=at)
    assert is_watched(rows, row) is watched
    assert (next_tick(rows, choose_stores(rows), None, acts=False)[0] is not None) is watched


@pytest.mark.parametrize("phase", [Phase.ABORTED, Phase.ROLLED_BACK])
def test_a_release_that_was_withdrawn_is_not_watched(phase: Phase) -> None:
    row = ok(look_at=after(0))
    assert not is_watched(done(row, phase=phase), row)


def test_a_rollout_that_was_rebuilt_from_aws_is_not_watched() -> None:
    row = ok(look_at=after(0))
    assert not is_watched(done(row, tick=0), row)


def test_a_release_is_recalled_once_and_its_words_stay_true() -> None:
    lost = [ok(f"store-{n}", Verdict.DARK, is_late=True, away_since=after(7000)) for n in range(3)]
    rows = done(*lost, *earlier(2, look_at=after(9e9)), at=7400)
    settled(rows, seen=())
    assert rows.rollout.why == (
        "recalled: the release has lost its coverage: 2/5=40 %, needed 80 %"
    )
    rows.put(ok("store-0"))
    settled(rows, seen=())
    assert "3/5=60 %" in rows.rollout.recalled
    assert [event.kind for event in rows.events] == ["recall"]


def test_a_late_failure_that_the_canary_would_not_have_passed_with_is_recalled() -> None:
    rows = done(ok(), ok("store-900", Verdict.FAILED, is_late=True), at=7400)
    settled(rows, seen=())
    assert rows.rollout.recalled.startswith("canary would not pass now: arm64 success 1/2=50 %")


def test_what_a_person_accepted_before_the_end_is_not_recalled() -> None:
    taken = ok("store-900", Verdict.FAILED, is_late=True, failure_accepted=True)
    rows = done(ok(), taken, at=7400)
    settled(rows, seen=())
    assert rows.rollout.recalled == ""
