"""A store's history on the terminal and for programs."""

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from fleet.drift.view.history import SHOWN, history_document, history_view
from fleet.model.store_story import Moment, MomentKind, StoreHistory
from tests import nights, scanned
from tests.drift.view.test_hosts import SCAN
from tests.scanned import LAST, NIGHT, NOW

HISTORY = StoreHistory(
    store=scanned.fleet().stores[0],
    at=NOW,
    since=NOW - 30 * NIGHT,
    scans=30,
    unfinished=0,
    scan=SCAN,
    moments=(
        Moment(LAST - 2 * NIGHT, MomentKind.OUTAGE, "tel-1", "dark"),
        Moment(LAST, MomentKind.STATE, "", "dark, was ok", "drift-7f3a"),
    ),
)


def text(history: StoreHistory = HISTORY, width: int = 120) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False, emoji=False).print(
        history_view(history, width)
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_moments_are_lines_with_their_time_and_where_they_are_known_from() -> None:
    lines = [line.split() for line in text().splitlines()]

    assert ["21", "Nov", "03:31Z", "outage", "tel-1", "-", "dark"] in lines
    assert ["03:31Z", "state", "-", "drift-7f3a", "dark,", "was", "ok"] in lines


def test_it_says_how_many_scans_looked_and_how_old_the_last_one_is() -> None:
    assert "30 scans since 24 Oct 04:00Z · the last from the records" in text()
    assert "2 more never ended" in text(replace(HISTORY, unfinished=2))


def test_a_store_that_no_scan_looked_at_says_what_to_type() -> None:
    found = text(replace(HISTORY, scan=None, scans=0, moments=()))

    assert "NOT SCANNED" in found
    assert "fleet drift store-042" in found
    assert "nothing is recorded of it in this time" in found


def test_of_a_long_history_the_end_is_shown_and_the_rest_counted() -> None:
    moments = tuple(
        Moment(LAST, MomentKind.ROLLOUT, "", f"number {n}", "ro-1") for n in range(SHOWN + 5)
    )

    found = text(replace(HISTORY, moments=moments))

    assert "5 earlier ones: --json has all" in found
    assert f"number {SHOWN + 4}" in found
    assert "number 4\n" not in found


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen_whatever_was_said(width: int) -> None:
    hostile = Moment(LAST, MomentKind.FOUND, "tel-1", nights.HOSTILE)

    found = text(replace(HISTORY, moments=(hostile,)), width)

    assert max(map(len, found.splitlines())) <= width
    assert "\x1b" not in found


def test_the_document_is_versioned_and_in_order() -> None:
    document = json.loads(json.dumps(history_document(HISTORY)))

    assert (document["version"], document["kind"]) == (1, "history")
    assert [moment["kind"] for moment in document["moments"]] == ["outage", "state"]
