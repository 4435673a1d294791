from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fleet.model.drift import Connection, Spell, StoreState
from fleet.model.night import Availability, Night
from fleet.report.page.nights import (
    LINES_SHOWN,
    STORES_SHOWN,
    availability_of,
    nights_of,
    percent,
    timelines_of,
)
from tests.nights import NOW, clean_night, night

HOUR = timedelta(hours=1)
Spells = Mapping[tuple[str, str], tuple[Spell, ...]]


def with_states(*nights: Mapping[str, StoreState]) -> Night:
    """Three stores with these states in the last nights, everything well where nothing is said."""
    made = clean_night(3, len(nights))
    scans = tuple(
        replace(scan, states={**scan.states, **states})
        for scan, states in zip(made.nights, nights, strict=True)
    )
    return replace(made, nights=scans)


def outage(hours_ago: float, lasts: float, kind: Connection = Connection.DARK) -> tuple[Spell, ...]:
    went = NOW - hours_ago * HOUR
    back = went + lasts * HOUR
    away = Spell(kind, went, min(back, NOW))
    return (away,) if back >= NOW else (away, Spell(Connection.CONNECTED, back, NOW))


def away(spells: Spells) -> list[tuple[str, ...]]:
    picture = timelines_of(replace(clean_night(3, 5), spells=spells), NOW)
    return [] if picture is None else list(picture.rows)


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


def test_hosts_of_a_store_that_went_together_share_a_line() -> None:
    late = (replace(outage(5, 9)[0], since=NOW - 5 * HOUR + timedelta(minutes=6)),)

    rows = away({("store-1", "cam-1"): outage(5, 9), ("store-1", "tel-1"): late})

    assert [row[0] for row in rows] == ["store-1 2 hosts"]


def test_hosts_that_went_at_different_times_or_differently_have_their_own_lines() -> None:
    rows = away(
        {
            ("store-1", "a"): outage(5, 9),
            ("store-1", "b"): outage(8, 9),
            ("store-1", "c"): outage(5, 9, Connection.ECS_DOWN),
            ("store-2", "a"): outage(5, 9),
        }
    )

    assert sorted(row[0] for row in rows) == ["store-1/a", "store-1/b", "store-1/c", "store-2/a"]


def test_two_pairs_of_hosts_in_one_store_have_different_names() -> None:
    early, late = outage(9, 12), outage(3, 12)

    rows = away({("s", "a"): early, ("s", "b"): late, ("s", "c"): early, ("s", "d"): late})

    assert [row[0] for row in rows] == ["s 2 hosts", "s 2 hosts with b"]


def test_who_is_still_away_comes_first_then_who_was_away_longest() -> None:
    rows = away(
        {
            ("s", "short"): outage(50, 1),
            ("s", "long"): outage(60, 20),
            ("s", "gone"): outage(2, 5),
        }
    )

    assert [row[0] for row in rows] == ["s/gone", "s/long", "s/short"]
    assert [row[2] for row in rows] == ["2h00m", "20h00m", "1h00m"]


def test_an_outage_lasts_until_the_next_spell_begins() -> None:
    """A spell was last seen in a scan, and nobody looked again until it was over."""
    spells = (
        Spell(Connection.DARK, NOW - 30 * HOUR, NOW - 29 * HOUR),
        Spell(Connection.CONNECTED, NOW - 6 * HOUR, NOW),
    )

    assert away({("s", "a"): spells})[0][2] == "24h00m"


def test_hosts_that_were_connected_all_the_time_are_not_shown() -> None:
    assert away({("s", "a"): (Spell(Connection.CONNECTED, NOW - HOUR, NOW),)}) == []


def test_more_outages_than_can_be_read_are_counted() -> None:
    spells = {(f"store-{n:03}", "a"): outage(50, 1 + n / 10) for n in range(LINES_SHOWN + 5)}

    picture = timelines_of(replace(clean_night(3, 5), spells=spells), NOW)

    assert picture is not None
    assert len(picture.rows) == LINES_SHOWN
    assert "5 lines more" in picture.caption


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


@given(st.floats(0, 1))
def test_only_all_is_a_hundred_per_cent(share: float) -> None:
    assert (percent(share) == "100.0 %") == (share == 1)
