"""The whole story of a store and of a code, from the records alone."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.drift.decide.finding_kinds import FindingKind, Reread, SafeFix
from fleet.drift.decide.fix_rules import twin
from fleet.drift.explain import explain_code, explain_store, what_is_meant
from fleet.errors import UsageError
from fleet.model.drift import StoreState
from fleet.model.drift_settings import Ignore, Severity
from fleet.model.scan_result import PastFinding
from fleet.model.store_story import StoreStory
from fleet.records.opening import open_records
from fleet.records.records import Records
from tests import rollouts, scanned
from tests.scanned import LAST, NIGHT, NOW

TWIN = FindingKind(
    "TWIN",
    Severity.MEDIUM,
    "two instances",
    "Two of them.",
    "Drop one.",
    fix=SafeFix(Reread.DEAD_INSTANCES, twin),
)
CATALOGUE = {"TWIN": TWIN, "DISK_LOW": replace(TWIN, code="DISK_LOW")}


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


def story(records: Records, *, host: str = "", **changes: object) -> StoreStory:
    fleet = replace(scanned.fleet(), **changes)  # type: ignore[arg-type]  # fields of Fleet
    return explain_store(records, fleet, fleet.stores[0], NOW, host=host)


def test_it_begins_with_what_is_true_now_and_how_old_that_is(records: Records) -> None:
    scanned.nights(records)

    told = story(records)

    assert told.state is StoreState.DARK
    assert told.scan is not None
    assert told.scan.started_at == LAST
    assert [past.finding.code for past, _ in told.open] == ["SITE_DARK"]
    assert {one.host.name for one in told.hosts} == {"cam-1", "tel-1"}


def test_an_outage_of_all_hosts_is_told_once(records: Records) -> None:
    scanned.nights(records)

    assert [one.host for one in story(records).outages] == [""]


def test_what_was_resolved_is_past(records: Records) -> None:
    scanned.write(records, 1, opened=[scanned.finding()])
    [was] = records.scans.open()
    scanned.write(records, 0, resolved=[was])

    told = story(records)

    assert told.open == ()
    assert [past.finding.code for past in told.past] == ["DISK_LOW"]


def test_one_host_has_its_own_findings_and_its_stores(records: Records) -> None:
    findings = [
        scanned.finding("DISK_LOW", host="tel-1"),
        scanned.finding("HOT", host="cam-1"),
        scanned.finding("SITE_DARK", host=""),
    ]
    scanned.write(records, opened=findings)

    told = story(records, host="cam-1")

    assert {past.finding.code for past, _ in told.open} == {"HOT", "SITE_DARK"}
    assert [one.host.name for one in told.hosts] == ["cam-1"]


def test_a_host_that_is_not_there_is_refused_with_those_that_are(records: Records) -> None:
    with pytest.raises(UsageError, match="no host 'cam-9' in store-042") as refused:
        story(records, host="cam-9")

    assert refused.value.hint == "hosts there: cam-1, tel-1"


def test_a_finding_that_is_let_be_says_by_which_rule(records: Records) -> None:
    rule = Ignore(frozenset({"DISK_LOW"}), None, frozenset(), "", NOW + NIGHT, "refit")
    scanned.write(records, opened=[scanned.finding()])

    [(_, ignored_by)] = story(records, ignores=(rule,)).open

    assert ignored_by == rule


def test_rollouts_and_changes_of_the_store_are_told(records: Records) -> None:
    change = rollouts.change("store-042")
    begun = records.rollouts.start(
        rollouts.spec(), [change], (), caller=rollouts.CALLER, at=LAST, run="run-1"
    )
    run = records.start_run("register", caller_arn=rollouts.CALLER, command="fleet", at=LAST)
    records.audit(
        run, at=LAST, caller_arn=rollouts.CALLER, action="install", store="store-042", why="fresh"
    )

    told = story(records)

    assert [one.id for one in told.rollouts] == [begun.id]
    assert [entry.action for entry in told.audit] == ["install"]


def test_a_store_that_no_scan_has_seen_is_told_without_one(records: Records) -> None:
    told = story(records)

    assert (told.scan, told.state) == (None, None)


def test_a_code_says_where_it_is_open_and_where_it_is_ignored(records: Records) -> None:
    far = scanned.finding("TWIN", store="store-077")
    scanned.write(records, opened=[scanned.finding("TWIN"), far, scanned.finding("HOT")])
    stores = frozenset({"store-077"})
    rule = Ignore(frozenset(), stores, frozenset(), "", NOW + NIGHT, "refit")
    fleet = replace(scanned.fleet(), ignores=(rule,))

    told = explain_code(records, fleet, TWIN, NOW)

    assert {(past.finding.store, by) for past, by in told.open} == {
        ("store-042", None),
        ("store-077", rule),
    }
    assert (told.meaning, told.safe) == ("Two of them.", True)


@pytest.mark.parametrize("word", ["TWIN", "twin"])
def test_a_code_is_known_in_any_case(word: str) -> None:
    assert what_is_meant(word, scanned.fleet(), CATALOGUE) is TWIN


def test_a_code_may_be_typed_with_dashes() -> None:
    assert what_is_meant("disk-low", scanned.fleet(), CATALOGUE) is CATALOGUE["DISK_LOW"]


def test_a_store_is_known_by_its_id() -> None:
    fleet = scanned.fleet()

    assert what_is_meant("store-077", fleet, CATALOGUE) is fleet.stores[1]


@pytest.mark.parametrize(("word", "near"), [("TWINS", "TWIN"), ("store-78", "store-077")])
def test_what_is_neither_is_refused_with_the_nearest(word: str, near: str) -> None:
    with pytest.raises(UsageError) as refused:
        what_is_meant(word, scanned.fleet(), CATALOGUE)

    assert near in str(refused.value.hint)


def test_a_past_finding_is_cut_off_at_the_latest_ones(records: Records) -> None:
    for back in range(30, 0, -2):
        scanned.write(records, back, opened=[scanned.finding()])
        [was] = records.scans.open()
        gone: PastFinding = was
        scanned.write(records, back - 1, resolved=[gone])

    told = story(records)

    assert len(told.past) == 10
    assert told.past[0].first_seen > told.past[-1].first_seen
