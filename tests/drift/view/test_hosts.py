"""Hosts on the terminal: each with the age of what is said, and doubt where there is doubt."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from fleet.drift.view.hosts import SHOWN, hosts_document, hosts_view
from fleet.model.drift import HostConnection, Versions
from fleet.model.scan_result import PastFinding
from fleet.model.store_story import HostNow, HostsNow
from tests import nights, scanned
from tests.scanned import ENDED, LAST, NIGHT, NOW

HOST = HostNow(
    host=scanned.fleet().stores[0].hosts[0],
    connection=HostConnection.DARK,
    since=LAST - 2 * NIGHT,
    seen_at=ENDED,
    verified=True,
    managed_instance_id="mi-0c9e4f1ab2d37785e",
    container_instance_arn="arn:cam-1",
    versions=Versions(ecs_agent="1.105.1"),
    findings=(PastFinding(scanned.finding("SITE_DARK", host=""), LAST, LAST),),
)
SCAN = replace(nights.night(2).scan, started_at=LAST, finished_at=ENDED, complete=True)
SEEN = HostsNow(NOW, SCAN, (HOST,))


def text(seen: HostsNow = SEEN, width: int = 140) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False, highlight=False).print(hosts_view(seen, width))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_host_is_one_line_with_since_when_and_how_old() -> None:
    line = next(line for line in text().splitlines() if line.startswith("store-042/cam-1"))

    assert line.split() == [
        *("store-042/cam-1", "dark", "21", "Nov", "03:31Z", "(48h29m)", "20m", "ago"),
        *("mi-0c9e4f1ab2d37785e", "1.105.1", "/", "?", "SITE_DARK"),
    ]


def test_the_scan_it_rests_on_is_named_with_its_age() -> None:
    assert f"from the records: {SCAN.id} of the whole fleet, read 20m ago" in text()
    assert ", INCOMPLETE" in text(replace(SEEN, scan=replace(SCAN, complete=False)))


def test_what_the_last_scan_could_not_tell_is_not_verified() -> None:
    doubtful = replace(HOST, connection=HostConnection.CONNECTED, verified=False)

    found = text(replace(SEEN, hosts=(doubtful,)))

    assert "connected (not verified)" in found
    assert "1 host: 1 connected (not verified)" in found


def test_a_host_that_was_never_seen_is_not_known() -> None:
    unseen = HostNow(HOST.host, None, None, None, verified=False)

    found = text(replace(SEEN, hosts=(unseen,)))

    assert "not known" in found
    assert "never" in found


def test_stores_in_no_scan_are_said_first() -> None:
    found = text(replace(SEEN, unscanned=("store-077",)))

    assert "NOT SCANNED  1 store in no recorded scan: store-077. fleet drift store-077" in found
    assert found.index("NOT SCANNED") < found.index("store-042/cam-1")


def test_without_a_scan_it_says_what_to_type() -> None:
    assert text(HostsNow(NOW, None, (HOST,))) == (
        "NO SCAN  none is recorded yet, so nothing is known: fleet drift"
    )


def test_a_large_fleet_is_cut_and_counted() -> None:
    found = text(replace(SEEN, hosts=(HOST,) * (SHOWN + 7)))

    assert "and 7 more: choose stores, or --json" in found
    assert f"{SHOWN + 7} hosts: {SHOWN + 7} dark" in found


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_screen(width: int) -> None:
    assert max(map(len, text(SEEN, width).splitlines())) <= width


def test_the_document_has_every_host_and_the_age_of_each() -> None:
    document = hosts_document(SEEN)

    assert (document["version"], document["kind"]) == (1, "hosts")
    [host] = document["hosts"]
    assert (host["store"], host["host"], host["connection"]) == ("store-042", "cam-1", "dark")
    assert host["seen_at"] == "2026-11-23T03:40:00Z"
    assert host["findings"][0]["code"] == "SITE_DARK"
