"""Shares of weight in words."""

from decimal import Decimal

import pytest

from fleet.model.policy import Amount
from fleet.model.weights import share_words, weight_limit


@pytest.mark.parametrize(
    ("weight", "words"),
    [("20", "20 %"), ("20.01", "20.1 %"), ("19.99", "20 %"), ("0.001", "0.1 %"), ("100", "100 %")],
)
def test_a_part_above_its_limit_never_reads_as_the_limit(weight: str, words: str) -> None:
    assert share_words(Decimal(weight), Decimal(100)) == words


def test_a_limit_of_weight_is_not_rounded() -> None:
    assert weight_limit(Amount(percent=Decimal("12.5")), Decimal(3)) == Decimal("0.375")
    assert weight_limit(None, Decimal(3)) is None
