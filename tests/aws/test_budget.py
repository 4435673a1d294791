import itertools
import json
import math
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.aws.budget import (
    BURST_SHARE,
    ONE_THROTTLE_S,
    RECOVERY_S,
    SLOWEST,
    Bucket,
    Budget,
    Budgets,
)
from fleet.model import rates
from fleet.model.clock import SystemClock
from fleet.model.inventory import Account
from fleet.model.rates import Rate

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)

figures = st.builds(
    Rate,
    group=st.just("ecs service modify"),
    burst=st.floats(1, 500, allow_nan=False),
    refill=st.floats(0.1, 200, allow_nan=False),
)
STEADY = Rate("ecs tag modify", 20, 10)
SLOW = Rate("ecs cluster modify", 20, 1)
gaps = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)


def _sent_at(bucket: Bucket, gaps: list[float]) -> list[float]:
    """When calls go out if one is asked for after each gap, whatever the earlier ones wait."""
    now, sent = bucket.at, []
    for gap in gaps:
        now += gap
        bucket, wait = bucket.reserve(now)
        sent.append(now + wait)
    return sent


@given(rate=figures, gaps=gaps, share=st.floats(0.1, 1))
def test_no_stretch_of_time_holds_more_calls_than_burst_and_refill_allow(
    rate: Rate, gaps: list[float], share: float
) -> None:
    sent = _sent_at(Bucket.empty(rate, share, 0.0), gaps)
    burst = max(1.0, rate.burst * share)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            allowed = burst + rate.refill * share * (sent[last] - sent[first])
            assert last - first + 1 <= allowed + 1 + 1e-6


@given(rate=figures, gaps=gaps, share=st.floats(0.1, 1))
def test_from_the_start_no_more_is_sent_than_has_flowed_in(
    rate: Rate, gaps: list[float], share: float
) -> None:
    sent = _sent_at(Bucket.empty(rate, share, 0.0), gaps)
    for count, at in enumerate(sent, start=1):
        assert count <= rate.refill * share * at + 1e-6


@given(rate=figures, gaps=gaps)
def test_calls_go_out_in_the_order_in_which_they_were_asked_for(
    rate: Rate, gaps: list[float]
) -> None:
    sent = _sent_at(Bucket.empty(rate, 1.0, 0.0), gaps)
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(sent))


@given(rate=figures, idle=st.floats(0, 1e6))
def test_idle_time_saves_up_less_than_the_burst(rate: Rate, idle: float) -> None:
    most = max(1.0, rate.burst * BURST_SHARE)
    assert Bucket.empty(rate, 1.0, 0.0).advanced(idle).tokens <= most


@given(rate=figures, cut=st.floats(0, 1), length=st.floats(0, 500), pace=st.floats(SLOWEST, 1))
def test_looking_at_a_bucket_midway_changes_nothing(
    rate: Rate, cut: float, length: float, pace: float
) -> None:
    bucket = Bucket(burst=rate.burst, refill=rate.refill, tokens=0.0, at=0.0, pace=pace)
    whole = bucket.advanced(length)
    halves = bucket.advanced(length * cut).advanced(length)
    assert halves.tokens == pytest.approx(whole.tokens, rel=1e-6, abs=1e-6)
    assert halves.pace == pytest.approx(whole.pace)


@given(rate=figures, gaps=gaps)
def test_the_pace_is_never_below_the_slowest_and_never_above_full(
    rate: Rate, gaps: list[float]
) -> None:
    bucket = Bucket.empty(rate, 1.0, 0.0)
    now = 0.0
    for gap in gaps:
        now += gap
        bucket = bucket.throttled(now)
        assert SLOWEST <= bucket.pace <= 1.0


@given(rate=figures)
def test_a_throttle_never_makes_the_next_call_come_sooner(rate: Rate) -> None:
    bucket = Bucket.empty(rate, 1.0, 0.0).advanced(10.0)
    assert bucket.throttled(10.0).reserve(10.0)[1] >= bucket.reserve(10.0)[1]


def test_a_throttle_halves_the_pace_and_empties_the_bucket() -> None:
    bucket = Bucket.empty(STEADY, 1.0, 0.0).advanced(2.0).throttled(2.0)
    assert (bucket.pace, bucket.tokens) == (0.5, 0.0)


def test_throttles_of_calls_already_on_their_way_count_once() -> None:
    bucket = Bucket.empty(STEADY, 1.0, 0.0).throttled(5.0).throttled(5.2).throttled(5.4)
    assert bucket.pace == pytest.approx(0.5, abs=0.01)


def test_a_second_throttle_later_halves_again() -> None:
    bucket = Bucket.empty(STEADY, 1.0, 0.0).throttled(5.0)
    assert bucket.throttled(5.0 + ONE_THROTTLE_S).pace == pytest.approx(0.25, abs=0.01)


def test_the_pace_recovers_with_time() -> None:
    bucket = Bucket.empty(STEADY, 1.0, 0.0).throttled(0.0)
    assert bucket.advanced(RECOVERY_S / 4).pace == pytest.approx(0.75)
    assert bucket.advanced(RECOVERY_S).pace == 1.0


def test_a_new_bucket_is_empty() -> None:
    _, wait = Bucket.empty(SLOW, 0.8, 100.0).reserve(100.0)
    assert wait == pytest.approx(1.25)


def test_threads_that_read_the_clock_in_the_other_order_gain_nothing() -> None:
    bucket = Bucket.empty(STEADY, 1.0, 100.0).advanced(101.0)
    assert bucket.advanced(100.9) == bucket


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it_to_catch_up() -> None:
    bucket, _ = Bucket.empty(STEADY, 1.0, 5000.0).reserve(5000.0)
    _, wait = bucket.reserve(1400.0)
    assert wait == pytest.approx(0.2)


def test_the_wait_says_which_limit_asks_for_it() -> None:
    wait = Budget().reserve(rates.ECS_CLUSTER_MODIFY, START)
    assert wait.why == "ecs cluster modify: 80% of AWS's 1 calls/s"


def test_an_assumed_limit_is_called_assumed() -> None:
    assert "an assumed 5 calls/s" in Budget().reserve(rates.SSM_MODIFY, START).why


def test_the_wait_says_that_a_throttle_slowed_it_down() -> None:
    budget = Budget()
    budget.throttled(rates.ECS_CLUSTER_MODIFY, START)
    assert "at 50% since a throttle" in budget.reserve(rates.ECS_CLUSTER_MODIFY, START).why


def test_nothing_to_wait_for_has_no_reason() -> None:
    budget = Budget()
    budget.reserve(rates.ECS_CLUSTER_READ, START)
    wait = budget.reserve(rates.ECS_CLUSTER_READ, START + timedelta(seconds=60))
    assert (wait.seconds, wait.why) == (0.0, "")


def test_actions_of_one_group_share_a_bucket_and_others_do_not() -> None:
    budget = Budget(share=1.0)
    first = budget.reserve(rates.ECS_CLUSTER_RESOURCE_READ, START).seconds
    same = budget.reserve(rates.ECS_CLUSTER_RESOURCE_READ, START).seconds
    other = budget.reserve(rates.ECS_CLUSTER_READ, START).seconds
    assert (first, same, other) == pytest.approx((1 / 20, 2 / 20, 1 / 20))


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        Budget(share=share)


def test_threads_that_ask_at_once_are_each_given_their_own_turn() -> None:
    budget = Budget(share=1.0)
    waits: list[float] = []
    threads = [
        threading.Thread(
            target=lambda: waits.append(budget.reserve(rates.ECS_CLUSTER_READ, START).seconds)
        )
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 20 for n in range(1, 17)])


MODIFY = rates.ECS_SERVICE_MODIFY
GROUP = "ecs service modify"


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


@given(gaps=gaps, cut=st.integers(0, 59), throttled=st.booleans())
def test_a_budget_that_changes_hands_makes_calls_wait_as_long_as_one_that_does_not(
    gaps: list[float], cut: int, throttled: bool
) -> None:
    kept, moved, now = Budget(), Budget(), START
    for index, gap in enumerate(gaps):
        now += timedelta(seconds=gap)
        if index == cut:
            if throttled:
                kept.throttled(MODIFY, now)
                moved.throttled(MODIFY, now)
            moved = Budget.from_state(json.loads(json.dumps(moved.state())), now)
        waits = [budget.reserve(MODIFY, now).seconds for budget in (kept, moved)]
        assert waits[1] == pytest.approx(waits[0], rel=1e-6, abs=1e-6)


@given(gaps=gaps, back=st.integers(0, 59))
def test_restoring_an_older_state_never_lets_calls_out_sooner(gaps: list[float], back: int) -> None:
    kept, restored, now = Budget(), Budget(), START
    older = restored.state()
    for index, gap in enumerate(gaps):
        now += timedelta(seconds=gap)
        if index == back:
            older = restored.state()
        for budget in (kept, restored):
            budget.reserve(MODIFY, now)
    restored.restore(older, now)
    least = kept.reserve(MODIFY, now).seconds
    assert restored.reserve(MODIFY, now).seconds >= least - 1e-6


def test_an_empty_state_changes_nothing() -> None:
    budget = Budget()
    budget.reserve(MODIFY, START)
    before = budget.state()
    budget.restore({}, after(10))
    assert budget.state() == before


def test_the_next_holder_takes_its_own_share() -> None:
    state = Budget(share=1.0).state()
    budget = Budget.from_state(state, START, share=0.5)
    assert budget.reserve(MODIFY, START).seconds == pytest.approx(1 / (5 * 0.5))


def test_a_full_bucket_of_a_larger_share_is_cut_to_ones_own() -> None:
    rich = Budget(share=1.0)
    rich.reserve(MODIFY, START)
    poor = Budget.from_state(
        Budget.from_state(rich.state(), after(100)).state(), after(100), share=0.1
    )
    waits = [poor.reserve(MODIFY, after(100)).seconds for _ in range(6)]
    assert (waits[4], waits[5] > 0) == (0.0, True)


@pytest.mark.parametrize(
    "figures",
    [
        None,
        5,
        {},
        {"tokens": "many", "at": 0, "pace": 1, "throttled_at": None, "sent": []},
        {"tokens": float("nan"), "at": 0, "pace": 1, "throttled_at": None, "sent": []},
        {"tokens": 50, "at": 0, "pace": 1, "throttled_at": None, "sent": [1]},
    ],
)
def test_figures_that_make_no_sense_begin_empty(figures: object) -> None:
    budget = Budget.from_state({GROUP: figures, "group of tomorrow": {}}, START)
    assert budget.reserve(MODIFY, START).seconds == pytest.approx(1 / (5 * 0.8))


def test_use_is_told_as_a_share_of_the_published_rate_over_the_last_minute() -> None:
    budget = Budget(share=1.0)
    for second in range(60):
        budget.reserve(MODIFY, after(second))
    (use,) = budget.used(after(59)).values()
    assert (use.group, use.per_s, use.assumed) == (GROUP, 5, False)
    assert use.calls == 60
    assert use.share == pytest.approx(60 / 300)


def test_calls_that_wait_are_told_and_not_yet_counted() -> None:
    budget = Budget(share=1.0)
    for _ in range(10):
        budget.reserve(MODIFY, START)
    assert (budget.used(START)[GROUP].waiting, budget.used(START)[GROUP].calls) == (10, 0)
    assert (budget.used(after(1))[GROUP].waiting, budget.used(after(1))[GROUP].calls) == (5, 5)
    assert (budget.used(after(3))[GROUP].waiting, budget.used(after(3))[GROUP].calls) == (0, 10)


def test_calls_of_more_than_a_minute_ago_are_not_counted() -> None:
    budget = Budget(share=1.0)
    budget.reserve(MODIFY, START)
    assert budget.used(after(62))[GROUP].calls == 0


def test_use_travels_with_the_state() -> None:
    budget = Budget(share=1.0)
    budget.reserve(MODIFY, START)
    moved = Budget.from_state(budget.state(), after(2))
    assert moved.used(after(2)) == budget.used(after(2))


def test_a_throttle_shows_in_the_pace() -> None:
    budget = Budget()
    budget.throttled(MODIFY, START)
    assert budget.used(START)[GROUP].pace == 0.5


def test_a_steady_stream_at_full_share_uses_nearly_all_of_the_published_rate() -> None:
    budget, now = Budget(share=1.0), START
    for _ in range(1000):
        now += timedelta(seconds=budget.reserve(MODIFY, now).seconds)
    assert budget.used(now)[GROUP].share == pytest.approx(1.0, abs=0.02)


def test_two_names_of_one_account_share_its_budget() -> None:
    budgets = Budgets(SystemClock())
    one, two = Account("one", "111122223333"), Account("two", "111122223333", profile="other")
    budgets.of("111122223333", "eu-west-1").reserve(MODIFY, START)
    assert budgets.state(one, "eu-west-1") == budgets.state(two, "eu-west-1") != {}
    assert budgets.state(one, "us-east-1") == {}


def test_the_budget_of_a_shard_goes_on_where_another_process_stopped() -> None:
    account = Account("one", "111122223333")
    there, here = Budgets(SystemClock()), Budgets(SystemClock())
    there.of("111122223333", "eu-west-1").reserve(MODIFY, START)
    here.restore(account, "eu-west-1", there.state(account, "eu-west-1"))
    assert here.state(account, "eu-west-1")[GROUP]["sent"] == [
        [math.ceil(START.timestamp()) + 1, 1]
    ]
