"""Puts a finding into words: where a finding is, since when, what was seen, and what to type."""

from datetime import datetime

from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.printable import printable
from fleet.model.scan_result import PastFinding
from fleet.model.spans import age, moment, span

#: By severity, how a finding looks on a terminal; its severity is written beside it.
STYLES = {Severity.HIGH: "red", Severity.MEDIUM: "yellow"}

_TEENS = range(11, 14)
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def place(finding: Finding) -> str:
    """Return ``store-118/cam-1``, ``store-317``, ``emea-prod/eu-west-1`` or ``the fleet``."""
    if finding.store:
        parts: tuple[str, ...] = (finding.store, finding.host)
    else:
        parts = (finding.account, finding.region)
    return printable("/".join(filter(None, parts)), limit=200) or "the fleet"


def kind(finding: Finding) -> str:
    """Return the code, and the subject where a place can have several of it.

    As ``SERVICE_SETTINGS vision-arm64``.
    """
    return " ".join(filter(None, (finding.code, printable(finding.subject, limit=120))))


def cause(finding: Finding) -> str:
    """Return the cause without its full stop, for a line in which other facts follow."""
    return printable(finding.cause).removesuffix(".")


def since_words(finding: Finding, now: datetime) -> str:
    """Return ``since 21 Nov 22:14Z (26h48m ago)``; ``at least`` where it may have begun before."""
    least = "" if finding.since_known else "at least "
    return f"{least}since {moment(finding.since, now)} ({age(finding.since, now)})"


def evidence_words(evidence: Evidence, now: datetime) -> str:
    """Return ``ECS: agentConnected false, 4m12s ago``."""
    aged = f", {age(evidence.at, now)}" if evidence.at is not None else ""
    return f"{printable(evidence.ledger)}: {printable(evidence.words, limit=300)}{aged}"


def fix(finding: Finding) -> str:
    """Return what to type, in one line."""
    return "; ".join(printable(line) for line in finding.fix.splitlines())


def resolved_words(past: PastFinding, now: datetime) -> str:
    """Return ``store-003/cam-1 DISK_LOW, was open 2d4h, resolved 03:31Z``."""
    until = past.resolved_at or past.last_seen
    lasted = span((until - past.first_seen).total_seconds())
    resolved = f", resolved {moment(past.resolved_at, now)}" if past.resolved_at else ""
    return f"{place(past.finding)} {kind(past.finding)}, was open {lasted}{resolved}"


def ordinal(number: int) -> str:
    """Return ``3rd``."""
    teen = number % 100 in _TEENS
    return f"{number}{'th' if teen else _ENDINGS.get(number % 10, 'th')}"
