from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.scan_result import NIGHTS, last_full_scan_at, scan_result_of
from fleet.model.drift import Finding, HostConnection, StoreState
from fleet.model.drift_settings import Severity
from fleet.model.inventory import Link
from fleet.model.scan_result import FindingChange, FindingChanges, OpenFinding, Scan
from fleet.model.wanted import Owed, Wanted
from tests import build
from tests.drift.decide.night_parts import (
    DAY,
    HOST,
    HOUR,
    LAST_NIGHT,
    TONIGHT,
    background,
    finding,
    fleet,
    ignore,
    night,
    past,
    remembered,
    scan,
    spell,
)


def told(changes: FindingChanges, **more: Any) -> tuple[OpenFinding, ...]:
    return scan_result_of(**night(changes=changes, **more)).findings


def test_what_is_opened_is_new_and_first_seen_now() -> None:
    (one,) = told(FindingChanges(TONIGHT, opened=(finding(),)))
    assert (one.change, one.first_seen, one.times) == (FindingChange.NEW, TONIGHT, 1)


@pytest.mark.parametrize(
    ("now", "change"),
    [
        (Severity.HIGH, FindingChange.WORSE),
        (Severity.MEDIUM, FindingChange.SAME),
        (Severity.LOW, FindingChange.BETTER),
    ],
)
def test_what_is_kept_is_as_its_severity_has_moved(now: Severity, change: FindingChange) -> None:
    (one,) = told(FindingChanges(TONIGHT, kept=((past(), finding(severity=now)),)))
    assert (one.change, one.first_seen, one.finding.severity) == (change, LAST_NIGHT, now)


def test_what_is_not_verified_is_told_with_what_was_last_known() -> None:
    row = past(finding(cause="last night's"))
    (one,) = told(FindingChanges(TONIGHT, not_verified=(row,)))
    assert (one.change, one.finding, one.first_seen) == (
        FindingChange.NOT_VERIFIED,
        row.finding,
        LAST_NIGHT,
    )


def test_a_finding_that_begins_again_says_for_which_time_in_the_week() -> None:
    began = {finding().key: 2}
    (one,) = told(FindingChanges(TONIGHT, opened=(finding(),)), began=began)
    assert one.times == 3


def test_a_finding_that_goes_on_has_begun_no_more_often_than_is_recorded() -> None:
    kept = FindingChanges(TONIGHT, kept=((past(), finding()),))
    assert [one.times for one in told(kept, began={finding().key: 3})] == [3]
    assert [one.times for one in told(kept)] == [1]


def test_new_and_worse_come_first_and_then_the_most_severe() -> None:
    def of(store: str, severity: Severity) -> Finding:
        return finding(store=store, severity=severity)

    changes = FindingChanges(
        TONIGHT,
        opened=(of("store-1", Severity.LOW), of("store-2", Severity.HIGH)),
        kept=(
            (past(of("store-3", Severity.HIGH)), of("store-3", Severity.HIGH)),
            (past(of("store-4", Severity.LOW)), of("store-4", Severity.MEDIUM)),
        ),
        not_verified=(past(of("store-5", Severity.MEDIUM)),),
    )
    stores = [one.finding.store for one in told(changes)]
    assert stores == ["store-2", "store-4", "store-1", "store-3", "store-5"]


def test_a_rollout_that_waits_for_a_person_comes_before_everything_else() -> None:
    waits = finding("ROLLOUT_WAITS", "", account="", region="", severity=Severity.MEDIUM)
    changes = FindingChanges(
        TONIGHT, opened=(finding(severity=Severity.HIGH),), kept=((past(waits), waits),)
    )
    first, second = told(changes)
    assert (first.finding, first.is_urgent) == (waits, True)
    assert second.change is FindingChange.NEW


def test_a_finding_says_what_its_store_still_owes() -> None:
    owed = Owed("ro-118", "vision-arm64", "c1", "parked", LAST_NIGHT)
    wanted = {"store-042": Wanted(build.store(), (), {"vision-arm64": owed})}
    other = finding(store="store-043")
    changes = FindingChanges(TONIGHT, opened=(finding(), other))
    assert [one.owes for one in told(changes, wanted=wanted)] == ["vision-arm64 (ro-118)", ""]


def test_what_is_ignored_is_told_apart_with_its_rule() -> None:
    rule = ignore(codes=frozenset({"TWIN"}))
    shown, hidden, old = finding(), finding("TWIN"), finding("TWIN", host="tel-1")
    changes = FindingChanges(
        TONIGHT,
        opened=(shown, hidden),
        not_verified=(past(old),),
        resolved=(past(finding("TWIN", host="cam-1"), resolved_at=TONIGHT),),
    )
    tonight = scan_result_of(**night(changes=changes, inventory=fleet(ignores=(rule,))))
    assert [one.finding for one in tonight.findings] == [shown]
    assert tonight.ignored == ((hidden, rule), (old, rule))
    assert tonight.resolved == ()


def test_a_rule_that_is_over_ignores_nothing_and_is_listed() -> None:
    rule = ignore(until=TONIGHT)
    tonight = scan_result_of(**night(finding(), inventory=fleet(ignores=(rule,))))
    assert (len(tonight.findings), tonight.ignored, tonight.expired) == (1, (), (rule,))


def test_what_was_resolved_is_told() -> None:
    row = past(resolved_at=TONIGHT)
    assert scan_result_of(**night(changes=FindingChanges(TONIGHT, resolved=(row,)))).resolved == (
        row,
    )


def nights_of(*scans: Scan, tonight: Scan | None = None) -> list[str]:
    arguments = night(scans=scans, scan=tonight or scan())
    return [one.id for one in scan_result_of(**arguments).nights]


def test_a_night_is_the_last_scan_of_its_day_in_utc() -> None:
    early, late = scan(LAST_NIGHT), scan(LAST_NIGHT + 2 * HOUR)
    assert nights_of(late, early) == [late.id, scan().id]


def test_this_scan_stands_for_its_day() -> None:
    assert nights_of(scan(TONIGHT - HOUR), scan()) == [scan().id]


def test_scans_of_some_stores_and_those_that_never_finished_are_no_nights() -> None:
    some = scan(LAST_NIGHT, selection="--where market=uk")
    killed = scan(LAST_NIGHT - DAY, finished_at=None)
    assert nights_of(some, killed) == [scan().id]


def test_a_scan_of_some_stores_is_told_beside_whole_nights() -> None:
    some = scan(selection="--where market=uk", id="drift-some")
    assert nights_of(scan(LAST_NIGHT), tonight=some) == [scan(LAST_NIGHT).id, "drift-some"]


def test_no_more_nights_are_shown_than_fit() -> None:
    many = [scan(TONIGHT - n * DAY, id=f"n{n}") for n in range(1, 40)]
    shown = nights_of(*many)
    assert (len(shown), shown[0], shown[-1]) == (NIGHTS, "n29", scan().id)


def test_a_store_without_a_state_is_not_verified() -> None:
    totals = scan_result_of(**night(scan=scan(states={}))).totals
    assert (totals.verified, totals.not_verified, totals.open) == (0, 1, 1)


def test_dark_stores_stand_beside_those_of_the_night_before() -> None:
    before = scan(LAST_NIGHT, StoreState.DARK)
    assert scan_result_of(**night(scans=(before,))).totals.dark_before == 1
    assert scan_result_of(**night()).totals.dark_before is None


def test_a_store_that_was_dark_before_a_blind_night_still_was() -> None:
    dark = scan(LAST_NIGHT - DAY, StoreState.DARK, id="n2")
    blind = scan(LAST_NIGHT, StoreState.NOT_VERIFIED, id="n1")
    assert scan_result_of(**night(scans=(dark, blind))).totals.dark_before == 1


@given(st.dictionaries(st.integers(0, 12), st.sampled_from(StoreState)))
def test_totals_add_up(states: dict[int, StoreState]) -> None:
    stores = [build.store(id=f"store-{n}") for n in range(10)]
    seen = {f"store-{n}": state for n, state in states.items()}
    totals = scan_result_of(**night(inventory=fleet(*stores), scan=scan(states=seen))).totals
    assert totals.open + totals.not_counted == len(stores)
    assert totals.verified + totals.dark + totals.not_verified == totals.open
    count = Counter(state for n, state in states.items() if n < len(stores))
    assert (totals.dark, totals.not_counted) == (
        count[StoreState.DARK],
        count[StoreState.NOT_COUNTED],
    )


def test_hosts_that_were_away_have_their_spells() -> None:
    memory = {HOST: remembered(spell(HostConnection.CONNECTED, LAST_NIGHT, LAST_NIGHT))}
    now = {HOST: spell(HostConnection.DARK, TONIGHT - HOUR)}
    arguments = night(connections=now, background=background(memory=memory))
    tonight = scan_result_of(**{**arguments, "scans": (scan(LAST_NIGHT),)})
    assert tonight.spells == {HOST: (*memory[HOST].spells, now[HOST])}
    assert {one.nights for one in tonight.availability} == {(1.0, 0.0)}


def test_stores_can_be_filtered_by_what_the_inventory_and_fleet_know() -> None:
    cam = build.host("cam-1", build.XAVIER)
    link = Link("lte", metered=True, carrier="vodanet")
    labels = {"market": "uk", "ring": "a label, not the ring"}
    shop = build.store(build.host(), cam, labels=labels, link=link)
    later = replace(build.store(), id="store-043")
    one, other = scan_result_of(**night(inventory=fleet(later, shop))).stores
    assert (one.id, one.name, other.id) == ("store-042", "Leeds Briggate", "store-043")
    assert one.labels == {
        "market": "uk",
        "ring": "broad",
        "link": "lte",
        "carrier": "vodanet",
        "account": "emea-prod",
        "region": "eu-west-1",
        "hardware": "nuc,xavier-nx",
    }


def test_a_night_is_clean_only_when_nothing_is_open() -> None:
    assert scan_result_of(**night()).is_clean
    assert not scan_result_of(**night(finding())).is_clean
    dark = scan(state=StoreState.DARK)
    assert not scan_result_of(**night(scan=dark)).is_clean


def test_notes_and_the_caller_are_told() -> None:
    tonight = scan_result_of(**night(notes=["history was not written"]))
    assert (tonight.notes, tonight.caller) == (("history was not written",), "arn:me")
    assert tonight.scan.finished_at == TONIGHT + timedelta(minutes=9)


def test_the_team_was_last_told_by_the_last_scan_of_everything_that_ended() -> None:
    whole = scan(LAST_NIGHT)
    part = scan(LAST_NIGHT + HOUR, selection="store-042")
    killed = scan(LAST_NIGHT + 2 * HOUR, finished_at=None)
    assert last_full_scan_at([part, whole, killed]) == LAST_NIGHT
    assert last_full_scan_at([part, killed]) is None


def test_a_store_that_any_scan_has_looked_at_is_not_looked_at_for_the_first_time() -> None:
    part = scan(LAST_NIGHT, selection="market=uk")
    assert not scan_result_of(**night(scans=[part])).is_first
    assert scan_result_of(**night(scans=[])).is_first
    assert scan_result_of(**night(scans=[replace(part, finished_at=None)])).is_first
    assert scan_result_of(
        **night(scans=[replace(part, states={"store-999": StoreState.OK})])
    ).is_first
