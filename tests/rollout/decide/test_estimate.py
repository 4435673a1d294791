"""What a plan costs, by assumptions that are written down; lower bounds stay lower bounds."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.desired import ImageFact
from fleet.model.hours import OpenSpan
from fleet.model.inventory import Link
from fleet.model.plan import Plan
from fleet.model.policy import (
    AfterCanary,
    Amount,
    Freeze,
    MetricBaseline,
    Policy,
    PolicyCheck,
    Window,
)
from fleet.model.rates import ECS_SERVICE_MODIFY
from fleet.rollout.decide.estimate import UNKNOWN_BYTES, pull_s
from tests.rollout.decide import plans
from tests.rollout.decide.plans import LTE, only, plan, shop, view

ONE_WAVE = replace(plans.STANDARD, waves=(Amount(percent=Decimal(100)),))
FIBRE = Link("fibre")


def calls(made: Plan, group: str) -> int:
    return sum(c.calls for c in made.estimate.calls if c.group == group)


def test_an_update_is_one_write_and_one_tag() -> None:
    made = plan([shop(1), shop(2)])
    assert calls(made, "ecs service modify") == 2
    assert calls(made, "ecs tag modify") == 2


def test_a_new_service_has_its_tags_from_the_first_moment() -> None:
    made = plan([shop()], [replace(view(shop()), services=())])
    assert calls(made, "ecs service modify") == 1
    assert calls(made, "ecs tag modify") == 0


def test_calls_take_as_long_as_the_share_of_the_rate_allows() -> None:
    made = plan([shop(1)], share=0.5)
    (write,) = (c for c in made.estimate.calls if c.group == "ecs service modify")
    assert write.seconds == 1 / (ECS_SERVICE_MODIFY.refill * 0.5)
    assert (write.account, write.region) == ("emea-prod", "eu-west-1")


def test_the_group_that_takes_longest_comes_first() -> None:
    seconds = [c.seconds for c in plan([shop(n) for n in range(9)]).estimate.calls]
    assert seconds == sorted(seconds, reverse=True)


def test_a_body_is_registered_once_per_account_and_region() -> None:
    made = plan([shop(1), shop(2), shop(3, region="eu-central-1")], contents={}, overwrite=True)
    assert calls(made, "ecs task definition modify") == 2


def test_a_body_that_some_store_runs_is_not_registered_again() -> None:
    assert calls(plan([shop()]), "ecs task definition modify") == 0


def test_bytes_are_those_of_the_image_times_the_hosts_that_lack_it() -> None:
    made = plan([shop(1, link=FIBRE), shop(2)])
    assert made.estimate.bytes_total == 200_000_000
    assert made.estimate.bytes_metered == 100_000_000
    assert made.estimate.cost == "0.45"


def test_an_image_that_runs_already_is_not_pulled() -> None:
    release = plans.release([shop()])
    same = {plans.arn(41): plans.NEW.body}
    made = plan([shop()], bodies=same, release=release)
    assert made.estimate.bytes_total == 0


def test_an_image_of_unknown_size_leaves_the_total_open() -> None:
    release = plans.release([shop()], images={})
    made = plan([shop()], release=release)
    assert made.estimate.bytes_total is None
    assert made.estimate.bytes_metered is None
    assert made.estimate.cost == ""
    assert made.estimate.unknown_sizes == (plans.NEW_IMAGE,)


def test_the_size_of_another_platform_is_no_size() -> None:
    arm = ImageFact("tag", plans.NEW_IMAGE, ("linux/arm64",), {"linux/arm64": 1}, "ecr")
    made = plan([shop()], release=plans.release([shop()], images={"tag": arm}))
    assert made.estimate.unknown_sizes == (plans.NEW_IMAGE,)


def test_a_metered_link_without_a_price_is_counted_apart() -> None:
    made = plan([shop(1), shop(2, link=replace(LTE, price_per_gb=None))])
    assert made.estimate.cost == "at least 0.45 (1 without a price)"


def test_pulling_takes_as_long_as_the_shared_link_needs() -> None:
    change = only(plan([shop()]))
    release = plans.release([shop()])
    seconds = pull_s(release, shop(), [replace(change, count=2)], {})
    assert seconds == 2 * 100_000_000 / (10e6 / 8)


def test_an_unknown_size_still_takes_time() -> None:
    change = only(plan([shop()]))
    release = plans.release([shop()], images={})
    assert pull_s(release, shop(link=FIBRE), [change], {}) == UNKNOWN_BYTES / (50e6 / 8)


def test_the_least_time_of_one_store_is_its_write_settling_and_bake() -> None:
    assert plan([shop()], policy=ONE_WAVE).estimate.seconds_least == 0.25 + 120 + 600


def test_stores_take_their_places_in_rounds() -> None:
    two = replace(ONE_WAVE, concurrency=Amount(count=2))
    assert plan([shop(n) for n in range(5)], policy=two).estimate.seconds_least == 3 * 120 + 600


@pytest.mark.parametrize(("limit", "rounds"), [("25", 4), ("49", 3), ("50", 2), ("100", 1)])
def test_a_limit_of_weight_in_flight_makes_more_rounds(limit: str, rounds: int) -> None:
    policy = replace(
        ONE_WAVE,
        concurrency=Amount(count=99),
        max_weight_in_flight=Amount(percent=Decimal(limit)),
    )
    stores = [shop(n, weight=Decimal(10)) for n in range(4)]
    least = plan(stores, policy=policy).estimate.seconds_least
    assert least == pytest.approx(rounds * 120 + 600, abs=2)


def test_a_metric_needs_a_whole_period_of_each_wave() -> None:
    metric = MetricBaseline("Shops", "Latency", (("Store", "{store}"),), period_s=900.0)
    policy = replace(ONE_WAVE, checks=(PolicyCheck("latency", metric=metric),))
    assert plan([shop()], policy=policy).estimate.seconds_least == 0.25 + 120 + 900 + 120


def test_dark_stores_take_no_time() -> None:
    stores = [shop(n) for n in range(4)]
    seen = [view(stores[0]), *(plans.dark(s) for s in stores[1:])]
    least = plan(stores, seen, policy=ONE_WAVE).estimate.seconds_least
    assert least == plan([shop(0)], policy=ONE_WAVE).estimate.seconds_least


def test_the_end_is_a_moment_after_settling_and_bake() -> None:
    made = plan([shop(link=FIBRE)], policy=ONE_WAVE)
    assert made.estimate.finish_text == "at the earliest about Mon 23 Nov 02:12Z"


NIGHT: Policy = replace(ONE_WAVE, window=Window.CLOSED)
HOURS = dict.fromkeys(range(7), (OpenSpan(time(1), time(23)),))


def test_the_end_waits_for_the_stores_window() -> None:
    made = plan([shop(hours=HOURS, link=FIBRE)], policy=NIGHT)
    assert made.estimate.finish_text == "at the earliest about Mon 23 Nov 23:12Z"


def test_what_does_not_fit_into_one_night_goes_on_in_the_next() -> None:
    slow = replace(NIGHT, concurrency=Amount(count=1), settle_s=3600.0)
    made = plan([shop(n, hours=HOURS, link=FIBRE) for n in range(2)], policy=slow)
    assert made.estimate.finish_text == "at the earliest about Wed 25 Nov 00:10Z"


def test_a_store_whose_turn_comes_after_its_last_chance_is_told_apart() -> None:
    halves = (Amount(count=1), Amount(percent=Decimal(100)))
    freeze = Freeze("long", plans.NOW + plans.HOUR, plans.NOW + 999 * plans.HOUR, None, "peak")
    stores = [shop(n, link=FIBRE) for n in range(2)]
    slow = replace(plans.STANDARD, waves=halves, bake_s=7200.0)
    made = plan(stores, policy=slow, fleet=plans.fleet(stores, freezes=(freeze,)))
    assert made.estimate.finish_text.endswith("; 1 store has no time for it within 14 days")


def test_nobody_can_tell_the_end_when_no_store_has_a_window() -> None:
    always_open = dict.fromkeys(range(7), (OpenSpan(time(0), time(0)),))
    assert plan([shop(hours=always_open)], policy=NIGHT).estimate.finish_text == ""


def test_a_canary_that_waits_for_a_person_has_an_end_of_its_own() -> None:
    asking = replace(ONE_WAVE, after_canary=AfterCanary.PROMOTE)
    made = plan([shop(n, link=FIBRE) for n in range(3)], policy=asking, canary=True)
    assert made.estimate.finish_text.startswith(
        "canary Mon 23 Nov 02:12Z at the earliest, then `promote`; "
    )


@given(st.integers(1, 40), st.integers(1, 9))
def test_more_stores_never_take_less_time(count: int, places: int) -> None:
    policy = replace(ONE_WAVE, concurrency=Amount(count=places))
    fewer, more = (
        plan([shop(n) for n in range(size)], policy=policy).estimate.seconds_least
        for size in (count, count + 1)
    )
    assert fewer <= more
