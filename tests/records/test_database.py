import os
import socket
import sqlite3
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import make_url

from fleet.errors import RecordsError
from fleet.records import database
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.records.tables import SCHEMA_VERSION

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_the_file_is_for_this_user_only(tmp_path: Path) -> None:
    with open_records(None, tmp_path / "state") as records:
        records.observe("s", "h", "ssm", {}, at=NOON)
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").iterdir()
        }
    assert modes == {"fleet.db": 0o600, "fleet.db-wal": 0o600, "fleet.db-shm": 0o600}


def test_a_reader_is_not_held_up_by_a_writer(tmp_path: Path) -> None:
    with open_records(None, tmp_path) as records:
        writer = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None)
        writer.execute("BEGIN IMMEDIATE")
        assert records.runs() == ()
        writer.close()


def test_a_new_file_that_somebody_else_is_turning_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself does not wait there: it says at once that the file is locked."""
    other = sqlite3.connect(tmp_path / "fleet.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.1, other.close)
    release.start()
    with open_records(None, tmp_path) as records:
        assert records.runs() == ()
    release.join()


HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_that_is_not_given_up_names_who_holds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_records(None, tmp_path).close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "fleet.db")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            open_records(None, tmp_path) as records,  # who only reads waits for nobody
            pytest.raises(RecordsError, match=rf"locked .*pid {holder.pid}\b") as raised,
        ):
            records.start_run("drift", caller_arn="", command="", at=datetime.now(UTC))
    assert raised.value.hint is not None
    assert "wait" in raised.value.hint


def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    path.write_text("shopping list: milk, eggs, nothing that SQLite wrote" * 30)
    with pytest.raises(RecordsError, match="not a database") as raised:
        open_records(None, tmp_path)
    assert raised.value.hint == "move that file away; fleet starts a new one"
    assert path.read_text().startswith("shopping list")


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    open_records(None, tmp_path).close()
    newer = sqlite3.connect(tmp_path / "fleet.db")
    newer.execute("UPDATE fleet_schema SET version = 99")
    newer.commit()
    newer.close()
    with pytest.raises(RecordsError, match=f"schema 99; this fleet knows {SCHEMA_VERSION}"):
        open_records(None, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said_to_be_so(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(RecordsError, match="Permission denied"):
        open_records(None, tmp_path / "state")


def test_a_file_where_the_folder_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(RecordsError, match="File exists") as raised:
        open_records(None, tmp_path / "state")
    assert "FLEET_STATE" in str(raised.value.hint)


def test_a_full_disk_is_said_to_be_full(tmp_path: Path) -> None:
    with open_records(None, tmp_path) as records:
        with records._database.write() as connection:
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(RecordsError, match="full") as raised:
            records.observe("s", "h", "ssm", {"long": "x" * 1_000_000}, at=NOON)
        assert "free some space" in str(raised.value.hint)
        assert records.latest(["s"]) == ()


def test_a_url_of_another_kind_of_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordsError, match="is for mysql"):
        open_records("mysql://root:hunter2@db/fleet", tmp_path)


@pytest.mark.parametrize(
    "url",
    ["hunter2", "mysql://me:hunter2@db/fleet", "postgresql://me:hunter2@db:notaport/fleet"],
)
def test_the_password_of_a_url_is_never_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(RecordsError) as raised:
        open_records(url, tmp_path)
    assert "hunter2" not in f"{raised.value} {raised.value.hint} {raised.value.__cause__!r}"


def test_a_login_that_fails_is_said_to_be_so_and_its_password_not_shown(
    postgresql_url: str, tmp_path: Path
) -> None:
    # A server that asks for no password says "role"; the tests' own asks.
    url = make_url(postgresql_url).set(username="stranger", password="hunter2")
    with pytest.raises(RecordsError, match=r'(failed for user|role) "stranger"') as raised:
        open_records(url.render_as_string(hide_password=False), tmp_path)
    assert "FLEET_DATABASE_URL" in str(raised.value.hint)
    assert "hunter2" not in f"{raised.value} {raised.value.__cause__!r}"


def test_a_server_that_is_down_is_said_to_be_so(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and never listens
        url = f"postgresql://me:hunter2@127.0.0.1:{taken.getsockname()[1]}/fleet"
        with pytest.raises(RecordsError, match="refused") as raised:
            open_records(url, tmp_path)
    assert raised.value.hint == "is the server up, and FLEET_DATABASE_URL right?"
    assert "hunter2" not in f"{raised.value} {raised.value.__cause__!r}"


def test_a_newer_schema_is_refused_on_a_server(postgresql_url: str, tmp_path: Path) -> None:
    with open_records(postgresql_url, tmp_path) as records:
        with records._database.write() as connection:
            connection.exec_driver_sql("UPDATE fleet_schema SET version = 99")
        with pytest.raises(RecordsError, match=f"schema 99; this fleet knows {SCHEMA_VERSION}"):
            open_records(postgresql_url, tmp_path)


def test_those_who_open_an_empty_server_at_once_all_can(
    postgresql_url: str, tmp_path: Path
) -> None:
    """Two that see no table and make it fail at the second; so they take turns."""
    together = threading.Barrier(6)
    opened: list[Records] = []

    def open_one() -> None:
        together.wait(timeout=60)
        opened.append(open_records(postgresql_url, tmp_path))

    threads = [threading.Thread(target=open_one) for _ in range(together.parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for records in opened:
        records.close()
    assert len(opened) == together.parties


END_NAMED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ended'
"""


def test_connections_that_the_server_ended_are_made_anew(
    postgresql_url: str, tmp_path: Path
) -> None:
    """A run outlives a restart of the server, which ends every connection that lies ready."""
    named = make_url(postgresql_url).update_query_dict({"application_name": "ended"})
    with (
        open_records(named.render_as_string(hide_password=False), tmp_path) as records,
        open_records(postgresql_url, tmp_path) as other,
    ):
        with other._database.read() as connection:
            assert connection.exec_driver_sql(END_NAMED).all() == [(True,)]
        assert records.runs() == ()


def test_a_missing_driver_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(RecordsError, match="driver, which is not installed") as raised:
        open_records("postgresql://me:hunter2@localhost/fleet", tmp_path)
    assert raised.value.hint == "pip install 'fleet[postgres]'"
    assert "hunter2" not in str(raised.value)


def test_an_empty_url_means_sqlite(tmp_path: Path) -> None:
    open_records("", tmp_path).close()
    assert (tmp_path / "fleet.db").is_file()
