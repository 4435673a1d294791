"""Windows of shops, on ordinary nights, nights on which clocks change, and in freezes."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.decide.calendar import (
    Permission,
    freeze_span,
    longest_s,
    may_begin,
    needs_s,
    next_window,
    no_window_words,
    slot,
    window_at,
)
from fleet.inventory.decide.opening_hours import SEARCH
from fleet.model.hours import Hours, OpenSpan
from fleet.model.policy import Freeze, Policy, Window
from fleet.model.rollout import Place

STANDARD = Policy("standard")
DAY = OpenSpan(time(8), time(22))
DAILY: Hours = dict.fromkeys(range(7), (DAY,))
ROUND_THE_CLOCK: Hours = dict.fromkeys(range(7), (OpenSpan(time(0), time(0)),))
#: A Monday in winter: London is on UTC.
MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def shop(hours: Hours = DAILY, time_zone: str = "Europe/London", store: str = "store-042") -> Place:
    return Place(
        store=store,
        name="",
        account="emea-prod",
        account_id="111122223333",
        region="eu-west-1",
        cluster=store,
        time_zone=time_zone,
        hours=hours,
        link="lte",
    )


def between(begins: str, ends: str) -> Policy:
    return replace(STANDARD, between=OpenSpan(time.fromisoformat(begins), time.fromisoformat(ends)))


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def ask(
    place: Place,
    now: datetime,
    *,
    policy: Policy = STANDARD,
    needs: float = 600.0,
    freezes: tuple[Freeze, ...] = (),
    override: str = "",
) -> Permission:
    return may_begin(place, policy, freezes, override, needs, now)


def test_a_window_is_the_time_from_closing_to_opening() -> None:
    window = window_at(shop(), STANDARD, MONDAY + timedelta(hours=23))
    assert window is not None
    assert (window.begins, window.ends) == (at("2026-11-23T22:00"), at("2026-11-24T08:00"))


def test_there_is_no_window_while_the_store_is_open() -> None:
    assert window_at(shop(), STANDARD, MONDAY + timedelta(hours=12)) is None


def test_the_moment_of_opening_is_outside_and_that_of_closing_inside() -> None:
    assert window_at(shop(), STANDARD, MONDAY + timedelta(hours=8)) is None
    assert window_at(shop(), STANDARD, MONDAY + timedelta(hours=22)) is not None


def test_a_closed_day_joins_the_nights_around_it() -> None:
    weekdays = dict.fromkeys(range(6), (DAY,))
    window = window_at(shop(weekdays), STANDARD, at("2026-11-22T12:00"))
    assert window is not None
    assert (window.begins, window.ends) == (at("2026-11-21T22:00"), at("2026-11-23T08:00"))


def test_a_shop_that_opens_past_midnight_is_open_then() -> None:
    late = shop({0: (OpenSpan(time(18), time(2)),)})
    assert window_at(late, STANDARD, at("2026-11-24T01:59")) is None
    assert window_at(late, STANDARD, at("2026-11-24T02:00")) is not None


def test_two_spans_that_meet_at_midnight_leave_no_window_there() -> None:
    hours = {0: (OpenSpan(time(18), time(0)),), 1: (OpenSpan(time(0), time(3)),)}
    assert window_at(shop(hours), STANDARD, at("2026-11-24T00:00")) is None


def test_a_store_that_never_opens_is_a_window_without_end() -> None:
    window = window_at(shop({}), STANDARD, MONDAY)
    assert window is not None
    assert window.ends is None


def test_a_policy_of_any_time_has_no_end() -> None:
    window = window_at(shop(), replace(STANDARD, window=Window.ALWAYS), MONDAY)
    assert window is not None
    assert (window.begins, window.ends) == (None, None)


def test_hours_of_the_policy_replace_opening_hours() -> None:
    policy = between("01:00", "05:00")
    asked = ask(shop(ROUND_THE_CLOCK), at("2026-11-23T02:00"), policy=policy)
    assert asked.until == at("2026-11-23T05:00")


def test_a_store_that_never_closes_is_changed_in_the_policys_quiet_hours() -> None:
    policy = replace(STANDARD, quiet_hours=OpenSpan(time(2), time(5)))
    asked = ask(shop(ROUND_THE_CLOCK), MONDAY, policy=policy)
    assert not asked.allowed
    assert "quiet hours, 02:00-05:00" in asked.reason
    assert asked.next_at is not None
    assert ask(shop(ROUND_THE_CLOCK), asked.next_at, policy=policy).allowed


def test_a_store_open_round_the_clock_is_told_of_quiet_hours() -> None:
    asked = ask(shop(ROUND_THE_CLOCK), MONDAY)
    assert not asked.allowed
    assert asked.next_at is None
    assert "quiet_hours:" in asked.reason


def test_a_change_that_does_not_fit_before_the_windows_end_is_not_begun() -> None:
    asked = ask(shop(), at("2026-11-24T07:51"))
    assert not asked.allowed
    assert "the window ends at Tue 24 Nov 08:00 Europe/London, in 9m" in asked.reason
    assert asked.next_at == at("2026-11-24T22:00")


def test_a_change_that_just_fits_is_begun() -> None:
    assert ask(shop(), at("2026-11-24T07:50")).allowed


def test_an_open_store_names_the_moment_of_its_next_window_in_its_own_time() -> None:
    asked = ask(shop(time_zone="Asia/Singapore"), at("2026-11-23T12:00", "Asia/Singapore"))
    assert asked.reason == "the store is open until Mon 23 Nov 22:00 Asia/Singapore"
    assert asked.next_at == at("2026-11-23T14:00")


def test_a_change_longer_than_every_window_never_begins_and_says_so() -> None:
    asked = ask(shop(), at("2026-11-23T23:00"), needs=11 * 3600.0)
    assert asked.next_at is None
    assert "nothing within 14 days is long enough for the 11h needed" in asked.reason


def test_what_a_change_needs_is_the_change_the_pull_and_settling() -> None:
    assert needs_s(replace(STANDARD, finish_by_s=900, settle_s=120), 80.0) == 1100.0


def test_the_next_window_is_the_one_that_begins_later() -> None:
    window = next_window(shop(), STANDARD, at("2026-11-23T23:00"))
    assert window is not None
    assert window.begins == at("2026-11-24T22:00")


# Nights on which clocks change: London goes forward on 29 March 2026 at 01:00Z (01:00 -> 02:00) and
# back on 25 October 2026 at 01:00Z (02:00 -> 01:00).


def test_the_night_of_spring_is_an_hour_shorter() -> None:
    window = window_at(shop(), STANDARD, at("2026-03-28T23:00"))
    assert window is not None
    assert (window.begins, window.ends) == (at("2026-03-28T22:00"), at("2026-03-29T07:00"))


def test_the_night_of_autumn_is_an_hour_longer() -> None:
    window = window_at(shop(), STANDARD, at("2026-10-24T23:00"))
    assert window is not None
    assert (window.begins, window.ends) == (at("2026-10-24T21:00"), at("2026-10-25T08:00"))


def test_an_opening_that_does_not_exist_ends_the_window_early() -> None:
    early = shop({6: (OpenSpan(time(1, 30), time(9)),)})
    assert window_at(early, STANDARD, at("2026-03-29T00:29")) is not None
    assert window_at(early, STANDARD, at("2026-03-29T00:30")) is None


def test_a_closing_that_exists_twice_counts_the_second_time() -> None:
    late = shop({5: (OpenSpan(time(18), time(1, 30)),)})
    assert window_at(late, STANDARD, at("2026-10-25T00:45")) is None
    assert window_at(late, STANDARD, at("2026-10-25T01:30")) is not None


def test_hours_of_the_policy_that_begin_twice_begin_the_second_time() -> None:
    policy = between("01:30", "05:00")
    assert window_at(shop(), policy, at("2026-10-25T00:45")) is None
    assert window_at(shop(), policy, at("2026-10-25T01:30")) is not None


def test_hours_of_the_policy_that_do_not_exist_are_no_window() -> None:
    policy = between("01:15", "01:45")
    window = next_window(shop(), policy, at("2026-03-28T12:00"))
    assert window is not None
    assert window.begins == at("2026-03-30T00:15")


# Freezes.

BLACK_FRIDAY = Freeze(
    "black-friday",
    datetime(2026, 11, 26),  # noqa: DTZ001 - naive is the store's own time
    datetime(2026, 11, 28),  # noqa: DTZ001
    None,
    "peak trading",
)


def test_a_freeze_without_a_zone_holds_in_the_stores_own_time() -> None:
    span = freeze_span(BLACK_FRIDAY, "Asia/Singapore")
    assert span.begins == at("2026-11-25T16:00")


def test_a_freeze_with_a_zone_holds_at_one_moment_everywhere() -> None:
    aware = replace(BLACK_FRIDAY, begins=at("2026-11-26T00:00", "Europe/Berlin"))
    assert freeze_span(aware, "Asia/Singapore").begins == at("2026-11-25T23:00")


def test_a_freeze_refuses_and_names_its_reason_and_the_next_moment() -> None:
    asked = ask(shop(), at("2026-11-27T02:00"), freezes=(BLACK_FRIDAY,))
    assert not asked.allowed
    assert asked.reason == (
        "freeze black-friday until Sat 28 Nov 00:00 Europe/London: peak trading"
    )
    assert asked.next_at == at("2026-11-28T00:00")


def test_a_freeze_of_other_stores_refuses_nothing() -> None:
    others = replace(BLACK_FRIDAY, stores=frozenset({"store-001"}))
    assert ask(shop(), at("2026-11-27T02:00"), freezes=(others,)).allowed


def test_an_overridden_freeze_refuses_nothing() -> None:
    asked = ask(shop(), at("2026-11-27T02:00"), freezes=(BLACK_FRIDAY,), override="security fix")
    assert asked.allowed


def test_an_override_opens_no_window() -> None:
    asked = ask(shop(), at("2026-11-27T12:00"), freezes=(BLACK_FRIDAY,), override="fix")
    assert not asked.allowed


def test_a_change_must_be_over_before_a_freeze_begins() -> None:
    asked = ask(shop(), at("2026-11-25T23:55"), freezes=(BLACK_FRIDAY,))
    assert not asked.allowed
    assert "freeze black-friday begins at Thu 26 Nov 00:00 Europe/London, in 5m" in asked.reason
    assert asked.next_at == at("2026-11-28T00:00")


def test_a_permission_lasts_until_the_next_freeze() -> None:
    asked = ask(shop(), at("2026-11-25T23:00"), freezes=(BLACK_FRIDAY,))
    assert asked.until == at("2026-11-26T00:00")


def test_the_search_for_a_slot_is_bounded() -> None:
    for_ever = replace(BLACK_FRIDAY, ends=datetime(2027, 6, 1))  # noqa: DTZ001 - as above
    assert slot(shop(), STANDARD, (for_ever,), 60.0, at("2026-11-27T02:00")) is None


# Properties.

ZONES = ("Europe/London", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo")
TIMES = st.integers(0, 47).map(lambda half: time(half // 2, half % 2 * 30))


@st.composite
def hours(draw: st.DrawFn) -> Hours:
    """Up to one span a day that does not reach into the next day's."""
    week: dict[int, tuple[OpenSpan, ...]] = {}
    for day in range(7):
        opens, closes = sorted(draw(st.tuples(TIMES, TIMES)))
        if opens < closes:
            week[day] = (OpenSpan(opens, closes),)
    return week


PLACES = st.builds(shop, hours(), st.sampled_from(ZONES))
#: Around changes of clocks in 2026 and a plain week.
MOMENTS = st.builds(
    lambda day, minutes: day + timedelta(minutes=minutes),
    st.sampled_from(
        [at("2026-03-08T00:00"), at("2026-03-29T00:00"), at("2026-10-25T00:00"), MONDAY]
    ),
    st.integers(-2 * 1440, 2 * 1440),
)


def is_open(place: Place, moment: datetime) -> bool:
    """What a clock on the shop's wall and the sign on its door say."""
    local = moment.astimezone(ZoneInfo(place.time_zone))
    spans = place.hours.get(local.weekday(), ())
    return any(span.opens <= local.time() < span.closes for span in spans)


@given(PLACES, MOMENTS, st.integers(0, 8 * 3600))
def test_no_call_is_sent_outside_a_stores_window(place: Place, now: datetime, needs: int) -> None:
    asked = ask(place, now, needs=needs)
    if asked.allowed:
        for part in range(9):
            moment = now + timedelta(seconds=needs) * part / 8
            assert moment == asked.until or not is_open(place, moment)


@given(PLACES, MOMENTS, TIMES, TIMES, st.integers(0, 4 * 3600))
def test_no_call_is_sent_outside_the_hours_that_a_policy_names(
    place: Place, now: datetime, begins: time, ends: time, needs: int
) -> None:
    policy = replace(STANDARD, between=OpenSpan(begins, ends))
    if ask(place, now, policy=policy, needs=needs).allowed:
        local = now.astimezone(ZoneInfo(place.time_zone)).time()
        inside = begins <= local < ends if begins < ends else not ends <= local < begins
        assert inside or begins == ends


@given(PLACES, MOMENTS, st.integers(0, 12 * 3600))
def test_a_refused_change_may_begin_at_the_moment_that_was_named(
    place: Place, now: datetime, needs: int
) -> None:
    asked = ask(place, now, needs=needs, freezes=(BLACK_FRIDAY,))
    if not asked.allowed and asked.next_at:
        assert now < asked.next_at <= now + SEARCH
        assert ask(place, asked.next_at, needs=needs, freezes=(BLACK_FRIDAY,)).allowed


@given(PLACES, MOMENTS, st.integers(0, 12 * 3600))
def test_a_slot_is_now_exactly_when_a_change_may_begin_now(
    place: Place, now: datetime, needs: int
) -> None:
    found = slot(place, STANDARD, (BLACK_FRIDAY,), needs, now)
    assert (found == now) == ask(place, now, needs=needs, freezes=(BLACK_FRIDAY,)).allowed


@pytest.mark.parametrize("hour", range(24))
def test_a_freeze_lets_nothing_begin_at_any_hour(hour: int) -> None:
    now = datetime(2026, 11, 26, hour, 30, tzinfo=UTC)
    assert not ask(shop({}), now, freezes=(BLACK_FRIDAY,)).allowed


#: A Tuesday evening after closing, and the morning after it.
TUESDAY_NIGHT, WEDNESDAY = at("2026-11-24T23:00"), at("2026-11-25T08:00")


def off_at_closing(hours: Hours = DAILY, time_zone: str = "Europe/London") -> Place:
    """A shop in which one host has no power while it is closed."""
    return replace(shop(hours, time_zone), off_when_closed=("cam-1",))


def test_without_power_while_it_is_closed_a_store_has_no_window_and_is_told_what_to_write() -> None:
    asked = ask(off_at_closing(), TUESDAY_NIGHT)

    assert (asked.allowed, asked.next_at) == (False, None)
    assert asked.reason == (
        "cam-1 has no power while it is closed, and policy standard sends only while a store is "
        "closed; give it after_opening: 1h, between: with hours in which the store is open, or "
        "window: always"
    )


@pytest.mark.parametrize(
    ("after_opening", "allowed", "ends"),
    [(3600.0, True, "2026-11-25T09:00"), (14 * 3600.0, True, "2026-11-25T22:00")],
)
def test_a_policy_may_use_the_first_hours_after_opening_at_most_until_closing(
    after_opening: float, *, allowed: bool, ends: str
) -> None:
    policy = replace(STANDARD, after_opening_s=after_opening)
    window = window_at(off_at_closing(), policy, WEDNESDAY)

    assert window is not None
    assert (window.begins, window.ends) == (WEDNESDAY, at(ends))
    assert ask(off_at_closing(), WEDNESDAY, policy=policy).allowed is allowed


def test_before_opening_the_reason_says_when_there_is_power_in_the_window() -> None:
    asked = ask(off_at_closing(), TUESDAY_NIGHT, policy=replace(STANDARD, after_opening_s=3600.0))

    assert asked.next_at == WEDNESDAY
    assert asked.reason == (
        "cam-1 has no power while it is closed; the next window with power begins "
        "Wed 25 Nov 08:00 Europe/London"
    )


@pytest.mark.parametrize(
    ("begins", "ends", "window"),
    [
        ("07:00", "09:00", ("08:00", "09:00")),
        ("21:00", "23:00", ("21:00", "22:00")),
        ("09:00", "10:00", ("09:00", "10:00")),
    ],
)
def test_hours_of_a_policy_are_cut_to_those_with_power(
    begins: str, ends: str, window: tuple[str, str]
) -> None:
    found = next_window(off_at_closing(), between(begins, ends), TUESDAY_NIGHT)

    assert found is not None
    assert (found.begins, found.ends) == tuple(at(f"2026-11-25T{end}") for end in window)


def test_hours_of_a_policy_without_power_are_no_window() -> None:
    asked = ask(off_at_closing(), TUESDAY_NIGHT, policy=between("01:00", "05:00"))

    assert asked.next_at is None
    assert "uses 01:00-05:00, too little of which is within opening hours" in asked.reason


def test_at_any_time_means_while_there_is_power() -> None:
    window = window_at(off_at_closing(), replace(STANDARD, window=Window.ALWAYS), WEDNESDAY)

    assert window is not None
    assert (window.begins, window.ends) == (WEDNESDAY, at("2026-11-25T22:00"))


def test_quiet_hours_count_where_the_store_is_open_in_them() -> None:
    policy = replace(STANDARD, quiet_hours=OpenSpan(time(21), time(23)))
    found = next_window(off_at_closing(), policy, TUESDAY_NIGHT)

    assert found is not None
    assert (found.begins, found.ends) == (at("2026-11-25T21:00"), at("2026-11-25T22:00"))


def test_a_store_that_never_closes_keeps_its_window_whatever_is_said_of_power() -> None:
    policy = replace(STANDARD, quiet_hours=OpenSpan(time(2), time(5)), after_opening_s=3600.0)
    never = off_at_closing(ROUND_THE_CLOCK)

    assert window_at(never, policy, at("2026-11-25T03:00")) is not None
    assert window_at(never, policy, WEDNESDAY) is None


def test_a_day_on_which_the_store_is_closed_has_no_window() -> None:
    weekdays = dict.fromkeys(range(5), (DAY,))
    policy = replace(STANDARD, after_opening_s=3600.0)
    found = next_window(off_at_closing(weekdays), policy, at("2026-11-27T23:00"))

    assert found is not None
    assert found.begins == at("2026-11-30T08:00")


def test_a_freeze_holds_in_powered_hours_as_well() -> None:
    policy = replace(STANDARD, window=Window.ALWAYS)
    thursday = at("2026-11-26T12:00")

    assert not ask(off_at_closing(), thursday, policy=policy, freezes=(BLACK_FRIDAY,)).allowed


POLICIES = st.sampled_from(
    [
        STANDARD,
        replace(STANDARD, after_opening_s=3600.0),
        replace(STANDARD, window=Window.ALWAYS),
        replace(STANDARD, quiet_hours=OpenSpan(time(20), time(6))),
        between("06:00", "10:00"),
        between("20:00", "02:00"),
    ]
)


@given(PLACES, POLICIES, MOMENTS, st.integers(0, 8 * 3600))
def test_no_call_is_sent_to_a_store_without_power(
    place: Place, policy: Policy, now: datetime, needs: int
) -> None:
    asked = ask(replace(place, off_when_closed=("cam-1",)), now, policy=policy, needs=needs)
    if asked.allowed:
        for part in range(8):
            assert is_open(place, now + timedelta(seconds=needs) * part / 8)


@given(PLACES, POLICIES, MOMENTS)
def test_power_only_ever_takes_from_a_window_that_a_policy_names_itself(
    place: Place, policy: Policy, now: datetime
) -> None:
    off = replace(place, off_when_closed=("cam-1",))
    is_named = policy.between is not None or policy.window is Window.ALWAYS
    if is_named and window_at(off, policy, now) is not None:
        assert window_at(place, policy, now) is not None


@pytest.mark.parametrize(
    ("hours", "found"), [(9.99, "2026-11-23T22:00"), (10.0, "2026-11-23T22:00"), (10.01, None)]
)
def test_a_change_that_takes_the_whole_window_fits_and_no_longer_one(
    hours: float, found: str | None
) -> None:
    noon = MONDAY + timedelta(hours=12)
    slotted = slot(shop(), STANDARD, (), hours * 3600, noon)
    assert slotted == (at(found) if found else None)
    assert (ask(shop(), noon, needs=hours * 3600).next_at is not None) is bool(found)


def test_a_store_whose_windows_are_all_too_short_is_told_so() -> None:
    asked = ask(shop(), MONDAY + timedelta(hours=12), needs=20 * 3600)
    assert asked.reason == (
        "the store is open until Mon 23 Nov 22:00 Europe/London; nothing within 14 days is long "
        "enough for the 20h needed"
    )


def frozen(name: str, begins: str, ends: str) -> Freeze:
    return Freeze(name, at(begins), at(ends), None, "")


def test_a_freeze_that_is_over_does_not_hide_the_next_one() -> None:
    over = frozen("over", "2026-11-22T00:00", "2026-11-23T21:00")
    night = frozen("night", "2026-11-23T22:00", "2026-11-24T01:00")
    assert slot(shop(), STANDARD, (over, night), 600.0, MONDAY + timedelta(hours=12)) == (
        at("2026-11-24T01:00")
    )


def test_a_window_that_ends_with_its_freeze_leaves_no_moment() -> None:
    night = frozen("night", "2026-11-23T23:00", "2026-11-24T08:00")
    found = slot(shop(), STANDARD, (night,), 0.0, at("2026-11-23T23:30"))
    assert found == at("2026-11-24T22:00")


def test_several_hosts_without_power_are_all_named() -> None:
    place = replace(off_at_closing(), off_when_closed=("cam-1", "tel-1"))
    assert ask(place, TUESDAY_NIGHT).reason.startswith("cam-1, tel-1 have no power while")


@pytest.mark.parametrize(
    ("begins", "ends", "first", "last"),
    [
        # 01:30 comes twice on the night of 25 October, UTC 00:30 and 01:30.
        ("2026-10-25T01:30", "2026-10-25T12:00", "2026-10-25T00:30", "2026-10-25T12:00"),
        ("2026-10-24T12:00", "2026-10-25T01:30", "2026-10-24T11:00", "2026-10-25T01:30"),
        # 01:30 does not come on 29 March: it is read as before and as after the change.
        ("2026-03-29T01:30", "2026-03-29T12:00", "2026-03-29T00:30", "2026-03-29T11:00"),
        ("2026-03-28T12:00", "2026-03-29T01:30", "2026-03-28T12:00", "2026-03-29T01:30"),
    ],
)
def test_a_freeze_holds_from_the_first_reading_of_its_begin_to_the_last_of_its_end(
    begins: str, ends: str, first: str, last: str
) -> None:
    freeze = Freeze(
        "clocks", datetime.fromisoformat(begins), datetime.fromisoformat(ends), None, ""
    )
    span = freeze_span(freeze, "Europe/London")
    assert (span.begins, span.ends) == (at(first), at(last))
    assert not ask(shop({}), at(first), freezes=(freeze,)).allowed
    assert ask(shop({}), at(first) - timedelta(seconds=600), freezes=(freeze,)).allowed
    assert not ask(shop({}), at(first) - timedelta(seconds=599), freezes=(freeze,)).allowed
    assert not ask(shop({}), at(last) - timedelta(seconds=1), freezes=(freeze,)).allowed
    assert ask(shop({}), at(last), freezes=(freeze,)).allowed


def test_a_freeze_that_begins_as_the_window_ends_is_not_what_a_change_does_not_fit_before() -> None:
    for begins, what in (("07:59", "freeze f begins"), ("08:00", "the window ends")):
        freeze = Freeze("f", at(f"2026-11-24T{begins}"), at("2026-11-24T09:00"), None, "sale")
        refused = ask(shop(), at("2026-11-24T07:50"), needs=900.0, freezes=(freeze,))
        assert refused.reason.startswith(f"{what} at Tue 24 Nov {begins} Europe/London")


@pytest.mark.parametrize(("seconds", "hours"), [(-1, 10), (0, 11), (1, 11)])
def test_the_longest_window_is_looked_for_until_the_end_of_the_search(
    seconds: int, hours: int
) -> None:
    """The night in which clocks are set back is an hour longer than the others."""
    long_night = at("2026-10-24T21:00")
    now = long_night - SEARCH + timedelta(seconds=seconds)
    assert longest_s(shop(), STANDARD, now) == hours * 3600


@pytest.mark.parametrize(
    "policy",
    [
        replace(STANDARD, window=Window.ALWAYS),
        replace(STANDARD, after_opening_s=3600.0),
    ],
)
def test_a_policy_that_needs_opening_hours_says_that_there_are_too_few(policy: Policy) -> None:
    assert no_window_words(policy) == "policy standard finds too few opening hours"
