from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.spans import age, clock, seconds_in, span, stamp
from tests.build import NOW


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (161, "2m41s"),
        (3600, "1h"),
        (96480, "26h48m"),
        (3 * 86400 + 4 * 3600, "3d4h"),
        (-5, "0s"),
    ],
)
def test_a_span_reads_in_two_units_at_most(seconds: float, text: str) -> None:
    assert span(seconds) == text


@given(st.integers(0, 30 * 86400))
def test_a_span_that_is_read_again_is_the_same_up_to_its_last_unit(seconds: int) -> None:
    printed = span(seconds)

    assert span(seconds_in(printed)) == printed
    assert 0 <= seconds - seconds_in(printed) < 3600


@pytest.mark.parametrize("text", ["", "10", "m", "1m1h", "ten minutes"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds_in(text)


def test_an_age_is_counted_from_now_and_never_is_said() -> None:
    assert age(NOW - timedelta(seconds=9), NOW) == "9s ago"
    assert age(None, NOW) == "never"


def test_a_moment_in_the_future_is_not_called_fresh() -> None:
    assert age(NOW + timedelta(hours=1), NOW) == "1h in the future"
    assert age(NOW + timedelta(seconds=2), NOW) == "0s ago"


def test_moments_are_utc_and_say_so() -> None:
    assert clock(NOW) == "02:00:00Z"
    assert stamp(NOW) == "2026-11-23T02:00:00Z"
    assert stamp(None) is None
