"""The words of one finding, each with its number and its age."""

from dataclasses import replace
from datetime import timedelta

import pytest

from fleet.drift.view.finding_words import ordinal, since_words
from fleet.model.spans import moment
from tests import nights
from tests.nights import NOW


@pytest.mark.parametrize(
    ("number", "word"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (13, "13th"), (21, "21st")],
)
def test_ordinals(number: int, word: str) -> None:
    assert ordinal(number) == word


def test_a_moment_has_its_day_unless_that_is_today_and_its_year_when_it_is_long_ago() -> None:
    assert moment(NOW, NOW) == "03:40Z"
    assert moment(NOW - timedelta(days=2), NOW) == "21 Nov 03:40Z"
    assert moment(NOW - timedelta(days=400), NOW) == "19 Oct 2025 03:40Z"


def test_what_may_have_begun_earlier_is_at_least_since() -> None:
    finding = nights.night(40).findings[0].finding

    assert since_words(replace(finding, since_known=False), NOW).startswith("at least since ")
    assert since_words(replace(finding, since_known=True), NOW).startswith("since ")
