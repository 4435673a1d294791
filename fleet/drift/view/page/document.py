"""Renders the report of a scan as one HTML file that needs nothing from outside."""

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC
from importlib import resources
from typing import Any

from fleet.drift.view import finding_words
from fleet.drift.view.finding_words import FindingRow
from fleet.drift.view.nights import LETTERS, heatmap_of, letters_of, percent, shares_of
from fleet.drift.view.outages import outages_of
from fleet.drift.view.report import Part, Report, by_code
from fleet.model import spans
from fleet.model.drift import Finding, StoreState
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.printable import printable, some
from fleet.model.scan_result import FindingChange, ReleaseLine, ScanResult

#: Findings to do first that are shown in full.
FIRST_SHOWN = 10
#: Findings that are readable where no script runs.
STATIC_ROWS = 25
#: Bytes of data at which the page takes in no more findings: with pictures and texts it stays below
#: 5 MB.
DATA_LIMIT = 3_600_000

#: What each state of a store in a night means, for the legend.
_MEANINGS = {
    StoreState.OK: "everything was read, nothing was found",
    StoreState.INFO: "the worst finding is for information",
    StoreState.LOW: "the worst finding can wait",
    StoreState.MEDIUM: "the worst finding needs somebody this week",
    StoreState.HIGH: "the worst finding needs somebody today",
    StoreState.DARK: "no host of the store was connected",
    StoreState.NOT_VERIFIED: "something could not be read, so the state is unknown",
    StoreState.NOT_COUNTED: "planned, paused or closed",
}


def page_of(report: Report) -> str:
    """Render the report as HTML that reads offline, from a mail attachment, and on paper.

    The same report gives the same bytes. What hosts and AWS said is text and nothing else; a
    content security policy lets only the page's own script run and lets nothing be loaded.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    files = resources.files("fleet.drift.view.page")
    script = files.joinpath("page.js").read_text(encoding="utf-8")
    style = files.joinpath("page.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("fleet.drift.view.page", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": spans.day,
        "letter": _letter,
        "number": "{:,}".format,
        "percent": percent,
        "printable": printable,
    }
    result = report.result
    stores = stores_data(result)
    data, held = findings_data(report.findings, DATA_LIMIT - len(stores.encode()))
    severities = Counter(row.finding.severity for row in report.findings)
    return environment.get_template("page.html.j2").render(
        result=result,
        report=report,
        lines={part.name: report.section(part).lines for part in Part},
        made=spans.stamp(report.now),
        exit_words=exit_words(result),
        severities=[(s, severities[s]) for s in reversed(Severity) if severities[s]],
        changes=_changes(report),
        first=report.section(Part.DO_FIRST).findings,
        first_shown=FIRST_SHOWN,
        codes=by_code(report.findings),
        rows=report.findings[:STATIC_ROWS],
        options=_options(report.findings),
        heatmap=heatmap_of(result),
        outages=outages_of(result, report.now),
        availability=shares_of(result),
        releases=_releases(result.releases),
        ignored=_ignored(result.ignored),
        meanings=_MEANINGS,
        data_left=len(report.findings) - held,
        data_json=Markup(data),  # noqa: S704 - script_json has made it safe in a script
        stores_json=Markup(stores),  # noqa: S704 - likewise
        script=Markup(script),  # noqa: S704 - the page's own file
        style=Markup(style),  # noqa: S704 - the page's own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def findings_data(findings: Iterable[FindingRow], limit: int) -> tuple[str, int]:
    """Return JSON for the page's script, and how many findings fit into so many bytes.

    Those without room are the last ones, and so the least grave. The JSON is ``{"words": [...],
    "rows": [[...], ...]}``. A row is severity rank, since (seconds since 1970), whether ``--fix``
    may do it, then indexes of words: change, code, kind, place, shop, account, market, since,
    cause, fix, and the facts. Each word is held once: causes and fixes repeat by thousands.
    """
    words: dict[str, int] = {}
    rows: list[list[Any]] = []
    size = 0
    for row in findings:
        if size > limit:
            break
        finding = row.finding
        texts = (
            row.entry.change.value,
            finding.code,
            row.kind,
            row.place,
            row.shop_name,
            printable(finding.account),
            row.market,
            row.since,
            row.cause,
            row.fix,
            *row.facts,
        )
        size += sum(len(script_json(text).encode()) + 1 for text in set(texts) - words.keys())
        indexes = [words.setdefault(text, len(words)) for text in texts]
        since = int(finding.since.astimezone(UTC).timestamp())
        rows.append([finding.severity.rank, since, int(finding.safe), *indexes])
        size += len(script_json(rows[-1])) + 1
    return script_json({"words": list(words), "rows": rows}), len(rows)


def stores_data(result: ScanResult) -> str:
    """Return every store as ``[id, name, market, nights]``, a letter per night, for the search."""
    rows = [
        [
            store.id,
            printable(store.name),
            printable(store.labels.get("market", "")),
            letters_of(store, result),
        ]
        for store in result.stores
    ]
    dates = [spans.day(scan.started_at) for scan in result.nights]
    meant = {letter: state.value.replace("-", " ") for state, letter in LETTERS.items()}
    return script_json({"dates": dates, "letters": meant, "stores": rows})


def script_json(value: Any) -> str:
    """Write JSON that ends no ``<script>``, opens no comment in it, and is one line of script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def exit_words(result: ScanResult) -> str:
    """Say what the exit code of the scan is, as far as the night decides it."""
    if not result.is_complete:
        return "exit 1: part of the fleet was not read, and what is below is not the whole truth"
    if result.findings:
        return "exit 3 where a finding is as grave as --fail-on, else 0"
    return "exit 0: everything was read, and nothing was found"


def _letter(state: StoreState | None) -> str:
    """Return what stands on a cell; a good night and a night without a scan are empty."""
    return "" if state in {None, StoreState.OK} else LETTERS[state]


def _changes(report: Report) -> list[tuple[str, str, Sequence[str]]]:
    """Return what differs from last night: a title, the filter that shows it, and lines."""
    by_change: dict[FindingChange, list[str]] = defaultdict(list)
    for row in report.findings:
        by_change[row.entry.change].append(f"{row.severity} {row.place} {row.kind}")
    if report.result.is_first:
        by_change[FindingChange.NEW] = []
    resolved, returned = (
        [line.text for line in report.section(part).lines]
        for part in (Part.RESOLVED, Part.RETURNED)
    )
    unverified = "Open before, not verified tonight"
    parts = [
        ("New", "#change=new", by_change[FindingChange.NEW]),
        ("Worse", "#change=worse", by_change[FindingChange.WORSE]),
        ("Resolved", "", resolved),
        ("Returned", "", returned),
        ("Better", "#change=better", by_change[FindingChange.BETTER]),
        (unverified, "#change=not-verified", by_change[FindingChange.NOT_VERIFIED]),
    ]
    return [part for part in parts if part[2]]


def _options(findings: Iterable[FindingRow]) -> dict[str, list[tuple[str, str, int]]]:
    """Return what can be chosen in each filter: value, words, and how many findings."""
    counts: dict[str, Counter[tuple[str, str]]] = {
        name: Counter() for name in ("change", "code", "market", "account")
    }
    for row in findings:
        account, code = printable(row.finding.account), row.finding.code
        counts["change"][row.entry.change.value, row.change.lower() or "unchanged"] += 1
        counts["code"][code, code] += 1
        counts["market"][row.market, row.market] += 1
        counts["account"][account, account] += 1
    return {
        name: [(value, words, count) for (value, words), count in sorted(found.items()) if value]
        for name, found in counts.items()
    }


def _releases(lines: Iterable[ReleaseLine]) -> list[tuple[str | int, ...]]:
    """Return by release: workload, release, stores that run it, stores that owe it, rollout."""
    return [
        (
            printable(line.workload),
            printable(line.release),
            f"{line.on:,} of {line.of:,} stores"
            + (f", {line.unread:,} not read" if line.unread else ""),
            line.owed,
            printable(line.rollout),
        )
        for line in lines
    ]


def _ignored(pairs: Iterable[tuple[Finding, Ignore]]) -> list[tuple[str, ...]]:
    """Return by rule how many it ignores, where, until when, why, and where it is written."""
    by_rule: dict[Ignore, list[Finding]] = defaultdict(list)
    for finding, rule in pairs:
        by_rule[rule].append(finding)
    return [
        (
            f"{len(found):,} {some(sorted({finding.code for finding in found}), 3)}",
            some(list(dict.fromkeys(map(finding_words.place, found)))),
            f"{rule.until.astimezone(UTC):%d %b %Y}",
            printable(rule.reason),
            printable(rule.source),
        )
        for rule, found in sorted(by_rule.items(), key=lambda item: item[0].until)
    ]
