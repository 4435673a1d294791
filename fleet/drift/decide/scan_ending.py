"""Decides with which exit code ``fleet drift`` ends, and says why in one line."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fleet.errors import FleetError
from fleet.model.drift_settings import Severity
from fleet.model.printable import many
from fleet.model.scan_result import ScanResult

#: Exit code of a scan with findings that matter, or of a plan that would fix something.
FOUND = 3


@dataclass(frozen=True, slots=True)
class Ending:
    """The exit code of a scan, and why."""

    code: int
    words: str


def ending_of(result: ScanResult, fail_on: Severity, problems: Sequence[str]) -> Ending:
    """Return 1 when something is not known, recorded or told, 3 when something was found, else 0.

    Args:
        fail_on: least severity that matters.
        problems: what could not be written or told.
    """
    if any(problems) or not result.recorded or not result.is_complete:
        return Ending(
            FleetError.exit_code, f"exit 1 (partial): {'; '.join(_why(result, problems))}"
        )
    # A finding that could not be checked again is as open as it was.
    heavy = sum(entry.finding.severity.rank >= fail_on.rank for entry in result.findings)
    if heavy:
        words = f"exit 3: {many(heavy, 'finding')} of severity {fail_on.value} or more"
        return Ending(FOUND, words)
    verified = f"exit 0: verified {result.totals.verified:,} of {result.totals.open:,}"
    below = f", {many(len(result.findings), 'finding')} below {fail_on.value}"
    return Ending(0, verified + (below if result.findings else ""))


def _why(result: ScanResult, problems: Iterable[str]) -> list[str]:
    unread = [] if result.is_complete else ["not everything could be read"]
    unrecorded = [] if result.recorded else ["the records could not be used"]
    return [*unread, *unrecorded, *problems]
