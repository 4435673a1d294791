"""Puts the page together: words, pictures and data into one template, with nothing from outside."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from fleet.drift.view.drift_lines import (
    by_code,
    change_word,
    changed,
    expired_words,
    headline,
    is_complete,
    kind,
    needs_somebody,
    not_read,
    place,
    reading,
    resolved_words,
    returned_words,
    scope,
)
from fleet.drift.view.drift_mail import subject_of
from fleet.drift.view.page.findings import (
    DATA_LIMIT,
    STATIC_ROWS,
    counted,
    findings_data,
    legend,
    row_of,
    stores_data,
)
from fleet.drift.view.page.nights import availability_of, nights_of
from fleet.drift.view.page.outages import timelines_of
from fleet.model.drift import Finding
from fleet.model.drift_settings import Ignore
from fleet.model.night import Change, Night, ReleaseLine, Told
from fleet.model.printable import printable, some
from fleet.terminal.times import stamp

#: How many of a kind are told in full, how many besides can be unfolded; the rest is counted.
FIRST_SHOWN = 10
LINES_SHOWN = 8
LINES_FOLDED = 200


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a kind: some to be seen, more to be unfolded, the rest counted."""

    shown: tuple[str, ...]
    folded: tuple[str, ...]
    left: int

    @property
    def all(self) -> int:
        """How many there are."""
        return len(self.shown) + len(self.folded) + self.left


def page_of(night: Night, now: datetime) -> str:
    """The night as HTML: one file that reads offline, from a mail attachment, and on paper.

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
    shops = {store.id: store for store in night.stores}
    stores = stores_data(night)
    data = findings_data(night, shops, now, DATA_LIMIT - len(stores.encode()))
    first = [told for told in night.findings if needs_somebody(told)]
    return environment.get_template("page.html.j2").render(
        night=night,
        title=subject_of(night),
        headline=headline(night),
        reading=reading(night, now),
        scope=scope(night),
        caller=printable(night.caller),
        made=stamp(now),
        exit_words=exit_words(night),
        complete=is_complete(night),
        not_read=_cut(not_read(night)),
        notes=[printable(note) for note in night.notes],
        severities=counted(night),
        changed=changed(night),
        changes=_changes(night, now),
        first=[row_of(told, shops, now) for told in first[:FIRST_SHOWN]],
        first_left=max(0, len(first) - FIRST_SHOWN),
        codes=by_code(night.findings),
        rows=[row_of(told, shops, now) for told in night.findings[:STATIC_ROWS]],
        data=data,
        data_json=Markup(data.text),  # noqa: S704 - script_json has made it safe in a script
        stores_json=Markup(stores),  # noqa: S704 - likewise
        options=_options(night),
        heatmap=nights_of(night),
        timelines=timelines_of(night, now),
        availability=availability_of(night),
        releases=_releases(night.releases),
        ignored=_ignored(night.ignored),
        expired=[expired_words(rule) for rule in night.expired],
        legend=legend(),
        script=Markup(script),  # noqa: S704 - the page's own file
        style=Markup(style),  # noqa: S704 - the page's own file
        svg=Markup,  # pictures escape their texts themselves
        script_hash=_hash(script),
    )


def exit_words(night: Night) -> str:
    """What the exit code of the scan says, as far as the night decides it."""
    if not is_complete(night):
        return "exit 1: part of the fleet was not read, and what is below is not the whole truth"
    if night.findings:
        return "exit 3 where a finding is as grave as --fail-on, else 0"
    return "exit 0: everything was read, and nothing was found"


def _hash(script: str) -> str:
    """What the policy knows the page's own script by."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _cut(lines: Sequence[Any]) -> Lines:
    shown = min(LINES_SHOWN, len(lines))
    folded = lines[shown : shown + LINES_FOLDED]
    return Lines(tuple(lines[:shown]), tuple(folded), len(lines) - shown - len(folded))


def _changes(night: Night, now: datetime) -> list[tuple[str, str, Lines]]:
    """What is otherwise than last night: a title, the filter that shows it, and lines."""
    told = {
        change: [one for one in night.findings if one.change is change]
        for change in (Change.NEW, Change.WORSE, Change.BETTER, Change.NOT_VERIFIED)
    }
    if night.is_first:
        told[Change.NEW] = []
    parts = [
        ("New", "#change=new", _told_lines(told[Change.NEW])),
        ("Worse", "#change=worse", _told_lines(told[Change.WORSE])),
        ("Resolved", "", [resolved_words(past, now) for past in night.resolved]),
        ("Returned", "", [returned_words(one) for one in night.returned]),
        ("Better", "#change=better", _told_lines(told[Change.BETTER])),
        (
            "Open before, not verified tonight",
            "#change=not-verified",
            _told_lines(told[Change.NOT_VERIFIED]),
        ),
    ]
    return [(title, link, _cut(lines)) for title, link, lines in parts if lines]


def _told_lines(told: Iterable[Told]) -> list[str]:
    return [
        f"{one.finding.severity.value} {place(one.finding)} {kind(one.finding)}" for one in told
    ]


def _options(night: Night) -> dict[str, list[tuple[str, str, int]]]:
    """What can be chosen in the filters: value, words, and how many findings."""
    shops = {store.id: store for store in night.stores}
    counts: dict[str, dict[tuple[str, str], int]] = {
        name: {} for name in ("change", "code", "market", "account")
    }
    for told in night.findings:
        shop = shops.get(told.finding.store)
        market = printable(shop.labels.get("market", "")) if shop else ""
        account = printable(told.finding.account)
        for name, value, words in (
            ("change", told.change.value, change_word(told).lower() or "unchanged"),
            ("code", told.finding.code, told.finding.code),
            ("market", market, market),
            ("account", account, account),
        ):
            if value:
                counts[name][value, words] = counts[name].get((value, words), 0) + 1
    return {
        name: [(value, words, count) for (value, words), count in sorted(found.items())]
        for name, found in counts.items()
    }


def _releases(lines: Iterable[ReleaseLine]) -> list[tuple[str, ...]]:
    return [
        (
            printable(line.workload),
            printable(line.release),
            f"{line.on:,} of {line.of:,} stores{_not_read(line.unread)}",
            f"{line.owed:,}",
            printable(line.rollout),
        )
        for line in lines
    ]


def _not_read(stores: int) -> str:
    return f", {stores:,} not read" if stores else ""


def _ignored(pairs: Iterable[tuple[Finding, Ignore]]) -> list[tuple[str, str, str, str, str]]:
    """By rule: how many it ignores, where, until when, why, and where it is written."""
    by_rule: dict[Ignore, list[Finding]] = {}
    for finding, rule in pairs:
        by_rule.setdefault(rule, []).append(finding)
    return [
        (
            f"{len(found):,} {some(sorted({finding.code for finding in found}), 3)}",
            some(list(dict.fromkeys(map(place, found)))),
            f"{rule.until.astimezone(UTC):%d %b %Y}",
            printable(rule.reason),
            printable(rule.source),
        )
        for rule, found in sorted(by_rule.items(), key=lambda item: item[0].until)
    ]
