import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.view.page.findings import findings_data, script_json, stores_data
from fleet.drift.view.report import report_of
from fleet.model.drift_settings import Severity
from tests.nights import NOW, night

BAD = night(60)
ROWS = report_of(BAD, NOW).findings


def test_all_findings_are_in_the_data_in_their_order() -> None:
    text, held = findings_data(ROWS, 1_000_000)
    data = json.loads(text)
    rows = [[data["words"][n] for n in row[3:]] for row in data["rows"]]

    assert held == len(ROWS)
    assert [row[1] for row in rows] == [entry.finding.code for entry in BAD.findings]
    assert [row[0] for row in rows] == [entry.change.value for entry in BAD.findings]
    assert [row[8] for row in rows] == [entry.finding.cause for entry in BAD.findings]
    assert [list(Severity)[row[0]] for row in data["rows"]] == [
        entry.finding.severity for entry in BAD.findings
    ]


def test_what_has_no_room_is_left_out_from_the_end_and_counted() -> None:
    text, count = findings_data(ROWS, 3000)

    held = len(json.loads(text)["rows"])
    assert 0 < held < len(BAD.findings)
    assert count == held
    one_more = 1000
    assert len(text.encode()) < 3000 + one_more


def test_every_store_has_a_letter_per_night() -> None:
    data = json.loads(stores_data(BAD))

    assert [row[0] for row in data["stores"]] == [store.id for store in BAD.stores]
    assert {len(row[3]) for row in data["stores"]} == {30}
    assert set("".join(row[3] for row in data["stores"])) <= {*data["letters"], " "}


def test_a_store_of_an_older_scan_has_a_blank_where_it_was_not_scanned() -> None:
    short = night(3, 4)
    states = {k: v for k, v in short.nights[1].states.items() if k != "store-00002"}
    gap = replace(short.nights[1], states=states)

    data = json.loads(stores_data(replace(short, nights=(short.nights[0], gap, *short.nights[2:]))))

    assert data["stores"][1][3][1] == " "


@given(st.text())
def test_json_in_a_script_is_what_it_was_and_ends_no_script(text: str) -> None:
    written = script_json([text])

    assert json.loads(written) == [text]
    assert not set(written) & set("<>&\u2028\u2029")
