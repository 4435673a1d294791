"""A night for programs: all of it, versioned, in one order, and a piece at a time."""

import json
import tracemalloc

import pytest

from fleet.drift.view.report import report_of
from fleet.drift.view.report_json import report_document, report_json
from fleet.model.scan_result import ScanResult
from tests import nights

ORDER = [
    *(
        "kind",
        "version",
        "fleet",
        "scan",
        "caller",
        "complete",
        "clean",
        "recorded",
    ),
    *("unread", "totals", "notes", "findings", "resolved", "returned", "releases", "ignored"),
    *("expired", "nights", "connections", "availability", "stores"),
]


@pytest.mark.parametrize(
    "night",
    [nights.night(60), nights.clean_night(), nights.night(20, hostile=True)],
    ids=["ordinary", "clean", "hostile"],
)
def test_the_text_is_the_document(night: ScanResult) -> None:
    assert json.loads("".join(report_json(report_of(night, nights.NOW)))) == report_document(
        report_of(night, nights.NOW)
    )


def test_its_names_come_in_one_order_unknown_before_known() -> None:
    document = json.loads("".join(report_json(report_of(nights.night(40), nights.NOW))))

    assert list(document) == ORDER
    assert (document["version"], document["kind"]) == (1, "drift")


def test_it_holds_every_finding_with_its_evidence_and_every_store_with_its_nights() -> None:
    night = nights.night(60)
    document = report_document(report_of(night, nights.NOW))

    assert len(document["findings"]) == len(night.findings)
    assert all(finding["evidence"] for finding in document["findings"])
    assert [store["store"] for store in document["stores"]] == [s.id for s in night.stores]
    states = {store["store"]: store["nights"][-1] for store in document["stores"]}
    assert states == {store: state.value for store, state in night.scan.states.items()}
    assert len(document["nights"]) == len(night.nights)


def test_moments_are_utc_with_a_z() -> None:
    document = report_document(report_of(nights.night(40), nights.NOW))

    assert document["scan"]["started_at"] == "2026-11-23T03:31:02Z"
    assert all(finding["since"].endswith("Z") for finding in document["findings"])


def test_a_night_with_something_unread_is_neither_complete_nor_clean() -> None:
    document = report_document(report_of(nights.night(40), nights.NOW))

    assert (document["complete"], document["clean"]) == (False, False)


def test_it_is_written_without_being_held_whole() -> None:
    night = nights.night(1000, nights=10)
    report = report_of(night, nights.NOW)
    size = sum(map(len, report_json(report)))
    tracemalloc.start()
    for _ in report_json(report):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < size / 4
