"""A night in words: what the terminal, Markdown and mail say alike."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fleet.model.drift import Evidence, Finding, Returned, Unread
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.night import Change, Night, PastFinding, ReleaseLine, Told
from fleet.model.printable import many, printable, some
from fleet.model.spans import age, day, moment, span

#: Pieces of evidence that a line has room for; ``fleet explain`` shows all.
EVIDENCE_SHOWN = 2

_TEENS = range(11, 14)
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}


@dataclass(frozen=True, slots=True)
class NotReadLine:
    """Parts that could not be read for one and the same reason.

    Attributes:
        where: account and region, and the stores where it concerns only some.
        stores: how many are not verified because of it.
    """

    where: str
    what: str
    why: str
    stores: int
    fix: str

    @property
    def words(self) -> str:
        """All but the fix in one line."""
        lost = f" · {many(self.stores, 'store')} not verified" if self.stores else ""
        return f"{self.where} {self.what}: {self.why}{lost}"


def headline(night: Night) -> str:
    """``fleet drift emea, night of 23 Nov 2026``."""
    began = night.scan.started_at.astimezone(UTC)
    return f"fleet drift {printable(night.fleet)}, night of {day(began)} {began.year}"


def reading(night: Night, now: datetime) -> str:
    """``read 03:31-03:40Z, 9m12s, 2,410 calls, 0 throttled, 20m ago, INCOMPLETE``."""
    scan = night.scan
    began = scan.started_at.astimezone(UTC)
    ended = (scan.finished_at or now).astimezone(UTC)
    parts = [
        f"read {began:%H:%M}-{ended:%H:%MZ}",
        span((ended - began).total_seconds()),
        f"{scan.calls:,} {'call' if scan.calls == 1 else 'calls'}",
        f"{scan.throttled:,} throttled",
    ]
    old = (now - ended).total_seconds()
    parts += [age(ended, now)] if old >= 60 else []  # noqa: PLR2004 - seconds in a minute
    return ", ".join([*parts, "complete" if is_complete(night) else "INCOMPLETE"])


def is_complete(night: Night) -> bool:
    """Whether everything was read."""
    return night.is_complete


def scope(night: Night) -> str:
    """What was looked at."""
    return printable(night.scan.selection) or "the whole fleet"


def not_read(night: Night) -> tuple[NotReadLine, ...]:
    """What could not be read, each reason once."""
    groups: dict[tuple[str, ...], list[Unread]] = {}
    for unread in night.unread:
        key = (unread.account, unread.region, unread.what, unread.why, unread.fix)
        groups.setdefault(key, []).append(unread)
    return tuple(_not_read_line(same) for same in groups.values())


def _not_read_line(same: Sequence[Unread]) -> NotReadLine:
    first = same[0]
    region = "/".join(filter(None, (first.account, first.region)))
    stores = [unread.store for unread in same if unread.store]
    return NotReadLine(
        where=printable(" ".join(filter(None, (region, some(stores))))) or "the whole fleet",
        what=printable(first.what),
        why=printable(first.why, limit=300),
        stores=sum(unread.stores for unread in same),
        fix=printable(first.fix),
    )


def totals(night: Night) -> str:
    """``792 · dark 4 (was 2) · not verified 4 · (800 open; 6 planned, paused or closed ...)``."""
    count = night.totals
    dark = f"dark {count.dark:,}"
    if count.dark_before is not None and count.dark_before != count.dark:
        dark += f" (was {count.dark_before:,})"
    left = f"; {count.not_counted:,} planned, paused or closed not counted"
    return " · ".join(
        [
            f"{count.verified:,}",
            dark,
            f"not verified {count.not_verified:,}",
            f"({count.open:,} open{left if count.not_counted else ''})",
        ]
    )


def changed(night: Night) -> str:
    """``+2 findings, 1 worse, -5 resolved, 11 unchanged (2 ignored, next expiry 30 Nov)``."""
    count = Counter(told.change for told in night.findings)
    ignored = ""
    if night.ignored:
        expiry = day(min(rule.until for _, rule in night.ignored))
        ignored = f" ({len(night.ignored)} ignored, next expiry {expiry})"
    if night.is_first:
        found = many(len(night.findings), "finding")
        return f"nothing recorded to compare with: {found}{ignored}"
    parts = [f"+{count[Change.NEW]} {'finding' if count[Change.NEW] == 1 else 'findings'}"]
    parts += [f"{count[Change.WORSE]} worse"] if count[Change.WORSE] else []
    parts += [f"{count[Change.BETTER]} better"] if count[Change.BETTER] else []
    parts += [f"-{len(night.resolved)} resolved", f"{count[Change.SAME]} unchanged"]
    if count[Change.NOT_VERIFIED]:
        parts.append(f"{count[Change.NOT_VERIFIED]} not verified")
    return ", ".join(parts) + ignored


def needs_somebody(told: Told) -> bool:
    """Whether a finding belongs to what is done first: news of weight, or weight alone."""
    news = told.change in {Change.NEW, Change.WORSE}
    least = Severity.LOW if news else Severity.MEDIUM
    return told.finding.severity.rank >= least.rank


def place(finding: Finding) -> str:
    """``store-118/cam-1``, ``store-317``, ``emea-prod/eu-west-1`` or ``the fleet``."""
    if finding.store:
        parts: tuple[str, ...] = (finding.store, finding.host)
    else:
        parts = (finding.account, finding.region)
    return printable("/".join(filter(None, parts)), limit=200) or "the fleet"


def kind(finding: Finding) -> str:
    """``SERVICE_SETTINGS vision-arm64``: the code, and of what there can be several."""
    return " ".join(filter(None, (finding.code, printable(finding.subject, limit=120))))


def change_word(told: Told) -> str:
    """``NEW``, ``WORSE``; "" for what is as it was."""
    return "" if told.change is Change.SAME else told.change.value.upper().replace("-", " ")


def cause(finding: Finding) -> str:
    """The cause, without its full stop: other facts follow it in the same line."""
    return printable(finding.cause).removesuffix(".")


def what(told: Told, now: datetime) -> str:
    """Cause, since when, how often, and what the store owes, in one line."""
    since = since_words(told.finding, now)
    if told.times > 1:
        since += f", {ordinal(told.times)} time in 7 days"
    owes = f"owes {printable(told.owes)}" if told.owes else ""
    return " · ".join(filter(None, (cause(told.finding), since, owes)))


def since_words(finding: Finding, now: datetime) -> str:
    """``since 21 Nov 22:14Z (26h48m ago)``, ``at least`` where it may have begun before."""
    least = "" if finding.since_known else "at least "
    return f"{least}since {moment(finding.since, now)} ({age(finding.since, now)})"


def evidence_words(evidence: Evidence, now: datetime) -> str:
    """``ECS: agentConnected false, 4m12s ago``."""
    aged = f", {age(evidence.at, now)}" if evidence.at is not None else ""
    return f"{printable(evidence.ledger)}: {printable(evidence.words, limit=300)}{aged}"


def evidence_line(finding: Finding, now: datetime) -> str:
    """The newest evidence in one line; "" when there is none."""
    shown = [evidence_words(one, now) for one in finding.evidence[:EVIDENCE_SHOWN]]
    more = len(finding.evidence) - EVIDENCE_SHOWN
    return "; ".join([*shown, f"{more} more"] if more > 0 else shown)


def fix(finding: Finding) -> str:
    """What to type, in one line."""
    return "; ".join(printable(line) for line in finding.fix.splitlines())


def resolved_words(past: PastFinding, now: datetime) -> str:
    """``store-003/cam-1 DISK_LOW, was open 2d4h``."""
    until = past.resolved_at or past.last_seen
    lasted = span((until - past.first_seen).total_seconds())
    resolved = f", resolved {moment(past.resolved_at, now)}" if past.resolved_at else ""
    return f"{place(past.finding)} {kind(past.finding)}, was open {lasted}{resolved}"


def returned_words(returned: Returned) -> str:
    """``store-204 after 31h: telemetry restarted once, no reboot, owes nothing``."""
    away = span((returned.back_at - returned.dark_since).total_seconds())
    said = printable(returned.words).removesuffix(".")
    owes = printable(returned.owes) or "nothing"
    most = "at most " if returned.at_most else ""
    return f"{returned.store} after {most}{away}: {said}; owes {owes}"


def release_words(line: ReleaseLine) -> str:
    """``vision 1.9.0 on 6/800, 1 owed, ro-118 HALTED 01:14Z``."""
    parts = [f"{line.workload} {line.release} on {line.on:,}/{line.of:,}"]
    if line.unread:
        parts.append(f"{line.unread:,} not read")
    parts += [f"{line.owed:,} owed"] if line.owed else []
    return printable(", ".join([*parts, line.rollout] if line.rollout else parts))


def ignored_words(finding: Finding, rule: Ignore) -> str:
    """What is let be, until when, why, and where that is written."""
    source = f" [{rule.source}]" if rule.source else ""
    words = printable(f"{rule.reason}{source}", limit=300)
    return f"{place(finding)} {kind(finding)} until {day(rule.until)}: {words}"


def expired_words(rule: Ignore) -> str:
    """An ignore rule that holds no longer."""
    codes = ", ".join(sorted(rule.codes)) or "all codes"
    words = f"{rule.source or 'a rule'} ({codes}) expired {day(rule.until)}: {rule.reason}"
    return printable(words, limit=300)


def by_code(findings: Iterable[Told]) -> tuple[tuple[str, Severity, int, str], ...]:
    """Findings counted: code, worst severity, how many, where; the worst and most first."""
    groups: dict[str, list[Finding]] = {}
    for told in findings:
        groups.setdefault(told.finding.code, []).append(told.finding)
    rows = [
        (
            code,
            max((f.severity for f in same), key=lambda severity: severity.rank),
            len(same),
            some(list(dict.fromkeys(map(place, same))), 3),
        )
        for code, same in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row[1].rank, -row[2], row[0])))


def percent(share: float | None) -> str:
    """``99.5 %``, rounded down, so that 100.0 % means all; ``not verified`` for None."""
    return "not verified" if share is None else f"{int(share * 1000) / 10:.1f} %"


def ordinal(number: int) -> str:
    """``3rd``."""
    teen = number % 100 in _TEENS
    return f"{number}{'th' if teen else _ENDINGS.get(number % 10, 'th')}"
