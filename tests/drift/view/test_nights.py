from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.view.nights import STORES_SHOWN, heatmap_of, percent, shares_of
from fleet.model.drift import StoreState
from fleet.model.scan_result import Availability, ScanResult
from tests.nights import clean_night, night


def with_states(*nights: Mapping[str, StoreState]) -> ScanResult:
    """Three stores with these states in the last nights, everything well where nothing is said."""
    made = clean_night(3, len(nights))
    scans = tuple(
        replace(scan, states={**scan.states, **states})
        for scan, states in zip(made.nights, nights, strict=True)
    )
    return replace(made, nights=scans)


def test_a_small_fleet_is_shown_store_by_store() -> None:
    picture = heatmap_of(night(20))

    assert picture is not None
    assert len(picture.rows) == 20
    assert "All 20 stores" in picture.caption


def test_of_a_large_fleet_the_worst_are_shown_and_the_rest_is_counted() -> None:
    large = night(800, 10)
    quiet = {StoreState.OK, StoreState.INFO, StoreState.NOT_COUNTED, StoreState.NOT_VERIFIED}
    calm = sum(
        all(scan.states[store.id] in quiet for scan in large.nights) for store in large.stores
    )

    picture = heatmap_of(large)

    assert picture is not None
    assert len(picture.rows) == STORES_SHOWN
    assert f"of {800 - calm} with any; {calm} had none" in picture.caption


def test_a_large_fleet_without_trouble_shows_no_store() -> None:
    picture = heatmap_of(clean_night(60, 3))

    assert picture is not None
    assert picture.rows == ()
    assert "No store had any trouble; 60 had none in all these nights" in picture.caption


def test_a_store_is_told_in_stretches_of_nights() -> None:
    dark, low, unseen = StoreState.DARK, StoreState.LOW, StoreState.NOT_VERIFIED
    nights = [{"store-00002": state} for state in (low, StoreState.OK, dark, dark, unseen)]

    picture = heatmap_of(with_states(*nights))

    assert picture is not None
    told = {row[1]: row[3] for row in picture.rows}
    assert (
        told["store-00002"] == "low 19 Nov, dark 21 Nov to 22 Nov (2 nights), not verified 23 Nov"
    )
    assert told["store-00001"] == "none"


def test_a_market_counts_its_stores_in_trouble_and_a_night_without_a_scan_has_no_cell() -> None:
    dark, unseen = StoreState.DARK, StoreState.NOT_VERIFIED
    nights = [{}, {"store-00001": dark}, {"store-00001": dark, "store-00002": unseen}, {}]
    made = with_states(*nights, {"store-00002": unseen})
    one_market = tuple(replace(store, labels={"market": "uk"}) for store in made.stores)
    scans = (replace(made.nights[0], states={}), *made.nights[1:])

    picture = heatmap_of(replace(made, stores=one_market, nights=scans))

    assert picture is not None
    [market] = picture.markets
    assert market.cells == (
        ("", ""),
        ("most", "1"),
        ("most", "1"),
        ("ok", ""),
        ("not-verified", "?"),
    )


@pytest.mark.parametrize(("dark", "style"), [(1, "some"), (5, "many"), (20, "most")])
def test_a_market_is_coloured_by_its_share_of_stores_in_trouble(dark: int, style: str) -> None:
    made = clean_night(100, 1)
    stores = tuple(replace(store, labels={"market": "uk"}) for store in made.stores)
    states = {store.id: StoreState.OK for store in stores}
    states |= {store.id: StoreState.DARK for store in stores[:dark]}
    scan = replace(made.nights[0], states=states)

    picture = heatmap_of(replace(made, stores=stores, nights=(scan,)))

    assert picture is not None
    assert picture.markets[0].cells == ((style, str(dark)),)


def test_without_stores_or_nights_there_is_no_picture() -> None:
    assert heatmap_of(replace(clean_night(3, 2), nights=())) is None
    assert heatmap_of(replace(clean_night(3, 2), stores=())) is None


def test_many_markets_are_shown_up_to_a_limit_that_is_said() -> None:
    made = clean_night(30, 2)
    stores = tuple(
        replace(store, labels={"market": f"m{n:02}"}) for n, store in enumerate(made.stores)
    )

    picture = heatmap_of(replace(made, stores=stores))

    assert picture is not None
    assert "14 markets more, with less trouble, not shown" in picture.caption


def test_availability_is_told_in_numbers_with_the_worst_night() -> None:
    shares = (1.0, 0.5, None, 1.0, 0.999)
    made = replace(clean_night(3, 5), availability=(Availability("market", "uk", 1200, shares),))

    [picture] = shares_of(made)

    assert picture.kind == "market"
    assert picture.floor == 0.5
    assert picture.rows == (("uk", "1,200", "99.9 %", "87.4 %", "50.0 %, 20 Nov", "1 night"),)


def test_a_group_that_was_never_verified_is_not_available() -> None:
    made = replace(clean_night(3, 2), availability=(Availability("link", "lte", 3, (None, None)),))

    [picture] = shares_of(made)

    assert picture.rows[0][2:] == ("not verified", "not verified", "not verified", "2 nights")


def test_the_worst_group_comes_first() -> None:
    groups = tuple(
        Availability("link", name, 3, (share,))
        for name, share in (("good", 1.0), ("unseen", None), ("bad", 0.2))
    )

    [picture] = shares_of(replace(clean_night(3, 1), availability=groups))

    assert [row[0] for row in picture.rows] == ["bad", "good", "unseen"]
    assert [group.group for group in picture.shown] == ["bad", "good", "unseen"]


@given(st.floats(0, 1))
def test_only_all_is_a_hundred_per_cent(share: float) -> None:
    assert (percent(share) == "100.0 %") == (share == 1)
