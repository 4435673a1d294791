import itertools
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.decide.budget import (
    GROUPS,
    ONE_THROTTLE_S,
    RATES,
    RECOVERY_S,
    SLOWEST,
    Bucket,
    Rate,
    ShardBudget,
)

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)

rates = st.builds(
    Rate, burst=st.floats(1, 500, allow_nan=False), refill=st.floats(0.1, 200, allow_nan=False)
)
gaps = st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=60)


def _sent_at(bucket: Bucket, gaps: list[float]) -> list[float]:
    """When calls go out if one is asked for after each gap, whatever the earlier ones wait."""
    now, sent = bucket.at, []
    for gap in gaps:
        now += gap
        bucket, wait = bucket.reserve(now)
        sent.append(now + wait)
    return sent


@given(rate=rates, gaps=gaps, share=st.floats(0.1, 1))
def test_no_stretch_of_time_holds_more_calls_than_burst_and_refill_allow(
    rate: Rate, gaps: list[float], share: float
) -> None:
    sent = _sent_at(Bucket.empty(rate, share, 0.0), gaps)
    burst = max(1.0, rate.burst * share)
    for first in range(len(sent)):
        for last in range(first, len(sent)):
            allowed = burst + rate.refill * share * (sent[last] - sent[first])
            assert last - first + 1 <= allowed + 1 + 1e-6


@given(rate=rates, gaps=gaps, share=st.floats(0.1, 1))
def test_from_the_start_no_more_is_sent_than_has_flowed_in(
    rate: Rate, gaps: list[float], share: float
) -> None:
    sent = _sent_at(Bucket.empty(rate, share, 0.0), gaps)
    for count, at in enumerate(sent, start=1):
        assert count <= rate.refill * share * at + 1e-6


@given(rate=rates, gaps=gaps)
def test_calls_go_out_in_the_order_in_which_they_were_asked_for(
    rate: Rate, gaps: list[float]
) -> None:
    sent = _sent_at(Bucket.empty(rate, 1.0, 0.0), gaps)
    assert all(later >= earlier - 1e-6 for earlier, later in itertools.pairwise(sent))


@given(rate=rates, idle=st.floats(0, 1e6))
def test_idle_time_saves_up_no_more_than_the_burst(rate: Rate, idle: float) -> None:
    assert Bucket.empty(rate, 1.0, 0.0).advanced(idle).tokens <= rate.burst


@given(rate=rates, cut=st.floats(0, 1), length=st.floats(0, 500), pace=st.floats(SLOWEST, 1))
def test_looking_at_a_bucket_midway_changes_nothing(
    rate: Rate, cut: float, length: float, pace: float
) -> None:
    bucket = Bucket(burst=rate.burst, refill=rate.refill, tokens=0.0, at=0.0, pace=pace)
    whole = bucket.advanced(length)
    halves = bucket.advanced(length * cut).advanced(length)
    assert halves.tokens == pytest.approx(whole.tokens, rel=1e-6, abs=1e-6)
    assert halves.pace == pytest.approx(whole.pace)


@given(rate=rates, gaps=gaps)
def test_the_pace_is_never_below_the_slowest_and_never_above_full(
    rate: Rate, gaps: list[float]
) -> None:
    bucket = Bucket.empty(rate, 1.0, 0.0)
    now = 0.0
    for gap in gaps:
        now += gap
        bucket = bucket.throttled(now)
        assert SLOWEST <= bucket.pace <= 1.0


@given(rate=rates)
def test_a_throttle_never_makes_the_next_call_come_sooner(rate: Rate) -> None:
    bucket = Bucket.empty(rate, 1.0, 0.0).advanced(10.0)
    assert bucket.throttled(10.0).reserve(10.0)[1] >= bucket.reserve(10.0)[1]


def test_a_throttle_halves_the_pace_and_empties_the_bucket() -> None:
    bucket = Bucket.empty(Rate(20, 10), 1.0, 0.0).advanced(2.0).throttled(2.0)
    assert (bucket.pace, bucket.tokens) == (0.5, 0.0)


def test_throttles_of_calls_already_on_their_way_count_once() -> None:
    bucket = Bucket.empty(Rate(20, 10), 1.0, 0.0).throttled(5.0).throttled(5.2).throttled(5.4)
    assert bucket.pace == pytest.approx(0.5, abs=0.01)


def test_a_second_throttle_later_halves_again() -> None:
    bucket = Bucket.empty(Rate(20, 10), 1.0, 0.0).throttled(5.0)
    assert bucket.throttled(5.0 + ONE_THROTTLE_S).pace == pytest.approx(0.25, abs=0.01)


def test_the_pace_recovers_with_time() -> None:
    bucket = Bucket.empty(Rate(20, 10), 1.0, 0.0).throttled(0.0)
    assert bucket.advanced(RECOVERY_S / 4).pace == pytest.approx(0.75)
    assert bucket.advanced(RECOVERY_S).pace == 1.0


def test_a_new_bucket_is_empty() -> None:
    _, wait = Bucket.empty(Rate(20, 1), 0.8, 100.0).reserve(100.0)
    assert wait == pytest.approx(1.25)


def test_threads_that_read_the_clock_in_the_other_order_gain_nothing() -> None:
    bucket = Bucket.empty(Rate(20, 10), 1.0, 100.0).advanced(101.0)
    assert bucket.advanced(100.9) == bucket


def test_a_clock_that_was_set_back_makes_nobody_wait_for_it_to_catch_up() -> None:
    bucket, _ = Bucket.empty(Rate(20, 10), 1.0, 5000.0).reserve(5000.0)
    _, wait = bucket.reserve(1400.0)
    assert wait == pytest.approx(0.2)


def test_the_wait_says_which_limit_asks_for_it() -> None:
    wait = ShardBudget().reserve("ecs:CreateCluster", START)
    assert wait.why == "ecs cluster modify: 80% of AWS's 1 calls/s"


def test_an_assumed_limit_is_called_assumed() -> None:
    assert "an assumed 5 calls/s" in ShardBudget().reserve("ssm:CreateActivation", START).why


def test_the_wait_says_that_a_throttle_slowed_it_down() -> None:
    budget = ShardBudget()
    budget.throttled("ecs:CreateCluster", START)
    assert "at 50% since a throttle" in budget.reserve("ecs:DeleteCluster", START).why


def test_nothing_to_wait_for_has_no_reason() -> None:
    budget = ShardBudget()
    budget.reserve("ecs:DescribeClusters", START)
    wait = budget.reserve("ecs:DescribeClusters", START + timedelta(seconds=60))
    assert (wait.seconds, wait.why) == (0.0, "")


def test_actions_of_one_group_share_a_bucket_and_others_do_not() -> None:
    budget = ShardBudget(share=1.0)
    first = budget.reserve("ecs:ListContainerInstances", START).seconds
    same = budget.reserve("ecs:DescribeContainerInstances", START).seconds
    other = budget.reserve("ecs:DescribeClusters", START).seconds
    assert (first, same, other) == pytest.approx((1 / 20, 2 / 20, 1 / 20))


def test_an_action_nobody_listed_still_has_a_limit() -> None:
    assert ShardBudget().reserve("ecs:InventedYesterday", START).seconds > 0


def test_a_rate_can_be_overridden() -> None:
    budget = ShardBudget(share=1.0, rates={"ssm modify": Rate(1, 100)})
    assert budget.reserve("ssm:CreateActivation", START).seconds == pytest.approx(0.01)


@pytest.mark.parametrize("share", [0, -0.5, 1.01])
def test_a_share_that_cannot_be_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share is"):
        ShardBudget(share=share)


def test_a_rate_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ValueError, match="lets no call through"):
        ShardBudget(rates={"iam": Rate(10, 0)})


def test_a_rate_for_a_group_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match='no group of actions is called "smm read"'):
        ShardBudget(rates={"smm read": Rate(10, 1)})


def test_every_action_drinks_from_a_bucket_that_exists() -> None:
    assert set(GROUPS.values()) <= set(RATES)


def test_threads_that_ask_at_once_are_each_given_their_own_turn() -> None:
    budget = ShardBudget(share=1.0)
    waits: list[float] = []
    threads = [
        threading.Thread(
            target=lambda: waits.append(budget.reserve("ecs:DescribeClusters", START).seconds)
        )
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([n / 20 for n in range(1, 17)])
