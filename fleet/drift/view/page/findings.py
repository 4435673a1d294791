"""The findings of a night for the page: the first as rows, all of them as data for its script."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet.drift.view.drift_lines import (
    change_word,
    evidence_words,
    fix,
    kind,
    ordinal,
    place,
    since_words,
    when,
)
from fleet.drift.view.drift_markdown import LETTERS, NOT_IN_SCAN
from fleet.model.drift import Finding
from fleet.model.night import Night, StoreFacts, Told
from fleet.model.printable import printable

#: Findings that are readable where no script runs.
STATIC_ROWS = 25
#: Bytes of data at which the page takes in no more findings: with pictures and texts it stays below
#: 5 MB.
DATA_LIMIT = 3_600_000


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A finding in the words that people read.

    Attributes:
        change: ``NEW`` or another change; "" for what is as it was.
        since: in short, as ``21 Nov 22:14Z``.
        facts: evidence with ages, and what else is known, a line each.
        fix: what to type; "" when nothing need be done.
        safe: whether ``--fix`` may do it.
    """

    severity: str
    change: str
    kind: str
    place: str
    shop: str
    since: str
    cause: str
    facts: tuple[str, ...]
    fix: str
    safe: bool

    @property
    def note(self) -> str:
        """What the fix is, or that there is none to be typed."""
        if not self.fix:
            return "nothing need be done"
        return "fleet drift --fix may do it by itself" if self.safe else "for a person to decide"


@dataclass(frozen=True, slots=True)
class Data:
    """The findings for the page's script.

    Attributes:
        text: JSON that can stand inside ``<script>``.
        left: findings that the limit left out: the least grave ones.
    """

    text: str
    left: int


def row_of(told: Told, shops: Mapping[str, StoreFacts], now: datetime) -> FindingRow:
    """Put one finding into words."""
    finding = told.finding
    since = since_words(finding, now)
    facts = [since[:1].upper() + since[1:], f"first seen by a scan {when(told.first_seen, now)}"]
    facts += [f"began for the {ordinal(told.times)} time in 7 days"] if told.times > 1 else []
    facts += [evidence_words(evidence, now) for evidence in finding.evidence]
    facts += [f"owes {printable(told.owes)}"] if told.owes else []
    account = "/".join(filter(None, (finding.account, finding.region)))
    place_parts = filter(None, (account, market_of(finding, shops)))
    facts.append(printable(" · ".join(place_parts) or "the whole fleet"))
    shop = shops.get(finding.store)
    return FindingRow(
        severity=finding.severity.value,
        change=change_word(told),
        kind=kind(finding),
        place=place(finding),
        shop=printable(shop.name) if shop else "",
        since=("" if finding.since_known else "before ") + when(finding.since, now),
        cause=printable(finding.cause),
        facts=tuple(facts),
        fix=fix(finding),
        safe=finding.safe,
    )


def market_of(finding: Finding, shops: Mapping[str, StoreFacts]) -> str:
    """Return the market of a finding's store; "" where there is none."""
    shop = shops.get(finding.store)
    return printable(shop.labels.get("market", "")) if shop else ""


class _Words:
    """Every text once, and its number wherever it is used: causes and fixes repeat by thousands."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self.size = 0
        self._numbers: dict[str, int] = {}

    def number(self, text: str) -> int:
        known = self._numbers.get(text)
        if known is None:
            known = self._numbers[text] = len(self.all)
            self.all.append(text)
            self.size += len(script_json(text).encode()) + 1
        return known


def findings_data(night: Night, shops: Mapping[str, StoreFacts], now: datetime, limit: int) -> Data:
    """The findings as ``{"words": [...], "rows": [[...], ...]}``, up to a size in bytes.

    A row is severity rank, since (seconds since 1970), whether ``--fix`` may do it, then numbers
    of words: change, code, kind, place, shop, account, market, since, cause, fix, and the facts.
    """
    words, rows = _Words(), list[list[Any]]()
    size = 0
    for told in night.findings:
        seen, finding = row_of(told, shops, now), told.finding
        texts = (
            told.change.value,
            finding.code,
            seen.kind,
            seen.place,
            seen.shop,
            printable(finding.account),
            market_of(finding, shops),
            seen.since,
            seen.cause,
            seen.fix,
            *seen.facts,
        )
        if size + words.size > limit:
            break
        numbers = [words.number(text) for text in texts]
        since = int(finding.since.astimezone(UTC).timestamp())
        rows.append([finding.severity.rank, since, int(finding.safe), *numbers])
        size += len(script_json(rows[-1])) + 1
    text = script_json({"words": words.all, "rows": rows})
    return Data(text, len(night.findings) - len(rows))


def stores_data(night: Night) -> str:
    """Every store with a letter per night, ``[id, name, market, nights]``, for the search."""
    rows = []
    for store in night.stores:
        states = [scan.states.get(store.id) for scan in night.nights]
        letters = "".join(NOT_IN_SCAN if state is None else LETTERS[state] for state in states)
        market = printable(store.labels.get("market", ""))
        rows.append([store.id, printable(store.name), market, letters])
    dates = [f"{scan.started_at.astimezone(UTC):%d %b}" for scan in night.nights]
    meant = {letter: state.value.replace("-", " ") for state, letter in LETTERS.items()}
    return script_json({"dates": dates, "letters": meant, "stores": rows})


def script_json(value: Any) -> str:
    """JSON that ends no ``<script>``, opens no comment in it, and is one line in JavaScript too."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for bad, good in (
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u2028", "\\u2028"),
        ("\u2029", "\\u2029"),
    ):
        text = text.replace(bad, good)
    return text
