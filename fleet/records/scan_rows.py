"""Rows of scans and findings, and the values they stand for."""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet.errors import RecordsError
from fleet.model.drift import Finding, StoreState
from fleet.model.plain import from_plain, to_plain
from fleet.model.scan_result import PastFinding, Scan
from fleet.records.tables import KEY


def scan_row(scan: Scan) -> dict[str, Any]:
    """Return the columns of a scan."""
    return {
        "id": scan.id,
        "selection": scan.selection,
        "started_at": scan.started_at,
        "finished_at": scan.finished_at,
        "states": states_text(scan.states),
        "calls": scan.calls,
        "throttled": scan.throttled,
        "complete": scan.complete,
    }


def scan_of(row: Mapping[Any, Any]) -> Scan:
    """Return a scan from its row."""
    return Scan(**{**row, "states": states_of(row["states"])})


def states_text(states: Mapping[str, StoreState]) -> str:
    """Store ids by state: a few words and ten thousand ids instead of ten thousand of each."""
    by_state = defaultdict(list)
    for store, state in states.items():
        by_state[state.value].append(store)
    return json.dumps(
        {state: sorted(stores) for state, stores in sorted(by_state.items())},
        separators=(",", ":"),
        ensure_ascii=False,
    )


def states_of(text: str) -> Mapping[str, StoreState]:
    """State by store id; thirty nights share one copy of every id.

    Raises:
        RecordsError: another version of fleet wrote it.
    """
    try:
        return {
            sys.intern(store): StoreState(state)
            for state, stores in json.loads(text).items()
            for store in stores
        }
    except ValueError as error:
        raise _unreadable("scan", error) from error


def finding_row(finding: Finding, at: datetime) -> dict[str, Any]:
    """Return the columns of a finding that was found at a time.

    Raises:
        TypeError: it holds a secret, or something that JSON has no word for.
    """
    text = json.dumps(
        to_plain(finding),
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
        allow_nan=False,
    )
    key = dict(zip(KEY, finding.key, strict=True))
    return key | {"finding": text, "first_seen": at, "last_seen": at}


def past_of(row: Any) -> PastFinding:
    """Return a finding over time from (finding, first_seen, last_seen, resolved_at).

    Raises:
        RecordsError: another version of fleet wrote it.
    """
    text, first_seen, last_seen, resolved_at = row
    try:
        finding = from_plain(Finding, json.loads(text))
    except ValueError as error:
        raise _unreadable("finding", error) from error
    return PastFinding(finding, first_seen, last_seen, resolved_at)


def _unreadable(what: str, error: ValueError) -> RecordsError:
    return RecordsError(
        f"a {what} was recorded in another shape than this fleet reads: {error}",
        hint="use the version of fleet that wrote it, or a newer one",
    )
