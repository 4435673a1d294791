"""With which exit code a scan ends, and why."""

from dataclasses import replace

from fleet.drift.decide.scan_ending import FOUND, ending_of
from fleet.model.drift_settings import Severity
from fleet.model.scan_result import FindingChange, ScanResult
from tests import nights

CLEAN = nights.clean_night()
FULL = nights.night(40, unread=False)
PARTIAL = nights.night(40)


def only(
    night: ScanResult, *severities: Severity, change: FindingChange = FindingChange.SAME
) -> ScanResult:
    """The same night with findings of just these severities."""
    one = night.findings[0]
    told = [
        replace(one, change=change, finding=replace(one.finding, severity=severity))
        for severity in severities
    ]
    return replace(night, findings=tuple(told))


def test_a_clean_night_ends_with_0() -> None:
    assert ending_of(CLEAN, Severity.INFO, ()).code == 0
    assert ending_of(CLEAN, Severity.LOW, ()).words == "exit 0: verified 20 of 20"


def test_a_finding_at_the_limit_ends_with_3_and_one_below_it_does_not() -> None:
    night = only(FULL, Severity.LOW)

    assert ending_of(night, Severity.LOW, ()).code == FOUND
    assert ending_of(night, Severity.LOW, ()).words == "exit 3: 1 finding of severity low or more"
    assert ending_of(night, Severity.MEDIUM, ()).code == 0
    assert ending_of(night, Severity.MEDIUM, ()).words.endswith(", 1 finding below medium")


def test_a_finding_that_was_not_looked_at_again_is_still_open() -> None:
    night = only(FULL, Severity.HIGH, change=FindingChange.NOT_VERIFIED)

    assert ending_of(night, Severity.LOW, ()).code == FOUND


def test_what_could_not_be_read_wins_over_what_was_found() -> None:
    assert ending_of(PARTIAL, Severity.LOW, ()).code == 1
    assert (
        ending_of(PARTIAL, Severity.LOW, ()).words
        == "exit 1 (partial): not everything could be read"
    )


def test_what_could_not_be_written_or_told_wins_too() -> None:
    assert ending_of(FULL, Severity.LOW, ["mail was not told"]).code == 1
    words = ending_of(FULL, Severity.LOW, ["mail was not told"]).words
    assert words == "exit 1 (partial): mail was not told"


def test_a_night_that_could_not_be_recorded_is_partial() -> None:
    assert ending_of(replace(CLEAN, recorded=False), Severity.LOW, ()).code == 1


def test_stores_that_are_not_verified_are_enough_to_be_partial() -> None:
    count = replace(CLEAN.totals, not_verified=1)

    assert ending_of(replace(CLEAN, totals=count), Severity.LOW, ()).code == 1
