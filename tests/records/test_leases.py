import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import literal, update

from fleet.errors import LeaseLost, RecordsError
from fleet.model.history import Lease
from fleet.model.rollout import Rollout
from fleet.model.secret import Secret
from fleet.records import database, leases
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.records.tables import LEASES
from tests import rollouts as some

LATE = timedelta(seconds=1)
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def take(records: Records, owner: str = "me", name: str = "shard") -> Lease:
    lease = records.leases.take(name, owner, 30.0)
    assert lease is not None
    return lease


def end_now(records: Records, name: str = "shard") -> None:
    """Let the lease expire, as it does when nobody renews it."""
    with records._database.write() as connection:
        connection.execute(update(LEASES).where(LEASES.c.name == name).values(expires_at=1.0))


def test_a_lease_that_is_free_can_be_taken(records: Records) -> None:
    lease = take(records)
    assert (lease.name, lease.owner, lease.token, lease.ttl_s, lease.state) == (
        "shard",
        "me",
        1,
        30.0,
        {},
    )


def test_a_lease_ends_by_the_clock_of_the_database(records: Records) -> None:
    before = records.leases.now()
    lease = take(records)
    assert before <= lease.taken_at <= records.leases.now()
    # PostgreSQL looks at its clock for each of the two.
    assert timedelta(0) <= lease.expires_at - lease.taken_at - timedelta(seconds=30) < LATE


@pytest.mark.parametrize(
    ("passed", "free"), [(-0.5, False), (0.0, True), (0.5, True), (-31.0, False), (-31.5, True)]
)
def test_a_lease_is_free_from_its_end_on_and_when_the_clock_was_set_back(
    records: Records, monkeypatch: pytest.MonkeyPatch, passed: float, *, free: bool
) -> None:
    """Its owner has asked for 30 s, and a second is allowed for besides."""
    for now, owner, got in ((1000.0, "me", True), (1030.0 + passed, "you", free)):
        monkeypatch.setattr(leases, "_now", lambda _, at=now: literal(at))
        assert (records.leases.take("shard", owner, 30.0) is not None) is got


def test_the_clock_of_the_database_runs_in_utc(records: Records) -> None:
    assert abs(records.leases.now() - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("owner", ["somebody else", "me"])
def test_a_lease_that_is_held_is_given_to_nobody(records: Records, owner: str) -> None:
    take(records)
    assert records.leases.take("shard", owner, 30.0) is None


def test_leases_of_other_names_do_not_matter(records: Records) -> None:
    take(records)
    assert take(records, name="controller").token == 1


def test_a_lease_that_was_given_back_can_be_taken(records: Records) -> None:
    records.leases.release(take(records))
    assert take(records, "somebody else").token == 2


def test_a_lease_that_expired_can_be_taken(records: Records) -> None:
    take(records)
    end_now(records)
    assert take(records, "somebody else").token == 2


def test_a_lease_that_nobody_renews_expires(records: Records) -> None:
    assert records.leases.take("shard", "me", 0.01) is not None
    give_up = time.monotonic() + 60
    while records.leases.take("shard", "somebody else", 30.0) is None:
        assert time.monotonic() < give_up


def test_a_lease_from_before_the_clock_was_set_back_can_be_taken(records: Records) -> None:
    take(records)
    with records._database.write() as connection:
        connection.exec_driver_sql("UPDATE fleet_leases SET expires_at = expires_at + 3600")
    assert take(records, "somebody else").token == 2


def test_renewing_puts_the_end_off(records: Records) -> None:
    lease = take(records)
    end_now(records)
    renewed = records.leases.renew(lease)
    assert renewed.expires_at > records.leases.now()
    assert replace(renewed, expires_at=lease.expires_at) == lease


def test_a_lease_that_expired_and_that_nobody_took_is_still_its_owners(records: Records) -> None:
    lease = take(records)
    end_now(records)
    assert records.leases.renew(lease).token == lease.token
    assert records.leases.take("shard", "somebody else", 30.0) is None


def test_a_lease_that_somebody_else_took_is_not_renewed(records: Records) -> None:
    lease = take(records)
    end_now(records)
    other = take(records, "somebody else")
    with pytest.raises(LeaseLost, match="somebody else has taken shard over"):
        records.leases.renew(lease)
    assert records.leases.holder("shard") == other


def test_a_lease_that_somebody_else_took_is_not_given_back(records: Records) -> None:
    lease = take(records)
    end_now(records)
    other = take(records, "somebody else")
    assert not records.leases.release(lease, state={"mine": 1})
    assert records.leases.holder("shard") == other


def test_a_lease_is_given_back_once(records: Records) -> None:
    lease = take(records)
    assert records.leases.release(lease)
    assert not records.leases.release(lease)
    with pytest.raises(LeaseLost, match="given back"):
        records.leases.renew(lease)


def test_its_state_travels_from_owner_to_owner(records: Records) -> None:
    records.leases.release(take(records), state={"ecs service modify": {"tokens": 4.5}})
    assert take(records, "somebody else").state == {"ecs service modify": {"tokens": 4.5}}


def test_its_state_survives_an_owner_that_died_as_it_was_last_renewed(records: Records) -> None:
    lease = records.leases.renew(take(records), state={"tokens": 1})
    assert records.leases.renew(lease).state == {"tokens": 1}
    end_now(records)
    assert take(records, "somebody else").state == {"tokens": 1}


def test_its_state_can_be_read_by_everybody(records: Records) -> None:
    assert records.leases.state("shard") == {}
    records.leases.renew(take(records), state={"tokens": 1})
    assert records.leases.state("shard") == {"tokens": 1}


def test_a_secret_does_not_travel_with_a_lease(records: Records) -> None:
    with pytest.raises(TypeError, match="Secret"):
        records.leases.renew(take(records), state={"code": Secret("hunter2")})


def test_the_holder_is_whoever_has_it_now(records: Records) -> None:
    assert records.leases.holder("shard") is None
    lease = take(records)
    assert records.leases.holder("shard") == lease
    end_now(records)
    assert records.leases.holder("shard") is None


def test_nobody_holds_what_was_given_back(records: Records) -> None:
    records.leases.release(take(records))
    assert records.leases.holder("shard") is None


@pytest.mark.parametrize(
    ("owner", "ttl_s"), [("me", 0.0), ("me", -1.0), ("me", float("inf")), ("", 30.0)]
)
def test_a_lease_for_no_time_or_nobody_is_refused(
    records: Records, owner: str, ttl_s: float
) -> None:
    with pytest.raises(ValueError, match="is none"):
        records.leases.take("shard", owner, ttl_s)


OWNERS = ("a", "b", "c")
steps = st.lists(
    st.tuples(st.sampled_from(["take", "renew", "release", "write", "expire"]), st.integers(0, 2)),
    max_size=25,
)


@pytest.fixture(scope="module")
def module_records(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Records]:
    with open_records(None, tmp_path_factory.mktemp("db")) as opened:
        yield opened


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps)
def test_only_the_latest_owner_writes_and_tokens_rise_for_ever(
    module_records: Records, steps: list[tuple[str, int]]
) -> None:
    records = module_records
    rollout = records.rollouts.start(some.spec(), (), (), caller="arn:me", at=NOON, run="")
    name = rollout.id
    latest: Lease | None = None
    live = False
    last: dict[int, Lease] = {}
    for number, (step, who) in enumerate(steps):
        own = last.get(who)
        mine = latest is not None and own == latest
        if step == "take":
            taken = records.leases.take(name, OWNERS[who], 30.0)
            assert (taken is None) == live
            if taken is not None:
                assert latest is None or taken.token > latest.token
                latest, live, last[who] = taken, True, taken
        elif step == "expire":
            end_now(records, name)
            live = False
        elif own is None:
            continue
        elif step == "write":
            moved = replace(rollout, tick=number)
            assert mine == accepted(partial(records.rollouts.write_tick, own, moved))
            assert (records.rollouts.load(name).tick == number) == (mine or number == 0)
        elif step == "renew":
            assert mine == accepted(partial(records.leases.renew, own))
            live = live or mine
        else:
            assert records.leases.release(own) == mine
            if mine:
                live = False
                last.pop(who)
                latest = replace(own, owner="")


def accepted(write: Callable[[], object]) -> bool:
    try:
        write()
    except LeaseLost:
        return False
    return True


def test_threads_that_want_the_same_lease_have_it_one_after_the_other(records: Records) -> None:
    tokens: list[int] = []
    inside = threading.Semaphore(1)

    def work(owner: str) -> None:
        for _ in range(6):
            while (lease := records.leases.take("shard", owner, 60.0)) is None:
                time.sleep(0.001)
            assert inside.acquire(blocking=False)
            tokens.append(lease.token)
            inside.release()
            assert records.leases.release(lease)

    threads = [threading.Thread(target=work, args=(f"thread {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tokens == list(range(1, 25))


def test_of_many_who_see_a_lease_expire_one_gets_it(records: Records) -> None:
    take(records)
    end_now(records)
    together = threading.Barrier(8)
    taken: list[Lease | None] = []

    def try_it(owner: str) -> None:
        together.wait(timeout=60)
        taken.append(records.leases.take("shard", owner, 60.0))

    threads = [threading.Thread(target=try_it, args=(f"thread {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [lease.token for lease in taken if lease] == [2]
    assert len(taken) == 8


def _count_up(url: str | None, folder: str, counter: str, times: int) -> None:
    """Add one to a number in a file, so often, under the lease that guards it."""
    with open_records(url, Path(folder)) as records:
        own = f"process {multiprocessing.current_process().pid}"
        for _ in range(times):
            while (lease := records.leases.take("counter", own, 60.0)) is None:
                time.sleep(0.001)
            path = Path(counter)
            path.write_text(str(int(path.read_text()) + 1))
            records.leases.release(lease)


def test_processes_that_want_the_same_lease_have_it_one_after_the_other(
    database_url: str | None, tmp_path: Path
) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    arguments = (database_url, str(tmp_path), str(counter), 20)
    processes = [context.Process(target=_count_up, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert counter.read_text() == "40"
    with open_records(database_url, tmp_path) as records:
        lease = records.leases.take("counter", "me", 30.0)
        assert lease is not None
        assert lease.token == 41


def begin(records: Records) -> Rollout:
    return records.rollouts.start(some.spec(), (), (), caller="arn:me", at=NOON, run="")


def test_an_owner_that_was_paused_within_a_write_does_not_keep_the_lease(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its open transaction has the row; the server takes that back, and with it what it wrote."""
    with open_records(postgresql_url, tmp_path) as other:
        # Only for the one that is paused: the other may be slow on a busy machine.
        monkeypatch.setattr(database, "PAUSED_S", 0.5)
        with (
            open_records(postgresql_url, tmp_path) as paused,
            pytest.raises(RecordsError, match="idle-in-transaction") as raised,
        ):
            write_slowly(paused, other)
        assert "stood still" in str(raised.value.hint)
        holder = other.leases.holder("shard")
    assert holder is not None
    assert holder.owner == "somebody else"


def write_slowly(paused: Records, other: Records) -> None:
    take(paused)
    end_now(paused)
    with paused._database.write() as connection:
        connection.exec_driver_sql("UPDATE fleet_leases SET owner = 'a ghost'")
        take(other, "somebody else")
        connection.exec_driver_sql("SELECT 1")


def test_a_row_that_is_not_given_up_is_an_error_that_says_so(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    with (
        open_records(postgresql_url, tmp_path) as busy,
        open_records(postgresql_url, tmp_path) as other,
    ):
        take(busy)
        end_now(busy)
        with busy._database.write() as connection:
            connection.exec_driver_sql("UPDATE fleet_leases SET owner = 'me'")
            with pytest.raises(RecordsError, match="lock timeout") as raised:
                take(other)
    assert "wait for that" in str(raised.value.hint)


def test_a_tick_that_is_being_written_is_not_overtaken(postgresql_url: str, tmp_path: Path) -> None:
    """Whoever takes an expired lease waits for the write under it, and then sees that write."""
    with (
        open_records(postgresql_url, tmp_path) as slow,
        open_records(postgresql_url, tmp_path) as other,
    ):
        began = begin(slow)
        own = take(slow)
        end_now(slow)
        seen: list[int] = []

        def overtake() -> None:
            take(other, "somebody else")
            seen.append(other.rollouts.load(began.id).tick)

        thread = threading.Thread(target=overtake)
        with slow._database.write() as connection:
            connection.exec_driver_sql("UPDATE fleet_rollouts SET why = why")
            # The tick waits for the rollout's row after having fenced itself in.
            tick = threading.Thread(
                target=slow.rollouts.write_tick, args=(own, replace(began, tick=5))
            )
            tick.start()
            wait_for_locks(other, 1)
            thread.start()
            wait_for_locks(other, 2)
        tick.join()
        thread.join()
    assert seen == [5]


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"


def wait_for_locks(records: Records, count: int) -> None:
    give_up = time.monotonic() + 10
    while time.monotonic() < give_up:
        with records._database.read() as connection:
            if (connection.exec_driver_sql(WAITING).scalar() or 0) >= count:
                return
        time.sleep(0.005)
    pytest.fail("nobody waits")
