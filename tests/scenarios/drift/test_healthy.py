"""A fleet that is well, with agents that reconnect several times an hour: nothing is found."""

from pathlib import Path

import pytest

from fleet.model.drift import StoreState
from fleet.model.night import Night
from fleet.sandbox.hosts.box import Box
from fleet.sandbox.weather import Weather
from tests.scenarios.drift.scanning import Scans, found, open_town
from tests.scenarios.drift.town import HOUR, NIGHT, Plan, Town

#: How long agents live before each night's scan. A connection holds for 15 minutes before it
#: counts; twice that and the time between two looks lie within.
AWAKE_S = 0.75 * HOUR


def nights(town: Town, scans: Scans, count: int) -> list[Night]:
    """Scan once in 24 hours; by day nobody looks, and agents may as well sleep."""
    boxes: list[Box] = list(town.chain)
    seen = []
    for number in range(count):
        begun = town.clock.now()
        weather = Weather(town.clock, town.chain.schedule, boxes, seed=number)
        weather.start()
        town.clock.advance(AWAKE_S)
        seen.append(scans.scan())
        weather.stop()
        town.chain.doze(NIGHT - (town.clock.now() - begun))
    return seen


def well(town: Town, night: Night) -> None:
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
def test_a_thousand_shops_are_well_for_thirty_nights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(stores=1000, regions=2)
    with open_town(tmp_path, monkeypatch, plan) as (town, scans):
        away = 0
        for night in nights(town, scans, 30):
            well(town, night)
            away += night.scan.calls > plan.stores * 2 + 200
        assert away, "nobody was ever away when a scan looked, so nothing was tried"
