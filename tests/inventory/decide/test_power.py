"""Planned absences: hosts that have no power while their store is closed."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.decide.opening_hours import powered_spans
from fleet.inventory.decide.power import PlannedOff, absent_from, planned_off
from fleet.model.hours import Hours, OpenSpan

DAY = OpenSpan(time(7), time(22))
DAILY: Hours = dict.fromkeys(range(7), (DAY,))
WEEKDAYS: Hours = dict.fromkeys(range(5), (DAY,))
NIGHTS: Hours = dict.fromkeys(range(7), (OpenSpan(time(18), time(2)),))
ROUND_THE_CLOCK: Hours = dict.fromkeys(range(7), (OpenSpan(time(0), time(0)),))
#: A Monday in winter: London is on UTC.
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)
LIMIT_S = 300.0


@dataclass(frozen=True)
class Shop:
    hours: Hours
    time_zone: str = "Europe/London"


SHOP = Shop(DAILY)


def on(day: int, clock: str) -> datetime:
    """A time of that day; 0 is the Monday."""
    hour, minute, *second = map(int, clock.split(":"))
    seconds = second[0] if second else 0
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute, seconds=seconds)


def off(since: datetime, now: datetime, shop: Shop = SHOP) -> PlannedOff | None:
    return planned_off(shop, since, now, LIMIT_S)


def test_a_host_that_was_switched_off_at_closing_is_absent_from_opening_on() -> None:
    assert absent_from(SHOP, on(0, "22:01"), LIMIT_S) == on(1, "07:00")


def test_a_host_with_power_at_all_times_is_absent_from_the_first_moment_on() -> None:
    since = on(0, "22:01")

    assert absent_from(SHOP, since, LIMIT_S, off_when_closed=False) == since
    assert planned_off(SHOP, since, on(0, "23:00"), LIMIT_S, off_when_closed=False) is None


@pytest.mark.parametrize(
    ("since", "counts"),
    [
        ("21:54:59", on(0, "21:54:59")),
        ("21:55:00", on(0, "21:55:00")),  # it was dark at the moment of closing
        ("21:55:01", on(1, "07:00")),
        ("22:00:00", on(1, "07:00")),
        ("10:00:00", on(0, "10:00:00")),
    ],
)
def test_an_absence_that_was_dark_by_closing_stays_one(since: str, counts: datetime) -> None:
    assert absent_from(SHOP, on(0, since), LIMIT_S) == counts


def test_a_planned_absence_says_since_when_and_until_when() -> None:
    planned = off(on(0, "21:58"), on(0, "23:00"))

    assert planned == PlannedOff(
        on(0, "22:00"), on(1, "07:00"), "powered off since 22:00 (planned), back at 07:00"
    )


@pytest.mark.parametrize(
    ("now", "is_planned"),
    [
        (on(0, "21:59:59"), False),
        (on(0, "22:00:00"), True),
        (on(1, "06:59:59"), True),
        (on(1, "07:00:00"), False),
    ],
)
def test_it_is_planned_from_closing_until_opening(now: datetime, *, is_planned: bool) -> None:
    assert (off(on(0, "21:58"), now) is not None) is is_planned


def test_a_host_that_was_lost_during_the_day_is_not_planned_to_be_away_at_night() -> None:
    assert off(on(0, "10:00"), on(0, "23:00")) is None


def test_a_host_that_did_not_come_back_at_opening_is_not_planned_to_be_away_the_next_night() -> (
    None
):
    assert absent_from(SHOP, on(0, "22:01"), LIMIT_S) == on(1, "07:00")
    assert off(on(0, "22:01"), on(1, "23:00")) is None


def test_a_closed_weekend_is_planned_as_a_whole_and_named_by_its_days() -> None:
    planned = off(on(4, "22:00"), on(6, "12:00"), Shop(WEEKDAYS))

    assert planned is not None
    assert planned.back_at == on(7, "07:00")
    assert planned.words == (
        "powered off since Fri 27 Nov 22:00 (planned), back at Mon 30 Nov 07:00"
    )


def test_hours_past_midnight_end_on_the_next_day() -> None:
    shop = Shop(NIGHTS)

    assert off(on(1, "01:59"), on(1, "01:59:59"), shop) is None
    planned = off(on(1, "01:59"), on(1, "02:00"), shop)
    assert planned is not None
    assert planned.back_at == on(1, "18:00")


def test_a_store_that_never_closes_is_never_switched_off() -> None:
    shop = Shop(ROUND_THE_CLOCK)

    for hour in range(0, 48, 3):
        since = MONDAY + timedelta(hours=hour)
        assert absent_from(shop, since, LIMIT_S) == since
        assert off(since, since + timedelta(hours=1), shop) is None


@pytest.mark.parametrize("zone", ["America/Havana", "America/Asuncion", "Asia/Beirut"])
def test_a_store_that_never_closes_has_power_where_clocks_change_at_midnight(zone: str) -> None:
    shop = Shop(ROUND_THE_CLOCK, zone)

    for month in range(1, 13):
        (span,) = powered_spans(shop, datetime(2026, month, 1, tzinfo=UTC))
        assert (span.begins, span.ends) == (None, None)


def test_a_store_that_does_not_open_is_not_expected_back() -> None:
    planned = off(MONDAY, on(3, "12:00"), Shop({}))

    assert absent_from(Shop({}), MONDAY, LIMIT_S) is None
    assert planned == PlannedOff(None, None, "powered off (planned), with no opening in sight")


def test_where_a_closing_time_comes_twice_the_power_may_go_at_the_first() -> None:
    shop = Shop(dict.fromkeys(range(7), (OpenSpan(time(7), time(1, 30)),)))
    first = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)

    assert off(first, first, shop) is not None
    assert off(first - timedelta(minutes=1), first - timedelta(seconds=1), shop) is None


def test_where_an_opening_time_comes_twice_the_power_may_come_at_the_second() -> None:
    shop = Shop(dict.fromkeys(range(7), (OpenSpan(time(1, 30), time(22)),)))
    second = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/London"), fold=1).astimezone(UTC)

    assert absent_from(shop, datetime(2026, 10, 24, 23, tzinfo=UTC), LIMIT_S) == second
    assert off(second - timedelta(hours=3), second - timedelta(seconds=1), shop) is not None


times = st.integers(0, 95).map(lambda quarter: time(quarter // 4, quarter % 4 * 15))


@st.composite
def shops(draw: st.DrawFn) -> Shop:
    """A shop with at most one span a day, none of which reaches into the next day's."""
    zone = draw(st.sampled_from(["Europe/London", "America/New_York", "Asia/Kolkata", "UTC"]))
    hours = {}
    for day in draw(st.sets(st.integers(0, 6), min_size=1)):
        opens, closes = sorted(draw(st.lists(times, min_size=2, max_size=2, unique=True)))
        hours[day] = (OpenSpan(opens, closes),)
    return Shop(hours, zone)


moments = st.integers(0, 2 * 365 * 96).map(
    lambda quarter: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)
)


@given(shops(), moments, st.integers(0, 7 * 96), st.integers(1, 96))
def test_an_absence_that_counted_as_dark_is_never_called_planned_later(
    shop: Shop, since: datetime, later: int, more: int
) -> None:
    counts = absent_from(shop, since, LIMIT_S)
    then = since + timedelta(minutes=15 * later)
    if counts is not None and then - counts >= timedelta(seconds=LIMIT_S):
        for now in (then, then + timedelta(minutes=15 * more)):
            assert off(since, now, shop) is None


@given(shops(), moments, st.integers(0, 7 * 96))
def test_without_power_an_absence_is_planned_or_has_counted_before(
    shop: Shop, since: datetime, later: int
) -> None:
    now = since + timedelta(minutes=15 * later)
    has_power = any(now in span for span in powered_spans(shop, now))
    counts = absent_from(shop, since, LIMIT_S)
    counted = counts is not None and counts <= now

    assert (off(since, now, shop) is not None) is (not has_power and not counted)


@given(shops(), moments)
def test_an_absence_counts_from_its_own_begin_or_from_an_opening(
    shop: Shop, since: datetime
) -> None:
    counts = absent_from(shop, since, LIMIT_S)
    openings = {span.begins for span in powered_spans(shop, since)}

    assert counts == since or counts in openings
    assert counts is not None
    assert counts >= since


@pytest.mark.parametrize(
    ("opens", "words"),
    [
        (time(6, 59), "powered off since 07:00 (planned), back at 06:59"),
        (time(7), "powered off since 07:00 (planned), back at 07:00"),
        (time(7, 1), "powered off since Mon 23 Nov 07:00 (planned), back at Tue 24 Nov 07:01"),
    ],
)
def test_an_absence_of_more_than_a_day_is_told_with_its_days(opens: time, words: str) -> None:
    shop = Shop({0: (OpenSpan(time(0), time(7)),), 1: (OpenSpan(opens, time(22)),)})
    planned = off(on(0, "07:00"), on(0, "12:00"), shop)

    assert planned is not None
    assert planned.words == words


def test_at_the_moment_of_closing_the_power_goes() -> None:
    planned = off(on(0, "21:59"), on(0, "22:00"))
    assert planned is not None
    assert planned.since == on(0, "22:00")


@pytest.mark.parametrize(
    ("closes", "counts"), [("07:04", on(1, "07:00")), ("07:05", on(0, "07:00"))]
)
def test_an_absence_from_opening_on_counts_unless_it_closes_before_it_is_dark(
    closes: str, counts: datetime
) -> None:
    shop = Shop(dict.fromkeys(range(7), (OpenSpan(time(7), time.fromisoformat(closes)),)))
    assert absent_from(shop, on(0, "07:00"), LIMIT_S) == counts
