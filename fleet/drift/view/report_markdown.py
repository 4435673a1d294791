"""Renders the report of a scan as Markdown: all that the page holds."""

from collections.abc import Iterable, Sequence

from fleet.drift.view.finding_words import FindingRow
from fleet.drift.view.nights import LETTERS, letters_of, shares_of
from fleet.drift.view.outages import outages_of
from fleet.drift.view.report import Report, Section
from fleet.model.drift import StoreState
from fleet.model.printable import many, printable
from fleet.model.scan_result import ScanResult

_MEANT = ", ".join(f"`{letter}` {state.value}" for state, letter in LETTERS.items())
_OUTAGES = ("Hosts", "Now", "Away in all", "Outages, newest first")
_SHARES = ("Group", "Stores", "Tonight", "Mean", "Worst night", "Not verified")
_QUIET = frozenset({StoreState.OK, StoreState.NOT_COUNTED, None})
_SPECIAL = frozenset("\\`*_[]<>#|~!")


def report_markdown(report: Report) -> str:
    """Render the whole report."""
    return "\n\n".join(filter(None, _blocks(report))) + "\n"


def _blocks(report: Report) -> Iterable[str]:
    yield f"# {escaped(report.headline)}"
    yield escaped(f"{report.reading} · {report.scope} · as {report.result.caller}")
    for section in report.sections:
        yield _lines(section) if section.lines else _findings(section)
    yield _nights(report.result)
    outages = outages_of(report.result, report.now)
    if outages is not None:
        yield _table("Hosts that were away", _OUTAGES, _cells(outages.rows))
    for shares in shares_of(report.result):
        yield _table(f"Hosts connected by {escaped(shares.kind)}", _SHARES, _cells(shares.rows))


def _lines(section: Section) -> str:
    fixes = [f" — fix: {code(line.fix)}" if line.fix else "" for line in section.lines]
    lines = [f"- {escaped(line.text)}{fix}" for line, fix in zip(section.lines, fixes, strict=True)]
    return "\n".join([f"## {section.part.value.capitalize()}", "", *lines])


def _findings(section: Section) -> str:
    title = f"{section.part.value.capitalize()}: {many(len(section.findings), 'finding')}"
    heads = ("Change", "Severity", "Where", "What", "Why", "Seen", "Fix")
    return _table(title, heads, map(_finding, section.findings))


def _finding(row: FindingRow) -> tuple[str, ...]:
    words = (row.change, row.severity, row.place, row.kind, row.what)
    seen = "<br>".join(map(escaped, row.evidence))
    return (*map(escaped, words), seen, code(row.fix) if row.fix else "")


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join([f"## {title}", "", *(f"| {' | '.join(line)} |" for line in lines)])


def _cells(rows: Iterable[Sequence[str]]) -> list[list[str]]:
    return [[escaped(cell) for cell in row] for row in rows]


def _nights(result: ScanResult) -> str:
    """Return a row per store that was not well all through; the rest is counted."""
    troubled = [
        store
        for store in result.stores
        if not _QUIET.issuperset(scan.states.get(store.id) for scan in result.nights)
    ]
    if not troubled:
        return ""
    rows = [
        # No blanks at the ends: Markdown would take them away and move the nights.
        (escaped(store.id), escaped(store.name), f"`{letters_of(store, result).replace(' ', '_')}`")
        for store in troubled
    ]
    title = f"Stores by nights, oldest left: {many(len(result.nights), 'night')}"
    well = len(result.stores) - len(troubled)
    hidden = f" {many(well, 'store')} without trouble not shown." if well else ""
    table = _table(title, ("Store", "Name", "Nights"), rows)
    return f"{table}\n\n{_MEANT}, `_` not scanned.{hidden}"


def escaped(text: str) -> str:
    """Return one printable line that Markdown leaves as it is."""
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in printable(text))


def code(text: str) -> str:
    """Return a command as code; bars would end the cell of a table, backticks the code."""
    clean = printable(text).replace("|", "\\|")
    fence = "``" if "`" in clean else "`"
    pad = " " if fence == "``" else ""
    return f"{fence}{pad}{clean}{pad}{fence}"
