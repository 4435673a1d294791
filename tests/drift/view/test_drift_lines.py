"""The words of a night, each with its number, its age and its limit."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.view.drift_lines import (
    by_code,
    changed,
    not_read,
    ordinal,
    percent,
    reading,
    returned_words,
    since_words,
    totals,
    what,
)
from fleet.model.drift import Returned
from fleet.model.night import Change, Night
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


def test_a_finding_tells_how_often_and_what_its_store_owes() -> None:
    told = replace(nights.night(40).findings[0], times=3, owes="vision 1.9.0")

    words = what(told, NOW)

    assert words.endswith("3rd time in 7 days · owes vision 1.9.0")


def test_the_dark_are_compared_with_the_night_before() -> None:
    night = nights.night(300)
    count = replace(night.totals, dark=4, dark_before=2)

    assert "dark 4 (was 2)" in totals(replace(night, totals=count))
    assert "dark 2 ·" in totals(replace(night, totals=replace(count, dark=2)))


def test_the_changes_add_up_to_the_findings() -> None:
    night = nights.night(300)
    count = [told.change for told in night.findings]

    words = changed(night)

    assert words.startswith(f"+{count.count(Change.NEW)} findings, ")
    assert f"-{len(night.resolved)} resolved, {count.count(Change.SAME)} unchanged" in words
    assert words.endswith("(2 ignored, next expiry 30 Nov)")


def test_of_a_first_scan_nothing_is_called_new_since_last_night() -> None:
    night = nights.night(40, nights=1)

    assert changed(replace(night, ignored=())) == (
        f"nothing recorded to compare with: {len(night.findings)} findings"
    )


def test_an_old_scan_says_how_old_it_is() -> None:
    night = nights.clean_night()

    assert reading(night, NOW) == "read 03:31-03:40Z, 9m12s, 100 calls, 0 throttled, complete"
    assert "20m ago" in reading(night, NOW + timedelta(minutes=20))


def test_a_gap_without_an_account_is_of_the_whole_fleet() -> None:
    night = nights.night(40)
    gap = replace(night.unread[0], account="", region="")

    [line] = not_read(replace(night, unread=(gap,)))

    assert line.where == "the whole fleet"


def test_who_came_back_says_after_how_long_and_that_it_owes_nothing() -> None:
    back = Returned("store-204", NOW - timedelta(hours=31), NOW, "telemetry restarted once.")

    assert returned_words(back) == ("store-204 after 31h: telemetry restarted once; owes nothing")


def counted(night: Night) -> int:
    return sum(count for _, _, count, _ in by_code(night.findings))


def test_counting_by_code_loses_nothing_and_begins_with_the_worst() -> None:
    night = nights.night(300)

    rows = by_code(night.findings)

    assert counted(night) == len(night.findings)
    ranks = [severity.rank for _, severity, _, _ in rows]
    assert ranks == sorted(ranks, reverse=True)


@given(st.floats(0, 1))
def test_only_all_is_a_hundred_per_cent(share: float) -> None:
    assert (percent(share) == "100.0 %") == (share == 1)
