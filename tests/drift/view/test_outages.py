from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from fleet.drift.view.outages import LINES_SHOWN, Bar, outages_of
from fleet.model.drift import HostConnection, Spell
from tests.nights import NOW, clean_night

HOUR = timedelta(hours=1)
Spells = Mapping[tuple[str, str], tuple[Spell, ...]]


def outage(
    hours_ago: float, lasts: float, kind: HostConnection = HostConnection.DARK
) -> tuple[Spell, ...]:
    went = NOW - hours_ago * HOUR
    back = went + lasts * HOUR
    away = Spell(kind, went, min(back, NOW))
    return (away,) if back >= NOW else (away, Spell(HostConnection.CONNECTED, back, NOW))


def away(spells: Spells) -> list[tuple[str, ...]]:
    picture = outages_of(replace(clean_night(3, 5), spells=spells), NOW)
    return [] if picture is None else list(picture.rows)


def test_hosts_of_a_store_that_went_together_share_a_line() -> None:
    late = (replace(outage(5, 9)[0], since=NOW - 5 * HOUR + timedelta(minutes=6)),)

    rows = away({("store-1", "cam-1"): outage(5, 9), ("store-1", "tel-1"): late})

    assert [row[0] for row in rows] == ["store-1 2 hosts"]


def test_hosts_that_went_at_different_times_or_differently_have_their_own_lines() -> None:
    rows = away(
        {
            ("store-1", "a"): outage(5, 9),
            ("store-1", "b"): outage(8, 9),
            ("store-1", "c"): outage(5, 9, HostConnection.ECS_DOWN),
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
    assert [row[2] for row in rows] == ["2h", "20h", "1h"]


def test_an_outage_lasts_until_the_next_spell_begins() -> None:
    """A spell was last seen in a scan, and nobody looked again until it was over."""
    spells = (
        Spell(HostConnection.DARK, NOW - 30 * HOUR, NOW - 29 * HOUR),
        Spell(HostConnection.CONNECTED, NOW - 6 * HOUR, NOW),
    )

    assert away({("s", "a"): spells})[0][2] == "24h"


def test_hosts_that_were_connected_all_the_time_are_not_shown() -> None:
    assert away({("s", "a"): (Spell(HostConnection.CONNECTED, NOW - HOUR, NOW),)}) == []


def test_more_outages_than_can_be_read_are_counted() -> None:
    spells = {(f"store-{n:03}", "a"): outage(50, 1 + n / 10) for n in range(LINES_SHOWN + 5)}

    picture = outages_of(replace(clean_night(3, 5), spells=spells), NOW)

    assert picture is not None
    assert len(picture.lines) == LINES_SHOWN
    assert len(picture.rows) == LINES_SHOWN + 5
    assert "5 lines more" in picture.caption


def test_a_spell_that_was_not_seen_tonight_goes_on_no_longer_than_it_was_seen() -> None:
    unseen = (Spell(HostConnection.DARK, NOW - 30 * HOUR, NOW - 24 * HOUR),)

    [(_, now, lost, told)] = away({("s", "a"): unseen})

    assert now == "not certain; dark since 21 Nov 21:40Z until last seen 22 Nov 03:40Z"
    assert lost == "6h"
    assert told == "dark 21 Nov 21:40Z for 6h"


def test_who_was_not_seen_tonight_is_counted_apart_from_who_is_away() -> None:
    unseen = (Spell(HostConnection.DARK, NOW - 30 * HOUR, NOW - 24 * HOUR),)
    spells = {("s", "a"): unseen, ("t", "a"): outage(5, 9)}

    picture = outages_of(replace(clean_night(3, 5), spells=spells), NOW)

    assert picture is not None
    assert "1 of them still without it, of 1 nothing certain is known tonight" in picture.caption


def test_hosts_of_which_one_was_not_seen_do_not_share_a_line() -> None:
    seen = outage(30, 40)
    unseen = (replace(seen[0], last_seen=NOW - 24 * HOUR),)

    assert len(away({("s", "a"): seen, ("s", "b"): unseen})) == 2


def test_bars_are_cut_to_the_nights_and_what_is_not_known_has_none() -> None:
    spells = (
        Spell(HostConnection.CONNECTED, NOW - 400 * HOUR, NOW - 49 * HOUR),
        Spell(HostConnection.DARK, NOW - 48 * HOUR, NOW - 24 * HOUR),
    )
    night = clean_night(3, 5)

    picture = outages_of(replace(night, spells={("s", "a"): spells}), NOW)

    assert picture is not None
    days = (NOW - night.nights[0].started_at) / timedelta(days=1)
    assert picture.days == days
    assert picture.lines == (
        ("s/a", (Bar(HostConnection.CONNECTED, days, 2), Bar(HostConnection.DARK, 2, 1))),
    )
    assert [at.hour for _, at in picture.dates] == [0] * 4
