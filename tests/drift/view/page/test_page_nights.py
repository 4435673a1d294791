from collections.abc import Mapping
from dataclasses import replace

from fleet.drift.view.page.nights import STORES_SHOWN, availability_of, nights_of
from fleet.model.drift import StoreState
from fleet.model.night import Availability, Night
from tests.nights import clean_night, night


def with_states(*nights: Mapping[str, StoreState]) -> Night:
    """Three stores with these states in the last nights, everything well where nothing is said."""
    made = clean_night(3, len(nights))
    scans = tuple(
        replace(scan, states={**scan.states, **states})
        for scan, states in zip(made.nights, nights, strict=True)
    )
    return replace(made, nights=scans)


def test_a_small_fleet_is_shown_store_by_store() -> None:
    picture = nights_of(night(20))

    assert picture is not None
    assert len(picture.rows) == 20
    assert "All 20 stores" in picture.caption


def test_of_a_large_fleet_the_worst_are_shown_and_the_rest_is_counted() -> None:
    large = night(800, 10)
    quiet = {StoreState.OK, StoreState.INFO, StoreState.NOT_COUNTED, StoreState.NOT_VERIFIED}
    calm = sum(
        all(scan.states[store.id] in quiet for scan in large.nights) for store in large.stores
    )

    picture = nights_of(large)

    assert picture is not None
    assert len(picture.rows) == STORES_SHOWN
    assert f"of {800 - calm} with any; {calm} had none" in picture.caption


def test_a_large_fleet_without_trouble_shows_no_store() -> None:
    picture = nights_of(clean_night(60, 3))

    assert picture is not None
    assert picture.rows == ()
    assert "No store had any trouble; 60 had none in all these nights" in picture.caption


def test_a_store_is_told_in_stretches_of_nights() -> None:
    dark, low, unseen = StoreState.DARK, StoreState.LOW, StoreState.NOT_VERIFIED
    nights = [{"store-00002": state} for state in (low, StoreState.OK, dark, dark, unseen)]

    picture = nights_of(with_states(*nights))

    assert picture is not None
    told = {row[1]: row[3] for row in picture.rows}
    assert (
        told["store-00002"] == "low 19 Nov, dark 21 Nov to 22 Nov (2 nights), not verified 23 Nov"
    )
    assert told["store-00001"] == "none"


def test_a_night_without_a_word_on_a_store_is_no_good_night() -> None:
    made = with_states({}, {})
    scans = (replace(made.nights[0], states={}), made.nights[1])

    whole, gap = nights_of(made), nights_of(replace(made, nights=scans))

    assert whole is not None
    assert gap is not None
    assert gap.wide != whole.wide


def test_without_stores_or_nights_there_is_no_picture() -> None:
    assert nights_of(replace(clean_night(3, 2), nights=())) is None
    assert nights_of(replace(clean_night(3, 2), stores=())) is None


def test_many_markets_are_shown_up_to_a_limit_that_is_said() -> None:
    made = clean_night(30, 2)
    stores = tuple(
        replace(store, labels={"market": f"m{n:02}"}) for n, store in enumerate(made.stores)
    )

    picture = nights_of(replace(made, stores=stores))

    assert picture is not None
    assert "14 markets more, with less trouble, not shown" in picture.caption


def test_availability_is_told_in_numbers_with_the_worst_night() -> None:
    shares = (1.0, 0.5, None, 1.0, 0.999)
    made = replace(clean_night(3, 5), availability=(Availability("market", "uk", 1200, shares),))

    [(kind, picture)] = availability_of(made)

    assert kind == "market"
    assert picture.rows == (("uk", "1,200", "99.9 %", "87.4 %", "50.0 %, 20 Nov", "1 night"),)


def test_a_group_that_was_never_verified_is_not_available() -> None:
    made = replace(clean_night(3, 2), availability=(Availability("link", "lte", 3, (None, None)),))

    [(_, picture)] = availability_of(made)

    assert picture.rows[0][2:] == ("not verified", "not verified", "not verified", "2 nights")


def test_the_worst_group_comes_first() -> None:
    groups = tuple(
        Availability("link", name, 3, (share,))
        for name, share in (("good", 1.0), ("unseen", None), ("bad", 0.2))
    )

    [(_, picture)] = availability_of(replace(clean_night(3, 1), availability=groups))

    assert [row[0] for row in picture.rows] == ["bad", "good", "unseen"]
