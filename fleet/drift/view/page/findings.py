"""The findings of a night for the page: the first as rows, all of them as data for its script."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fleet.drift.view import drift_lines
from fleet.drift.view.drift_markdown import LETTERS, NOT_IN_SCAN
from fleet.model.drift import Finding
from fleet.model.night import Night, StoreFacts, Told
from fleet.model.printable import printable
from fleet.model.spans import day, moment

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
        """Say who may perform the fix."""
        if not self.fix:
            return "nothing need be done"
        return "fleet drift --fix may do it by itself" if self.safe else "for a person to decide"


def row_of(told: Told, shops: Mapping[str, StoreFacts], now: datetime) -> FindingRow:
    """Put one finding into words."""
    finding = told.finding
    since = drift_lines.since_words(finding, now)
    facts = [
        since[:1].upper() + since[1:],
        f"first seen by a scan {moment(told.first_seen, now)}",
    ]
    facts += (
        [f"began for the {drift_lines.ordinal(told.times)} time in 7 days"]
        if told.times > 1
        else []
    )
    facts += [drift_lines.evidence_words(evidence, now) for evidence in finding.evidence]
    facts += [f"owes {printable(told.owes)}"] if told.owes else []
    account = "/".join(filter(None, (finding.account, finding.region)))
    place_parts = filter(None, (account, market_of(finding, shops)))
    facts.append(printable(" · ".join(place_parts) or "the whole fleet"))
    shop = shops.get(finding.store)
    return FindingRow(
        severity=finding.severity.value,
        change=drift_lines.change_word(told),
        kind=drift_lines.kind(finding),
        place=drift_lines.place(finding),
        shop=printable(shop.name) if shop else "",
        since=("" if finding.since_known else "before ") + moment(finding.since, now),
        cause=printable(finding.cause),
        facts=tuple(facts),
        fix=drift_lines.fix(finding),
        safe=finding.safe,
    )


def market_of(finding: Finding, shops: Mapping[str, StoreFacts]) -> str:
    """Return the market of a finding's store; "" where there is none."""
    shop = shops.get(finding.store)
    return printable(shop.labels.get("market", "")) if shop else ""


def findings_data(
    night: Night, shops: Mapping[str, StoreFacts], now: datetime, limit: int
) -> tuple[str, int]:
    """Return JSON for the page's script, and how many findings did not fit into so many bytes.

    Those are the last ones, and so the least grave. The JSON is ``{"words": [...], "rows":
    [[...], ...]}``. A row is severity rank, since (seconds since 1970), whether ``--fix`` may do
    it, then indexes of words: change, code, kind, place, shop, account, market, since, cause, fix,
    and the facts. Each word is held once: causes and fixes repeat by thousands.
    """
    words: dict[str, int] = {}
    rows: list[list[Any]] = []
    size = 0
    for told in night.findings:
        if size > limit:
            break
        row, finding = row_of(told, shops, now), told.finding
        texts = (
            told.change.value,
            finding.code,
            row.kind,
            row.place,
            row.shop,
            printable(finding.account),
            market_of(finding, shops),
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
    return script_json({"words": list(words), "rows": rows}), len(night.findings) - len(rows)


def stores_data(night: Night) -> str:
    """Return every store as ``[id, name, market, nights]``, a letter per night, for the search."""
    rows = []
    for store in night.stores:
        states = [scan.states.get(store.id) for scan in night.nights]
        letters = "".join(NOT_IN_SCAN if state is None else LETTERS[state] for state in states)
        market = printable(store.labels.get("market", ""))
        rows.append([store.id, printable(store.name), market, letters])
    dates = [day(scan.started_at) for scan in night.nights]
    meant = {letter: state.value.replace("-", " ") for state, letter in LETTERS.items()}
    return script_json({"dates": dates, "letters": meant, "stores": rows})


def script_json(value: Any) -> str:
    """Write JSON that ends no ``<script>``, opens no comment in it, and is one line of script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
