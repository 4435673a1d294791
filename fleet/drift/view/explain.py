"""Shows everything that is recorded of a store, or of a kind of finding."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from fleet.drift.view.finding_words import (
    STYLES,
    cause,
    evidence_words,
    fix,
    kind,
    place,
    resolved_words,
    since_words,
)
from fleet.drift.view.hosts import (
    SCAN,
    connection_words,
    findings_words,
    host_document,
    scan_document,
    scan_line,
)
from fleet.drift.view.report_json import past_document, rule_document
from fleet.inventory.view import store_line
from fleet.model.audit_words import change_words, told_by_run
from fleet.model.changes import Change
from fleet.model.drift_settings import Ignore
from fleet.model.history import AuditEntry
from fleet.model.plain import to_plain
from fleet.model.printable import many, printable, who
from fleet.model.scan_result import PastFinding
from fleet.model.services import revision
from fleet.model.spans import age, day, moment, span, stamp
from fleet.model.store_story import CodeStory, Outage, StoreRollout, StoreStory
from fleet.terminal.documents import Document, document, fields_of
from fleet.terminal.screen import GAP, first_rows, labelled, table

#: Most lines of a kind on a terminal; ``--json`` has all.
OUTAGES_SHOWN = 12
OPEN_SHOWN = 20

_INDENT = (0, 0, 0, GAP)


def store_view(story: StoreStory, width: int) -> RenderableType:
    """Show what is true of a store, since when and why, then what was."""
    now = story.at
    parts: list[RenderableType] = [Text(store_line(story.store), style="bold"), *_fresh(story)]
    if story.hosts:
        columns = ("HOST", "CONNECTION", "SINCE", "SEEN", "NODE", "FINDINGS")
        rows = [
            (
                one.host.name,
                connection_words(one),
                moment(one.since, now) if one.since else "-",
                age(one.seen_at, now),
                one.managed_instance_id or "-",
                findings_words(one),
            )
            for one in story.hosts
        ]
        parts.append(table(columns, rows, width=width))
    parts += _open(story)
    parts += _section(f"OUTAGES in {story.days} days", _outages(story))
    parts += _section("OWES", [_owed_words(*owed, now) for owed in story.owed])
    parts += _section("BEFORE", [resolved_words(past, now) for past in story.past])
    parts += _section("ROLLOUTS", [_rollout_words(one, now) for one in story.rollouts])
    parts += _section("CHANGES", [_audit_words(told, now) for told in told_by_run(story.audit)])
    id_ = story.store.id
    parts.append(labelled("next", f"fleet status {id_} asks SSM and ECS; fleet history {id_}"))
    return Group(*parts)


def _fresh(story: StoreStory) -> Iterable[RenderableType]:
    if story.scan is None:
        words = f"no recorded scan has looked at it: {SCAN} {story.store.id}"
        yield labelled("NOT SCANNED", words, "yellow")
        return
    state = story.state.value.upper() if story.state else "NOT KNOWN"
    style = "" if story.state and story.state.value == "ok" else "yellow"
    yield labelled(
        state,
        f"the store is {story.store.lifecycle.value} · {scan_line(story.scan, story.at)}",
        style,
    )


def _open(story: StoreStory) -> Iterable[RenderableType]:
    if story.scan is not None and not story.open:
        yield labelled("OPEN", "no finding")
    for past, rule in story.open[:OPEN_SHOWN]:
        finding = past.finding
        where = f" {finding.host}" if finding.host else ""
        head = f"OPEN {finding.severity.value}{where} {kind(finding)}"
        yield Text(printable(head), style=f"bold {STYLES.get(finding.severity, '')}".strip())
        for label, text in _facts(past, rule, story.at):
            yield Padding(labelled(label, text), _INDENT)
    if len(story.open) > OPEN_SHOWN:
        yield Text(f"and {len(story.open) - OPEN_SHOWN:,} more: --json has all")


def _facts(past: PastFinding, rule: Ignore | None, now: datetime) -> Iterable[tuple[str, str]]:
    finding = past.finding
    yield "what", f"{cause(finding)} · {since_words(finding, now)}"
    seen = f"in a scan since {moment(past.first_seen, now)}, last {age(past.last_seen, now)}"
    yield "seen", seen
    for evidence in finding.evidence:
        yield "", evidence_words(evidence, now)
    if finding.fix:
        yield "fix ", fix(finding)
    if rule is not None:
        yield "ignored", printable(f"until {day(rule.until)}: {rule.reason} [{rule.source}]")


def _section(title: str, lines: Sequence[str]) -> Iterable[RenderableType]:
    if lines:
        yield Text(title, style="bold")
    yield from (Padding(Text(line), _INDENT) for line in lines)


def _outages(story: StoreStory) -> list[str]:
    lines = [outage_words(outage, story.at) for outage in story.outages]
    left = len(lines) - OUTAGES_SHOWN
    return [*lines[:OUTAGES_SHOWN], *([f"and {left:,} more: --json has all"] if left > 0 else [])]


def outage_words(outage: Outage, now: datetime) -> str:
    """Return ``21 Nov 22:14Z all hosts dark for 31h00m, until 23 Nov 05:14Z``."""
    host = outage.host or "all hosts"
    head = f"{moment(outage.since, now)} {host} {outage.connection.value}"
    if outage.until is None:
        lasted = span((outage.last_seen - outage.since).total_seconds())
        return f"{head} for at least {lasted}, last seen so {age(outage.last_seen, now)}"
    lasted = span((outage.until - outage.since).total_seconds())
    return f"{head} for {lasted}, until {moment(outage.until, now)}"


def _owed_words(rollout: str, change: Change, now: datetime) -> str:
    since = f" since {moment(change.since, now)}" if change.since else ""
    wanted = revision(change.target) if change.target else f"content {change.content[:12]}"
    return (
        f"{change.service} {wanted} of {rollout}, {change.standing.value}{since}: "
        f"fleet rollout resume {rollout}"
    )


def _rollout_words(rollout: StoreRollout, now: datetime) -> str:
    ended = rollout.phase.has_ended
    stands = ((c.service, c.standing.words(has_ended=ended)) for c in rollout.changes)
    services = ", ".join(map(" ".join, stands))
    began = moment(rollout.started_at, now)
    title = printable(rollout.title)
    return f"{began} {rollout.id} {title}, {rollout.phase.value}: {services}"


def _audit_words(entries: tuple[AuditEntry, ...], now: datetime) -> str:
    last = max(entries, key=lambda entry: entry.at)
    host = f"{last.host} " if last.host and len(entries) == 1 else ""
    words = f"{host}{change_words(entries)}, by {who(last.caller_arn)} in {last.run_id}"
    return f"{moment(last.at, now)} {printable(words)}"


def code_view(story: CodeStory, width: int) -> RenderableType:
    """Show what a kind of finding means, what to do about it, and where it is open."""
    parts: list[RenderableType] = [
        Text(f"{story.code} {story.severity.value}: {story.title}", style="bold"),
        labelled("means ", story.meaning),
        labelled("remedy", story.remedy),
        labelled("--fix ", _fix_words(story)),
    ]
    if story.scan is None:
        parts.append(labelled("open  ", f"not known, no scan is recorded yet: {SCAN}", "yellow"))
        return Group(*parts)
    ignored = sum(rule is not None for _, rule in story.open)
    count = many(len(story.open), "finding") + (f", {ignored} of them ignored" if ignored else "")
    parts.append(labelled("open  ", f"{count} · {scan_line(story.scan, story.at)}"))
    rows = [
        (
            place(past.finding),
            printable(past.finding.subject) or "-",
            past.finding.severity.value,
            since_words(past.finding, story.at),
            cause(past.finding),
        )
        for past, _ in story.open
    ]
    columns = ("WHERE", "OF", "SEVERITY", "SINCE", "WHY")
    return Group(*parts, *first_rows(columns, rows, width=width, most=OPEN_SHOWN))


def _fix_words(story: CodeStory) -> str:
    if story.safe:
        return "`fleet drift --fix` does it: it is safe, planned first and audited"
    return "a person does it: `fleet drift --fix` leaves it alone"


def code_document(story: CodeStory) -> Document:
    """Return what a kind of finding means, and where it is open, as a document."""
    return document(
        "explain-code",
        {
            "at": stamp(story.at),
            **fields_of(story, "code", "severity", "title", "meaning", "remedy", "safe"),
            "scan": scan_document(story.scan) if story.scan else None,
            "open": _open_documents(story.open),
        },
    )


def store_document(story: StoreStory) -> Document:
    """Return everything that is recorded of a store as a document."""
    return document(
        "explain-store",
        {
            "at": stamp(story.at),
            "store": story.store.id,
            "lifecycle": story.store.lifecycle.value,
            "host": story.host,
            "scan": scan_document(story.scan) if story.scan else None,
            "state": story.state.value if story.state else None,
            "hosts": [host_document(host) for host in story.hosts],
            "open": _open_documents(story.open),
            "outages": {"days": story.days, "found": [_outage_document(o) for o in story.outages]},
            "owes": [{"rollout": id_, **_change_document(change)} for id_, change in story.owed],
            "past": [past_document(past) for past in story.past],
            "rollouts": [
                {
                    **fields_of(one, "id", "title", "phase", "started_at", "finished_at"),
                    "changes": [_change_document(change) for change in one.changes],
                }
                for one in story.rollouts
            ],
            "audit": [{**to_plain(entry), "at": stamp(entry.at)} for entry in story.audit],
        },
    )


def _open_documents(
    found: Iterable[tuple[PastFinding, Ignore | None]],
) -> list[dict[str, Any]]:
    return [
        {**past_document(past), "ignored_by": rule_document(rule) if rule else None}
        for past, rule in found
    ]


def _outage_document(outage: Outage) -> dict[str, Any]:
    return fields_of(outage, "host", "connection", "since", "until", "last_seen")


def _change_document(change: Change) -> dict[str, Any]:
    fields = fields_of(change, "service", "reason", "since", "sent_at", "target", "content")
    return {**fields, "stands": change.standing.value}
