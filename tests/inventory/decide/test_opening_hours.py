"""Stretches of time, and what two lists of them have in common."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.inventory.decide.opening_hours import Span, within

START = datetime(2026, 11, 23, tzinfo=UTC)


def span(begins: int | None, ends: int | None) -> Span:
    """A stretch between two hours of the week."""
    moments = (None if h is None else START + timedelta(hours=h) for h in (begins, ends))
    return Span(*moments)


@st.composite
def spans(draw: st.DrawFn) -> tuple[Span, ...]:
    """Stretches in order that do not meet; the first and the last may have no end in sight."""
    edges = sorted(draw(st.sets(st.integers(0, 60), max_size=12)))
    edges = edges[: len(edges) // 2 * 2]
    pairs: list[tuple[int | None, int | None]] = list(zip(edges[::2], edges[1::2], strict=True))
    begins_before: bool = draw(st.booleans())
    goes_on: bool = draw(st.booleans())
    if pairs and begins_before:
        pairs[0] = (None, pairs[0][1])
    if pairs and goes_on:
        pairs[-1] = (pairs[-1][0], None)
    return tuple(span(*pair) for pair in pairs)


@given(spans(), spans())
def test_what_two_lists_have_in_common_is_what_is_in_both(
    ones: tuple[Span, ...], twos: tuple[Span, ...]
) -> None:
    common = within(ones, twos)
    for half_hour in range(-2, 124):
        moment = START + timedelta(minutes=30 * half_hour)
        in_both = any(moment in one for one in ones) and any(moment in two for two in twos)
        assert any(moment in one for one in common) is in_both
    assert all(one.begins is None or one.ends is None or one.begins < one.ends for one in common)


@pytest.mark.parametrize(("hour", "inside"), [(0, False), (1, True), (2, True), (3, False)])
def test_the_begin_is_inside_and_the_end_is_not(hour: int, *, inside: bool) -> None:
    moment = START + timedelta(hours=hour)
    assert (moment in span(1, 3)) is inside
    assert (moment in span(None, 3)) is (hour < 3)
    assert (moment in span(1, None)) is (hour >= 1)
