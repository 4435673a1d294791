"""Shows a store's history in the order in which it happened."""

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.drift.view.hosts import SCAN, scan_document, scan_line
from fleet.inventory.view import store_line
from fleet.model.printable import many, printable
from fleet.model.spans import moment, stamp
from fleet.model.store_story import MomentKind, StoreHistory
from fleet.terminal.documents import Document, document, fields_of
from fleet.terminal.screen import labelled, table

#: Most moments on a terminal, the latest ones; ``--json`` has all.
SHOWN = 200

_STYLES = {
    MomentKind.OUTAGE: "red",
    MomentKind.BACK: "green",
    MomentKind.FOUND: "yellow",
    MomentKind.RESOLVED: "green",
}


def history_view(history: StoreHistory, width: int) -> RenderableType:
    """Show the history oldest first, so that the latest is at the end."""
    now = history.at
    parts: list[RenderableType] = [Text(store_line(history.store), style="bold")]
    broken = f", {history.unfinished} more never ended" if history.unfinished else ""
    looked = f"{many(history.scans, 'scan')} since {moment(history.since, now)}{broken}"
    if history.scan is None:
        words = f"{looked}, none of this store: {SCAN} {history.store.id}"
        parts.append(labelled("NOT SCANNED", words, "yellow"))
    else:
        parts.append(Text(f"{looked} · the last {scan_line(history.scan, now)}"))
    shown = history.moments[-SHOWN:]
    if len(shown) < len(history.moments):
        parts.append(Text(f"{len(history.moments) - SHOWN:,} earlier ones: --json has all"))
    if shown:
        columns = ("WHEN", "WHAT", "HOST", "FROM", "WORDS")
        rows = [
            (
                moment(one.at, now),
                one.kind.value,
                one.host or "-",
                one.source or "-",
                printable(one.words, limit=400),
            )
            for one in shown
        ]
        styles = [_STYLES.get(one.kind, "") for one in shown]
        parts.append(table(columns, rows, width=width, styles=styles))
    else:
        parts.append(Text("nothing is recorded of it in this time"))
    parts.append(labelled("next", f"fleet explain {history.store.id}"))
    return Group(*parts)


def history_document(history: StoreHistory) -> Document:
    """Return the history as a document."""
    return document(
        "history",
        {
            "at": stamp(history.at),
            "store": history.store.id,
            "since": stamp(history.since),
            "scans": history.scans,
            "scans_unfinished": history.unfinished,
            "last_scan": scan_document(history.scan) if history.scan else None,
            "moments": [
                fields_of(one, "at", "kind", "host", "words", "source") for one in history.moments
            ],
        },
    )
