"""Lines that are worth reading before a rollout."""

from dataclasses import replace
from datetime import time
from decimal import Decimal

import pytest

from fleet.inventory.decide.checks import notes_of
from fleet.model.hours import Hours, OpenSpan, Powered
from fleet.model.inventory import Fleet, Lifecycle, Workload
from fleet.model.policy import Amount, Policy, Window
from fleet.model.restarts import RestartSource
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


@pytest.mark.parametrize(
    ("source", "notes"),
    [(source, int(source is RestartSource.OFF)) for source in RestartSource],
)
def test_a_policy_that_asks_nobody_for_restarts_is_said_to(
    source: RestartSource, notes: int
) -> None:
    found = notes_of(fleet({}, Policy("standard", restart_source=source)))

    assert [note for note in found if "restart_source is off" in note] == list(found)
    assert all("ssh, run-command or container-insights" in note for note in found)
    assert len(found) == notes


def test_a_bake_that_ends_before_a_lost_line_is_seen_is_said_to() -> None:
    (note,) = notes_of(fleet({}, Policy("standard", bake_s=120)))

    assert "policy standard: settle and bake are over after 4m" in note
    assert "after up to 11m (4m until ECS shows it, 2m until it is read, dark_after 5m)" in note


@pytest.mark.parametrize(("bake_s", "noted"), [(539, True), (540, False), (541, False)])
def test_a_bake_is_long_enough_when_a_lost_line_is_seen_by_its_end(
    bake_s: float, noted: bool
) -> None:
    notes = notes_of(fleet({}, Policy("standard", bake_s=bake_s)))

    assert any("a release that cuts links could pass" in note for note in notes) is noted


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


OPEN_DAILY: Hours = dict.fromkeys(range(7), (OpenSpan(time(8), time(22)),))


def switched_off(policy: Policy, hours: Hours = OPEN_DAILY) -> Fleet:
    """A fleet whose hosts have no power while their store is closed."""
    made = fleet(hours, policy)
    (shop,) = made.stores
    hosts = tuple(replace(host, powered=Powered.OPENING_HOURS) for host in shop.hosts)
    return replace(made, stores=(replace(shop, hosts=hosts),))


def test_a_store_without_power_in_its_window_is_named_with_what_to_write() -> None:
    (note,) = notes_of(switched_off(Policy("standard")))

    assert note == (
        "store-042 has no window: hosts have no power while the store is closed, and policy "
        "standard sends only while a store is closed; give it after_opening: 1h, between: with "
        "hours in which the store is open, or window: always (telemetry)"
    )


@pytest.mark.parametrize(
    "policy",
    [
        Policy("standard", after_opening_s=3600),
        Policy("standard", window=Window.ALWAYS),
        Policy("standard", between=OpenSpan(time(7), time(9))),
        Policy("standard", quiet_hours=OpenSpan(time(21), time(23))),
    ],
)
def test_a_window_with_power_is_nothing_to_note(policy: Policy) -> None:
    assert notes_of(switched_off(policy)) == ()


@pytest.mark.parametrize(
    ("minutes", "noted"),
    [(16, True), (17, False), (18, False)],  # finish_by and settle are 17 minutes
)
def test_a_window_with_power_must_be_long_enough(minutes: int, *, noted: bool) -> None:
    policy = Policy("standard", between=OpenSpan(time(7), time(8, minutes)))

    assert bool(notes_of(switched_off(policy))) is noted


def test_hosts_that_no_workload_reaches_may_be_switched_off() -> None:
    made = switched_off(Policy("standard"))
    other = replace(TELEMETRY, where={"hardware": ("xavier-nx",)})

    assert notes_of(replace(made, workloads=(other,))) == ()
