"""One report for every channel: its words, its order, and that no channel loses anything."""

import io
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from markupsafe import escape
from rich.console import Console

from fleet.drift.view import report_mail, report_terminal
from fleet.drift.view.finding_words import FindingRow
from fleet.drift.view.page.document import page_of
from fleet.drift.view.report import Part, Report, by_code, report_of
from fleet.drift.view.report_json import report_document
from fleet.drift.view.report_mail import message_of
from fleet.drift.view.report_markdown import escaped, report_markdown
from fleet.drift.view.report_terminal import report_view
from fleet.model.drift import Returned
from fleet.model.drift_settings import Severity
from fleet.model.scan_result import FindingChange, OpenFinding, ScanResult
from tests import nights
from tests.nights import NOW

#: Ordinary ones, larger than any channel's limits, clean, and with everything hostile.
REPORTS = {
    "ordinary": report_of(nights.night(60), NOW),
    "large": report_of(nights.night(1000, 5, trouble=3.0), NOW),
    "clean": report_of(nights.clean_night(), NOW),
    "hostile": report_of(nights.night(20, 5, hostile=True), NOW),
}


@pytest.fixture(params=REPORTS)
def report(request: pytest.FixtureRequest) -> Report:
    return REPORTS[request.param]


def line_of(night: ScanResult, part: Part) -> str:
    [line] = report_of(night, NOW).section(part).lines
    return line.text


def terminal(report: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=1000, markup=False, highlight=False, emoji=False).print(
        report_view(report, 1000)
    )
    return out.getvalue()


def test_the_sections_come_in_the_order_of_reading(report: Report) -> None:
    parts = [section.part for section in report.sections]

    assert parts == sorted(parts, key=list(Part).index)


def test_every_finding_is_in_one_section_of_the_report(report: Report) -> None:
    listed = [row.entry for section in report.sections for row in section.findings]

    assert len(listed) == len(report.findings)
    assert {entry.finding.key for entry in listed} == {
        entry.finding.key for entry in report.result.findings
    }


def test_json_has_every_finding_and_every_part_that_was_not_read(report: Report) -> None:
    document = report_document(report)

    assert [one["cause"] for one in document["findings"]] == [
        entry.finding.cause for entry in report.result.findings
    ]
    assert [one["why"] for one in document["unread"]] == [one.why for one in report.result.unread]


def test_markdown_has_every_line_and_every_finding(report: Report) -> None:
    text = report_markdown(report)

    for section in report.sections:
        assert all(f"- {escaped(line.text)}" in text for line in section.lines)
        for row in section.findings:
            assert f"| {escaped(row.kind)} | {escaped(row.what)} |" in text


def test_the_page_has_every_finding_and_every_part_that_was_not_read(report: Report) -> None:
    page = page_of(report)
    data = re.search(r'id="findings-data">(.*?)</script>', page, re.DOTALL)

    assert data is not None
    words, rows = json.loads(data[1]).values()
    assert [(words[row[5]], words[row[6]]) for row in rows] == [
        (row.kind, row.place) for row in report.findings
    ]
    for line in report.section(Part.NOT_READ).lines:
        assert f"<li>{escape(line.text)}" in page


def test_the_terminal_has_every_line_and_every_finding_or_counts_them(report: Report) -> None:
    text = terminal(report)

    for section in report.sections:
        title, most = section.part.value.upper(), report_terminal.SHOWN.get(section.part, 8)
        assert all(f"{title}  {line.text}" in text for line in section.lines[:most])
        assert all(f"{row.kind}  {row.what}" in text for row in section.findings[:most])
        left = len(section.lines or section.findings) - most
        assert left <= 0 or f"and {left:,} more" in text


def test_a_mail_has_every_line_and_every_finding_or_counts_them(report: Report) -> None:
    text = " ".join(message_of(report, Severity.INFO).text.split())
    first = report.section(Part.DO_FIRST).findings[: report_mail.SHOWN[Part.DO_FIRST]]
    others = Counter(row.finding.code for row in report.findings)
    others.subtract(row.finding.code for row in first)

    assert all(" ".join(f"{row.kind} {row.what}".split()) in text for row in first)
    counts = {code: int(number) for number, code in re.findall(r"ALSO OPEN (\d+) (\w+)", text)}
    assert counts == {code: others[code] for code in counts}
    left = re.search(r"ALSO OPEN and (\d+) more", text)
    assert len(+others) == len(counts) + (int(left[1]) if left else 0)
    for section in report.sections:
        title, most = section.part.value.upper(), report_mail.SHOWN.get(section.part, 6)
        assert all(" ".join(f"{title} {one.text}".split()) in text for one in section.lines[:most])
        assert len(section.lines) <= most or f"and {len(section.lines) - most:,} more" in text


def test_a_chat_lists_what_is_to_do_first_or_counts_it(report: Report) -> None:
    text = message_of(report, Severity.INFO).markdown

    first = report.section(Part.DO_FIRST).findings
    listed = sum(line.startswith("• ") for line in text.splitlines())
    assert listed == len(first) or f"and {len(first) - listed:,} more: see the report" in text


def waiting() -> Report:
    """An ordinary night in which a rollout waits for a person since yesterday."""
    result = nights.night(60)
    finding = replace(
        result.findings[0].finding,
        code="ROLLOUT_WAITS",
        severity=Severity.HIGH,
        store="",
        host="",
        account="",
        region="",
        subject="ro-118",
        since=NOW - timedelta(hours=26),
        since_known=True,
        cause="ro-118 (till) is HALTED since 22 Nov 01:40Z: failures 3",
        fix="fleet rollout status ro-118",
    )
    entry = OpenFinding(finding, FindingChange.SAME, NOW - timedelta(hours=20), comes_first=True)
    return report_of(replace(result, findings=(entry, *result.findings)), NOW)


@pytest.mark.parametrize(
    "render",
    [
        terminal,
        lambda report: message_of(report, Severity.HIGH).text,
        lambda report: message_of(report, Severity.HIGH).markdown,
        report_markdown,
        lambda report: json.dumps(report_document(report)["findings"]),
        lambda report: re.sub(r"<[^>]+>", "", page_of(report).partition("<script")[0]),
    ],
    ids=["terminal", "mail", "webhook", "markdown", "json", "page"],
)
def test_a_rollout_that_waits_is_first_with_its_age_and_its_command(
    render: Callable[[Report], str],
) -> None:
    report = waiting()
    text = " ".join(render(report).replace("\\", "").split())
    _, *others = report.section(Part.DO_FIRST).findings
    place = text.index("is HALTED since 22 Nov 01:40Z")
    assert "fleet rollout status ro-118" in text
    assert "26h ago" in text or '"since": "20' in text
    causes = [row.cause.rstrip(".") for row in others]
    assert place < min(text.index(cause) for cause in causes if cause in text)


def test_the_subject_begins_with_a_rollout_that_waits() -> None:
    report = waiting()
    assert report.subject.startswith("[fleet] ROLLOUT_WAITS ro-118 · ")
    assert len(report.subject) <= 100


def test_a_finding_tells_how_often_and_what_its_store_owes() -> None:
    entry = replace(nights.night(40).findings[0], times=3, owes="vision 1.9.0")

    words = FindingRow(entry, None, NOW).what

    assert words.endswith("3rd time in 7 days · owes vision 1.9.0")


def test_the_dark_are_compared_with_the_night_before() -> None:
    night = nights.night(300)
    count = replace(night.totals, dark=4, dark_before=2)

    assert "dark 4 (was 2)" in line_of(replace(night, totals=count), Part.VERIFIED)
    calm = replace(night, totals=replace(count, dark=2))
    assert "dark 2 ·" in line_of(calm, Part.VERIFIED)


def test_the_changes_add_up_to_the_findings() -> None:
    night = nights.night(300)
    count = [entry.change for entry in night.findings]

    words = line_of(night, Part.CHANGED)

    assert words.startswith(f"+{count.count(FindingChange.NEW)} findings, ")
    assert f"-{len(night.resolved)} resolved, {count.count(FindingChange.SAME)} unchanged" in words
    assert words.endswith("(2 ignored, next expiry 30 Nov)")


def test_of_a_first_scan_nothing_is_called_new_since_last_night() -> None:
    night = nights.night(40, nights=1)

    assert line_of(replace(night, ignored=()), Part.CHANGED) == (
        f"nothing recorded to compare with: {len(night.findings)} findings"
    )


def test_an_old_scan_says_how_old_it_is() -> None:
    night = nights.clean_night()

    assert (
        report_of(night, NOW).reading
        == "read 03:31-03:40Z, 9m12s, 100 calls, 0 throttled, complete"
    )
    assert "20m ago" in report_of(night, NOW + timedelta(minutes=20)).reading


def test_a_gap_without_an_account_is_of_the_whole_fleet() -> None:
    night = nights.night(40)
    gap = replace(night.unread[0], account="", region="")

    line = line_of(replace(night, unread=(gap,)), Part.NOT_READ)

    assert line.startswith("the whole fleet ")


def test_who_came_back_says_after_how_long_and_that_it_owes_nothing() -> None:
    back = Returned("store-204", NOW - timedelta(hours=31), NOW, "telemetry restarted once.")

    night = replace(nights.night(40), returned=(back,))

    assert line_of(night, Part.RETURNED) == (
        "store-204 after 31h: telemetry restarted once; owes nothing"
    )


def test_counting_by_code_loses_nothing_and_begins_with_the_worst() -> None:
    findings = report_of(nights.night(300), NOW).findings

    rows = by_code(findings)

    assert sum(count for _, _, count, _ in rows) == len(findings)
    ranks = [severity.rank for _, severity, _, _ in rows]
    assert ranks == sorted(ranks, reverse=True)


def test_a_finding_that_may_be_older_says_before() -> None:
    entry = nights.night(40).findings[0]
    old = replace(entry, finding=replace(entry.finding, since_known=False))

    row = FindingRow(old, None, NOW)

    assert row.since.startswith("before ")
    assert row.facts[0].startswith("At least since ")


@pytest.mark.parametrize(
    ("fix", "safe", "words"),
    [
        ("", False, "nothing need be done"),
        ("fleet drift --fix store-1", True, "fleet drift --fix may do it by itself"),
        ("fleet explain store-1", False, "for a person to decide"),
    ],
)
def test_a_fix_says_who_may_do_it(fix: str, safe: bool, words: str) -> None:
    entry = nights.night(40).findings[0]
    entry = replace(entry, finding=replace(entry.finding, fix=fix, safe=safe))

    assert FindingRow(entry, None, NOW).note == words
