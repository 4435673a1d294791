"""Versions compare number by number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.declared import is_older

numbers = st.lists(st.integers(0, 2000), min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("version", "least"),
    [("1.9.0", "1.10.0"), ("24.0.7", "25"), ("3.3.1", "3.3.1.1"), ("v1.2", "1.3"), ("1.2-rc", "2")],
)
def test_older(version: str, least: str) -> None:
    assert is_older(version, least)
    assert not is_older(least, version)


@pytest.mark.parametrize(
    ("version", "least"), [("25", "25.0.0"), ("", "25"), ("unknown", "25"), ("1.2", ""), ("a", "b")]
)
def test_not_older(version: str, least: str) -> None:
    assert not is_older(version, least)


@given(numbers, numbers)
def test_of_two_versions_at_most_one_is_older(one: list[int], other: list[int]) -> None:
    left, right = (".".join(map(str, parts)) for parts in (one, other))
    assert not (is_older(left, right) and is_older(right, left))
