import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.view.page.document import (
    STATIC_ROWS,
    exit_words,
    findings_data,
    page_of,
    script_json,
    stores_data,
)
from fleet.drift.view.report import report_of
from fleet.model.drift import Unread
from fleet.model.drift_settings import Severity
from fleet.model.scan_result import FindingChange, ScanResult
from tests.drift.view.page.parsed import Page
from tests.nights import HOSTILE, NOW, clean_night, night

BAD = night(60)


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(page_of(report_of(BAD, NOW)))


@pytest.fixture(scope="module")
def hostile() -> Page:
    return Page(page_of(report_of(night(20, 5, hostile=True), NOW)))


@pytest.fixture(scope="module")
def clean() -> Page:
    return Page(page_of(report_of(clean_night(10, 5), NOW)))


def test_every_element_is_closed_and_every_id_is_one_elements(page: Page) -> None:
    assert page.wrong == []
    assert page.open == []
    assert [id_ for id_, times in Counter(page.ids()).items() if times > 1] == []


def test_whatever_refers_to_an_element_finds_it(page: Page) -> None:
    names = ("aria-labelledby", "aria-controls")
    wanted = {attrs[name] for _, attrs in page.elements for name in names if name in attrs}
    anchors = {(attrs.get("href") or "")[1:] for tag, attrs in page.elements if tag == "a"}

    assert wanted | {anchor for anchor in anchors if "=" not in anchor} <= set(page.ids())


def test_the_page_goes_from_what_is_not_known_to_the_rest(page: Page) -> None:
    heads = ["NOT READ", "Totals", "Do first", "Changed since the last scan", "Releases"]
    heads += ["All findings", "Ignored", "Stores by nights", "Hosts that were away", "Availability"]
    places = [page.source.index(f"{head}</h2>") for head in [*heads, "How to read this"]]

    assert places == sorted(places)


def test_what_could_not_be_read_says_why_how_much_and_what_to_type(page: Page) -> None:
    for unread in BAD.unread:
        assert f"{unread.account}/{unread.region}" in page.text
        assert unread.why in page.text
    assert (
        f"{BAD.totals.not_verified} of {BAD.totals.open} open stores are not verified" in page.text
    )
    assert "exit 1" in page.text


def test_a_clean_night_says_how_many_were_verified_and_has_nothing_unread(clean: Page) -> None:
    assert "ok: verified 10 of 10" in clean.text
    assert "exit 0: everything was read" in clean.text
    assert "NOT READ" not in clean.text


def test_an_incomplete_scan_without_a_word_of_what_is_missing_is_not_clean() -> None:
    calm = clean_night(3, 2)
    broken = replace(calm, scan=replace(calm.scan, complete=False))

    text = Page(page_of(report_of(broken, NOW))).text

    assert "NOT READ" in text
    assert "exit 0" not in text
    assert "Nothing in what was read." in text


def test_many_reasons_are_folded_and_then_counted() -> None:
    gaps = tuple(Unread("a", "r", f"store-{n}", "host", f"reason {n}") for n in range(500))

    text = Page(page_of(report_of(replace(clean_night(3, 2), unread=gaps), NOW))).text

    assert "reason 7" in text
    assert "200 more reasons" in text
    assert "And 292 more" in text


def test_a_scan_without_history_stores_or_anything_makes_a_page() -> None:
    nothing = replace(clean_night(1, 1), nights=(), stores=(), availability=(), releases=())

    text = Page(page_of(report_of(nothing, NOW))).text

    assert "No night is recorded." in text


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    loading = {"src", "srcset", "action", "formaction", "data", "poster", "background"}

    assert not [tag for tag, attrs in page.elements if loading & attrs.keys()]
    assert not [tag for tag, _ in page.elements if tag in {"link", "img", "iframe", "object"}]
    assert not re.search(r"https?://|//[a-z]|url\((?!#)|@import", re.sub(r"//.*", "", page.source))


def test_the_policy_lets_only_the_pages_own_script_run(page: Page) -> None:
    script = re.findall(r"<script>(.*?)</script>", page.source, re.DOTALL)
    policy = next(a["content"] for t, a in page.elements if t == "meta" and "http-equiv" in a)

    assert len(script) == 1
    digest = base64.b64encode(hashlib.sha256(script[0].encode()).digest()).decode()
    assert policy == (
        "default-src 'none'; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


def test_what_others_say_is_text_and_nothing_else(hostile: Page) -> None:
    assert hostile.wrong == []
    assert [tag for tag, _ in hostile.elements].count("script") == 3
    assert not [tag for tag, _ in hostile.elements if tag == "img"]
    assert not [a for _, attrs in hostile.elements for a in attrs if a.startswith("on")]
    assert "\x1b" not in hostile.source
    assert "\u202e" not in hostile.source
    assert '<img src=x onerror="window.broken = 1">' in hostile.text
    assert "{{ 7 * 7 }}" in hostile.text


def test_what_others_say_is_the_same_text_in_the_data(hostile: Page) -> None:
    words = hostile.script("findings-data")["words"]

    assert any(word.startswith(HOSTILE[:60]) for word in words)


def test_the_same_night_makes_the_same_bytes(clean: Page) -> None:
    assert page_of(report_of(clean_night(10, 5), NOW)) == clean.source


def test_without_a_script_the_first_findings_can_be_read_and_the_rest_is_counted() -> None:
    many = night(60, 10, trouble=6.0)
    assert len(many.findings) > STATIC_ROWS

    seen = Page(page_of(report_of(many, NOW)))
    body = seen.source[seen.source.index('<tbody id="rows"') : seen.source.index('<div id="pages"')]

    assert body.count('class="row"') == STATIC_ROWS
    assert f"{len(many.findings)} findings. The first {STATIC_ROWS} are below" in seen.text


def test_do_first_has_the_cause_the_evidence_with_its_age_and_the_command(page: Page) -> None:
    first = BAD.findings[0]
    start = page.source.index('<ol class="first">')
    shown = Page(page.source[start : page.source.index("</ol>", start) + 5]).text

    assert first.finding.cause in shown
    assert first.finding.evidence[0].words in shown
    assert "ago" in shown
    assert first.finding.fix in shown


def test_a_command_is_never_broken_at_its_hyphens(page: Page) -> None:
    assert '<span class="word">--host</span>' in page.source


def test_a_page_without_room_for_all_findings_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.drift.view.page.document.DATA_LIMIT", 4000)

    text = Page(page_of(report_of(night(20, 2), NOW))).text

    assert re.search(r"this page has no room for the \d+ least grave findings", text)


def test_the_exit_code_is_partial_first() -> None:
    assert exit_words(BAD).startswith("exit 1")
    assert exit_words(replace(night(5, 2, unread=False))).startswith("exit 3")


def test_an_old_night_is_said_to_be_old() -> None:
    assert "3d ago" in Page(page_of(report_of(clean_night(2, 2), NOW + timedelta(days=3)))).text


def test_a_first_scan_calls_nothing_new() -> None:
    first = night(20, 1)
    first = replace(
        first, findings=tuple(replace(t, change=FindingChange.NEW) for t in first.findings)
    )

    text = Page(page_of(report_of(first, NOW))).text

    assert f"compare with: {len(first.findings)} findings" in text
    assert "#change=new" not in page_of(report_of(first, NOW))


def test_ignored_findings_are_told_by_rule_with_reason_and_expiry(page: Page) -> None:
    (_, rule), *_ = BAD.ignored

    assert rule.reason in page.text
    assert "30 Nov 2026" in page.text
    assert f"{len(BAD.ignored)} ECS_AGENT_OLD" in page.text
    assert BAD.expired[0].reason in page.text


def test_all_findings_are_in_the_data_in_their_order() -> None:
    text, held = findings_data(report_of(BAD, NOW).findings, 1_000_000)
    data = json.loads(text)
    rows = [[data["words"][n] for n in row[3:]] for row in data["rows"]]

    assert held == len(report_of(BAD, NOW).findings)
    assert [row[1] for row in rows] == [entry.finding.code for entry in BAD.findings]
    assert [row[0] for row in rows] == [entry.change.value for entry in BAD.findings]
    assert [row[8] for row in rows] == [entry.finding.cause for entry in BAD.findings]
    assert [list(Severity)[row[0]] for row in data["rows"]] == [
        entry.finding.severity for entry in BAD.findings
    ]


def test_what_has_no_room_is_left_out_from_the_end_and_counted() -> None:
    text, count = findings_data(report_of(BAD, NOW).findings, 3000)

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


def _worst_night() -> ScanResult:
    return night(10_000, 30, trouble=40.0)


@pytest.mark.long
@pytest.mark.parametrize("made", [lambda: night(10_000, 30), _worst_night])
def test_ten_thousand_stores_and_thirty_nights_stay_below_five_megabytes(made: Any) -> None:
    assert len(page_of(report_of(made(), NOW)).encode()) < 5_000_000
