"""Renders the report of a scan for the terminal, bounded for any size of fleet."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from fleet.drift.view.finding_words import STYLES, FindingRow
from fleet.drift.view.report import Part, Report, Section, by_code
from fleet.terminal.screen import GAP, LAST_COLUMN, NARROW, labelled, table

#: Most lines of a part, and of those that may have more; ``--format json`` has all.
LINES_SHOWN = 8
SHOWN = {Part.NOT_READ: 12, Part.DO_FIRST: 15, Part.ALSO_OPEN: 10}

_ELSEWHERE = "--format json has all"
_PART_STYLES = {Part.NOT_READ: "red", Part.NOTES: "yellow", Part.EXPIRED: "yellow"}
_INDENT = (0, 0, 0, GAP)


def report_view(report: Report, width: int) -> RenderableType:
    """Render the report for a terminal of so many columns."""
    parts: list[RenderableType] = [
        Text(report.headline, style="bold"),
        Text(f"{report.reading} · {report.scope}"),
    ]
    for section in report.sections:
        parts += _lines(section, report) if section.lines else _findings(section, width)
    parts.append(labelled("next", _next(report)))
    return Group(*parts)


def _lines(section: Section, report: Report) -> Iterable[RenderableType]:
    style = _PART_STYLES.get(section.part, "")
    if section.part is Part.VERIFIED and not report.result.is_complete:
        style = "yellow"
    title = section.part.value.upper()
    for line in section.first_lines(SHOWN.get(section.part, LINES_SHOWN), _ELSEWHERE):
        yield labelled(title, line.text, style)
        if line.fix:
            yield labelled("fix".rjust(len(title)), line.fix)


def _findings(section: Section, width: int) -> Iterable[RenderableType]:
    """Yield the first findings one by one, and all the others counted by code."""
    most = SHOWN[section.part]
    yield Text(section.part.value.upper(), style="bold")
    yield finding_lines(section.findings[:most], width, brief=section.part is not Part.DO_FIRST)
    more = section.findings[most:]
    if more:
        yield Text(f"and {len(more):,} more: {_ELSEWHERE}")
        rows = [
            (code, severity.value, f"{count:,}", where)
            for code, severity, count, where in by_code(more)
        ]
        yield Padding(table(("CODE", "WORST", "COUNT", "WHERE"), rows, width=width - GAP), _INDENT)


def finding_lines(
    findings: Sequence[FindingRow], width: int, *, brief: bool = False
) -> RenderableType:
    """Render findings with their cause, evidence and fix, numbered, in the order given.

    Args:
        brief: without evidence.
    """
    if not findings:
        return Group()
    heads = [(str(n), row.change, row.severity, row.place) for n, row in enumerate(findings, 1)]
    cells = [max(map(cell_len, column)) for column in zip(*heads, strict=True)]
    beside = sum(cells) + GAP * len(cells) + LAST_COLUMN + GAP <= width and width >= NARROW
    parts: list[RenderableType] = []
    for head, row in zip(heads, findings, strict=True):
        style = STYLES.get(row.finding.severity, "")
        facts = [("seen", row.seen)] if row.seen and not brief else []
        facts += [("fix ", row.fix)] if row.fix else []
        if beside:
            grid = Table.grid(padding=(0, GAP, 0, 0), pad_edge=False)
            for wanted in cells:
                grid.add_column(width=wanted, no_wrap=True)
            grid.add_column(overflow="fold", ratio=1)
            grid.add_row(*map(Text, head), Text(f"{row.kind}  {row.what}"), style=style)
            parts.append(grid)
            indent = (0, 0, 0, cells[0] + GAP)
        else:
            line = " ".join(filter(None, (*head, row.kind)))
            parts.append(Text(line, style=f"bold {style}".strip()))
            facts.insert(0, ("what", row.what))
            indent = _INDENT
        parts += [Padding(labelled(*fact), indent) for fact in facts]
    return Group(*parts)


def _next(report: Report) -> str:
    findings = [row.finding for row in report.findings]
    store = next((finding.store for finding in findings if finding.store), "")
    if findings:
        return f"fleet explain {store or findings[0].code}"
    return "fleet hosts" if report.result.is_complete else "fleet doctor"
