"""A night on the terminal: what was not read, what needs somebody, what changed, then the rest."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleet.drift.view.drift_lines import (
    by_code,
    change_word,
    changed,
    evidence_line,
    expired_words,
    fix,
    headline,
    ignored_words,
    is_complete,
    kind,
    needs_somebody,
    not_read,
    place,
    reading,
    release_words,
    resolved_words,
    returned_words,
    scope,
    totals,
    what,
)
from fleet.model.drift_settings import Severity
from fleet.model.night import Night, Told
from fleet.model.printable import printable
from fleet.terminal.screen import GAP, LAST_COLUMN, NARROW, labelled, table

#: Most lines of a kind; ``--format json`` has all.
UNREAD_SHOWN = 12
FIRST_SHOWN = 15
REST_SHOWN = 10
LINES_SHOWN = 8

_STYLES = {Severity.HIGH: "red", Severity.MEDIUM: "yellow"}


def night_view(night: Night, now: datetime, width: int) -> RenderableType:
    """What one scan found, bounded for any size of fleet; unknown comes before known."""
    unread = list(_unread(night))
    parts: list[RenderableType] = [
        Text(headline(night), style="bold"),
        Text(f"{reading(night, now)} · {scope(night)}"),
        *unread,
        labelled("VERIFIED", totals(night), "" if is_complete(night) else "yellow"),
        *(labelled("NOTE", printable(note), "yellow") for note in night.notes),
    ]
    first = [told for told in night.findings if needs_somebody(told)]
    rest = [told for told in night.findings if not needs_somebody(told)]
    full = finding_lines(first[:FIRST_SHOWN], now, width)
    parts += _listed("DO FIRST", first, full, FIRST_SHOWN, width)
    parts.append(labelled("CHANGED SINCE LAST SCAN", changed(night)))
    parts += _lines("RESOLVED", [resolved_words(past, now) for past in night.resolved])
    parts += _lines("RETURNED", [returned_words(one) for one in night.returned])
    parts += _lines("RELEASES", [release_words(line) for line in night.releases])
    short = finding_lines(rest[:REST_SHOWN], now, width, brief=True)
    parts += _listed("ALSO OPEN", rest, short, REST_SHOWN, width)
    parts += _lines("IGNORED", [ignored_words(*pair) for pair in night.ignored])
    parts += _lines("EXPIRED", [expired_words(rule) for rule in night.expired], "yellow")
    parts.append(labelled("next", _next(night)))
    return Group(*parts)


def _unread(night: Night) -> Iterable[RenderableType]:
    lines = not_read(night)
    for line in lines[:UNREAD_SHOWN]:
        yield labelled("NOT READ", line.words, "red")
        if line.fix:
            yield labelled("     fix", printable(line.fix))
    if len(lines) > UNREAD_SHOWN:
        more = lines[UNREAD_SHOWN:]
        stores = sum(line.stores for line in more)
        words = f"{len(more):,} more reasons, {stores:,} stores: --format json has all"
        yield labelled("NOT READ", words, "red")


def _listed(
    title: str, findings: Sequence[Told], shown: RenderableType, most: int, width: int
) -> Iterable[RenderableType]:
    """The first findings one by one, and all the others counted by code."""
    if not findings:
        return
    yield Text(title, style="bold")
    yield shown
    more = findings[most:]
    if more:
        yield Text(f"and {len(more):,} more: --format json has all")
        rows = [
            (code, severity.value, f"{count:,}", where)
            for code, severity, count, where in by_code(more)
        ]
        yield Padding(table(("CODE", "WORST", "COUNT", "WHERE"), rows, width=width - GAP), _INDENT)


_INDENT = (0, 0, 0, GAP)


def finding_lines(
    findings: Sequence[Told], now: datetime, width: int, *, brief: bool = False
) -> RenderableType:
    """Findings with their cause, evidence and fix, numbered, in the order given.

    Args:
        brief: without evidence.
    """
    if not findings:
        return Group()
    heads = [
        (str(n), change_word(told), told.finding.severity.value, place(told.finding))
        for n, told in enumerate(findings, 1)
    ]
    cells = [max(map(cell_len, column)) for column in zip(*heads, strict=True)]
    beside = sum(cells) + GAP * len(cells) + LAST_COLUMN + GAP <= width and width >= NARROW
    parts: list[RenderableType] = []
    for head, told in zip(heads, findings, strict=True):
        style = _STYLES.get(told.finding.severity, "")
        facts = _facts(told, now, brief=brief)
        if not beside:
            line = " ".join(filter(None, (*head, kind(told.finding))))
            parts.append(Text(line, style=f"bold {style}".strip()))
            parts += [Padding(labelled(*fact), _INDENT) for fact in facts[1:]]
            continue
        grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
        for wanted in cells:
            grid.add_column(width=wanted, no_wrap=True)
        grid.add_column(overflow="fold", ratio=1)
        grid.add_row(*map(Text, head), Text(_beside(facts)), style=style)
        parts.append(grid)
        indent = (0, 0, 0, cells[0] + GAP)
        parts += [Padding(labelled(*fact), indent) for fact in facts[2:]]
    return Group(*parts)


def _beside(facts: Sequence[tuple[str, str]]) -> str:
    """The first two facts in one line: what kind of finding it is, and what is the matter."""
    return "  ".join(text for _, text in facts[:2])


def _facts(told: Told, now: datetime, *, brief: bool) -> list[tuple[str, str]]:
    finding = told.finding
    facts = [("kind", kind(finding)), ("what", what(told, now))]
    seen, command = "" if brief else evidence_line(finding, now), fix(finding)
    facts += [("seen", seen)] if seen else []
    return [*facts, ("fix ", command)] if command else facts


def _lines(title: str, lines: Sequence[str], style: str = "") -> Iterable[RenderableType]:
    for line in lines[:LINES_SHOWN]:
        yield labelled(title, line, style)
    if len(lines) > LINES_SHOWN:
        yield labelled(title, f"and {len(lines) - LINES_SHOWN:,} more: --format json has all")


def _next(night: Night) -> str:
    store = next((told.finding.store for told in night.findings if told.finding.store), "")
    if store:
        return f"fleet explain {store}"
    if night.findings:
        return f"fleet explain {night.findings[0].finding.code}"
    return "fleet hosts" if is_complete(night) else "fleet doctor"
