"""A fleet that is well, with agents that reconnect several times an hour: nothing is found."""

from pathlib import Path

import pytest

from fleet.model.drift import StoreState
from fleet.model.scan_result import ScanResult
from fleet.sandbox.hosts.simulated_host import SimulatedHost
from tests.sandbox.flaky_links import FlakyLinks
from tests.scenarios.drift.measuring import least
from tests.scenarios.drift.scanning import Scans, found, open_town
from tests.scenarios.drift.town import HOUR, NIGHT, Plan, Town

#: How long agents live before each night's scan. A connection holds for 15 minutes before it
#: counts, and an agent renews its session every half hour.
AWAKE_S = 0.5 * HOUR


def nights(town: Town, scans: Scans, count: int) -> list[ScanResult]:
    """Scan once in 24 hours; by day nobody looks, and agents may as well sleep."""
    boxes: list[SimulatedHost] = list(town.chain)
    seen = []
    for number in range(count):
        begun = town.clock.now()
        weather = FlakyLinks(town.clock, town.chain.schedule, boxes, seed=number)
        weather.start()
        town.clock.advance(AWAKE_S)
        seen.append(scans.scan())
        weather.stop()
        town.chain.doze(NIGHT - (town.clock.now() - begun))
    return seen


def well(town: Town, night: ScanResult) -> None:
    """It was all read, and nothing is wrong."""
    assert [f"{one.code} {one.store}/{one.host}: {one.cause}" for one in found(night)] == []
    assert night.unread == ()
    assert set(night.scan.states.values()) == {StoreState.OK}
    assert night.totals.verified == night.totals.open == town.plan.stores
    assert night.is_clean


def test_ten_shops_are_well_for_a_week_of_nights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_town(tmp_path, monkeypatch, Plan(stores=10, regions=2)) as (town, scans):
        for night in nights(town, scans, 7):
            well(town, night)


@pytest.mark.long
def test_a_hundred_and_fifty_shops_are_well_for_six_nights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_town(tmp_path, monkeypatch, Plan(stores=150, regions=2)) as (town, scans):
        for night in nights(town, scans, 6):
            well(town, night)


@pytest.mark.longest
def test_a_thousand_shops_are_well_for_thirty_nights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two thousand hosts, so that no account and region fills SSM's standard tier.
    plan = Plan(stores=1000, accounts=2, regions=2)
    with open_town(tmp_path, monkeypatch, plan) as (town, scans):
        first, *later = nights(town, scans, 30)
        for night in (first, *later):
            well(town, night)
        looked_twice = sum(night.scan.calls > least(plan)[0] for night in later)
        assert looked_twice > len(later) / 2, "hardly anybody was away when a scan looked"
