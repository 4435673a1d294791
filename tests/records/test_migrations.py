import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, make_url

from fleet.errors import RecordsError
from fleet.model.history import Ledger
from fleet.model.scan_result import Scan
from fleet.records import migrations
from fleet.records.opening import open_records
from fleet.records.records import Records
from fleet.records.tables import AUDIT, METADATA, OBSERVATIONS, RUNS, SCHEMA, SCHEMA_VERSION

#: What every version of fleet before this one made.
BEFORE = tuple(range(1, SCHEMA_VERSION))


@pytest.fixture(params=BEFORE)
def old_version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def old_file(old_version: int, tmp_path: Path) -> Path:
    """A folder whose database an older version of fleet made."""
    # Versions after the second are told by what they added.
    parts = range(2, old_version + 1) if old_version > 2 else (old_version,)
    with closing(sqlite3.connect(tmp_path / "fleet.db")) as old:
        for part in parts:
            old.executescript(Path(__file__).with_name(f"schema_{part}.sql").read_text())
    return tmp_path


def schema(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "fleet.db")) as opened:
        texts = opened.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {re.sub(r"\s+", " ", text) for (text,) in texts}


def version(folder: Path) -> list[tuple[int]]:
    with closing(sqlite3.connect(folder / "fleet.db")) as opened:
        return opened.execute("SELECT version FROM fleet_schema").fetchall()


def test_a_database_of_an_older_version_keeps_everything(old_file: Path) -> None:
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


def test_a_migrated_database_takes_leases_rollouts_and_scans(
    old_file: Path, old_version: int
) -> None:
    scan = Scan("drift-7f3a", "", datetime(2026, 11, 23, 3, tzinfo=UTC), None)
    with open_records(None, old_file) as records:
        assert records.leases.take("controller", "me", 30.0) is not None
        assert records.rollouts.active() == (("ro-118",) if old_version > 1 else ())
        records.scans.begin(scan)
        assert records.scans.since(scan.started_at) == (scan,)


def test_a_migration_that_breaks_off_leaves_the_old_database(
    old_file: Path, old_version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema(old_file)
    last = SCHEMA_VERSION - 1
    whole = migrations._STEPS[last]

    def broken(connection: Connection) -> None:
        whole(connection)
        raise RecordsError("the disk is full")

    monkeypatch.setattr(migrations, "_STEPS", {**migrations._STEPS, last: broken})
    with pytest.raises(RecordsError, match="full"):
        open_records(None, old_file)
    assert (schema(old_file), version(old_file)) == (before, [(old_version,)])


@pytest.mark.parametrize("version", BEFORE)
def test_a_server_with_older_tables_is_migrated_once(
    postgresql_url: str, tmp_path: Path, version: int
) -> None:
    engine = create_engine(make_url(postgresql_url).set(drivername="postgresql+psycopg"))
    with engine.begin() as connection:
        METADATA.create_all(connection, tables=[SCHEMA, RUNS, AUDIT, OBSERVATIONS])
        for older in range(1, version):
            migrations._STEPS[older](connection)
        connection.execute(SCHEMA.insert().values(version=version))
    engine.dispose()
    for _ in range(2):
        with open_records(postgresql_url, tmp_path) as records:
            assert taken(records)
            assert records.scans.since(datetime(2026, 1, 1, tzinfo=UTC)) == ()


def taken(records: Records) -> bool:
    lease = records.leases.take("controller", "me", 30.0)
    return lease is not None and records.leases.release(lease)
