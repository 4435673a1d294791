"""Weight limits what is in flight and what a wave holds, and leaves no store out."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.policy import Amount, Policy
from fleet.model.rollout import ActionKind, Phase, Place, RolloutAction
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.service_calls import CallResult
from fleet.rollout.decide.store_choice import choose_stores, stores_in_flight
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.waves import Candidate, choose_canary, plan_waves
from fleet.rollout.decide.weights import FlightRoom, cut_by_weight
from tests.rollout.decide.rollout_shop import Fate
from tests.rollout.decide.rollout_world import World
from tests.rollout.decide.tick_states import POLICY, place, planned, sent, state
from tests.rollout.decide.ticks import kinds, settled

STANDARD = Policy("standard")


def percent(number: int | str) -> Amount:
    return Amount(percent=Decimal(number))


def weighed(*weights: int, limit: str, others: int = 0, flying: int = 0) -> TickState:
    """Stores of these weights, of which the first ``flying`` are in flight, and others after."""
    rows = [
        sent(f"s{n}") if n < flying else planned(f"s{n}")
        for n in range(len(weights) + bool(others))
    ]
    of = {f"s{n}": Decimal(w) for n, w in enumerate((*weights, others))}
    policy = replace(
        POLICY, concurrency=Amount(count=99), max_weight_in_flight=percent(limit), convoy=99
    )
    places = {c.store: place(c.store, weight=of[c.store]) for c in rows}
    return state(*rows, policy=policy, places=places)


@pytest.mark.parametrize(
    ("limit", "chosen"), [("29", ("s1",)), ("30", ("s1", "s2")), ("31", ("s1", "s2"))]
)
def test_stores_are_sent_to_up_to_the_limit_of_weight_and_not_beyond(
    limit: str, chosen: tuple[str, ...]
) -> None:
    assert choose_stores(weighed(10, 10, 10, limit=limit, others=70, flying=1)).to_send == chosen


def test_a_store_that_does_not_fit_lets_a_lighter_one_pass() -> None:
    assert choose_stores(weighed(40, 5, 55, limit="40")).to_send == ("s0",)
    assert choose_stores(weighed(35, 10, 5, 50, limit="40")).to_send == ("s0", "s2")


def test_a_store_that_is_heavier_than_the_limit_goes_alone() -> None:
    assert choose_stores(weighed(60, 20, 20, limit="25")).to_send == ("s0",)
    assert choose_stores(weighed(60, 20, 20, limit="25", flying=1)).to_send == ()
    assert choose_stores(weighed(20, 60, 20, limit="25", flying=1)).to_send == ()


def test_what_a_tick_reads_into_flight_takes_up_weight_before_it_sends() -> None:
    rows = weighed(20, 20, 60, limit="20")
    choice = choose_stores(rows)
    rows.move(rows.change("s1", "vision-arm64"), stage=sent().stage, verdict=Verdict.WAITING)

    assert kinds(settled(rows, choice.to_send)) == []


def test_without_a_limit_only_the_number_counts() -> None:
    rows = [planned(f"s{n}") for n in range(5)]
    policy = replace(POLICY, concurrency=Amount(count=3))
    assert len(choose_stores(state(*rows, policy=policy)).to_send) == 3


weights = st.lists(st.integers(1, 60).map(Decimal), min_size=1, max_size=40)
limits = st.sampled_from([percent(n) for n in ("0.5", "3", "10", "35", "100")])


@given(weights, limits)
def test_no_part_is_heavier_than_the_limit_unless_it_is_one_store(
    given_weights: list[Decimal], limit: Amount
) -> None:
    most = sum(given_weights, Decimal(0)) * (limit.percent or 0) / 100
    of = dict(enumerate(given_weights))
    parts = cut_by_weight(list(of), of.__getitem__, most)

    assert sorted(item for part in parts for item in part) == list(of)
    for part in parts:
        assert len(part) == 1 or sum(of[item] for item in part) <= most
    fitting = [part for part in parts if of[part[0]] <= most]
    for one, other in pairwise(fitting):
        assert sum(of[item] for item in one) + of[other[0]] > most, "it would have fitted"


@given(weights, limits, st.booleans(), st.integers(0, 5))
def test_every_store_is_in_one_wave_and_no_wave_is_too_heavy(
    given_weights: list[Decimal], limit: Amount, canary: bool, rings: int
) -> None:
    candidates = [
        Candidate(f"s{n}", ("nuc", "orin")[n % 2], 1, ring="canary" if n < rings else "", weight=w)
        for n, w in enumerate(given_weights)
    ]
    policy = replace(STANDARD, max_weight_per_wave=limit)
    first = choose_canary(candidates, policy, 3) if canary else None
    waves = plan_waves(candidates, policy, 3, first)
    of = {c.store: c.weight for c in candidates}
    most = sum(given_weights) * (limit.percent or 0) / 100

    assert sorted(store for wave in waves for store in wave.stores) == sorted(of)
    assert all(
        len(wave.stores) == 1 or sum(of[store] for store in wave.stores) <= most for wave in waves
    )


@dataclass
class WeighedWorld(World):
    """A world in which stores have weights, and which keeps a book of the weight in flight."""

    weights: dict[str, Decimal] = field(default_factory=dict)
    flown: list[tuple[str, ...]] = field(default_factory=list)

    def _place(self, store: str) -> Place:
        return replace(super()._place(store), weight=self.weights[store])

    def _perform(self, action: RolloutAction, in_flight: int) -> CallResult:
        if action.kind is ActionKind.SEND:
            # All sends of a tick are recorded before the first call.
            rows = TickState(self.rollout, self.changes, self.now)
            self.flown.append(tuple(stores_in_flight(rows)))
        return super()._perform(action, in_flight)


fates = st.sampled_from(
    [Fate(), Fate(), Fate(pulls=1), Fate(outages=((-60, 40),)), Fate(outages=((1, 9000),))]
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(fates, st.integers(1, 60)), min_size=1, max_size=9),
    limits,
    st.sampled_from([1, 3, 99]),
)
def test_every_store_gets_its_turn_and_the_limit_holds(
    shops: list[tuple[Fate, int]], limit: Amount, places: int
) -> None:
    policy = Policy(
        "weighed",
        bake_s=300.0,
        concurrency=Amount(count=places),
        max_weight_in_flight=limit,
        coverage=0.01,
        min_sample=1,
        alpha=0.0001,
        min_control=1,
    )
    of = {f"s{n}": Decimal(weight) for n, (_, weight) in enumerate(shops)}
    world = WeighedWorld(policy, {f"s{n}": fate for n, (fate, _) in enumerate(shops)}, weights=of)
    world.run(24 * 30)
    most = sum(of.values()) * (limit.percent or 0) / 100

    assert all(len(flying) == 1 or sum(of[s] for s in flying) <= most for flying in world.flown)
    if world.rollout.phase is Phase.DONE:
        reached = {change.store for change in world.changes if change.sends}
        parked = {c.store for c in world.changes if c.verdict is Verdict.PARKED}
        assert reached | parked == set(of)
    else:
        # A person is asked about a store that went dark; nothing else stops it.
        assert world.rollout.phase is Phase.PAUSED
        assert any(fate.outages for fate, _ in shops)


def test_room_is_full_when_the_limit_is_reached() -> None:
    rows = weighed(1, 1, limit="100")
    room = FlightRoom(rows.rollout.spec, ["s0"])
    assert room.has_room_for("s1")
    room.take("s1")
    assert room.is_full


def heavy(number: int, weight: int, stratum: str = "nuc", **more: Any) -> Candidate:
    return Candidate(f"s{number}", stratum, 1, weight=Decimal(weight), **more)


def test_a_canary_takes_a_store_of_each_kind_that_still_fits() -> None:
    shops = [heavy(1, 30), heavy(2, 4), heavy(3, 60, "orin"), heavy(4, 6, "orin")]
    canary = choose_canary(shops, replace(STANDARD, max_weight_per_wave=percent(10)), 0)
    assert set(canary.stores) == {"s2", "s4"}


def test_a_kind_of_which_no_store_fits_the_canary_is_named() -> None:
    shops = [heavy(1, 5), heavy(2, 5), heavy(3, 90, "orin")]
    canary = choose_canary(shops, replace(STANDARD, max_weight_per_wave=percent(10)), 0)
    assert canary.strata["orin"] == ""
    assert canary.notes == (
        "no canary for orin (1 store): the canary would be heavier than max_weight_per_wave",
    )


def test_a_store_of_the_canary_ring_that_does_not_fit_comes_later_and_that_is_said() -> None:
    shops = [heavy(1, 5, ring="canary"), heavy(2, 8, ring="canary"), heavy(3, 87)]
    canary = choose_canary(shops, replace(STANDARD, max_weight_per_wave=percent(10)), 0)
    assert len(canary.stores) == 1
    assert "of ring canary comes later" in canary.notes[0]


def test_where_every_store_is_too_heavy_the_lightest_is_the_canary() -> None:
    policy = replace(STANDARD, max_weight_per_wave=percent(10))
    assert choose_canary([heavy(1, 60), heavy(2, 40)], policy, 0).stores == ("s2",)
    none = replace(policy, canary=Amount(count=0))
    assert choose_canary([heavy(1, 60), heavy(2, 40)], none, 0).stores == ()


@pytest.mark.parametrize(
    ("limit", "sizes"), [("39", [1] * 5), ("40", [2, 2, 1]), ("41", [2, 2, 1])]
)
def test_a_wave_may_be_as_heavy_as_the_limit_and_is_cut_beyond_it(
    limit: str, sizes: list[int]
) -> None:
    policy = replace(STANDARD, waves=(percent(100),), max_weight_per_wave=percent(limit))
    waves = plan_waves([heavy(n, 20) for n in range(5)], policy, 0, None)
    assert [len(wave.stores) for wave in waves] == sizes
    assert [wave.name for wave in waves][:2] == ["wave 1", "wave 2"]
