"""Makes the report of a scan: one ordered document, which every channel renders.

The order is that of reading: what could not be read, then what to do first, then the rest. The
terminal, mail, Markdown, the page and JSON differ in how much they have room for, not in what they
say or in which order.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from fleet.drift.view.finding_words import FindingRow, kind, place, resolved_words
from fleet.model.drift import Finding, Returned, Unread
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.printable import many, printable, some
from fleet.model.scan_result import FindingChange, ReleaseLine, ScanResult
from fleet.model.spans import age, day, span

_SUBJECT_LENGTH = 100


class Part(Enum):
    """The parts of a report, in the order in which they are read; the value is the title."""

    NOT_READ = "not read"
    VERIFIED = "verified"
    NOTES = "note"
    DO_FIRST = "do first"
    CHANGED = "changed since last scan"
    RESOLVED = "resolved"
    RETURNED = "returned"
    RELEASES = "releases"
    ALSO_OPEN = "also open"
    IGNORED = "ignored"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a part.

    Attributes:
        fix: what to type; "" for nothing.
        stores: how many are not verified because of it.
    """

    text: str
    fix: str = ""
    stores: int = 0


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a report: lines, or findings."""

    part: Part
    lines: tuple[Line, ...] = ()
    findings: tuple[FindingRow, ...] = ()

    def first_lines(self, most: int, elsewhere: str) -> list[Line]:
        """Return so many lines; what is left out is counted, with where it can be read."""
        left = self.lines[most:]
        if not left:
            return list(self.lines)
        stores = sum(line.stores for line in left)
        lost = f", {many(stores, 'store')}" if stores else ""
        return [*self.lines[:most], Line(f"and {len(left):,} more{lost}: {elsewhere}")]


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a scan.

    Attributes:
        now: when it is made; ages are as of then.
        subject: the most important in at most 100 characters.
        headline: whose report it is, and of which night.
        reading: when it was read, what that cost, and whether it is complete.
        scope: which stores were scanned.
        sections: those with content, in the order of ``Part``.
        findings: all open ones, in the order of the scan.
    """

    result: ScanResult
    now: datetime
    subject: str
    headline: str
    reading: str
    scope: str
    sections: tuple[Section, ...]
    findings: tuple[FindingRow, ...]

    def section(self, part: Part) -> Section:
        """Return a part; one without content is empty."""
        return next((one for one in self.sections if one.part is part), Section(part))


def report_of(result: ScanResult, now: datetime) -> Report:
    """Make the report of a scan."""
    shops = {store.id: store for store in result.stores}
    rows = tuple(
        FindingRow(entry, shops.get(entry.finding.store), now) for entry in result.findings
    )
    lines: Mapping[Part, Iterable[Line]] = {
        Part.NOT_READ: _not_read(result.unread),
        Part.VERIFIED: [Line(_verified(result))],
        Part.NOTES: [Line(printable(note)) for note in result.notes],
        Part.CHANGED: [Line(_changed(result))],
        Part.RESOLVED: [Line(resolved_words(past, now)) for past in result.resolved],
        Part.RETURNED: [Line(_returned(one)) for one in result.returned],
        Part.RELEASES: [Line(_release(line)) for line in result.releases],
        Part.IGNORED: [Line(_ignored(*pair)) for pair in result.ignored],
        Part.EXPIRED: [Line(_expired(rule)) for rule in result.expired],
    }
    findings = {
        Part.DO_FIRST: tuple(row for row in rows if row.entry.is_urgent),
        Part.ALSO_OPEN: tuple(row for row in rows if not row.entry.is_urgent),
    }
    sections = [Section(part, tuple(lines.get(part, ())), findings.get(part, ())) for part in Part]
    return Report(
        result=result,
        now=now,
        subject=_subject(result),
        headline=_headline(result),
        reading=_reading(result, now),
        scope=printable(result.scan.selection) or "the whole fleet",
        sections=tuple(one for one in sections if one.lines or one.findings),
        findings=rows,
    )


def by_code(findings: Iterable[FindingRow]) -> tuple[tuple[str, Severity, int, str], ...]:
    """Count findings: code, worst severity, how many, where; the worst and most first."""
    groups: dict[str, list[FindingRow]] = {}
    for row in findings:
        groups.setdefault(row.finding.code, []).append(row)
    rows = [
        (
            code,
            max((row.finding.severity for row in same), key=lambda severity: severity.rank),
            len(same),
            some(list(dict.fromkeys(row.place for row in same)), 3),
        )
        for code, same in groups.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row[1].rank, -row[2], row[0])))


def _subject(result: ScanResult) -> str:
    """Return what is enough on most mornings, the most important first.

    ``[fleet] ACTION 3: 2 new, 1 worse · 4 stores dark (was 2) · 792/800 verified · INCOMPLETE
    apac``; of a clean night ``[fleet] ok: verified 800 of 800``.
    """
    count = result.totals
    if result.is_clean and result.is_complete and result.recorded:
        return f"[fleet] ok: verified {count.verified:,} of {count.open:,}"
    dark = f"{many(count.dark, 'store')} dark" if count.dark else ""
    was = count.dark_before
    before = f" (was {was:,})" if dark and was is not None and was != count.dark else ""
    share = f"{count.verified:,}/{count.open:,} verified"
    missing = "" if result.is_complete else "INCOMPLETE"
    kept = "" if result.recorded else "NOT RECORDED"
    accounts = some(sorted({unread.account for unread in result.unread if unread.account}), 2)
    news = " · ".join([*_leading(result), _news(result)])
    subject = ""
    # What is left out of a long line is in the text; that something is missing never is.
    for parts in (
        (news, f"{dark}{before}", share, kept, f"{missing} {accounts}".strip()),
        (news, f"{dark}{before}", share, kept, missing),
        (news, dark, kept, missing),
    ):
        subject = printable(f"[fleet] {' · '.join(filter(None, parts))}", limit=2 * _SUBJECT_LENGTH)
        if len(subject) <= _SUBJECT_LENGTH:
            break
    return subject


def _leading(result: ScanResult) -> list[str]:
    """Return the findings that come before all others, for the subject; the first of several."""
    found = [entry.finding for entry in result.findings if entry.comes_first]
    more = f" and {len(found) - 1} more" if len(found) > 1 else ""
    return [f"{kind(found[0])}{more}"] if found else []


def _news(result: ScanResult) -> str:
    """Return whether somebody has to act, for the subject."""
    if not result.totals.verified and not result.is_complete:
        return "UNKNOWN: nothing verified"
    changes = [
        entry.change for entry in result.findings if entry.finding.severity is not Severity.INFO
    ]
    count = Counter(changes)
    news = [
        f"{count[one]} {one.value}"
        for one in (FindingChange.NEW, FindingChange.WORSE)
        if count[one]
    ]
    if news:
        return f"ACTION {count[FindingChange.NEW] + count[FindingChange.WORSE]}: {', '.join(news)}"
    if changes:
        return f"{len(changes)} open, none new or worse"
    return "ok" if result.is_complete else "nothing found in what was read"


def _headline(result: ScanResult) -> str:
    """Return ``fleet drift emea, night of 23 Nov 2026``."""
    began = result.scan.started_at.astimezone(UTC)
    return f"fleet drift {printable(result.fleet)}, night of {day(began)} {began.year}"


def _reading(result: ScanResult, now: datetime) -> str:
    """Return ``read 03:31-03:40Z, 9m12s, 2,410 calls, 0 throttled, 20m ago, INCOMPLETE``."""
    scan = result.scan
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
    return ", ".join([*parts, "complete" if result.is_complete else "INCOMPLETE"])


def _not_read(unread: Iterable[Unread]) -> list[Line]:
    """Return what could not be read, each reason once."""
    groups: dict[tuple[str, ...], list[Unread]] = {}
    for one in unread:
        key = (one.account, one.region, one.what, one.why, one.fix)
        groups.setdefault(key, []).append(one)
    return [_not_read_line(same) for same in groups.values()]


def _not_read_line(same: Sequence[Unread]) -> Line:
    first = same[0]
    region = "/".join(filter(None, (first.account, first.region)))
    names = some([one.store for one in same if one.store])
    where = printable(" ".join(filter(None, (region, names)))) or "the whole fleet"
    stores = sum(one.stores for one in same)
    lost = f" · {many(stores, 'store')} not verified" if stores else ""
    text = f"{where} {printable(first.what)}: {printable(first.why, limit=300)}{lost}"
    return Line(text, printable(first.fix), stores)


def _verified(result: ScanResult) -> str:
    """Return ``792 · dark 4 (was 2) · not verified 4 · (800 open; 6 planned, paused ...)``."""
    count = result.totals
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


def _changed(result: ScanResult) -> str:
    """Return ``+2 findings, 1 worse, -5 resolved, 11 unchanged (2 ignored, next expiry ...)``."""
    count = Counter(entry.change for entry in result.findings)
    ignored = ""
    if result.ignored:
        expiry = day(min(rule.until for _, rule in result.ignored))
        ignored = f" ({len(result.ignored)} ignored, next expiry {expiry})"
    if result.is_first:
        found = many(len(result.findings), "finding")
        return f"nothing recorded to compare with: {found}{ignored}"
    parts = [f"+{many(count[FindingChange.NEW], 'finding')}"]
    parts += [f"{count[FindingChange.WORSE]} worse"] if count[FindingChange.WORSE] else []
    parts += [f"{count[FindingChange.BETTER]} better"] if count[FindingChange.BETTER] else []
    parts += [f"-{len(result.resolved)} resolved", f"{count[FindingChange.SAME]} unchanged"]
    if count[FindingChange.NOT_VERIFIED]:
        parts.append(f"{count[FindingChange.NOT_VERIFIED]} not verified")
    return ", ".join(parts) + ignored


def _returned(returned: Returned) -> str:
    """Return ``store-204 after 31h: telemetry restarted once, no reboot; owes nothing``."""
    away = span((returned.back_at - returned.dark_since).total_seconds())
    said = printable(returned.words).removesuffix(".")
    owes = printable(returned.owes) or "nothing"
    most = "at most " if returned.at_most else ""
    return f"{returned.store} after {most}{away}: {said}; owes {owes}"


def _release(line: ReleaseLine) -> str:
    """Return ``vision 1.9.0 on 6/800, 1 owed, ro-118 HALTED 01:14Z``."""
    parts = [f"{line.workload} {line.release} on {line.on:,}/{line.of:,}"]
    parts += [f"{line.unread:,} not read"] if line.unread else []
    parts += [f"{line.owed:,} owed"] if line.owed else []
    parts += [line.rollout] if line.rollout else []
    return printable(", ".join(parts))


def _ignored(finding: Finding, rule: Ignore) -> str:
    """Return what is ignored, until when, why, and where that is written."""
    source = f" [{rule.source}]" if rule.source else ""
    words = printable(f"{rule.reason}{source}", limit=300)
    return f"{place(finding)} {kind(finding)} until {day(rule.until)}: {words}"


def _expired(rule: Ignore) -> str:
    """Return an ignore rule that holds no longer."""
    codes = ", ".join(sorted(rule.codes)) or "all codes"
    words = f"{rule.source or 'a rule'} ({codes}) expired {day(rule.until)}: {rule.reason}"
    return printable(words, limit=300)
