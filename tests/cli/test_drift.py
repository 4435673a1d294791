"""A night from its words to its exit code, with a scan that is made up."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from fleet.cli import drift as command
from fleet.cli.drift import DriftRequest, run_drift
from fleet.cli.options import ReportFormat
from fleet.drift.decide.scan_ending import FOUND
from fleet.drift.scan import ScanRequest
from fleet.errors import Locked, UsageError
from fleet.inventory.decide.selection import Choice
from fleet.model.scan_result import ScanResult
from fleet.runtime.wiring import Wiring
from tests import nights

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
CLEAN = nights.clean_night()
FULL = nights.night(40, unread=False)
PARTIAL = nights.night(40)


@pytest.fixture
def scans(monkeypatch: pytest.MonkeyPatch, desk: Path) -> list[ScanRequest]:
    """What was asked for; the scan finds a full night."""
    made: list[ScanRequest] = []

    def scan(_wiring: Wiring, request: ScanRequest) -> ScanResult:
        made.append(request)
        return FULL

    monkeypatch.setattr(command, "scan", scan)
    return made


def asked(**words: Any) -> DriftRequest:
    return DriftRequest(**{"choice": Choice(), "inventory": INVENTORY, **words})


def test_the_whole_fleet_is_the_same_scope_however_it_was_chosen(
    scans: list[ScanRequest], capsys: pytest.CaptureFixture[str]
) -> None:
    run_drift(asked())
    run_drift(asked(choice=Choice(all=True)))

    assert [(one.selection, one.whole) for one in scans] == [("", True), ("", True)]
    assert capsys.readouterr().out.startswith("fleet drift shops, night of 23 Nov 2026\n")


def test_a_part_of_the_fleet_is_a_scope_of_its_own(scans: list[ScanRequest]) -> None:
    run_drift(asked(choice=Choice(stores=("store-042",)), digests=True, deep=True))

    [one] = scans
    assert (one.selection, one.whole, one.digests, one.deep) == ("store-042", False, True, True)
    assert [store.id for store in one.stores] == ["store-042"]


@pytest.mark.usefixtures("scans")
def test_json_is_all_that_goes_to_stdout(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = run_drift(asked(form=ReportFormat.JSON, report=tmp_path / "out"))

    said = capsys.readouterr()
    assert json.loads(said.out)["kind"] == "drift"
    assert code == FOUND
    assert said.err.splitlines()[-1] == str(tmp_path / "out" / "drift-2026-11-23T0331Z.html")


@pytest.mark.usefixtures("scans")
def test_a_report_is_written_in_three_forms_and_its_page_named_last(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = tmp_path / "a folder" / "reports"

    run_drift(asked(report=out))

    assert capsys.readouterr().out.splitlines()[-1] == str(out / "drift-2026-11-23T0331Z.html")
    assert json.loads((out / "latest.json").read_text())["version"] == 1
    assert (out / "latest.md").read_text().startswith("# fleet drift shops")
    assert "<!DOCTYPE html>" in (out / "latest.html").read_text()


@pytest.mark.usefixtures("scans")
def test_a_folder_that_cannot_be_written_is_said_first_and_last_and_hides_no_result(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    taken = tmp_path / "out"
    taken.write_text("a file")

    code = run_drift(asked(report=taken))

    said = capsys.readouterr()
    assert code == 1
    assert said.err.startswith("no report can be written: ")
    assert said.err.splitlines()[-1].startswith("exit 1 (partial): no report can be written: ")
    assert "DO FIRST" in said.out


def test_old_reports_are_dropped_and_others_stay(scans: list[ScanRequest], tmp_path: Path) -> None:
    (tmp_path / "drift-2020-01-01T0000Z.html").write_text("old")
    (tmp_path / "notes.html").write_text("mine")

    run_drift(asked(report=tmp_path))

    assert scans
    assert not (tmp_path / "drift-2020-01-01T0000Z.html").exists()
    assert (tmp_path / "notes.html").exists()


def test_reports_are_written_though_nobody_reads_stdout(
    monkeypatch: pytest.MonkeyPatch, scans: list[ScanRequest], tmp_path: Path
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        monkeypatch.setattr("sys.stdout", closed)
        with pytest.raises(BrokenPipeError):
            run_drift(asked(form=ReportFormat.MARKDOWN, report=tmp_path))

    assert scans
    assert (tmp_path / "latest.html").exists()


def test_nobody_to_tell_is_said_before_anything_is_read(scans: list[ScanRequest]) -> None:
    with pytest.raises(UsageError, match="names nobody to tell"):
        run_drift(asked(notify=True))

    assert scans == []


def test_a_wrong_time_is_said_before_anything_is_read(scans: list[ScanRequest]) -> None:
    with pytest.raises(UsageError, match="'soon' is no time"):
        run_drift(asked(jitter="soon"))

    assert scans == []


@pytest.mark.usefixtures("scans")
def test_jitter_waits_no_longer_than_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    run_drift(asked(jitter="0.01s"))

    assert "begins in 0s (--jitter 0.01s)" in capsys.readouterr().err


def test_a_second_run_is_told_who_is_at_it(monkeypatch: pytest.MonkeyPatch, desk: Path) -> None:
    def locked(_wiring: Wiring, _request: ScanRequest) -> ScanResult:
        raise Locked("fleet drift on host, pid 1, works on drift since then")

    monkeypatch.setattr(command, "scan", locked)

    with pytest.raises(Locked):
        run_drift(asked())
