from contextlib import suppress
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.hours import DAYS, HoursError, parse_hours
from fleet.model.hours import OpenSpan


def span(opens: str, closes: str) -> OpenSpan:
    return OpenSpan(time.fromisoformat(opens), time.fromisoformat(closes))


def test_a_range_of_days_shares_its_span_and_unnamed_days_are_closed() -> None:
    hours = parse_hours({"mon-fri": "08:00-22:00", "sun": "closed"})

    assert hours == {day: (span("08:00", "22:00"),) for day in range(5)}


def test_a_range_may_pass_the_end_of_the_week() -> None:
    assert set(parse_hours({"sat-mon": "08:00-09:00"})) == {5, 6, 0}


def test_several_spans_are_put_in_order() -> None:
    hours = parse_hours({"sat": ["15:00-20:00", "9:00-13:00"]})

    assert hours == {5: (span("09:00", "13:00"), span("15:00", "20:00"))}


def test_24h_is_the_whole_day_however_it_is_written() -> None:
    whole = (OpenSpan(time(0), time(0)),)

    assert parse_hours("24h") == dict.fromkeys(range(7), whole)
    assert parse_hours({"mon": "24h"}) == parse_hours({"mon": "00:00-24:00"}) == {0: whole}


def test_closed_all_week_is_no_hours() -> None:
    assert parse_hours("closed") == {}


def test_a_span_may_run_past_midnight() -> None:
    assert parse_hours({"fri": "18:00-02:00"}) == {4: (span("18:00", "02:00"),)}


def test_the_table_form_means_the_same() -> None:
    text = "mon-fri 08:00-22:00; sat 09:00-13:00 15:00-20:00; sun closed"
    written = {"mon-fri": "08:00-22:00", "sat": ["09:00-13:00", "15:00-20:00"], "sun": "closed"}

    assert parse_hours(text) == parse_hours(written)


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"mon-fry": "08:00-22:00"}, '"mon-fry" is no day'),
        ({"mon-": "08:00-22:00"}, "is no day"),
        ({"mon-wed-fri": "08:00-22:00"}, "is no day"),
        ({"mon": "8-22"}, '"8-22" is no span'),
        ({"mon": "08:00-25:00"}, "no time of day"),
        ({"mon": "08:60-09:00"}, "no time of day"),
        ({"mon": "24:00-09:00"}, "no time of day"),
        ({"mon": "08:00-08:00"}, "is empty"),
        ({"mon": []}, "a list of spans expected"),
        ({"mon": {"opens": "08:00"}}, "a list of spans expected"),
        ({"mon-fri": "08:00-22:00", "fri": "closed"}, "fri is named twice"),
        ({"mon": ["08:00-12:00", "11:00-14:00"]}, "overlap"),
        ({"mon": "18:00-02:00", "tue": "01:00-05:00"}, "spans of mon and tue overlap"),
        ({"sun": "18:00-02:00", "mon": "01:00-05:00"}, "spans of sun and mon overlap"),
        ({"mon": ["24h", "08:00-09:00"]}, "no span"),
        ({}, "no hours"),
        ("", "no hours"),
        ("mon", "no span given"),
        (["mon"], "days and spans expected"),
        (None, "days and spans expected"),
    ],
)
def test_what_cannot_be_understood_is_refused_in_words(written: object, says: str) -> None:
    with pytest.raises(HoursError, match=says):
        parse_hours(written)


@given(st.dictionaries(st.sampled_from(DAYS), st.tuples(st.times(), st.times())))
def test_no_minute_of_the_week_is_ever_in_two_spans(days: dict[str, tuple[time, time]]) -> None:
    written = {day: f"{a:%H:%M}-{b:%H:%M}" for day, (a, b) in days.items()}
    try:
        hours = parse_hours(written)
    except HoursError:
        return
    taken: set[int] = set()
    for day, spans in hours.items():
        for one in spans:
            opens = one.opens.hour * 60 + one.opens.minute
            closes = one.closes.hour * 60 + one.closes.minute
            length = (closes - opens) % 1440 or 1440
            minutes = {(day * 1440 + opens + n) % 10080 for n in range(length)}
            assert not minutes & taken
            taken |= minutes


@given(st.text())
def test_any_text_is_hours_or_an_hours_error(text: str) -> None:
    with suppress(HoursError):
        assert all(parse_hours(text).values())
