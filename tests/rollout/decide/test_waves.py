"""Canaries stand for their strata, waves for the whole, and list order for nothing."""

import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.policy import Amount, Policy
from fleet.rollout.decide.waves import Candidate, choose_canary, plan_waves

STANDARD = Policy("standard")
NOW = datetime(2026, 11, 23, 2, tzinfo=UTC)


def shop(
    number: int, stratum: str = "nuc · lte", *, hosts: int = 1, ring: str = "", dark: str = ""
) -> Candidate:
    return Candidate(f"store-{number:03d}", stratum, hosts, ring=ring, dark=dark)


def percent(number: int) -> Amount:
    return Amount(percent=Decimal(number))


def test_each_stratum_has_one_canary_store() -> None:
    shops = [shop(1), shop(2), shop(3, "orin · fibre"), shop(4, "orin · fibre")]
    canary = choose_canary(shops, STANDARD, 0)
    assert len(canary.stores) == 2
    assert set(canary.strata) == {"nuc · lte", "orin · fibre"}
    assert set(canary.strata.values()) == set(canary.stores)


def test_the_store_with_the_fewest_hosts_is_risked_first() -> None:
    assert choose_canary([shop(1, hosts=3), shop(2, hosts=2)], STANDARD, 0).stores == ("store-002",)


def test_another_seed_is_another_draw() -> None:
    shops = [shop(n) for n in range(40)]
    assert len({choose_canary(shops, STANDARD, seed).stores for seed in range(10)}) > 1


def test_a_dark_store_is_replaced_within_its_stratum_and_that_is_said() -> None:
    dark = shop(317, hosts=1, dark="is dark since 21 Nov 22:14Z")
    canary = choose_canary([dark, shop(322, hosts=2), shop(5, "orin", hosts=2)], STANDARD, 0)
    assert canary.strata["nuc · lte"] == "store-322"
    assert canary.notes == (
        "store-317 is dark since 21 Nov 22:14Z: parked, owes the release; "
        "replaced by store-322 (same stratum)",
    )


def test_a_stratum_of_dark_stores_has_no_canary_and_is_named() -> None:
    canary = choose_canary([shop(1, dark="is dark"), shop(2, "orin")], STANDARD, 0)
    assert canary.strata == {"nuc · lte": "", "orin": "store-002"}
    assert canary.notes == ("no canary for nuc · lte (1 store): none of them is connected",)


def test_the_policy_limits_the_canary_to_the_strata_with_most_stores() -> None:
    few = replace(STANDARD, canary=Amount(count=1))
    canary = choose_canary([shop(1), shop(2), shop(3, "orin")], few, 0)
    assert canary.strata["orin"] == ""
    assert canary.strata["nuc · lte"] in canary.stores
    assert "the policy takes at most 1" in canary.notes[0]


def test_the_canary_ring_overrides_the_choice() -> None:
    ring = shop(2, hosts=9, ring="canary")
    canary = choose_canary([shop(1), ring, shop(3, "orin")], STANDARD, 0)
    assert canary.stores == ("store-002",)
    assert canary.notes == (
        "no canary for orin (1 store): no store of ring canary is of that kind",
    )


def test_a_dark_store_of_the_ring_is_replaced_by_one_of_its_stratum() -> None:
    ring = shop(2, ring="canary", dark="is dark")
    canary = choose_canary([ring, shop(7), shop(3, "orin", ring="canary")], STANDARD, 0)
    assert set(canary.stores) == {"store-003", "store-007"}
    assert "replaced by store-007" in canary.notes[0]


def test_a_ring_larger_than_the_policy_covers_strata_first() -> None:
    two = replace(STANDARD, canary=Amount(count=2))
    ring = [shop(n, ring="canary") for n in range(5)] + [shop(9, "orin", hosts=4, ring="canary")]
    canary = choose_canary(ring, two, 0)
    assert "store-009" in canary.stores
    assert "4 more stores of ring canary come later" in canary.notes[0]


def test_waves_reach_the_parts_that_the_policy_says() -> None:
    waves = plan_waves([shop(n) for n in range(200)], STANDARD, 0, None)
    assert [(w.name, len(w.stores)) for w in waves] == [
        ("wave 1", 10),
        ("wave 2", 40),
        ("wave 3", 150),
    ]


def test_the_canary_counts_towards_the_first_wave() -> None:
    shops = [shop(n) for n in range(200)]
    waves = plan_waves(shops, STANDARD, 0, choose_canary(shops, STANDARD, 0))
    assert [(w.name, len(w.stores)) for w in waves][:2] == [("canary", 1), ("wave 1", 9)]


def test_a_wave_without_stores_is_left_out_and_not_counted() -> None:
    shops = [shop(1), shop(2)]
    waves = plan_waves(shops, STANDARD, 0, choose_canary(shops, STANDARD, 0))
    assert [w.name for w in waves] == ["canary", "wave 1"]
    assert [w.name for w in plan_waves(shops, STANDARD, 0, None)] == ["wave 1", "wave 2"]


def test_every_wave_is_a_fair_sample_of_strata_and_carriers() -> None:
    shops = [
        Candidate(f"s{n}", ("nuc", "orin", "xavier")[n % 3], 1, kin=(("blue", "red")[n % 2],))
        for n in range(600)
    ]
    for wave in plan_waves(shops, STANDARD, 3, None):
        ids = set(wave.stores)
        seen = Counter((c.stratum, c.kin) for c in shops if c.store in ids)
        assert max(seen.values()) - min(seen.values()) <= 2


def test_the_only_store_of_its_kind_comes_early_as_often_as_late() -> None:
    shops = [shop(0, "rare"), *(shop(n) for n in range(1, 40))]
    half = replace(STANDARD, waves=(percent(50), percent(100)))
    early = sum("store-000" in plan_waves(shops, half, n, None)[0].stores for n in range(100))
    assert 35 < early < 65


def test_within_a_wave_the_store_whose_window_comes_first_goes_first() -> None:
    shops = [
        replace(shop(1), next_at=NOW + timedelta(hours=3)),
        replace(shop(2), next_at=NOW),
        replace(shop(3), next_at=None),
    ]
    one = replace(STANDARD, waves=(percent(100),))
    assert plan_waves(shops, one, 0, None)[0].stores == ("store-002", "store-001", "store-003")


def test_ten_thousand_stores_take_no_time() -> None:
    shops = [Candidate(f"s{n}", f"k{n % 12}", 1, kin=(str(n % 7),)) for n in range(10_000)]
    began = time.process_time()
    plan_waves(shops, STANDARD, 0, choose_canary(shops, STANDARD, 0))
    assert time.process_time() - began < 2


CANDIDATES = st.lists(
    st.builds(
        Candidate,
        store=st.integers(0, 60).map("store-{:03d}".format),
        stratum=st.sampled_from(("nuc", "orin", "xavier")),
        hosts=st.integers(1, 3),
        ring=st.sampled_from(("", "", "canary")),
        kin=st.tuples(st.sampled_from(("red", "blue"))),
        dark=st.sampled_from(("", "", "is dark")),
        next_at=st.sampled_from((None, NOW, NOW + timedelta(hours=1))),
    ),
    unique_by=lambda c: c.store,
    max_size=40,
)


@given(CANDIDATES, st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_plan_does_not_depend_on_input_order(
    shops: list[Candidate], dice: Random, seed: int
) -> None:
    shuffled = list(shops)
    dice.shuffle(shuffled)
    first, second = (choose_canary(order, STANDARD, seed) for order in (shops, shuffled))
    assert first == second
    assert plan_waves(shops, STANDARD, seed, first) == plan_waves(shuffled, STANDARD, seed, second)


@given(CANDIDATES, st.integers(0, 12), st.booleans())
def test_every_store_is_in_exactly_one_wave(
    shops: list[Candidate], most: int, with_canary: bool
) -> None:
    policy = replace(STANDARD, canary=Amount(count=most))
    canary = choose_canary(shops, policy, 0) if with_canary else None
    stores = [s for wave in plan_waves(shops, policy, 0, canary) for s in wave.stores]
    assert sorted(stores) == sorted(c.store for c in shops)


@given(CANDIDATES, st.integers(0, 12))
def test_a_canary_store_is_connected_and_there_are_no_more_than_allowed(
    shops: list[Candidate], most: int
) -> None:
    canary = choose_canary(shops, replace(STANDARD, canary=Amount(count=most)), 0)
    dark = {c.store for c in shops if c.dark}
    assert len(set(canary.stores)) == len(canary.stores) <= most
    assert not dark & set(canary.stores)
