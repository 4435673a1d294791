"""Hosts from the records: what the last scan was sure of, and what it was not."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.drift.hosts import hosts_now
from fleet.model.drift import HostConnection, StoreState
from fleet.model.store_story import HostNow, HostsNow
from fleet.records.opening import open_records
from fleet.records.records import Records
from tests import scanned
from tests.scanned import ENDED, LAST, NIGHT, NOW


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


def look(records: Records) -> HostsNow:
    return hosts_now(records, scanned.fleet().stores, NOW, keep_days=90)


def by_id(seen: HostsNow) -> dict[str, HostNow]:
    return {one.host.id: one for one in seen.hosts}


def test_every_host_says_how_it_is_since_when_and_with_which_ids(records: Records) -> None:
    scanned.nights(records)

    cam = by_id(look(records))["store-042/cam-1"]

    assert (cam.connection, cam.since) == (HostConnection.DARK, LAST - 1.5 * NIGHT)
    assert (cam.seen_at, cam.verified) == (ENDED, True)
    assert (cam.managed_instance_id, cam.container_instance_arn) == ("mi-cam-1", "arn:cam-1")


def test_findings_of_a_store_are_its_hosts_too_and_those_of_a_host_its_own(
    records: Records,
) -> None:
    own = scanned.finding(host="tel-1")
    whole = scanned.finding("SITE_DARK", host="")
    scanned.write(records, opened=[own, whole])

    seen = by_id(look(records))

    codes = {id_: {past.finding.code for past in one.findings} for id_, one in seen.items()}
    assert codes == {
        "store-042/cam-1": {"SITE_DARK"},
        "store-042/tel-1": {"DISK_LOW", "SITE_DARK"},
        "store-077/tel-1": set(),
    }


def test_a_host_of_which_the_last_scan_was_not_certain_is_not_verified(records: Records) -> None:
    scanned.write(records, 1, spells={"store-077/tel-1": scanned.connected(seen=ENDED - NIGHT)})
    scanned.write(records, 0)

    host = by_id(look(records))["store-077/tel-1"]

    assert (host.connection, host.verified) == (HostConnection.CONNECTED, False)
    assert host.seen_at == ENDED - NIGHT


def test_a_later_scan_of_another_store_takes_nothing_away(records: Records) -> None:
    scanned.write(records, 1, spells={"store-077/tel-1": scanned.connected(seen=ENDED - NIGHT)})
    scanned.write(records, 0, states={"store-042": StoreState.OK}, selection="store-042")

    assert by_id(look(records))["store-077/tel-1"].verified


def test_a_store_that_no_scan_has_seen_is_named(records: Records) -> None:
    scanned.write(records, states={"store-042": StoreState.OK}, selection="store-042")

    assert look(records).unscanned == ("store-077",)


def test_without_scans_nothing_is_known(records: Records) -> None:
    seen = look(records)

    assert seen.scan is None
    assert {one.connection for one in seen.hosts} == {None}
    assert not any(one.verified for one in seen.hosts)


def test_a_scan_that_never_ended_counts_for_nothing(records: Records) -> None:
    scanned.write(records, 1)
    scanned.write(records, 0, finished_at=None)

    seen = look(records)

    assert seen.scan is not None
    assert seen.scan.started_at == LAST - NIGHT


def test_a_very_old_scan_is_still_the_last(records: Records) -> None:
    scanned.write(records, 200)

    seen = look(records)

    assert seen.scan is not None
    assert NOW - seen.scan.started_at > timedelta(days=199)
