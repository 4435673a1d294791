"""Simulated rollouts: they end as real ones would, and the same seed is the same run."""

from dataclasses import replace
from datetime import time
from decimal import Decimal
from typing import Any

import pytest

from fleet.model.changes import Change
from fleet.model.hours import OpenSpan
from fleet.model.policy import Amount, OnUnclear, Window
from fleet.model.rollout import Phase, RolloutSpec
from fleet.model.simulation import SimulatedRun, StoreModel
from fleet.rollout.decide.simulation import scale_of, simulate
from fleet.rollout.start import parts_of
from tests.rollout.decide import plans

HARMLESS = StoreModel()


def parts(stores: int = 60, **policy: Any) -> tuple[RolloutSpec, list[Change]]:
    """A plan for so many shops that may be changed at any time, with a canary."""
    shops = [plans.shop(number) for number in range(stores)]
    chosen = replace(plans.STANDARD, concurrency=Amount(percent=Decimal(20)), **policy)
    plan = plans.plan(shops, policy=chosen, canary=True)
    return parts_of(plans.fleet(shops), plan, plans.NOW, "")


def play(
    model: StoreModel = HARMLESS, stores: int = 60, seed: int = 1, **policy: Any
) -> SimulatedRun:
    spec, changes = parts(stores, **policy)
    return simulate(spec, changes, model, seed=seed, began=plans.NOW)


def test_a_good_release_reaches_every_store() -> None:
    run = play()
    assert (run.phase, run.reached, run.bad) == (Phase.DONE, 60, 0)
    assert run.moments[-1].sent == 60
    assert 0 < run.peak <= 12


def test_it_takes_at_least_the_bakes_of_all_waves() -> None:
    spec, _ = parts()
    assert play().seconds >= len(spec.waves) * (plans.STANDARD.bake_s + plans.STANDARD.settle_s)


def test_a_release_that_crashes_everywhere_is_stopped_by_the_canary() -> None:
    run = play(StoreModel(fails=1.0))
    assert (run.phase, run.wave) == (Phase.HALTED, "canary")
    assert run.reached == run.bad == 1
    assert not run.by_darkness


def test_a_release_that_crashes_in_one_stratum_spares_the_others() -> None:
    run = play(StoreModel(fails=1.0, stratum="no such carrier"))
    assert (run.phase, run.bad) == (Phase.DONE, 0)


def test_a_release_that_takes_links_is_stopped() -> None:
    run = play(StoreModel(kills_link=1.0, after_s=60.0), stores=200)
    assert run.phase in {Phase.HALTED, Phase.PAUSED}
    assert run.reached < 60


def test_late_link_killers_are_found_by_the_darkness_test() -> None:
    run = play(StoreModel(kills_link=0.5, after_s=1200.0), stores=200)
    assert (run.phase, run.by_darkness) == (Phase.HALTED, True)
    assert run.reached < 200


def test_the_same_seed_is_the_same_run_and_another_is_another() -> None:
    away = StoreModel(darkness=0.05)
    assert play(away, seed=3) == play(away, seed=3)
    assert play(away, seed=3).moments != play(away, seed=4).moments


@pytest.mark.parametrize("seed", range(3))
def test_outages_alone_halt_nothing(seed: int) -> None:
    run = play(StoreModel(darkness=0.02), seed=seed, on_unclear=OnUnclear.WAIT)
    assert run.phase in {Phase.DONE, Phase.PAUSED}


def test_a_rollout_that_begins_at_noon_waits_for_its_hours() -> None:
    at_night = OpenSpan(time(1), time(5))
    spec, changes = parts(5, window=Window.CLOSED, between=at_night)
    noon = plans.NOW.replace(hour=12, minute=0)
    run = simulate(spec, changes, HARMLESS, seed=1, began=noon)
    assert run.phase is Phase.DONE
    assert run.seconds > 6 * 3600


@pytest.mark.parametrize(("stores", "scale"), [(1, 1), (999, 1), (1000, 2), (10_000, 20)])
def test_a_tick_of_thousands_of_stores_stands_for_several(stores: int, scale: int) -> None:
    assert scale_of(stores) == scale
