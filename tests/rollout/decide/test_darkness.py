"""Excess darkness: exact, one-sided, and silent where nothing can be compared."""

import itertools
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.rollout.decide.darkness import Excess, darkness, fisher

POLICY = Policy("standard")


@st.composite
def samples(draw: st.DrawFn, most: int = 40) -> Sample:
    of = draw(st.integers(0, most))
    return Sample(draw(st.integers(0, of)), of)


def by_enumeration(updated: Sample, others: Sample) -> Fraction:
    """Every way to draw the updated stores from all of them, counted."""
    dark, total = updated.dark + others.dark, updated.of + others.of
    ways = [
        math.comb(dark, k) * math.comb(total - dark, updated.of - k) for k in range(updated.of + 1)
    ]
    return Fraction(sum(ways[updated.dark :]), sum(ways))


@given(samples(), samples())
def test_the_test_agrees_with_counting_every_table(updated: Sample, others: Sample) -> None:
    assert fisher(updated, others) == pytest.approx(
        float(by_enumeration(updated, others)), rel=1e-9
    )


@pytest.mark.parametrize(
    ("updated", "others"),
    [
        (Sample(40, 1000), Sample(200, 9000)),
        (Sample(400, 800), Sample(380, 900)),
        (Sample(270, 300), Sample(10, 3000)),
    ],
)
def test_thousands_of_stores_are_exact(updated: Sample, others: Sample) -> None:
    assert fisher(updated, others) == pytest.approx(
        float(by_enumeration(updated, others)), rel=1e-9
    )


@given(st.integers(1, 200), samples(400))
def test_more_dark_updated_stores_are_never_less_suspicious(of: int, others: Sample) -> None:
    chances = [fisher(Sample(dark, of), others) for dark in range(of + 1)]
    assert all(a >= b - 1e-12 for a, b in itertools.pairwise(chances))


@given(st.integers(1, 60), st.integers(20, 200))
def test_more_dark_others_are_never_more_suspicious(of: int, others: int) -> None:
    chances = [fisher(Sample(of // 2, of), Sample(dark, others)) for dark in range(others + 1)]
    assert all(a <= b + 1e-12 for a, b in itertools.pairwise(chances))


@given(st.integers(0, 500), samples(500), st.none() | samples(500))
def test_no_dark_updated_store_is_no_excess_whatever_else_is_known(
    of: int, control: Sample, history: Sample | None
) -> None:
    assert darkness(Sample(0, of), control, history, POLICY).excess is Excess.NO


def test_a_release_that_kills_connectivity_is_found_against_quiet_neighbours() -> None:
    found = darkness(Sample(3, 8), Sample(1, 792), None, POLICY)

    assert found.excess is Excess.YES
    assert found.seen == "3/8 updated, 1/792 others"
    assert "p < 0.0001, alpha 0.05" in found.words


def test_an_outage_over_updated_and_untouched_stores_alike_is_no_excess() -> None:
    found = darkness(Sample(3, 8), Sample(290, 792), None, POLICY)

    assert found.excess is Excess.NO
    assert "not the release" in found.words


def test_a_control_group_that_is_too_small_falls_back_to_history() -> None:
    found = darkness(Sample(4, 8), Sample(0, 3), Sample(5, 900), POLICY)

    assert found.excess is Excess.YES
    assert found.seen == "4/8 updated, 5/900 in history"


def test_a_control_group_that_is_large_enough_wins_over_history() -> None:
    found = darkness(Sample(4, 8), Sample(12, 25), Sample(0, 900), POLICY)

    assert found.excess is Excess.NO


@pytest.mark.parametrize("history", [None, Sample(0, 19)])
def test_without_a_control_group_and_history_nothing_is_concluded(history: Sample | None) -> None:
    found = darkness(Sample(8, 8), Sample(0, 3), history, POLICY)

    assert found.excess is Excess.UNCLEAR
    assert found.p is None
    assert "20 needed" in found.words


def test_a_sample_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="9 of 8 stores"):
        darkness(Sample(9, 8), Sample(0, 30), None, POLICY)
