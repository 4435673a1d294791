"""Renders the report of a scan as JSON, piece by piece, because fleets are large.

The document holds what the page holds, in the same order. States of a store by night stand with
the store, in the order of ``nights``; None means that the store was not in that night's scan.
"""

import json
from collections.abc import Iterator
from typing import Any

from fleet.drift.view.hosts import scan_document
from fleet.drift.view.report import Report
from fleet.model.drift import Finding, Returned
from fleet.model.drift_settings import Ignore
from fleet.model.plain import to_plain
from fleet.model.scan_result import OpenFinding, PastFinding, Scan, ScanResult, StoreFacts
from fleet.terminal.documents import document, fields_of


def report_document(report: Report) -> dict[str, Any]:
    """Return the whole document at once; ``report_json`` is for writing it."""
    return {
        name: list(value) if isinstance(value, Iterator) else value
        for name, value in _parts(report.result)
    }


def report_json(report: Report) -> Iterator[str]:
    """Yield the document's text: an item of a list is a line, and one is made at a time."""
    yield "{"
    for number, (name, value) in enumerate(_parts(report.result)):
        yield f"{',' if number else ''}\n{json.dumps(name)}: "
        if not isinstance(value, Iterator):
            yield json.dumps(value)
            continue
        yield "["
        for index, item in enumerate(value):
            yield f"{',' if index else ''}\n{json.dumps(item)}"
        yield "]"
    yield "\n}\n"


def _parts(result: ScanResult) -> Iterator[tuple[str, Any]]:
    """Yield names and values in the document's order; long lists as iterators."""
    yield from document("drift", {}).items()
    yield "fleet", result.fleet
    yield "scan", _scan(result.scan)
    yield "caller", result.caller
    yield "complete", result.is_complete
    yield "clean", result.is_clean
    yield "recorded", result.recorded
    yield "unread", map(to_plain, result.unread)
    yield "totals", to_plain(result.totals)
    yield "notes", list(result.notes)
    yield "findings", map(_finding, result.findings)
    yield "resolved", map(past_document, result.resolved)
    yield "returned", map(_returned, result.returned)
    yield "releases", map(to_plain, result.releases)
    yield "ignored", (_ignored(finding, rule) for finding, rule in result.ignored)
    yield "expired", map(rule_document, result.expired)
    yield "nights", map(_night, result.nights)
    yield "connections", _connections(result)
    yield "availability", map(to_plain, result.availability)
    yield "stores", (_store(store, result) for store in result.stores)


def _scan(scan: Scan) -> dict[str, Any]:
    return {**scan_document(scan), "calls": scan.calls, "throttled": scan.throttled}


def _night(scan: Scan) -> dict[str, Any]:
    count: dict[str, int] = {}
    for state in scan.states.values():
        count[state.value] = count.get(state.value, 0) + 1
    return {**_scan(scan), "stores": dict(sorted(count.items()))}


def _finding(entry: OpenFinding) -> dict[str, Any]:
    return {
        **finding_document(entry.finding),
        **fields_of(entry, "change", "first_seen", "owes"),
        "times_in_7_days": entry.times,
    }


def finding_document(finding: Finding) -> dict[str, Any]:
    """Return one finding with everything it rests on."""
    where = ("store", "host", "subject", "account", "region")
    return {
        **fields_of(finding, "code", "severity", *where, "since", "since_known", "cause"),
        "evidence": [fields_of(one, "ledger", "words", "at") for one in finding.evidence],
        **fields_of(finding, "fix", "commands", "safe", "data"),
    }


def past_document(past: PastFinding) -> dict[str, Any]:
    """Return one finding over time."""
    seen = fields_of(past, "first_seen", "last_seen", "resolved_at")
    return {**finding_document(past.finding), **seen}


def rule_document(rule: Ignore) -> dict[str, Any]:
    """Return one rule that ignores findings."""
    return fields_of(rule, "codes", "stores", "hosts", "subject", "until", "reason", "source")


def _ignored(finding: Finding, rule: Ignore) -> dict[str, Any]:
    # Not the rule's stores: a rule for all LTE stores would repeat them with each finding.
    short = {key: value for key, value in rule_document(rule).items() if key != "stores"}
    return {**finding_document(finding), "rule": short}


def _returned(returned: Returned) -> dict[str, Any]:
    fields = fields_of(returned, "store", "dark_since", "back_at", "words", "owes")
    return {**fields, "back_at_most": returned.at_most}


def _connections(result: ScanResult) -> Iterator[dict[str, Any]]:
    for (store, host), spells in sorted(result.spells.items()):
        shown = [fields_of(spell, "connection", "since", "last_seen") for spell in spells]
        yield {"store": store, "host": host, "spells": shown}


def _store(store: StoreFacts, result: ScanResult) -> dict[str, Any]:
    states = [scan.states.get(store.id) for scan in result.nights]
    now = result.scan.states.get(store.id)
    return {
        "store": store.id,
        "name": store.name,
        "labels": dict(store.labels),
        "state": now.value if now else None,
        "nights": [state.value if state else None for state in states],
    }
