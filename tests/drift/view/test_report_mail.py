"""What people are told: a subject that says it, a page that fits, no good news by silence."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.view.report import report_of
from fleet.drift.view.report_mail import CHAT_LIMIT, chat, message_of
from fleet.model.drift import Unread
from fleet.model.drift_settings import Severity
from fleet.model.scan_result import FindingChange, ScanResult, Totals
from tests import nights
from tests.reading import in_order

SMALL = nights.night(12)


def told(night: ScanResult, *changes: FindingChange) -> ScanResult:
    """The same with findings of just these changes."""
    one = night.findings[0]
    return replace(night, findings=tuple(replace(one, change=change) for change in changes))


def subject_of(night: ScanResult) -> str:
    return report_of(night, nights.NOW).subject


def body(night: ScanResult, least: Severity = Severity.LOW) -> str:
    return message_of(report_of(night, nights.NOW), least).text


def test_a_clean_night_is_said_in_one_line() -> None:
    assert subject_of(nights.clean_night(800)).startswith("[fleet] ok: verified 79")
    count = Totals(800, 800, 0, 0, 0)
    clean = replace(nights.clean_night(3), totals=count)
    assert subject_of(clean) == "[fleet] ok: verified 800 of 800"


def test_the_subject_counts_news_dark_stores_and_what_is_missing() -> None:
    night = told(
        nights.night(60),
        FindingChange.NEW,
        FindingChange.NEW,
        FindingChange.WORSE,
        FindingChange.SAME,
    )
    night = replace(night, totals=Totals(800, 792, 4, 4, 0, dark_before=2))

    assert subject_of(night) == (
        "[fleet] ACTION 3: 2 new, 1 worse · 4 stores dark (was 2) · 792/800 verified"
        " · INCOMPLETE apac-prod"
    )


def test_old_findings_alone_call_for_no_action_but_are_not_ok() -> None:
    night = told(nights.night(60, unread=False), FindingChange.SAME, FindingChange.SAME)
    night = replace(night, totals=Totals(60, 60, 0, 0, 0))

    assert subject_of(night) == "[fleet] 2 open, none new or worse · 60/60 verified"


def test_a_night_in_which_nothing_was_read_never_looks_healthy() -> None:
    night = replace(
        nights.clean_night(),
        unread=(Unread("emea-prod", "eu-west-1", "", "everything", "AwsUnreachable", 20),),
        totals=Totals(20, 0, 0, 20, 0),
    )

    subject = subject_of(night)

    assert subject.startswith("[fleet] UNKNOWN: nothing verified")
    assert "INCOMPLETE emea-prod" in subject
    assert "ok" not in subject


def test_a_night_that_could_not_be_recorded_is_no_clean_one() -> None:
    night = replace(nights.clean_night(), recorded=False)

    assert subject_of(night) == "[fleet] ok · 20/20 verified · NOT RECORDED"


def test_many_accounts_are_left_out_of_the_subject_before_the_word_incomplete_is() -> None:
    names = [f"a-very-long-name-of-an-account-{n}" for n in range(3)]
    gaps = tuple(Unread(name, "eu-west-1", "", "x", "y", 1) for name in names)

    subject = subject_of(replace(nights.night(60), unread=gaps))

    assert len(subject) <= 100
    assert subject.endswith("· INCOMPLETE")


@given(
    st.lists(st.sampled_from(list(FindingChange)), max_size=6),
    st.integers(0, 10**5),
    st.integers(0, 10**5),
    st.lists(st.text(min_size=1, max_size=120), max_size=3),
)
def test_a_subject_is_one_line_of_at_most_100_characters(
    changes: list[FindingChange], verified: int, dark: int, accounts: list[str]
) -> None:
    night = replace(
        told(SMALL, *changes),
        totals=Totals(verified + dark, verified, dark, 0, 0, 7),
        unread=tuple(Unread(name, "", "", "x", "y") for name in accounts),
    )

    subject = subject_of(night)

    assert len(subject) <= 100
    assert len(subject.splitlines()) == 1
    assert "\x1b" not in subject
    assert accounts == [] or "INCOMPLETE" in subject


@pytest.mark.parametrize(
    "night",
    [nights.night(1000), nights.clean_night(), nights.night(20, hostile=True)],
    ids=["large", "clean", "hostile"],
)
def test_no_line_is_wider_than_a_mail_and_the_whole_is_a_page_or_two(night: ScanResult) -> None:
    text = body(night)

    assert max(map(len, text.splitlines())) <= 80
    assert len(text) < 12_000
    assert "\x1b" not in text


def test_unknown_comes_first_in_the_text_too() -> None:
    text = body(nights.night(300))

    assert in_order(text, ["NOT READ", "VERIFIED", "DO FIRST", "CHANGED", "RELEASES"])


def test_findings_below_what_a_channel_wants_are_counted_and_not_listed() -> None:
    night = nights.night(40)
    light = [one for one in night.findings if one.finding.severity.rank < Severity.HIGH.rank]

    text = body(night, Severity.HIGH)

    assert f"BELOW HIGH  {len(light)} findings: " in text
    assert "ATTRIBUTES low" not in text
    assert "SITE_DARK" in text


def test_a_chat_shows_it_whole_and_calls_nobody() -> None:
    night = nights.night(1000)
    hostile = nights.night(20, hostile=True)

    for one in (night, hostile):
        markdown = message_of(report_of(one, nights.NOW), Severity.LOW).markdown
        assert len(markdown) < CHAT_LIMIT + 100
        assert "<" not in markdown
    assert "more: see the report" in message_of(report_of(night, nights.NOW), Severity.LOW).markdown
    assert chat("<!channel> `x` & y") == "&lt;!channel&gt; 'x' &amp; y"
