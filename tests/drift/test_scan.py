"""A scan from its question to what is told and recorded, with all that can fail on the way."""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.drift import scan as scanning
from fleet.drift.decide.scan_calls import ShardSize, least_calls
from fleet.drift.decide.scan_result import scan_result_of
from fleet.drift.scan import ScanRequest, scan
from fleet.drift.scan_records import LEASE
from fleet.errors import AwsUnreachable, Interrupted, Locked, RecordsError
from fleet.model.desired import DesiredService, Release
from fleet.model.drift import Probe, Reconciled, StoreState
from fleet.model.drift_settings import DriftSettings
from fleet.model.inventory import Store
from fleet.model.observed import NotRead, Reading
from fleet.model.scan_result import FindingChange, ScanResult
from fleet.runtime.lease import held
from tests.shops import NEW, OLD, REGION, SERVICE, SHAPE, STORES, Shops, open_shops

RELEASE = Release(
    "r-1",
    "inventory",
    tuple(DesiredService(store, SERVICE, OLD.content, ("cam-1",)) for store in STORES),
    {SERVICE: SHAPE},
    {one.content: one for one in (OLD, NEW)},
)
#: What is wrong with these shops from the beginning: they carry few of fleet's marks.
UNMARKED = {
    (code, store) for code in ("ATTRIBUTES", "CLUSTER_TAGS", "SERVICE_UNTAGGED") for store in STORES
}


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    """Three shops that run what is committed."""
    with open_shops(tmp_path, monkeypatch) as opened:
        committed(monkeypatch, RELEASE)
        yield opened


def committed(monkeypatch: pytest.MonkeyPatch, release: Release | Exception) -> None:
    def read(*_: Any) -> Release:
        if isinstance(release, Exception):
            raise release
        return release

    monkeypatch.setattr(scanning, "read_release", read)


def look(shops: Shops, *stores: str, **more: Any) -> ScanResult:
    chosen = [s for s in shops.wiring.fleet.stores if not stores or s.id in stores]
    shops.asked.clear()
    return scan(shops.wiring, ScanRequest(tuple(chosen), whole=not stores, **more))


def codes(night: ScanResult, change: FindingChange | None = None) -> set[tuple[str, str]]:
    return {
        (one.finding.code, one.finding.store)
        for one in night.findings
        if change is None or one.change is change
    }


def run(shops: Shops) -> Any:
    return shops.records.runs()[0]


def test_what_is_found_is_new_once_and_then_the_same(shops: Shops) -> None:
    first = look(shops)
    assert codes(first) == UNMARKED
    assert codes(first, FindingChange.NEW) == codes(first)
    again = look(shops)
    assert codes(again, FindingChange.SAME) == codes(first)
    assert [one.first_seen for one in again.findings] == [one.first_seen for one in first.findings]


def test_a_scan_is_complete_and_counted_and_says_who_looked(shops: Shops) -> None:
    night = look(shops)
    assert night.scan.complete
    assert night.caller.endswith(":assumed-role/fleet-operator/on-call")
    assert (night.totals.open, night.totals.verified, night.totals.not_verified) == (3, 3, 0)
    assert (run(shops).id, run(shops).outcome) == (night.scan.id, "done")
    (recorded,) = shops.records.scans.since(night.scan.started_at)
    assert recorded == night.scan


def size(**more: Any) -> ShardSize:
    value = ShardSize(stores=3, nodes=3, tagged=0, remembered=3, services=(1, 1, 1), families=1)
    return replace(value, **more)


def test_a_first_night_costs_what_the_formula_says(shops: Shops) -> None:
    least = least_calls(size(remembered=0, unremembered=3, unknown_revisions=1))
    assert look(shops).scan.calls == least.total()


def test_a_night_after_it_costs_what_the_formula_says(shops: Shops) -> None:
    look(shops)
    assert look(shops).scan.calls == least_calls(size()).total()


def test_digests_cost_what_the_formula_says(shops: Shops) -> None:
    look(shops)
    least = least_calls(size(tasks=(1, 1, 1)))
    assert look(shops, digests=True).scan.calls == least.total()


def dark(shops: Shops) -> None:
    shops.chain.cut("store-001")
    shops.pass_by(3600)


def test_a_store_that_is_cut_off_is_dark_since_its_last_ping(shops: Shops) -> None:
    look(shops)
    cut_at = shops.now()
    dark(shops)
    night = look(shops)
    assert night.scan.states["store-001"] is StoreState.DARK
    assert ("SITE_DARK", "store-001") in codes(night, FindingChange.NEW)
    (finding,) = [one.finding for one in night.findings if one.finding.code == "SITE_DARK"]
    assert abs(finding.since - cut_at) <= timedelta(minutes=5)
    assert (night.totals.dark, night.totals.verified) == (1, 2)


def test_a_store_that_is_back_is_told_with_what_it_did(shops: Shops) -> None:
    look(shops)
    dark(shops)
    look(shops)
    shops.chain.restore("store-001")
    shops.pass_by(3600)
    night = look(shops)
    assert [one.store for one in night.returned] == ["store-001"]
    assert [one.finding.code for one in night.resolved] == ["SITE_DARK"]


def test_a_return_that_somebody_saw_by_day_is_told_to_the_team_at_night(shops: Shops) -> None:
    look(shops)
    dark(shops)
    look(shops)
    shops.chain.restore("store-001")
    shops.pass_by(3600)
    by_day = look(shops, "store-001", selection="store-001").returned
    shops.pass_by(3600)
    (told,) = look(shops).returned
    assert (told.store, told.dark_since) == ("store-001", by_day[0].dark_since)
    assert "was not asked" not in told.words
    shops.pass_by(3600)
    assert look(shops).returned == ()


def test_a_host_whose_agent_stays_away_is_found_after_a_second_look(shops: Shops) -> None:
    look(shops)
    shops.chain.hosts["store-001/cam-1"].ecs_agent.stop()
    shops.pass_by(60)
    least = least_calls(size(doubtful_stores=1, doubtful_hosts=1))
    night = look(shops)
    assert ("ECS_AGENT_DOWN", "store-001") in codes(night)
    assert night.scan.calls == least.total()


def test_a_store_that_goes_right_before_the_scan_is_not_passed_off_as_well(shops: Shops) -> None:
    look(shops)
    shops.pass_by(86_400)
    shops.chain.cut("store-001")
    shops.pass_by(480)
    night = look(shops)
    assert night.totals.dark == 0
    assert any("store-001/cam-1 is connected is not known" in note for note in night.notes)


def test_what_could_not_be_told_is_not_recorded(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_night: Any) -> ScanResult:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(scanning, "scan_result_of", broken)
        with pytest.raises(ZeroDivisionError):
            look(shops)
    assert codes(look(shops), FindingChange.NEW) == UNMARKED


def test_another_account_is_not_looked_at(shops: Shops, monkeypatch: pytest.MonkeyPatch) -> None:
    account = replace(shops.wiring.fleet.accounts["emea-prod"], account_id="999988887777")
    fleet = shops.wiring.fleet
    stores = tuple(replace(store, account=account) for store in fleet.stores)
    other = replace(fleet, accounts={account.name: account}, stores=stores)
    shops.asked.clear()
    wiring = replace(shops.wiring, fleet=other)
    night = scan(wiring, ScanRequest(other.stores, whole=True))
    assert shops.asked == []
    assert (night.totals.not_verified, night.totals.verified) == (3, 0)
    assert not night.scan.complete
    assert night.unread
    assert "999988887777" in night.unread[0].why


def test_a_region_that_is_down_hides_no_other(shops: Shops) -> None:
    fleet = shops.wiring.fleet
    *here, moved = fleet.stores
    there = replace(moved, region="eu-central-1")
    other = replace(fleet, stores=(*here, there))
    for service, action in (("ecs", "DescribeClusters"), ("ssm", "DescribeInstanceInformation")):
        faults = shops.chain.plane.faults
        faults.add(service, action, "InternalFailure", 500, 99, region="eu-central-1")
    wiring = replace(shops.wiring, fleet=other)
    night = scan(wiring, ScanRequest(other.stores, whole=True))
    assert {gap.region for gap in night.unread} == {"eu-central-1"}
    assert (night.totals.verified, night.totals.not_verified) == (2, 1)
    assert {store for _code, store in codes(night) if store} == {store.id for store in here}


def test_a_partial_scan_is_recorded_as_such(shops: Shops) -> None:
    shops.fail("DescribeServices", "AccessDeniedException", count=9)
    night = look(shops)
    assert night.unread
    assert night.totals.verified == 0
    assert (night.scan.complete, run(shops).outcome) == (False, "partial")


def test_what_could_not_be_looked_at_is_not_gone(shops: Shops) -> None:
    look(shops)
    shops.fail("DescribeContainerInstances", "AccessDeniedException", count=9)
    night = look(shops)
    assert night.resolved == ()
    assert codes(night, FindingChange.NOT_VERIFIED) == {("ATTRIBUTES", store) for store in STORES}


def test_findings_of_stores_that_were_not_asked_for_stay(shops: Shops) -> None:
    look(shops)
    night = look(shops, "store-001")
    assert {store for _code, store in codes(night)} == {"store-001"}
    assert (night.resolved, night.totals.open) == ((), 1)
    assert len(shops.records.scans.open()) == len(UNMARKED)


NARROW = {"stores": 1, "nodes": 1, "remembered": 1, "services": (1,), "narrow": True}


def test_of_one_store_among_many_only_its_nodes_are_asked_for(shops: Shops) -> None:
    whole = look(shops)
    night = look(shops, "store-001")
    # These nodes carry no tags, so that the one which is remembered is asked for by its id.
    assert night.scan.calls == least_calls(size(**NARROW)).total() + 1
    assert night.scan.states == {"store-001": whole.scan.states["store-001"]}
    assert codes(night) == {one for one in codes(whole) if one[1] == "store-001"}


def test_a_host_whose_node_is_not_found_so_is_looked_for_among_all(shops: Shops) -> None:
    look(shops)
    spec = shops.chain.hosts["store-001/cam-1"].spec
    told = shops.chain.call(spec, "ssm", "DescribeInstanceInformation")
    (node,) = [n["InstanceId"] for n in told["InstanceInformationList"] if n["Name"] == spec.id]
    shops.chain.call(spec, "ssm", "DeregisterManagedInstance", InstanceId=node)
    night = look(shops, "store-001")
    assert ("HOST_NOT_IN_SSM", "store-001") in codes(night)
    narrow, wide = least_calls(size(**NARROW)), least_calls(size(stores=1, nodes=2, tagged=2))
    listed = wide["ssm:DescribeInstanceInformation"] + wide["ssm:GetServiceSetting"]
    assert night.scan.calls >= narrow.total() - narrow["ssm:ListTagsForResource"] + listed


@pytest.mark.parametrize("action", ["DescribeInstanceInformation", "ListTagsForResource"])
def test_of_one_store_what_ssm_does_not_say_is_told_first(shops: Shops, action: str) -> None:
    look(shops)
    shops.chain.plane.faults.add("ssm", action, "AccessDeniedException", 400, 9)
    night = look(shops, "store-001")
    assert any(action in gap.why for gap in night.unread)
    assert (night.totals.verified, night.totals.not_verified) == (0, 1)
    assert night.resolved == ()


def test_without_a_release_everything_else_is_looked_at(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    committed(monkeypatch, AwsUnreachable("no answer from ECR", hint="try again"))
    night = look(shops)
    assert ("ATTRIBUTES", "store-001") in codes(night)
    assert any("no answer from ECR" in gap.why for gap in night.unread)
    assert night.totals.verified == 0
    assert shops.actions("DescribeTaskDefinition") == []


class Off:
    """A clock that is wrong."""

    def __init__(self, shops: Shops, by: timedelta) -> None:
        self._shops = shops
        self._by = by

    def now(self) -> datetime:
        return self._shops.now() + self._by

    def sleep(self, seconds: float) -> None:
        self._shops.sleep(seconds)


@pytest.mark.parametrize(("hours", "words"), [(1, "ahead of"), (-1, "behind")])
def test_a_clock_that_is_wrong_is_said_and_aws_is_believed(
    shops: Shops, hours: int, words: str
) -> None:
    wiring = replace(shops.wiring, clock=Off(shops, timedelta(hours=hours)))
    night = scan(wiring, ScanRequest(wiring.fleet.stores, whole=True))
    assert any(f"1h {words}" in note for note in night.notes)
    assert abs(night.scan.started_at - shops.now()) < timedelta(seconds=2)
    assert night.totals.dark == 0


def test_a_clock_that_is_right_is_not_spoken_of(shops: Shops) -> None:
    assert look(shops).notes == ()


def test_a_second_scan_at_the_same_time_is_refused_by_name(shops: Shops) -> None:
    with (
        held(shops.records, [LEASE], "fleet drift on another machine"),
        pytest.raises(Locked, match="another machine"),
    ):
        look(shops)
    assert shops.asked == []


def test_a_scan_that_another_one_has_taken_over_from_records_nothing(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(shops)
    before = shops.records.scans.open()
    shops.call("DeregisterTaskDefinition", taskDefinition=shops.old)

    def slept(**parts: Any) -> ScanResult:
        lease = shops.records.leases.holder(LEASE)
        assert lease is not None
        assert shops.records.leases.release(lease)
        assert shops.records.leases.take(LEASE, "fleet drift on another machine", 60) is not None
        return scan_result_of(**parts)

    monkeypatch.setattr(scanning, "scan_result_of", slept)
    night = look(shops)
    assert ("REVISION_GONE", "store-001") in codes(night)
    assert not night.recorded
    assert any("another machine has taken drift over" in note for note in night.notes)
    assert shops.records.scans.open() == before


def without(shops: Shops, tmp_path: Path, *tables: str) -> None:
    """Somebody damages the database."""
    with closing(sqlite3.connect(tmp_path / "state" / "fleet.db")) as database, database:
        for table in tables:
            database.execute(f"ALTER TABLE {table} RENAME TO lost_{table}")


def test_without_recorded_findings_nothing_is_called_new_or_gone(
    shops: Shops, tmp_path: Path
) -> None:
    look(shops)
    without(shops, tmp_path, "fleet_findings")
    night = look(shops)
    assert codes(night, FindingChange.SAME) == UNMARKED
    assert codes(night, FindingChange.NEW) == set()
    assert any("what is new since the last scan is not known" in note for note in night.notes)
    assert any("not recorded" in note for note in night.notes)
    assert night.totals.verified == 3


def test_where_debts_are_not_known_nothing_is_called_new_or_gone(
    shops: Shops, tmp_path: Path
) -> None:
    look(shops)
    without(shops, tmp_path, "fleet_holds")
    night = look(shops)
    assert (codes(night, FindingChange.SAME), codes(night, FindingChange.NEW)) == (UNMARKED, set())
    assert night.resolved == ()
    assert not night.recorded


def test_where_it_is_not_known_which_rollouts_stand_still_nothing_is_called_new_or_gone(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(shops)

    def away() -> None:
        raise RecordsError("the database is locked")

    monkeypatch.setattr(shops.records.rollouts, "under_way", away)
    night = look(shops)
    assert (codes(night, FindingChange.SAME), codes(night, FindingChange.NEW)) == (UNMARKED, set())
    assert night.resolved == ()
    assert any("which rollouts stand still is not known" in note for note in night.notes)


def test_without_any_records_the_fleet_is_still_looked_at(shops: Shops, tmp_path: Path) -> None:
    tables = ("leases", "runs", "observations", "scans", "findings", "task_definitions")
    without(shops, tmp_path, *(f"fleet_{table}" for table in tables))
    night = look(shops)
    assert codes(night) == UNMARKED
    assert any("second scan at the same time" in note for note in night.notes)
    assert night.scan.id.startswith("drift-")
    assert night.scan.complete


def test_somebody_who_wants_it_to_end_leaves_nothing_half_written(shops: Shops) -> None:
    stop = threading.Event()
    stop.set()
    wiring = replace(shops.wiring, stop=stop)
    with pytest.raises(Interrupted):
        scan(wiring, ScanRequest(wiring.fleet.stores, whole=True))
    assert run(shops).outcome == "interrupted"
    assert shops.records.scans.open() == ()
    (begun,) = shops.records.scans.since(shops.now() - timedelta(days=1))
    assert begun.finished_at is None


@pytest.mark.parametrize(
    ("error", "outcome"), [(ZeroDivisionError, "crashed"), (KeyboardInterrupt, "interrupted")]
)
def test_a_scan_that_breaks_off_says_how(
    shops: Shops,
    monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
    outcome: str,
) -> None:
    def broken(*_: Any) -> Reconciled:
        raise error

    monkeypatch.setattr(scanning, "reconcile", broken)
    with pytest.raises(error):
        look(shops)
    assert run(shops).outcome == outcome


def test_what_is_older_than_is_kept_is_dropped(shops: Shops) -> None:
    first = look(shops)
    shops.pass_by(2 * 86_400)
    brief = DriftSettings(keep_days=1)
    wiring = replace(shops.wiring, fleet=replace(shops.wiring.fleet, drift=brief))
    scan(wiring, ScanRequest(wiring.fleet.stores, whole=True))
    ids = [one.id for one in shops.records.scans.since(first.scan.started_at)]
    assert first.scan.id not in ids
    assert len(ids) == 1


def test_hosts_that_are_asked_are_those_whose_agent_answers(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Mapping[tuple[str, str], str]] = []

    def probe_hosts(
        _wiring: Any, _stores: Sequence[Store], nodes: Mapping[tuple[str, str], str]
    ) -> Any:
        asked.append(nodes)
        full = Probe((), disk_free_mb=1, disk_total_mb=9, temperature_c=None, clock_offset_s=0.0)
        answers = {key: Reading(full, shops.now()) for key in nodes}
        return {**answers, ("store-001", "cam-1"): NotRead("asleep")}

    monkeypatch.setattr(scanning, "probe_hosts", probe_hosts)
    dark(shops)
    night = look(shops, deep=True)
    assert set(asked[0]) == {("store-002", "cam-1"), ("store-003", "cam-1")}
    assert {store for code, store in codes(night) if code == "DISK_LOW"} == {
        "store-002",
        "store-003",
    }


def test_a_revision_is_read_once_and_remembered(shops: Shops) -> None:
    look(shops)
    assert shops.actions("DescribeTaskDefinition") == ["DescribeTaskDefinition"]
    look(shops)
    assert shops.actions("DescribeTaskDefinition") == []


def test_a_revision_that_was_deregistered_is_found_though_it_is_remembered(shops: Shops) -> None:
    look(shops)
    shops.call("DeregisterTaskDefinition", taskDefinition=shops.old)
    assert ("REVISION_GONE", "store-001") in codes(look(shops))


@pytest.mark.parametrize("action", ["DescribeTaskDefinition", "ListTaskDefinitions"])
def test_a_store_of_which_it_is_not_known_what_it_runs_is_not_verified(
    shops: Shops, action: str
) -> None:
    shops.fail(action, "AccessDeniedException", count=9)
    night = look(shops)
    (gap,) = night.unread
    assert (gap.account, gap.region, gap.store, gap.stores) == ("emea-prod", REGION, "", 3)
    assert action in gap.why
    assert night.totals.not_verified == 3


def test_progress_says_how_many_stores_are_read(shops: Shops) -> None:
    told: list[Any] = []
    wiring = replace(shops.wiring, listen=told.append)
    scan(wiring, ScanRequest(wiring.fleet.stores, whole=True))
    assert [note.text for note in told] == ["reading 3 stores"]
