"""Puts the page of a night together: one HTML file that needs nothing from outside."""

import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources

from fleet.drift.view import drift_lines
from fleet.drift.view.drift_mail import subject_of
from fleet.drift.view.drift_markdown import LETTERS
from fleet.drift.view.page.findings import (
    DATA_LIMIT,
    STATIC_ROWS,
    findings_data,
    market_of,
    row_of,
    stores_data,
)
from fleet.drift.view.page.nights import availability_of, heatmap_of
from fleet.drift.view.page.outages import outages_of
from fleet.model import spans
from fleet.model.drift import Finding, StoreState
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.night import Change, Night, ReleaseLine, StoreFacts
from fleet.model.printable import printable, some

#: Findings to do first that are shown in full.
FIRST_SHOWN = 10

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


def page_of(night: Night, now: datetime) -> str:
    """Render the night as HTML that reads offline, from a mail attachment, and on paper.

    The same night and time give the same bytes. What hosts and AWS said is text and nothing else;
    a content security policy lets only the page's own script run and lets nothing be loaded.
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
        "percent": drift_lines.percent,
        "printable": printable,
    }
    shops = {store.id: store for store in night.stores}
    stores = stores_data(night)
    data, data_left = findings_data(night, shops, now, DATA_LIMIT - len(stores.encode()))
    first = [told for told in night.findings if drift_lines.needs_somebody(told)]
    severities = Counter(told.finding.severity for told in night.findings)
    return environment.get_template("page.html.j2").render(
        night=night,
        title=subject_of(night),
        headline=drift_lines.headline(night),
        reading=drift_lines.reading(night, now),
        scope=drift_lines.scope(night),
        made=spans.stamp(now),
        exit_words=exit_words(night),
        complete=drift_lines.is_complete(night),
        not_read=drift_lines.not_read(night),
        severities=[(s, severities[s]) for s in reversed(Severity) if severities[s]],
        changed=drift_lines.changed(night),
        changes=_changes(night, now),
        first=[row_of(told, shops, now) for told in first[:FIRST_SHOWN]],
        first_left=max(0, len(first) - FIRST_SHOWN),
        codes=drift_lines.by_code(night.findings),
        rows=[row_of(told, shops, now) for told in night.findings[:STATIC_ROWS]],
        options=_options(night, shops),
        heatmap=heatmap_of(night),
        outages=outages_of(night, now),
        availability=availability_of(night),
        releases=_releases(night.releases),
        ignored=_ignored(night.ignored),
        expired=[drift_lines.expired_words(rule) for rule in night.expired],
        meanings=_MEANINGS,
        data_left=data_left,
        data_json=Markup(data),  # noqa: S704 - script_json has made it safe in a script
        stores_json=Markup(stores),  # noqa: S704 - likewise
        script=Markup(script),  # noqa: S704 - the page's own file
        style=Markup(style),  # noqa: S704 - the page's own file
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def exit_words(night: Night) -> str:
    """Say what the exit code of the scan is, as far as the night decides it."""
    if not drift_lines.is_complete(night):
        return "exit 1: part of the fleet was not read, and what is below is not the whole truth"
    if night.findings:
        return "exit 3 where a finding is as grave as --fail-on, else 0"
    return "exit 0: everything was read, and nothing was found"


def _letter(state: StoreState | None) -> str:
    """Return what stands on a cell; a good night and a night without a scan are empty."""
    return "" if state in {None, StoreState.OK} else LETTERS[state]


def _changes(night: Night, now: datetime) -> list[tuple[str, str, Sequence[str]]]:
    """Return what differs from last night: a title, the filter that shows it, and lines."""
    by_change: dict[Change, list[str]] = defaultdict(list)
    for told in night.findings:
        finding = told.finding
        words = (finding.severity.value, drift_lines.place(finding), drift_lines.kind(finding))
        by_change[told.change].append(" ".join(words))
    if night.is_first:
        by_change[Change.NEW] = []
    resolved = [drift_lines.resolved_words(past, now) for past in night.resolved]
    returned = [drift_lines.returned_words(store) for store in night.returned]
    unverified = "Open before, not verified tonight"
    parts = [
        ("New", "#change=new", by_change[Change.NEW]),
        ("Worse", "#change=worse", by_change[Change.WORSE]),
        ("Resolved", "", resolved),
        ("Returned", "", returned),
        ("Better", "#change=better", by_change[Change.BETTER]),
        (unverified, "#change=not-verified", by_change[Change.NOT_VERIFIED]),
    ]
    return [part for part in parts if part[2]]


def _options(
    night: Night, shops: Mapping[str, StoreFacts]
) -> dict[str, list[tuple[str, str, int]]]:
    """Return what can be chosen in each filter: value, words, and how many findings."""
    counts: dict[str, Counter[tuple[str, str]]] = {
        name: Counter() for name in ("change", "code", "market", "account")
    }
    for told in night.findings:
        finding = told.finding
        market, account = market_of(finding, shops), printable(finding.account)
        change = drift_lines.change_word(told).lower() or "unchanged"
        counts["change"][told.change.value, change] += 1
        counts["code"][finding.code, finding.code] += 1
        counts["market"][market, market] += 1
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
            some(list(dict.fromkeys(map(drift_lines.place, found)))),
            f"{rule.until.astimezone(UTC):%d %b %Y}",
            printable(rule.reason),
            printable(rule.source),
        )
        for rule, found in sorted(by_rule.items(), key=lambda item: item[0].until)
    ]
