"""A night as Markdown: all of it, and nothing in it that Markdown would obey."""

import re
from dataclasses import replace
from datetime import timedelta

from fleet.drift.view.report import report_of
from fleet.drift.view.report_markdown import code, escaped, report_markdown
from fleet.model.drift import HostConnection, Spell
from fleet.model.scan_result import ScanResult
from tests import nights


def text(night: ScanResult) -> str:
    return report_markdown(report_of(night, nights.NOW))


def test_what_was_not_read_is_the_first_section() -> None:
    titles = re.findall(r"^## (.*)$", text(nights.night(300)), re.MULTILINE)

    assert titles[:3] == ["Not read", "Verified", "Note"]
    assert titles[3].startswith("Do first: ")
    assert titles[-1].startswith("Hosts connected by ")


def test_every_finding_has_a_row_with_its_fix() -> None:
    night = nights.night(300)
    rows = [line for line in text(night).splitlines() if re.match(r"\| [A-Z ]*\| \w+ \|", line)]

    assert len(rows) == len(night.findings)
    assert all(row.count("`") >= 2 for row in rows if "info" not in row)


def test_every_store_with_trouble_has_a_letter_per_night() -> None:
    night = nights.night(60)

    rows = dict(re.findall(r"^\| (store-\d+) \| [^|]* \| `([^`]+)` \|$", text(night), re.MULTILINE))

    assert rows
    assert {len(letters) for letters in rows.values()} == {30}
    dark = {store for store, state in night.scan.states.items() if state.value == "dark"}
    assert dark == {store for store, letters in rows.items() if letters[-1] == "D"}


def test_a_clean_night_has_no_empty_sections() -> None:
    found = text(nights.clean_night())

    assert "## Do first" not in found
    assert "\n\n\n" not in found
    assert "Stores by nights" not in found


def test_a_share_is_never_rounded_up_to_all() -> None:
    night = nights.clean_night(2)
    one = replace(night.availability[0], nights=(0.99999,))

    assert "| 99.9 % | 99.9 % | 99.9 %, 25 Oct |" in text(replace(night, availability=(one,)))


def test_rows_have_as_many_cells_as_their_heads_whatever_is_said() -> None:
    cells = 0
    for line in text(nights.night(20, hostile=True)).splitlines():
        if line.startswith("|"):
            bars = len(re.findall(r"(?<!\\)\|", line))
            cells = cells or bars
            assert bars == cells
        else:
            cells = 0


def test_what_a_host_said_is_no_markup() -> None:
    found = text(nights.night(20, hostile=True))

    outside = re.sub(r"(`+)(.+?)(?<!`)\1(?!`)", "", found.replace("\\`", "'"))
    assert "<script" not in outside.replace("\\<", "")
    assert "\x1b" not in found


def test_a_backtick_ends_no_code() -> None:
    assert code("echo `id`") == "`` echo `id` ``"
    assert escaped("a_b [x](y)") == "a\\_b \\[x\\](y)"


def test_an_outage_that_tonights_scan_did_not_see_is_not_said_to_go_on() -> None:
    shown = nights.night(stores=3, nights=2)
    began = shown.scan.started_at
    seen = began - timedelta(days=1)
    spell = Spell(HostConnection.DARK, seen - timedelta(hours=1), seen)
    unsure = replace(shown, spells={("store-1", "cam-1"): (spell,)})
    sure = replace(shown, spells={("store-1", "cam-1"): (replace(spell, last_seen=began),)})

    assert "| not certain; dark since 22 Nov 02:31Z until last seen 22 Nov 03:31Z |" in text(unsure)
    assert "| dark since 22 Nov 02:31Z |" in text(sure)
