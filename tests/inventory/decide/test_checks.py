"""Lines that are worth reading before a rollout."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest

from fleet.inventory.decide.checks import notes_of
from fleet.model.hours import Hours, OpenSpan
from fleet.model.inventory import Fleet, Lifecycle, Workload
from fleet.model.policy import Amount, Policy, Window
from tests import build

WHOLE_DAY = (OpenSpan(time(0), time(0)),)
ALWAYS: Hours = dict.fromkeys(range(7), WHOLE_DAY)
IN_HALVES: Hours = dict.fromkeys(
    range(7), (OpenSpan(time(6), time(18)), OpenSpan(time(18), time(6)))
)
TELEMETRY = Workload("telemetry", "t.j2", {}, {"hardware": ("nuc",)})


def fleet(hours: Hours, policy: Policy | None = None, workload: Workload = TELEMETRY) -> Fleet:
    shop = build.store(hours=hours)
    policies = {"standard": policy or Policy("standard")}
    return replace(build.fleet(shop), workloads=(workload,), policies=policies)


@pytest.mark.parametrize(
    ("ring", "noted"),
    [("canray", True), ("Canary", True), ("canary", False), ("canary-2", False), ("early", False)],
)
def test_a_ring_that_is_almost_the_canarys_is_noted(ring: str, noted: bool) -> None:
    notes = notes_of(build.fleet(build.store(ring=ring)))

    assert [ring in note and "store-042" in note for note in notes] == [True] * noted


@pytest.mark.parametrize("hours", [ALWAYS, IN_HALVES])
def test_a_store_that_never_closes_can_never_be_changed_while_it_is_closed(hours: Hours) -> None:
    (note,) = notes_of(fleet(hours))

    assert note.startswith("store-042 never closes, and policy standard (telemetry)")


@pytest.mark.parametrize(
    "made",
    [
        fleet({0: WHOLE_DAY}),
        fleet({}),
        fleet(ALWAYS, Policy("standard", window=Window.ALWAYS)),
        fleet(ALWAYS, Policy("standard", between=OpenSpan(time(1), time(5)))),
        fleet(ALWAYS, Policy("standard", quiet_hours=OpenSpan(time(2), time(5)))),
        fleet(ALWAYS, workload=replace(TELEMETRY, where={"hardware": ("xavier-nx",)})),
    ],
)
def test_there_is_nothing_to_say_where_a_window_exists_or_none_is_needed(made: Fleet) -> None:
    assert notes_of(made) == ()


def test_a_store_that_is_not_open_needs_no_window() -> None:
    made = fleet(ALWAYS)
    paused = replace(made.stores[0], lifecycle=Lifecycle.PAUSED)

    assert notes_of(replace(made, stores=(paused,))) == ()


def test_many_stores_are_not_all_named() -> None:
    made = fleet(ALWAYS)
    many = tuple(replace(made.stores[0], id=f"s-{number}") for number in range(8))

    assert notes_of(replace(made, stores=many))[0].startswith("s-0, s-1, s-2, s-3, s-4 and 3 more")


def test_a_bake_that_ends_before_a_lost_line_is_seen_is_said_to() -> None:
    (note,) = notes_of(fleet({}, Policy("standard", bake_s=120)))

    assert "policy standard: settle and bake are over after 4m" in note
    assert "after about 9m" in note


def test_the_policy_that_is_built_in_sees_a_lost_line_in_time() -> None:
    assert notes_of(fleet({})) == ()


def weighed(*weights: int | None, policy: Policy | None = None) -> Fleet:
    made = fleet({}, policy)
    stores = tuple(
        replace(made.stores[0], id=f"s-{n}", weight=None if weight is None else Decimal(weight))
        for n, weight in enumerate(weights)
    )
    return replace(made, stores=stores)


def test_a_store_without_a_weight_among_others_with_one_is_named() -> None:
    assert notes_of(weighed(3, 4)) == ()
    assert notes_of(weighed(None, None)) == ()
    (note,) = notes_of(weighed(3, None))
    assert note.startswith("s-1 carries no weight and counts as 1")


def test_a_limit_of_weight_without_any_weight_is_named() -> None:
    limiting = Policy("standard", max_weight_per_wave=Amount(percent=Decimal(20)))
    assert notes_of(weighed(1, 2, policy=limiting)) == ()
    (note,) = notes_of(weighed(None, policy=limiting))
    assert "no store carries one: every store counts as 1" in note
