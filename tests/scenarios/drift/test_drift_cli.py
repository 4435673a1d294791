"""`fleet drift` and the commands that look back, as a person and as cron run them."""

import json
import signal
from pathlib import Path

from fleet.records.opening import open_records
from fleet.runtime.lease import owner_name
from tests.scenarios.conftest import World
from tests.scenarios.test_register import NEW, TakeStore


def test_a_shop_that_was_cut_off_is_told_by_every_command_that_looks_back(
    world: World, store: TakeStore, tmp_path: Path
) -> None:
    shop = store()
    assert world.fleet("register", shop, *NEW).code == 0
    world.control("clock/advance", {"seconds": 1200})  # a shop that was well for a while
    world.control("cut", {"target": shop})
    world.control("clock/advance", {"seconds": 3600})

    ran = world.fleet("drift", shop, "--report", str(tmp_path / "out"))
    explained = world.fleet("explain", shop)
    hosts = world.fleet("hosts", shop, "--json").document["hosts"]
    history = world.fleet("history", shop, "--json").document["moments"]

    world.control("restore", {"target": shop})
    assert ran.code == 3
    assert "SITE_DARK" in ran.out
    page = Path(ran.out.splitlines()[-1])
    assert page.parent == tmp_path / "out"
    assert "SITE_DARK" in page.read_text()
    document = json.loads((tmp_path / "out" / "latest.json").read_text())
    assert "SITE_DARK" in {finding["code"] for finding in document["findings"]}
    assert (explained.code, explained.out.splitlines()[1].split()[0]) == (0, "DARK")
    assert {(host["connection"], host["verified"]) for host in hosts} == {("dark", True)}
    assert {"state", "outage", "found"} <= {moment["kind"] for moment in history}


def test_a_ledger_that_cannot_be_read_comes_first_and_ends_with_1(
    world: World, store: TakeStore
) -> None:
    shop = store()
    world.fault("ssm:DescribeInstanceInformation", "AccessDeniedException", status=400, count=99)

    ran = world.fleet("drift", shop)

    world.control("faults", {"clear": True})
    assert ran.code == 1
    assert ran.out.splitlines()[2].startswith("NOT READ")
    assert "VERIFIED  0 · dark 0 · not verified 1" in ran.out
    assert "exit 1 (partial): not everything could be read" in ran.err


def test_a_second_scan_at_the_same_time_ends_with_5_and_says_who_is_at_it(
    world: World, store: TakeStore
) -> None:
    with open_records(None, world.folder / ".fleet") as records:
        lease = records.leases.take("drift", owner_name("fleet drift"), 60.0)
        assert lease is not None
        ran = world.fleet("drift", store())
        records.leases.release(lease)

    assert ran.code == 5
    assert "fleet drift on " in ran.err
    assert ran.out == ""


def test_one_that_still_waits_leaves_at_once_when_it_is_stopped(
    world: World, store: TakeStore
) -> None:
    started = world.start("drift", store(), "--jitter", "1000h")
    started.wait_for("begins in ")
    started.kill(signal.SIGINT)

    ran = started.end()

    assert ran.code == 130
    assert "interrupted; nothing was read" in ran.err
    assert ran.out == ""


def test_before_any_scan_it_is_said_that_nothing_is_known(world: World, store: TakeStore) -> None:
    ran = world.fleet("hosts", store(), env={"FLEET_STATE": str(world.folder / "empty")})

    assert ran.code == 1
    assert ran.out == "NO SCAN  none is recorded yet, so nothing is known: fleet drift\n"
