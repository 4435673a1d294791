import multiprocessing
import secrets
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.errors import RecordsError
from fleet.model.history import Ledger
from fleet.model.secret import Secret
from fleet.records.opening import open_records
from fleet.records.records import Records

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def start(records: Records, at: datetime = NOON, kind: str = "register") -> str:
    return records.start_run(kind, caller_arn="arn:me", command="fleet register s-1", at=at)


def audit(records: Records, run_id: str, **detail: object) -> None:
    records.audit(
        run_id,
        at=NOON,
        caller_arn="arn:me",
        action="ssm:CreateActivation",
        store="store-042",
        host="cam-1",
        why="the host is fresh",
        detail=detail,
    )


def test_a_run_is_open_until_it_is_finished(records: Records) -> None:
    run_id = start(records)
    (run,) = records.runs()
    assert (run.id, run.finished_at, run.outcome) == (run_id, None, "")


def test_a_finished_run_says_how_and_when(records: Records) -> None:
    run_id = start(records)
    records.finish_run(run_id, outcome="done", at=NOON + MINUTE)
    (run,) = records.runs()
    assert (run.finished_at, run.outcome) == (NOON + MINUTE, "done")


def test_a_run_id_says_its_kind_and_is_short(records: Records) -> None:
    run_id = start(records)
    assert run_id.startswith("reg-")
    assert len(run_id) == len("reg-7f3a")


def test_a_run_id_that_is_taken_is_drawn_again(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = iter(["aaaa", "aaaa", "bbbb"])
    monkeypatch.setattr(secrets, "token_hex", lambda _bytes: next(drawn))
    assert [start(records), start(records)] == ["reg-aaaa", "reg-bbbb"]


def test_run_ids_get_longer_when_the_short_ones_are_taken(
    records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda count: "a" * 2 * count)
    assert [start(records), start(records)] == ["reg-aaaa", "reg-aaaaaa"]


def test_runs_come_newest_first(records: Records) -> None:
    first, second = start(records), start(records, NOON + MINUTE)
    assert [run.id for run in records.runs()] == [second, first]


def test_no_more_runs_come_than_asked_for(records: Records) -> None:
    ids = [start(records, NOON + n * MINUTE) for n in range(3)]
    assert [run.id for run in records.runs(limit=1)] == ids[-1:]


def test_an_audit_entry_comes_back_as_it_was_written(records: Records) -> None:
    run_id = start(records)
    audit(records, run_id, activation_id="a-1")
    (entry,) = records.audit_of(run_id)
    assert (entry.at, entry.action, entry.host, entry.detail) == (
        NOON,
        "ssm:CreateActivation",
        "cam-1",
        {"activation_id": "a-1"},
    )


def test_audit_entries_come_in_the_order_they_were_written(records: Records) -> None:
    run_id = start(records)
    for number in range(5):
        audit(records, run_id, number=number)
    assert [entry.detail["number"] for entry in records.audit_of(run_id)] == [0, 1, 2, 3, 4]


def test_an_audit_entry_of_no_run_is_refused(records: Records) -> None:
    with pytest.raises(RecordsError, match=r"(?i)foreign key"):
        audit(records, "reg-none")


@dataclass(frozen=True)
class Holder:
    code: Secret


@pytest.mark.parametrize(
    "detail",
    [
        {"code": Secret("hunter2hunter2hunter2")},
        {"deep": [{"in": (Secret("hunter2hunter2hunter2"),)}]},
        {"value": Holder(Secret("hunter2hunter2hunter2"))},
        {"value": {Secret("hunter2hunter2hunter2")}},
        {"value": MappingProxyType({"code": Secret("hunter2hunter2hunter2")})},
    ],
)
def test_a_secret_is_refused_wherever_it_hides(
    records: Records, tmp_path: Path, detail: dict[str, object]
) -> None:
    run_id = start(records)
    with pytest.raises(TypeError):
        audit(records, run_id, **detail)
    with pytest.raises(TypeError):
        records.observe("store-042", "cam-1", "host", detail, at=NOON)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"hunter2" not in written


def test_a_secret_as_a_key_is_refused(records: Records) -> None:
    with pytest.raises(TypeError):
        records.observe("s", "h", "host", {Secret("x"): 1}, at=NOON)  # type: ignore[dict-item]


def test_what_is_first_seen_is_news(records: Records) -> None:
    assert records.observe("s-1", "cam-1", "ssm", {"state": "Online"}, at=NOON)


def test_seeing_the_same_again_moves_only_the_last_time(records: Records) -> None:
    records.observe("s-1", "cam-1", "ssm", {"state": "Online"}, at=NOON)
    assert not records.observe("s-1", "cam-1", "ssm", {"state": "Online"}, at=NOON + MINUTE)
    (seen,) = records.latest(["s-1"])
    assert (seen.first_seen, seen.last_seen) == (NOON, NOON + MINUTE)


def test_a_change_begins_anew_and_is_the_latest(records: Records) -> None:
    records.observe("s-1", "cam-1", "ssm", {"state": "Online"}, at=NOON)
    assert records.observe("s-1", "cam-1", "ssm", {"state": "ConnectionLost"}, at=NOON + MINUTE)
    (seen,) = records.latest(["s-1"])
    assert (seen.value, seen.first_seen) == ({"state": "ConnectionLost"}, NOON + MINUTE)


def test_a_change_back_is_news_too(records: Records) -> None:
    states = ["Online", "ConnectionLost", "Online"]
    news = [
        records.observe("s", "h", "ssm", {"state": state}, at=NOON + n * MINUTE)
        for n, state in enumerate(states)
    ]
    assert news == [True, True, True]


def test_the_order_of_keys_is_no_change(records: Records) -> None:
    records.observe("s", "h", "ecs", {"a": 1, "b": {"c": 2, "d": 3}}, at=NOON)
    assert not records.observe("s", "h", "ecs", {"b": {"d": 3, "c": 2}, "a": 1}, at=NOON + MINUTE)


def test_an_observation_older_than_the_latest_changes_nothing(records: Records) -> None:
    records.observe("s", "h", "ecs", {"state": "new"}, at=NOON)
    assert not records.observe("s", "h", "ecs", {"state": "old"}, at=NOON - MINUTE)
    (seen,) = records.latest(["s"])
    assert (seen.value, seen.last_seen) == ({"state": "new"}, NOON)


def test_ledgers_hosts_and_stores_are_told_apart(records: Records) -> None:
    keys = [("s-1", "a", "ssm"), ("s-1", "a", "ecs"), ("s-1", "b", "ssm"), ("s-2", "a", "ssm")]
    for key in keys:
        assert records.observe(*key, {"state": "x"}, at=NOON)
    found = [(seen.store, seen.host, str(seen.ledger)) for seen in records.latest(["s-1", "s-2"])]
    assert found == sorted(keys)


def test_only_the_stores_asked_for_come_back(records: Records) -> None:
    for store in ("s-1", "s-2"):
        records.observe(store, "h", "ssm", {}, at=NOON)
    assert [seen.store for seen in records.latest(["s-2"])] == ["s-2"]
    assert records.latest([]) == ()


def test_thousands_of_stores_can_be_asked_for_at_once(records: Records) -> None:
    records.observe("store-2999", "h", "ssm", {}, at=NOON)
    assert len(records.latest(f"store-{n}" for n in range(3000))) == 1


def test_a_ledger_that_is_none_is_refused(records: Records) -> None:
    with pytest.raises(ValueError, match="rumour"):
        records.observe("s", "h", "rumour", {}, at=NOON)


def test_the_ledger_comes_back_as_one(records: Records) -> None:
    records.observe("s", "h", "host", {}, at=NOON)
    assert records.latest(["s"])[0].ledger is Ledger.HOST


def test_a_time_without_a_zone_is_refused(records: Records) -> None:
    with pytest.raises(RecordsError, match="without a time zone"):
        start(records, NOON.replace(tzinfo=None))


instants = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001 - hypothesis wants bounds without a zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=8)), timezone(timedelta(hours=-9.5))]),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20
)
@given(times=st.lists(instants, min_size=1, max_size=6))
def test_times_of_any_zone_come_back_in_utc_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, times: list[datetime]
) -> None:
    with open_records(None, tmp_path_factory.mktemp("db")) as records:
        for at in times:
            start(records, at)
        found = [run.started_at for run in records.runs()]
    assert found == sorted(times, reverse=True)
    assert {at.tzinfo for at in found} == {UTC}


def test_times_come_back_in_utc_whatever_the_zone_of_the_server(records: Records) -> None:
    start(records, NOON.astimezone(timezone(timedelta(hours=8))))
    (run,) = records.runs()
    assert (run.started_at, run.started_at.tzinfo) == (NOON, UTC)


def test_what_was_written_is_there_after_opening_again(
    database_url: str | None, tmp_path: Path
) -> None:
    with open_records(database_url, tmp_path) as records:
        run_id = start(records)
    with open_records(database_url, tmp_path) as records:
        assert [run.id for run in records.runs()] == [run_id]


def test_threads_that_see_the_same_make_one_observation(records: Records) -> None:
    news: list[bool] = []
    # Together at each host: the first ones also open connections, which spreads them out.
    together = threading.Barrier(4)

    def look() -> None:
        for number in range(20):
            together.wait(timeout=60)
            news.append(records.observe("s", f"h-{number}", "ssm", {"state": "Online"}, at=NOON))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(news), sum(news)) == (80, 20)


def _one_process(url: str | None, folder: str) -> None:
    with open_records(url, Path(folder)) as records:
        run_id = start(records)
        for number in range(10):
            audit(records, run_id, number=number)
            records.observe("s", "h", "ssm", {"state": "Online"}, at=NOON)


def test_processes_that_begin_with_an_empty_database_share_the_one_they_make(
    database_url: str | None, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = (database_url, str(tmp_path))
    processes = [context.Process(target=_one_process, args=arguments) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    with open_records(database_url, tmp_path) as records:
        assert [len(records.audit_of(run.id)) for run in records.runs()] == [10, 10, 10, 10]
        assert len(records.latest(["s"])) == 1
