"""The findings of a report as data for the page's script."""

import json
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from fleet.drift.view.finding_words import FindingRow
from fleet.drift.view.nights import LETTERS, letters_of
from fleet.model.printable import printable
from fleet.model.scan_result import ScanResult
from fleet.model.spans import day


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
    dates = [day(scan.started_at) for scan in result.nights]
    meant = {letter: state.value.replace("-", " ") for state, letter in LETTERS.items()}
    return script_json({"dates": dates, "letters": meant, "stores": rows})


def script_json(value: Any) -> str:
    """Write JSON that ends no ``<script>``, opens no comment in it, and is one line of script."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
