"""The report on the terminal: unknown before known, bounded, and nothing that moves the cursor."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fleet.drift.view.report import Part, report_of
from fleet.drift.view.report_terminal import SHOWN, finding_lines, report_view
from fleet.model.drift import Unread
from fleet.model.scan_result import ScanResult
from fleet.terminal.screen import console_for
from tests import nights
from tests.reading import in_order


def text(night: ScanResult, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, emoji=False).print(
        report_view(report_of(night, nights.NOW), width)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_unknown_comes_before_known_and_news_before_what_is_old() -> None:
    parts = ["NOT READ", "VERIFIED", "DO FIRST", "CHANGED SINCE", "RETURNED", "RELEASES"]

    assert in_order(text(nights.night(300)), [*parts, "ALSO OPEN", "IGNORED"])


def test_a_night_in_which_something_was_not_read_is_called_incomplete() -> None:
    assert "INCOMPLETE" in text(nights.night(40)).splitlines()[1]
    assert "complete" in text(nights.night(40, unread=False)).splitlines()[1]


def test_a_clean_night_is_a_few_lines() -> None:
    lines = text(nights.clean_night(20)).splitlines()

    assert lines[2].startswith("VERIFIED  20 · dark 0 · not verified 0")
    assert len(lines) == 6


def test_every_finding_shown_comes_with_its_fix_and_since_when() -> None:
    found = text(nights.night(40), 200)

    assert "fix   fleet doctor store-00001 --host cam-1" in found
    assert "since 22 Nov 22:31Z (5h09m ago), 2nd time in 7 days" in found
    assert "seen  host: df / 100 MB free, 4m ago" in found


def test_a_large_fleet_fits_in_a_bounded_number_of_lines_and_says_what_is_left_out() -> None:
    night = nights.night(1000)
    many = replace(night, findings=night.findings * 20)

    found = text(many, 200)

    listed = sum(not entry.is_urgent for entry in many.findings)
    assert f"and {listed - SHOWN[Part.ALSO_OPEN]:,} more: --format json has all" in found
    assert f"and {len(many.findings) - listed - SHOWN[Part.DO_FIRST]:,} more" in found
    assert len(found.splitlines()) < 200


def test_one_reason_for_many_stores_is_one_line() -> None:
    gaps = [
        Unread("emea", "eu-west-1", f"store-{n}", "ECS services", "AccessDenied") for n in range(9)
    ]
    night = replace(nights.night(40, unread=False), unread=tuple(gaps))

    [line] = [one for one in text(night, 200).splitlines() if one.startswith("NOT READ")]

    assert "store-0, store-1, store-2, store-3, store-4 and 4 more" in line
    assert "AccessDenied · 9 stores not verified" in line


def test_many_reasons_are_cut_and_their_stores_counted() -> None:
    gaps = [Unread("emea", f"region-{n}", "", "SSM nodes", "down", 7) for n in range(20)]
    night = replace(nights.night(40, unread=False), unread=tuple(gaps))

    found = text(night)

    left = 20 - SHOWN[Part.NOT_READ]
    assert f"NOT READ  and {left} more, {7 * left} stores: --format json has all" in found


@pytest.mark.parametrize("width", [60, 72, 80, 120])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    for night in (nights.night(300), nights.night(20, hostile=True)):
        assert max(map(len, text(night, width).splitlines())) <= width


def test_what_a_host_said_cannot_move_the_terminal() -> None:
    found = text(nights.night(20, hostile=True))

    assert "\x1b" not in found
    assert "\u202e" not in found


def test_in_a_pipe_each_fact_is_one_line() -> None:
    out = io.StringIO()
    console = console_for(out)

    console.print(report_view(report_of(nights.night(40), nights.NOW), console.width))

    lines = out.getvalue().splitlines()
    assert [line for line in lines if line.startswith(" ") and line.split()[0] == "time"] == []
    [dark] = [line for line in lines if "SITE_DARK" in line and "high" in line]
    assert "router or power of the shop" in dark
    assert "owes vision 1.9.0" in dark
    assert "\x1b" not in out.getvalue()


def test_no_findings_are_no_lines() -> None:
    out = io.StringIO()

    Console(file=out, width=80).print(finding_lines([], 80))

    assert out.getvalue().strip() == ""
