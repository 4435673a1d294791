"""Puts a finding into words: where a finding is, since when, what was seen, and what to type."""

from dataclasses import dataclass
from datetime import datetime

from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.printable import printable
from fleet.model.scan_result import FindingChange, OpenFinding, PastFinding, StoreFacts
from fleet.model.spans import age, moment, span

#: Pieces of evidence that a line has room for; ``fleet explain`` shows all.
EVIDENCE_SHOWN = 2
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


@dataclass(frozen=True, slots=True)
class FindingRow:
    """An open finding in words.

    Attributes:
        shop: of its store; None where it has none.
        now: when the report is made.
    """

    entry: OpenFinding
    shop: StoreFacts | None
    now: datetime

    @property
    def finding(self) -> Finding:
        """Return the finding itself."""
        return self.entry.finding

    @property
    def severity(self) -> str:
        """Return ``high``."""
        return self.finding.severity.value

    @property
    def change(self) -> str:
        """Return ``NEW``, ``WORSE`` or another change; "" for what is as it was."""
        change = self.entry.change
        return "" if change is FindingChange.SAME else change.value.upper().replace("-", " ")

    @property
    def place(self) -> str:
        """Return where it is."""
        return place(self.finding)

    @property
    def kind(self) -> str:
        """Return its code and subject."""
        return kind(self.finding)

    @property
    def cause(self) -> str:
        """Return its cause as a sentence."""
        return printable(self.finding.cause)

    @property
    def what(self) -> str:
        """Return cause, since when, how often, and what the store owes, in one line."""
        since = since_words(self.finding, self.now)
        if self.entry.times > 1:
            since += f", {ordinal(self.entry.times)} time in 7 days"
        owes = f"owes {printable(self.entry.owes)}" if self.entry.owes else ""
        return " · ".join(filter(None, (cause(self.finding), since, owes)))

    @property
    def since(self) -> str:
        """Return since when, in short."""
        before = "" if self.finding.since_known else "before "
        return before + moment(self.finding.since, self.now)

    @property
    def evidence(self) -> tuple[str, ...]:
        """Return everything it rests on, with ages."""
        return tuple(evidence_words(one, self.now) for one in self.finding.evidence)

    @property
    def seen(self) -> str:
        """Return the newest evidence in one line; "" when there is none."""
        more = len(self.finding.evidence) - EVIDENCE_SHOWN
        shown = self.evidence[:EVIDENCE_SHOWN]
        return "; ".join([*shown, f"{more} more"] if more > 0 else shown)

    @property
    def fix(self) -> str:
        """Return what to type; "" when nothing need be done."""
        return fix(self.finding)

    @property
    def note(self) -> str:
        """Return who may perform the fix."""
        if not self.finding.fix:
            return "nothing need be done"
        if self.finding.safe:
            return "fleet drift --fix may do it by itself"
        return "for a person to decide"

    @property
    def shop_name(self) -> str:
        """Return the name of its store; "" where it has none."""
        return printable(self.shop.name) if self.shop else ""

    @property
    def market(self) -> str:
        """Return the market of its store; "" where it has none."""
        return printable(self.shop.labels.get("market", "")) if self.shop else ""

    @property
    def facts(self) -> tuple[str, ...]:
        """Return evidence with ages, and what else is known, a line each."""
        entry, since = self.entry, since_words(self.finding, self.now)
        facts = [
            since[:1].upper() + since[1:],
            f"first seen by a scan {moment(entry.first_seen, self.now)}",
        ]
        facts += [f"began for the {ordinal(entry.times)} time in 7 days"] if entry.times > 1 else []
        facts += self.evidence
        facts += [f"owes {printable(entry.owes)}"] if entry.owes else []
        account = "/".join(filter(None, (self.finding.account, self.finding.region)))
        where = " · ".join(filter(None, (account, self.market)))
        return (*facts, printable(where or "the whole fleet"))
