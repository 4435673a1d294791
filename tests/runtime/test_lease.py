import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import FleetError, LeaseLost, Locked, RecordsError
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.runtime import lease as engine_lease
from fleet.runtime.lease import Held, held, holder_of, is_gone, owner_name


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    with open_records(None, tmp_path) as opened:
        yield opened


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew every few milliseconds leases that have plenty of time."""
    monkeypatch.setattr(engine_lease, "RENEWALS", 3000)


def wait_until(true: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 60
    while not true():
        assert time.monotonic() < give_up
        time.sleep(0.005)


def steal(records: Records, name: str = "a") -> None:
    """Take a lease over that somebody holds, as when its owner has been away."""
    holder = records.leases.holder(name)
    assert holder is not None
    assert records.leases.release(holder)
    assert records.leases.take(name, "a thief", 60.0) is not None


def test_leases_are_held_within_the_block_and_free_after_it(records: Records) -> None:
    with held(records, ["b", "a"], "me") as own:
        found = [records.leases.holder(name) for name in ("a", "b")]
        assert found == [own.lease("a"), own.lease("b")]
    assert [records.leases.holder(name) for name in ("a", "b")] == [None, None]


def test_a_block_that_raises_gives_its_leases_back(records: Records) -> None:
    with pytest.raises(FleetError, match="broken"), held(records, ["a"], "me"):
        raise FleetError("broken")
    assert records.leases.holder("a") is None


def test_a_lease_that_somebody_holds_is_refused_by_name(records: Records) -> None:
    with held(records, ["b"], "fleet controller on box, pid 7"):
        with pytest.raises(Locked, match="controller on box, pid 7 works on b since") as raised:
            enter(records, ["a", "b"])
        assert "b is free at" in str(raised.value.hint)
        assert raised.value.exit_code == 5


def test_of_leases_that_are_not_all_free_none_is_kept(records: Records) -> None:
    with held(records, ["b"], "other"), pytest.raises(Locked):
        enter(records, ["a", "b", "c"])
    assert [records.leases.holder(name) for name in ("a", "b", "c")] == [None, None, None]


def enter(records: Records, names: list[str]) -> None:
    with held(records, names, "me"):
        pytest.fail("it was let in")


@pytest.mark.usefixtures("eager")
def test_leases_are_renewed_while_the_block_goes_on(records: Records) -> None:
    with held(records, ["a"], "me") as own:
        first = own.lease("a")
        wait_until(lambda: own.lease("a").expires_at > first.expires_at)
        assert records.leases.take("a", "other", 30.0) is None
        assert own.lease("a").token == first.token


def test_a_block_without_progress_is_not_renewed(records: Records) -> None:
    with held(records, ["a"], "me", ttl_s=0.1, stall_s=0.0):
        wait_until(lambda: records.leases.holder("a") is None)


def test_a_block_that_proceeds_again_renews_before_it_does_anything(records: Records) -> None:
    with held(records, ["a"], "me", ttl_s=0.1, stall_s=0.0) as own:
        wait_until(lambda: records.leases.holder("a") is None)
        own.check()
        assert records.leases.holder("a") is not None


def test_progress_keeps_a_long_block_alive(records: Records) -> None:
    with held(records, ["a"], "me", ttl_s=0.3, stall_s=0.2) as own:
        first = own.lease("a")

        def renewed() -> bool:
            own.proceed()
            return own.lease("a").expires_at > first.expires_at

        wait_until(renewed)


@pytest.mark.usefixtures("eager")
def test_a_lease_that_was_taken_over_is_noticed(records: Records) -> None:
    with held(records, ["a"], "me") as own:
        assert not own.lost
        with own._renewing:  # a renewal between release and take would see neither owner
            steal(records)
        wait_until(lambda: own.lost)
        with pytest.raises(LeaseLost, match="a thief has taken a over"):
            own.check()
        with pytest.raises(LeaseLost):
            own.lease("a")
    holder = records.leases.holder("a")
    assert holder is not None
    assert holder.owner == "a thief"


@pytest.mark.usefixtures("eager")
def test_one_lease_that_was_taken_over_ends_the_right_to_all(records: Records) -> None:
    with held(records, ["a", "b"], "me") as own:
        steal(records, "b")
        wait_until(lambda: own.lost)
        with pytest.raises(LeaseLost, match="taken b over"):
            own.lease("a")
    assert records.leases.holder("a") is None


def test_its_state_is_what_the_owner_before_left(records: Records) -> None:
    with held(records, ["a"], "me") as own:
        assert own.state("a") == {}
        own.keep("a", {"tokens": 3})
        assert own.state("a") == {"tokens": 3}
    with held(records, ["a"], "another") as own:
        assert own.state("a") == {"tokens": 3}


@pytest.mark.usefixtures("eager")
def test_its_state_is_kept_by_renewals_too(records: Records) -> None:
    with held(records, ["a"], "me") as own:
        own.keep("a", {"tokens": 3})
        wait_until(lambda: records.leases.state("a") == {"tokens": 3})


class Away:
    """Leases of a database that goes away."""

    def __init__(self, records: Records) -> None:
        self.leases = records.leases
        self.real = records.leases
        self.asked = threading.Event()

    def go(self) -> None:
        self.leases = self  # type: ignore[assignment]

    def renew(self, *_lease: Any, **_state: Any) -> Any:
        self.asked.set()
        raise RecordsError("the server is down")

    def release(self, *_lease: Any, **_state: Any) -> Any:
        raise RecordsError("the server is down")


def test_a_database_that_is_away_for_less_than_the_lease_is_forgiven(records: Records) -> None:
    away = Away(records)
    with held(away, ["a"], "me", ttl_s=0.6) as own:  # type: ignore[arg-type]
        away.go()
        assert away.asked.wait(60)
        away.leases = away.real
        own.check()
        assert not own.lost


def test_a_database_that_is_away_for_longer_leaves_nobody_sure(records: Records) -> None:
    away = Away(records)
    with held(away, ["a"], "me", ttl_s=0.1) as own:  # type: ignore[arg-type]
        away.go()
        wait_until(lambda: unsure(own))


def unsure(own: Held) -> bool:
    try:
        own.check()
    except LeaseLost as error:
        return "could not be renewed" in str(error)
    return False


def test_no_thread_outlives_the_block(records: Records) -> None:
    with held(records, ["a"], "me"):
        assert "leases" in {thread.name for thread in threading.enumerate()}
    assert "leases" not in {thread.name for thread in threading.enumerate()}


def test_owners_are_told_apart_and_say_where_they_are() -> None:
    one, other = owner_name("fleet rollout"), owner_name("fleet rollout")
    assert one != other
    assert one.startswith("fleet rollout on ")
    assert f"pid {os.getpid()}" in one


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait(timeout=60)
    return process.pid


def owned_by(pid: int) -> str:
    return owner_name("fleet rollout").replace(f"pid {os.getpid()}", f"pid {pid}")


def test_what_a_killed_process_of_this_machine_held_is_taken_over_at_once(
    records: Records,
) -> None:
    dead = records.leases.take("a", owned_by(ended()), 3600.0)
    assert dead is not None
    assert holder_of(records, "a") is None
    with held(records, ["a"], "me") as own:
        assert own.lease("a").token > dead.token
    with pytest.raises(LeaseLost):
        records.leases.renew(dead)


def test_a_killed_process_that_nobody_has_waited_for_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert not is_gone(owned_by(process.pid))
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_gone(owned_by(process.pid))


def test_what_a_living_process_holds_is_left_to_it(records: Records) -> None:
    alive = records.leases.take("a", owner_name("fleet rollout"), 3600.0)
    assert holder_of(records, "a") == alive
    with pytest.raises(Locked, match="fleet rollout on"), held(records, ["a"], "me"):
        pytest.fail("it was taken over")


def test_of_another_machine_nobody_can_say_that_a_process_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    owner = owned_by(ended())
    assert is_gone(owner)
    monkeypatch.setattr(engine_lease, "_pid_namespace", lambda: "0123abcd")
    assert not is_gone(owner)
    monkeypatch.setattr(engine_lease, "_pid_namespace", lambda: "")
    assert not is_gone(owned_by(ended()))


@pytest.mark.parametrize("owner", ["", "me", "fleet on box, pid 7, ab12", f"a, pid {'9' * 30}, x"])
def test_an_owner_of_another_shape_is_not_known_to_have_ended(owner: str) -> None:
    assert not is_gone(owner)


OWNER = """
import sys
from pathlib import Path
from fleet.runtime.lease import held
from fleet.errors import LeaseLost
from fleet.records.opening import open_records

with open_records(None, Path(sys.argv[1])) as records:
    with held(records, ["a"], "child", ttl_s=0.3) as own:
        print("held", flush=True)
        sys.stdin.readline()
        try:
            own.check()
        except LeaseLost as error:
            print(error, flush=True)
"""


@pytest.fixture
def child(records: Records, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lease ``a`` and asks, when told to, whether it still does."""
    command = [sys.executable, "-c", OWNER, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_process_that_is_killed_loses_its_lease(
    records: Records, child: "subprocess.Popen[str]"
) -> None:
    child.kill()
    wait_until(lambda: records.leases.take("a", "me", 30.0) is not None)


def test_a_process_that_is_paused_loses_its_lease_and_finds_out_when_it_goes_on(
    records: Records, child: "subprocess.Popen[str]"
) -> None:
    child.send_signal(signal.SIGSTOP)
    wait_until(lambda: records.leases.take("a", "me", 30.0) is not None)
    child.send_signal(signal.SIGCONT)
    out, _ = child.communicate("\n", timeout=60)
    assert out == "me has taken a over; nothing of this write was kept\n"


@pytest.mark.usefixtures("eager")
def test_leases_are_renewed_again_and_again(records: Records) -> None:
    ends = set()
    with held(records, ["a"], "me") as own:

        def renewed() -> bool:
            own.check()
            holder = records.leases.holder("a")
            assert holder is not None
            ends.add(holder.expires_at)
            return len(ends) > 4

        wait_until(renewed)


def test_where_process_ids_mean_nothing_an_owner_says_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: str) -> Path:
        raise OSError("no /proc here")

    monkeypatch.setattr(engine_lease, "Path", missing)

    assert engine_lease._pid_namespace() == ""


def test_a_lease_that_is_given_back_while_its_holder_is_looked_up_may_be_asked_for_again(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records.leases, "take", lambda *_: None)
    with (
        pytest.raises(Locked, match="a was held until just now") as raised,
        held(records, ["a"], "me"),
    ):
        pytest.fail("it was not taken")
    assert raised.value.hint == "run the same command again"


def test_a_dead_owner_is_waited_for_half_a_minute_and_a_stuck_one_for_a_quarter_of_an_hour(
    records: Records,
) -> None:
    with held(records, ["a"], "me") as own:
        assert own.lease("a").ttl_s == 30.0
        assert own._stall_s == 900.0
