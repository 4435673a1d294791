"""Everything that the catalogue knows is brought about, and a scan names it, and nothing else."""

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.model.scan_result import ScanResult
from tests.scenarios.drift.injecting import Injection
from tests.scenarios.drift.injections import INJECTIONS
from tests.scenarios.drift.scanning import Scans, found, open_town
from tests.scenarios.drift.spots import HALVES, Expected, Spot
from tests.scenarios.drift.town import Plan, Town

TOGETHER = sorted(code for code, how in INJECTIONS.items() if not how.alone and not how.fresh)
APART = sorted(set(INJECTIONS) - set(TOGETHER))
#: Nights in which things go wrong at random; each in a town of its own.
SEEDS, MORE_SEEDS = range(2), range(2, 42)
RANDOM_STORES = 12


#: Who is unknown to SSM cannot be asked, and that is said as well.
NOBODY_ASKS = {"HOST_NOT_IN_SSM", "HOST_UNREGISTERED"}


def told(night: ScanResult) -> Counter[Expected]:
    """What was found, as a person would name it."""
    excused = {one.store for one in found(night) if one.code in NOBODY_ASKS}
    assert [gap for gap in night.unread if gap.store not in excused] == []
    return Counter(Expected(one.code, one.store, one.host) for one in found(night))


def play(town: Town, what: Iterable[tuple[Injection, Spot]]) -> Counter[Expected]:
    """Bring these about, each as long before now as it needs; returns what is to be found."""
    order = sorted(what, key=lambda pair: -pair[0].lasts_s)
    expected: Counter[Expected] = Counter()
    starts = town.clock.now() + (order[0][0].lasts_s if order else 0.0)
    for how, spot in order:
        town.clock.advance(max(0.0, starts - how.lasts_s - town.clock.now()))
        expected.update(how.make(spot))
    town.clock.advance(max(0.0, starts - town.clock.now()))
    return expected


def look(scans: Scans) -> Counter[Expected]:
    return told(scans.scan(digests=True, deep=True))


def test_every_code_of_the_catalogue_can_be_brought_about() -> None:
    assert set(INJECTIONS) == set(CATALOGUE)


def test_what_is_wrong_in_every_shop_of_a_street_is_named_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shop for everything that can be wrong by itself, all of it wrong in one night."""
    with open_town(tmp_path, monkeypatch, Plan(stores=len(TOGETHER))) as (town, scans):
        assert look(scans) == Counter()
        wrong = []
        for number, code in enumerate(TOGETHER):
            halves = INJECTIONS[code].halves
            half = ("cam", "tel")[number % 2]
            spot = Spot(town, number, half if half in halves else halves[0])
            wrong.append((INJECTIONS[code], spot))
        expected = play(town, wrong)
        assert look(scans) == expected


@pytest.mark.long
@pytest.mark.parametrize("code", APART)
def test_what_concerns_more_than_a_shop_is_named_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    how = INJECTIONS[code]
    # Fewer shops are no proof that it is the carrier.
    stores = 24 if code == "CARRIER_DARK" else 2
    with open_town(tmp_path, monkeypatch, Plan(stores=stores)) as (town, scans):
        if not how.fresh:
            assert look(scans) == Counter()
        expected = play(town, [(how, Spot(town, 0, how.halves[0]))])
        assert look(scans) == expected


@pytest.mark.long
@pytest.mark.parametrize("half", sorted(HALVES))
@pytest.mark.parametrize("code", TOGETHER)
def test_each_is_named_where_all_else_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, half: str
) -> None:
    how = INJECTIONS[code]
    if half not in how.halves:
        return
    with open_town(tmp_path, monkeypatch) as (town, scans):
        assert look(scans) == Counter()
        expected = play(town, [(how, Spot(town, 1, half))])
        assert look(scans) == expected


def at_random(town: Town, seed: int) -> list[tuple[Injection, Spot]]:
    """About every second shop has something wrong in one half, in both, or altogether."""
    dice = random.Random(seed)
    chosen: list[tuple[Injection, Spot]] = []
    for number in range(town.plan.stores):
        if dice.random() < 0.4:
            continue
        for half in HALVES:
            codes = [c for c in TOGETHER if half in INJECTIONS[c].halves]
            how = INJECTIONS[dice.choice(codes)]
            spot = Spot(town, number, half)
            if how.whole:
                chosen = [pair for pair in chosen if pair[1].number != number]
                chosen.append((how, spot))
                break
            if dice.random() < 0.7:
                chosen.append((how, spot))
    return chosen


def merged(expected: Counter[Expected]) -> Counter[Expected]:
    """Two boxes of one shop that are dark are a dark shop."""
    dark: dict[str, list[Expected]] = {}
    for one in expected:
        if one.code == "HOST_DARK":
            dark.setdefault(one.store, []).append(one)
    for store, hosts in dark.items():
        if len(hosts) == len(HALVES):
            for one in hosts:
                del expected[one]
            expected[Expected("SITE_DARK", store)] += 1
    return expected


def wrong_at_random(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    with open_town(tmp_path, monkeypatch, Plan(stores=RANDOM_STORES)) as (town, scans):
        assert look(scans) == Counter()
        expected = merged(play(town, at_random(town, seed)))
        assert look(scans) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_what_goes_wrong_at_random_is_named_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    wrong_at_random(tmp_path, monkeypatch, seed)


@pytest.mark.long
@pytest.mark.parametrize("seed", MORE_SEEDS)
def test_whatever_goes_wrong_at_random_is_named_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    wrong_at_random(tmp_path, monkeypatch, seed)
