import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url

from fleet.errors import RecordsError
from fleet.model.history import Ledger
from fleet.records import Records, migrations, open_records
from fleet.records.tables import AUDIT, METADATA, OBSERVATIONS, RUNS, SCHEMA, SCHEMA_VERSION

VERSION_1 = Path(__file__).with_name("schema_1.sql").read_text()


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A folder whose database the first version of fleet made."""
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as old:
        old.executescript(VERSION_1)
    return tmp_path


def schema(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "fleet.db")) as opened:
        texts = opened.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {re.sub(r"\s+", " ", text) for (text,) in texts}


def version(folder: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(folder / "fleet.db")) as opened:
        return opened.execute("SELECT version FROM fleet_schema").fetchall()


def test_a_database_of_version_1_keeps_everything(old_file: Path) -> None:
    with open_records(None, old_file) as records:
        (run,) = records.runs()
        (entry,) = records.audit_of("reg-7f3a")
        (seen,) = records.latest(["store-042"])
    assert (run.id, run.outcome, run.started_at.hour) == ("reg-7f3a", "done", 10)
    assert (entry.action, entry.host, entry.detail) == (
        "install",
        "cam-1",
        {"installer": "official"},
    )
    assert (seen.ledger, seen.value, seen.last_seen) == (
        Ledger.SSM,
        {"ping": "Online"},
        datetime(2026, 11, 22, 3, tzinfo=UTC),
    )


def test_a_migrated_database_is_like_a_new_one(old_file: Path, tmp_path: Path) -> None:
    open_records(None, old_file).close()
    open_records(None, tmp_path / "new").close()
    assert schema(old_file) == schema(tmp_path / "new")
    assert version(old_file) == version(tmp_path / "new") == [(SCHEMA_VERSION,)]


def test_a_migrated_database_takes_leases_and_rollouts(old_file: Path) -> None:
    with open_records(None, old_file) as records:
        assert records.leases.take("controller", "me", 30.0) is not None
        assert records.rollouts.active() == ()


def test_a_migration_that_breaks_off_leaves_the_old_database(
    old_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema(old_file)
    whole = migrations._STEPS[1]

    def broken(connection: Connection) -> None:
        whole(connection)
        raise RecordsError("the disk is full")

    monkeypatch.setattr(migrations, "_STEPS", {1: broken})
    with pytest.raises(RecordsError, match="full"):
        open_records(None, old_file)
    assert (schema(old_file), version(old_file)) == (before, [(1,)])


def test_a_server_with_tables_of_version_1_is_migrated_once(
    postgresql_url: str, tmp_path: Path
) -> None:
    engine = create_engine(make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        METADATA.create_all(connection, tables=[SCHEMA, RUNS, AUDIT, OBSERVATIONS])
        connection.execute(SCHEMA.insert().values(version=1))
    engine.dispose()
    for _ in range(2):
        with open_records(postgresql_url, tmp_path) as records:
            assert taken(records)


def taken(records: Records) -> bool:
    lease = records.leases.take("controller", "me", 30.0)
    return lease is not None and records.leases.release(lease)
