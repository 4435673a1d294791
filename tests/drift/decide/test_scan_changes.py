from collections.abc import Iterable
from dataclasses import replace
from datetime import time
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.finding_kinds import Need
from fleet.drift.decide.scan_changes import (
    Coverage,
    answered,
    changes_of,
    known_to_both,
    switched_off,
    unsettled,
)
from fleet.model.drift import (
    Finding,
    HostConnection,
    Probe,
    Reconciled,
    ShardSeen,
    StoreSeen,
    StoreState,
    Unread,
)
from fleet.model.drift_settings import Severity
from fleet.model.hours import OpenSpan
from fleet.model.inventory import Lifecycle
from fleet.model.observed import ManagedInstance, NotRead, Reading
from fleet.model.scan_result import FindingChanges, PastFinding
from fleet.model.wanted import Wanted
from tests import build
from tests.drift.decide.night_parts import (
    DAY,
    HOST,
    LAST_NIGHT,
    TONIGHT,
    finding,
    past,
    spell,
    unread,
)

HOSTS = {"store-042": ("tel-1",)}
CONNECTED = {HOST: spell(HostConnection.CONNECTED, LAST_NIGHT)}
AWAY = {HOST: spell(HostConnection.DARK, LAST_NIGHT)}


def looked(digests: bool = True, deep: bool = True, **changes: Any) -> Coverage:
    return replace(Coverage(digests, deep, CONNECTED, hosts=HOSTS, answered={HOST}), **changes)


def needing(need: Need) -> list[str]:
    return sorted(code for code, kind in CATALOGUE.items() if need in kind.needs)


@pytest.mark.parametrize("code", needing(Need.TASKS))
def test_tasks_are_seen_only_where_digests_are_compared(code: str) -> None:
    assert looked().covers(finding(code))
    assert not looked(digests=False).covers(finding(code))


@pytest.mark.parametrize("code", needing(Need.PROBE))
def test_what_hosts_say_is_seen_only_where_they_are_asked(code: str) -> None:
    assert looked().covers(finding(code))
    assert not looked(deep=False).covers(finding(code))


@pytest.mark.parametrize("code", ["IMAGE_DRIFT", "CONTAINER_MISSING", "TASKS_SHORT"])
def test_what_runs_on_a_host_that_is_away_is_not_seen(code: str) -> None:
    assert not looked(connections=AWAY).covers(finding(code, host="tel-1"))
    assert not looked(connections=AWAY).covers(finding(code))
    assert looked().covers(finding(code, host="tel-1"))


def test_that_a_host_is_away_hides_nothing_that_ecs_itself_knows() -> None:
    assert looked(connections=AWAY).covers(finding("SERVICE_MISSING"))


def test_another_host_that_is_away_hides_nothing_of_this_one() -> None:
    both = {"store-042": ("cam-1", "tel-1")}
    away = {**CONNECTED, ("store-042", "cam-1"): AWAY[HOST]}
    seen = looked(hosts=both, connections=away)
    assert seen.covers(finding("IMAGE_DRIFT", host="tel-1"))
    assert not seen.covers(finding("IMAGE_DRIFT", host="cam-1"))
    assert not seen.covers(finding("TASKS_SHORT"))


def test_a_host_of_which_nobody_can_say_how_it_is_connected_hides_what_runs_there() -> None:
    assert not looked(connections={}, known={HOST}).covers(finding("TASKS_SHORT"))


@pytest.mark.parametrize("code", ["TASKS_SHORT", "HOST_DARK"])
def test_a_host_that_is_not_there_hides_nothing(code: str) -> None:
    assert looked(connections={}).covers(finding(code, host="tel-1"))


def test_a_host_that_has_left_the_inventory_hides_nothing() -> None:
    assert looked(connections=AWAY).covers(finding("IMAGE_DRIFT", host="gone-1"))


def test_what_a_rollout_is_at_work_on_is_not_seen() -> None:
    wanted = {"store-042": Wanted(build.store(), (), rolling={"vision-arm64": "ro-118"})}
    assert not looked(wanted=wanted).covers(finding("RELEASE_PENDING", subject="vision-arm64"))
    assert looked(wanted=wanted).covers(finding("RELEASE_PENDING", subject="telemetry-amd64"))


@pytest.mark.parametrize("code", needing(Need.CONNECTION))
def test_an_outage_is_not_over_before_its_end_has_held(code: str) -> None:
    seen = looked(connections={}, known={HOST})
    assert not seen.covers(finding(code))
    assert not seen.covers(finding(code, host="tel-1"))


@pytest.mark.parametrize("how", list(HostConnection))
def test_how_a_host_is_connected_for_certain_is_seen(how: HostConnection) -> None:
    connections = {HOST: spell(how, LAST_NIGHT)}
    assert looked(connections=connections, known={HOST}).covers(finding("HOST_DARK", host=HOST[1]))


def test_a_site_with_one_host_that_is_there_is_not_dark_whatever_the_other_one_is() -> None:
    other = ("store-042", "cam-1")
    hosts = {"store-042": ("cam-1", "tel-1")}
    two = looked(connections={other: CONNECTED[HOST]}, known={HOST, other}, hosts=hosts)
    assert two.covers(finding("SITE_DARK"))
    assert not two.covers(finding("HOST_DARK", host="tel-1"))


def rolling(*services: str) -> dict[str, Wanted]:
    return {"store-042": Wanted(build.store(), (), rolling=dict.fromkeys(services, "ro-118"))}


@pytest.mark.parametrize("code", ["IMAGE_DRIFT", "CONTAINER_MISSING", "CONTAINER_OLD_IMAGE"])
def test_what_runs_of_a_service_that_a_rollout_is_at_work_on_is_not_seen(code: str) -> None:
    one = finding(code, host="tel-1", subject="vision-arm64/app")
    assert not looked(wanted=rolling("vision-arm64")).covers(one)
    assert looked(wanted=rolling("telemetry-amd64")).covers(one)


@pytest.mark.parametrize(
    "code", sorted(code for code, kind in CATALOGUE.items() if kind.needs_release)
)
def test_what_only_a_release_changes_is_not_seen_where_a_rollout_stands_still(code: str) -> None:
    held = {"vision-arm64": "ro-118"}
    wanted = {"store-042": Wanted(build.store(), (), idle=held)}
    assert not looked(wanted=wanted).covers(finding(code, subject="vision-arm64"))
    assert looked(wanted=wanted).covers(finding(code, subject="telemetry-amd64"))
    assert looked(wanted=wanted).covers(finding("CHANGED_BY_HAND", subject="vision-arm64"))


@pytest.mark.parametrize("code", ["TASK_ORPHAN", "TASK_STUCK_STOPPING"])
def test_a_task_may_be_of_any_service_that_a_rollout_is_at_work_on(code: str) -> None:
    one = finding(code, host="tel-1", subject="0a1b2c3d")
    assert not looked(wanted=rolling("vision-arm64")).covers(one)
    assert looked(wanted=rolling()).covers(one)


@pytest.mark.parametrize("code", needing(Need.PROBE))
def test_what_a_host_said_is_not_gone_while_it_says_nothing(code: str) -> None:
    one = finding(code, host="tel-1")
    assert not looked(answered=frozenset()).covers(one)
    assert looked(answered={HOST}).covers(one)


def test_a_disk_is_not_free_because_its_host_is_dark() -> None:
    away = looked(connections=AWAY, answered=frozenset())
    assert not away.covers(finding("DISK_LOW", host="tel-1"))


def test_a_host_that_is_registered_nowhere_has_no_disk_that_could_be_full() -> None:
    gone = looked(connections={}, answered=frozenset())
    assert gone.covers(finding("DISK_LOW", host="tel-1"))


def test_a_host_that_is_away_again_is_no_steadier() -> None:
    assert not looked(connections=AWAY).covers(finding("UNSTEADY", host="tel-1"))
    assert looked().covers(finding("UNSTEADY", host="tel-1"))


@pytest.mark.parametrize("code", ["DISK_LOW", "UNSTEADY", "IMAGE_DRIFT"])
def test_nobody_waits_for_a_store_that_is_not_open(code: str) -> None:
    paused = replace(build.store(), lifecycle=Lifecycle.PAUSED)
    seen = looked(connections=AWAY, wanted={"store-042": Wanted(paused, ())}, answered=frozenset())
    assert seen.covers(finding(code, host="tel-1"))


def clone(**data: Any) -> Finding:
    return finding(
        "CLONE", host="tel-1", data={"hosts": ["store-042/tel-1", "store-043/tel-1"]} | data
    )


def test_a_copy_is_not_gone_because_nobody_looked_at_the_original() -> None:
    assert not looked(whole=False).covers(clone())
    both = {**HOSTS, "store-043": ("tel-1",)}
    assert looked(whole=False, hosts=both).covers(clone())
    assert looked(whole=True).covers(clone())


def test_a_machine_id_is_not_compared_with_that_of_a_host_that_is_dark() -> None:
    dark = {**CONNECTED, ("store-043", "tel-1"): AWAY[HOST]}
    assert not looked(connections=dark).covers(clone(machine_id="4f3c"))
    assert looked(connections=dark).covers(clone(node="mi-1"))


def test_a_host_in_another_cluster_is_only_seen_by_whoever_looks_there() -> None:
    one = finding("HOST_ELSEWHERE", host="tel-1", data={"cluster": "store-043"})
    wanted = {"store-042": Wanted(build.store(), ())}
    assert not looked(whole=False, wanted=wanted).covers(one)
    assert looked(whole=True, wanted=wanted).covers(one)
    other = {"store-043": Wanted(build.store(id="store-043", cluster="store-043"), ())}
    assert looked(whole=False, wanted=wanted | other).covers(one)


def test_hosts_answer_where_what_they_said_was_read() -> None:
    nothing = NotRead("not asked for")
    said = Reading(Probe((), 1, 2, None, 0.0), LAST_NIGHT)
    probes: dict[str, Reading[Probe] | NotRead] = {"tel-1": said, "cam-1": NotRead("timed out")}
    store = StoreSeen("store-042", nothing, nothing, probes=probes)
    shard = ShardSeen(
        "emea-prod", "eu-west-1", nothing, nothing, nothing, nothing, nothing, {"store-042": store}
    )
    assert answered((shard,)) == {HOST}


def test_what_is_of_no_store_hangs_on_no_host() -> None:
    assert looked(connections={}, known={HOST}).covers(finding("SSM_TIER", ""))


def test_a_host_is_known_to_both_where_ssm_has_the_node_that_ecs_names() -> None:
    nothing = NotRead("not asked for")
    nodes: Reading[tuple[ManagedInstance, ...]] = Reading((build.node(),), LAST_NIGHT)
    shard = ShardSeen("emea-prod", "eu-west-1", nothing, nodes, nothing, nothing, nothing, {})
    unread = replace(shard, nodes=nothing)
    ids = {HOST: (build.MI, "arn"), ("store-042", "cam-1"): ("mi-gone", "arn")}
    assert known_to_both(ids, [shard, unread]) == {HOST}
    assert known_to_both(ids, [unread]) == frozenset()


def settled(state: StoreState = StoreState.OK, **connections: HostConnection) -> Reconciled:
    spells = {("store-042", name): spell(how, LAST_NIGHT) for name, how in connections.items()}
    return Reconciled((), (), spells, {"store-042": state})


TWO = frozenset({("store-042", "cam"), ("store-042", "tel")})


def test_hosts_whose_connection_has_not_held_are_named() -> None:
    (note,) = unsettled(TWO, settled(cam=HostConnection.CONNECTED))
    assert note.startswith("how store-042/tel is connected is not known")
    (both,) = unsettled(TWO, settled())
    assert both.startswith("how store-042/cam, store-042/tel are connected is not known")


def test_of_hosts_that_are_certain_or_told_as_unread_nothing_more_is_said() -> None:
    assert unsettled(TWO, settled(cam=HostConnection.CONNECTED, tel=HostConnection.DARK)) == ()
    assert unsettled(TWO, settled(StoreState.NOT_VERIFIED)) == ()
    assert unsettled(TWO, settled(StoreState.NOT_COUNTED)) == ()


def off(*stores: str) -> tuple[str, ...]:
    """What a scan at 02:00 says of stores whose hosts are switched off at 22:00."""
    daily = dict.fromkeys(range(7), (OpenSpan(time(7), time(22)),))
    made = [build.store(build.host(store=id_), id=id_, hours=daily) for id_ in stores]
    spells = {(id_, "tel-1"): spell(HostConnection.POWERED_OFF, LAST_NIGHT) for id_ in stores}
    return switched_off(made, spells, build.NOW)


def test_a_store_that_is_switched_off_is_told_once_with_its_hours() -> None:
    assert off("s-1") == ("s-1 is powered off since 22:00 (planned), back at 07:00 there",)


def test_several_stores_that_are_switched_off_are_one_note() -> None:
    assert off("s-1", "s-2") == ("s-1, s-2 are powered off while they are closed (planned)",)


def test_nothing_is_said_where_none_is_switched_off() -> None:
    assert switched_off([build.store()], CONNECTED, build.NOW) == ()


SCOPE = ("store-042",)


def covering(
    scope: Iterable[str], *, whole: bool = True, digests: bool = True, deep: bool = True
) -> Coverage:
    return Coverage(digests, deep, hosts=dict.fromkeys(scope, ()), whole=whole)


def compare(
    found: Iterable[Finding] = (),
    open_: Iterable[PastFinding] = (),
    *gaps: Unread,
    coverage: Coverage | None = None,
) -> FindingChanges:
    return changes_of(tuple(found), tuple(open_), gaps, coverage or covering(SCOPE), TONIGHT)


def test_what_was_not_open_is_opened() -> None:
    assert compare([finding()]) == FindingChanges(TONIGHT, opened=(finding(),))


def test_what_is_found_again_is_kept_with_its_row() -> None:
    worse = finding(severity=Severity.HIGH, cause="since two nights")
    assert compare([worse], [past()]) == FindingChanges(TONIGHT, kept=((past(), worse),))


def test_what_is_gone_is_resolved_at_the_time_of_the_scan() -> None:
    gone = replace(past(), resolved_at=TONIGHT)
    assert compare([], [past()]) == FindingChanges(TONIGHT, resolved=(gone,))


def test_another_subject_is_another_finding() -> None:
    one, other = finding(subject="mi-1"), finding(subject="mi-2")
    changes = compare([one], [past(other)])
    assert (changes.opened, [row.finding for row in changes.resolved]) == ((one,), [other])


def test_two_findings_of_one_key_are_one_and_the_worst() -> None:
    low, high = finding(severity=Severity.LOW), finding(severity=Severity.HIGH)
    assert compare([low, high, low]).opened == (high,)


@pytest.mark.parametrize(
    "gap",
    [
        unread(),
        unread("store-042"),
        unread(region=""),
        unread(account="", region=""),
    ],
)
def test_nothing_is_resolved_where_something_was_not_read(gap: Unread) -> None:
    assert compare([], [past()], gap) == FindingChanges(TONIGHT, not_verified=(past(),))


@pytest.mark.parametrize(
    "gap",
    [unread("store-043"), unread(region="us-east-1"), unread(account="apac-prod", region="")],
)
def test_what_was_not_read_elsewhere_keeps_nothing_open(gap: Unread) -> None:
    assert compare([], [past()], gap).not_verified == ()


@pytest.mark.parametrize("gap", [unread(), unread("store-043")])
def test_a_finding_of_an_account_rests_on_all_of_its_stores(gap: Unread) -> None:
    row = past(finding("SSM_TIER", ""))
    assert compare([], [row], gap).not_verified == (row,)


@pytest.mark.parametrize("gap", [unread(), unread("store-1", account="apac-prod")])
def test_a_finding_of_the_whole_fleet_rests_on_everything(gap: Unread) -> None:
    row = past(finding("CARRIER_DARK", "", account="", region=""))
    assert compare([], [row], gap).not_verified == (row,)
    assert compare([], [row]).not_verified == ()


@pytest.mark.parametrize("code", ["ROLLOUT_WAITS", "ROLLOUT_IDLE"])
def test_what_rests_on_the_records_alone_is_gone_whatever_aws_did_not_answer(code: str) -> None:
    row = past(finding(code, "", account="", region="", subject="ro-118"))
    assert compare([], [row], unread()).resolved == (replace(row, resolved_at=TONIGHT),)


def recall(code: str = "TASKS_SHORT") -> PastFinding:
    counted = [[code, "store-042", "tel-1", "telemetry-amd64"]]
    data = {"counted": counted}
    return past(finding("RELEASE_RECALLED", "", account="", region="", subject="ro-118", data=data))


def test_a_recall_is_gone_when_its_stores_were_seen_well() -> None:
    (resolved,) = compare([], [recall()], coverage=looked(watched={"ro-118"})).resolved
    assert resolved.finding.code == "RELEASE_RECALLED"


@pytest.mark.parametrize(
    ("code", "seen", "gaps"),
    [
        ("TASKS_SHORT", looked(connections=AWAY), ()),
        ("CRASH_LOOP", looked(deep=False), ()),
        ("CRASH_LOOP", looked(answered=()), ()),
        ("TASKS_SHORT", looked(), (unread("store-043"),)),
    ],
    ids=["away", "not asked", "silent", "unread"],
)
def test_a_recall_stays_while_what_it_adds_up_was_not_read(
    code: str, seen: Coverage, gaps: tuple[Unread, ...]
) -> None:
    watching = replace(seen, watched={"ro-118"})
    changes = compare([], [recall(code)], *gaps, coverage=watching)
    assert (changes.not_verified, changes.resolved) == ((recall(code),), ())


def test_a_recall_is_gone_when_its_rollout_is_watched_no_more_whatever_was_not_read() -> None:
    (resolved,) = compare([], [recall()], unread(), coverage=looked(connections=AWAY)).resolved
    assert resolved.finding.subject == "ro-118"


def test_a_finding_rests_on_the_other_stores_that_it_names() -> None:
    copy = finding("CLONE", data={"hosts": ["store-042/tel-1", "store-043/tel-1"]})
    part = covering(["store-042", "store-043"], whole=False)
    changes = compare([], [past(copy)], unread("store-043"), coverage=part)
    assert [row.finding for row in changes.not_verified] == [copy]


def test_what_is_found_although_something_was_not_read_is_kept() -> None:
    assert compare([finding()], [past()], unread()).kept == ((past(), finding()),)


def test_where_the_scan_did_not_look_nothing_is_resolved() -> None:
    row = past(finding("DISK_LOW", host="tel-1"))
    shallow = covering(SCOPE, digests=False, deep=False)
    assert compare([], [row], coverage=shallow).not_verified == (row,)


@pytest.mark.parametrize("store", ["store-043", ""])
def test_a_narrow_scan_leaves_what_is_outside_of_it_alone(store: str) -> None:
    assert compare(
        [], [past(finding(store=store))], coverage=covering(SCOPE, whole=False)
    ) == FindingChanges(TONIGHT)


def test_a_narrow_scan_keeps_what_it_finds_of_an_account() -> None:
    row = past(finding("SSM_TIER", ""))
    assert compare([row.finding], [row], coverage=covering(SCOPE, whole=False)).kept == (
        (row, row.finding),
    )


def test_a_store_that_has_left_the_inventory_has_no_findings_whatever_was_not_read() -> None:
    row = past(finding("DISK_LOW", store="store-gone"))
    shallow = covering(SCOPE, digests=False, deep=False)
    changes = compare([], [row], unread(), unread(account="", region=""), coverage=shallow)
    assert changes.resolved == (replace(row, resolved_at=TONIGHT),)


keys = st.builds(
    finding,
    st.sampled_from(["TWIN", "DISK_LOW", "SITE_DARK", "SSM_TIER"]),
    st.sampled_from(["store-1", "store-2", ""]),
    host=st.sampled_from(["", "cam-1"]),
    subject=st.sampled_from(["", "a", "b"]),
    account=st.sampled_from(["emea-prod", "apac-prod"]),
    severity=st.sampled_from(Severity),
)
nights = st.lists(keys, max_size=12)
gaps_of = st.lists(
    st.builds(
        unread,
        st.sampled_from(["", "store-1", "store-2"]),
        account=st.sampled_from(["emea-prod", "apac-prod", ""]),
        region=st.sampled_from(["eu-west-1", ""]),
    ),
    max_size=2,
)
coverages = st.builds(
    covering,
    st.sets(st.sampled_from(["store-1", "store-2"])),
    whole=st.booleans(),
    digests=st.booleans(),
    deep=st.booleans(),
)


class Seen(NamedTuple):
    """A scan: what was found, what was open before, what was not read, and what was covered."""

    found: list[Finding]
    before: list[Finding]
    gaps: list[Unread]
    coverage: Coverage

    def beside(self, rows: list[PastFinding]) -> FindingChanges:
        return changes_of(self.found, rows, self.gaps, self.coverage, TONIGHT)


seen_nights = st.builds(Seen, nights, nights, gaps_of, coverages)


def rows_after(before: Iterable[PastFinding], changes: FindingChanges) -> list[PastFinding]:
    """The open rows once a night was recorded."""
    rows = {row.finding.key: row for row in before}
    for finding_ in changes.opened:
        rows[finding_.key] = PastFinding(finding_, changes.at, changes.at)
    for row, finding_ in changes.kept:
        rows[finding_.key] = replace(row, finding=finding_, last_seen=changes.at)
    for row in changes.resolved:
        del rows[row.finding.key]
    return list(rows.values())


def open_rows(found: Iterable[Finding]) -> list[PastFinding]:
    return list({one.key: past(one, LAST_NIGHT - DAY) for one in found}.values())


@given(seen_nights)
def test_each_finding_is_in_one_part_only(seen: Seen) -> None:
    changes = seen.beside(open_rows(seen.before))
    parts = [
        *(one.key for one in changes.opened),
        *(one.key for _row, one in changes.kept),
        *(row.finding.key for row in (*changes.resolved, *changes.not_verified)),
    ]
    assert len(parts) == len(set(parts))
    assert {one.key for one in seen.found} <= set(parts)
    assert set(parts) <= {one.key for one in (*seen.found, *seen.before)}


@given(seen_nights)
def test_the_same_night_compared_again_changes_nothing(seen: Seen) -> None:
    rows = open_rows(seen.before)
    first = seen.beside(rows)
    again = seen.beside(rows_after(rows, first))
    assert (again.opened, again.resolved) == ((), ())
    assert again.not_verified == first.not_verified


@given(nights, nights, gaps_of)
def test_what_is_not_read_makes_nothing_new_and_resolves_nothing_more(
    found: list[Finding], before: list[Finding], gaps: list[Unread]
) -> None:
    rows, whole = open_rows(before), covering(("store-1", "store-2"))
    read = compare(found, rows, coverage=whole)
    partly = compare(found, rows, *gaps, coverage=whole)
    assert (partly.opened, partly.kept) == (read.opened, read.kept)
    assert all(row in read.resolved for row in partly.resolved)
