"""Amounts: so many stores, or so much of all of them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.policy import Amount


@pytest.mark.parametrize(
    ("percent", "whole", "stores"),
    [
        ("2", 75, 1),  # one and a half
        ("2", 99, 1),
        ("2", 100, 2),
        ("2", 149, 2),
        ("2", 150, 3),
        ("2", 49, 1),  # less than one is one
        ("0.01", 1, 1),
        ("2", 0, 0),
        ("0", 75, 0),
        ("100", 75, 75),
    ],
)
def test_a_share_is_rounded_down_but_never_to_nothing(
    percent: str, whole: int, stores: int
) -> None:
    assert Amount(percent=Decimal(percent)).of(whole) == stores


@pytest.mark.parametrize(
    ("count", "whole", "stores"), [(5, 4, 4), (5, 5, 5), (5, 6, 5), (0, 6, 0), (5, 0, 0)]
)
def test_a_number_is_at_most_the_whole(count: int, whole: int, stores: int) -> None:
    assert Amount(count=count).of(whole) == stores


@given(st.decimals(0, 100, places=2), st.integers(0, 10_000))
def test_a_share_lies_between_nothing_and_the_whole(percent: Decimal, whole: int) -> None:
    stores = Amount(percent=percent).of(whole)

    assert 0 <= stores <= whole
    assert stores <= max(Decimal(1), whole * percent / 100)
    assert (stores == 0) is (percent * whole == 0)


def test_an_amount_prints_as_it_is_written() -> None:
    assert str(Amount(count=0)) == "0"
    assert str(Amount(count=5)) == "5"
    assert str(Amount(percent=Decimal("2.5"))) == "2.5%"
