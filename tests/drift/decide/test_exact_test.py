"""Fisher's test: exact and one-sided."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.exact_test import fisher
from fleet.model.gate import Sample


@st.composite
def samples(draw: st.DrawFn, most: int = 40) -> Sample:
    of = draw(st.integers(0, most))
    return Sample(draw(st.integers(0, of)), of)


def by_enumeration(group: Sample, others: Sample) -> Fraction:
    """Every way to draw the group stores from all of them, counted."""
    dark, total = group.dark + others.dark, group.of + others.of
    ways = [math.comb(dark, k) * math.comb(total - dark, group.of - k) for k in range(group.of + 1)]
    return Fraction(sum(ways[group.dark :]), sum(ways))


@given(samples(), samples())
def test_the_test_agrees_with_counting_every_table(group: Sample, others: Sample) -> None:
    assert fisher(group, others) == pytest.approx(float(by_enumeration(group, others)), rel=1e-9)


@pytest.mark.parametrize(
    ("group", "others"),
    [
        (Sample(40, 1000), Sample(200, 9000)),
        (Sample(400, 800), Sample(380, 900)),
        (Sample(270, 300), Sample(10, 3000)),
    ],
)
def test_thousands_of_stores_are_exact(group: Sample, others: Sample) -> None:
    assert fisher(group, others) == pytest.approx(float(by_enumeration(group, others)), rel=1e-9)


@given(st.integers(1, 200), samples(400))
def test_more_dark_group_stores_are_never_less_suspicious(of: int, others: Sample) -> None:
    chances = [fisher(Sample(dark, of), others) for dark in range(of + 1)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(chances))


@given(st.integers(1, 60), st.integers(20, 200))
def test_more_dark_others_are_never_more_suspicious(of: int, others: int) -> None:
    chances = [fisher(Sample(of // 2, of), Sample(dark, others)) for dark in range(others + 1)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(chances))
