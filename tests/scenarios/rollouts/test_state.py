"""What a rollout remembers: over Ctrl-C, SIGKILL, another controller, and a lost database."""

import shutil
import signal
from pathlib import Path

import pytest

from tests.scenarios.conftest import Started
from tests.scenarios.rollouts.conftest import Shops, TakeShops
from tests.scenarios.rollouts.foreground import (
    INTERRUPTED,
    REFUSED,
    TWO_FIRST,
    began,
    running,
    sends,
    slowed,
)


def controller(shops: Shops) -> Started:
    """A controller that has begun."""
    started = shops.start("controller")
    started.wait_for(" begins")
    return started


def test_ctrl_c_stops_at_a_safe_point_and_says_how_to_go_on(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    with slowed(shops):
        foreground.kill(signal.SIGINT)
        ended = foreground.end()

    assert ended.code == INTERRUPTED
    assert "stopped; resume with: fleet rollout resume ro-1" in ended.err
    assert len(running(shops, "1.9.0")) == 2
    resumed = shops.fleet("rollout", "resume", "ro-1")
    assert resumed.code == 0, resumed.err
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1, 1, 1]


@pytest.mark.long
def test_what_a_killed_run_left_is_resumed(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)
    with slowed(shops):
        foreground.kill(signal.SIGKILL)
        foreground.end()

    resumed = shops.fleet("rollout", "resume")

    assert resumed.code == 0, resumed.err
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1, 1, 1]


@pytest.mark.long
def test_a_detached_rollout_needs_a_controller_and_is_carried_out_by_it(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")

    alone = shops.roll("--detach")
    serving = controller(shops)
    detached = shops.roll("--detach")
    waited = shops.fleet("rollout", "wait", "ro-1")
    serving.kill(signal.SIGTERM)

    assert alone.code == REFUSED
    assert "start one: fleet controller" in alone.err
    assert (detached.code, detached.out) == (0, "ro-1\n")
    assert waited.code == 0, waited.err
    assert running(shops, "1.9.0") == shops.stores
    served = serving.end()
    assert served.code == 0
    assert "ro-1" in served.err


@pytest.mark.long
def test_of_two_controllers_the_other_goes_on_when_one_is_killed(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    one, other = controller(shops), controller(shops)
    with slowed(shops):
        assert shops.roll("--canary", "--detach").code == 0
        shops.wait_until(lambda: len(running(shops, "1.9.0")) == 2)
        ticks = " sent\n" in one.said
        lost, left = (one, other) if ticks else (other, one)
        lost.kill(signal.SIGKILL)
        lost.end()

    waited = shops.fleet("rollout", "wait", "ro-1")
    left.kill(signal.SIGTERM)

    assert waited.code == 0, waited.err
    assert left.end().code == 0
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1, 1, 1]


@pytest.mark.long
def test_a_lost_database_is_rebuilt_from_aws_and_the_rollout_set_back(take: TakeShops) -> None:
    shops = take(3)
    behind, ahead, owing = shops.stores
    shops.policy(waves=["100%"])
    shops.release("1.8.4")
    assert shops.roll("--store", ahead).code == 0
    shops.cut(owing)
    shops.release("1.9.0")
    shops.pass_time(600)
    assert shops.roll().code == 0
    shutil.rmtree(shops.folder / ".fleet")

    rebuilt = shops.fleet("state", "rebuild")

    assert rebuilt.code == 0, rebuilt.err
    assert "ro-2" in rebuilt.out
    assert shops.verdicts() == {behind: "ok", ahead: "ok"}
    assert owing not in rebuilt.out
    rolled = shops.fleet("rollout", "rollback", "ro-2", "--yes")
    assert rolled.code == 0, rolled.err
    assert (shops.runs(behind), shops.runs(ahead)) == ("1.8.3", "1.8.4")


def test_a_rollout_killed_on_the_way_is_not_rebuilt_as_done_and_not_with_further_shops(
    take: TakeShops,
) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)
    foreground.kill(signal.SIGKILL)
    foreground.end()
    shutil.rmtree(shops.folder / ".fleet")
    sent = running(shops, "1.9.0")

    rebuilt = shops.fleet("state", "rebuild", "--json")

    assert rebuilt.code == 0, rebuilt.err
    [one] = rebuilt.document["rollouts"]
    assert sorted(change["store"] for change in one["changes"]) == sent
    assert one["owed"] == []
    shown = shops.status()
    assert (shown["rollout"]["phase"], shown["owed"]) == ("rebuilt", [])
    assert shown["next"][0] == "fleet plan"
    planned = shops.fleet("plan", "--all", "--json").document["totals"]
    assert planned["stores_changed"] == 4 - len(sent)
    assert shops.roll("--no-canary").code == 0
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_whoever_looks_on_in_a_pipe_reads_plain_lines(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    foreground = shops.start("rollout", "--all", "--yes")
    foreground.wait_for("begins:")

    watched = shops.fleet("rollout", "watch")

    assert foreground.end().code == 0
    assert watched.code == 0
    assert "\x1b" not in watched.out
    assert "ro-1 done" in watched.out
    assert all(f"{store} till-" in watched.out for store in shops.stores)
    one = shops.fleet("rollout", "status", "--store", shops.stores[0])
    assert shops.stores[0] in one.out
    assert shops.stores[1] not in one.out
    [line] = shops.fleet("rollout", "history", "--json").document["rollouts"]
    assert (line["id"], line["phase"], line["stores"]) == ("ro-1", "done", 2)


@pytest.mark.long
def test_the_secret_of_the_credentials_is_found_nowhere(take: TakeShops) -> None:
    shops = take(2)
    secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYsecret4711"
    keys = shops.folder.parent / f"{shops.folder.name}-keys"
    theirs = Path(shops.env["AWS_SHARED_CREDENTIALS_FILE"]).read_text()
    keys.write_text(theirs.replace("nothing-is-secret-in-the-sandbox", secret))
    assert secret in keys.read_text()
    with_keys = {"AWS_SHARED_CREDENTIALS_FILE": str(keys)}
    image = shops.release("1.9.0")
    shops.behave(image, run="crash", exit_code=1, on=[shops.stores[0]])

    halted = shops.fleet("rollout", "--all", "--yes", env=with_keys)
    shops.fault("*:*", "ExpiredTokenException", status=400, count=10_000)
    refused = shops.fleet("rollout", "resume", env=with_keys)
    shops.control("faults", {"clear": True})
    shown = shops.fleet("rollout", "status", "--events", "--json", env=with_keys)

    assert refused.code != 0
    for ran in (halted, refused, shown):
        assert secret not in ran.out + ran.err
    written = [path for path in shops.folder.rglob("*") if path.is_file()]
    assert any(path.name == "fleet.db" for path in written)
    assert [path for path in written if secret.encode() in path.read_bytes()] == []
