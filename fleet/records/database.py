"""Opens SQLite on this machine or PostgreSQL for a team, and words what goes wrong there."""

import os
import sqlite3
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    create_engine,
    event,
    func,
    make_url,
    select,
)
from sqlalchemy import exc as sql
from sqlalchemy.pool import QueuePool

from fleet.errors import FleetError, RecordsError
from fleet.model.printable import printable
from fleet.records.migrations import migrate, version_of
from fleet.records.tables import SCHEMA_VERSION

#: Seconds that a writer waits for another one; a write of ours takes milliseconds.
BUSY_TIMEOUT_S = 15.0
#: Seconds between tries to turn a new file to WAL.
TURN_EVERY_S = 0.01
#: Seconds in which PostgreSQL takes a transaction back from a process that was paused within it;
#: until then the rows it had locked are nobody's to take over.
PAUSED_S = 30.0
#: Seconds for PostgreSQL to let us in, and for what we send to arrive at it.
CONNECT_S = 10
DELIVERY_S = 30
#: First half of our keys among PostgreSQL's advisory locks; any number that nobody else takes.
ADVISORY_LOCK = 0x666C6565
FILE_NAME = "fleet.db"
READS = {"fleet_reads": True}


class Database:
    """An open database whose tables are those of this version. Thread-safe.

    Attributes:
        name: what to call it in messages; a path, or a URL without its password.
    """

    def __init__(self, engine: Engine, name: str, path: Path | None) -> None:
        self.name = name
        self._engine = engine
        self._path = path

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write; commit at the end, roll back on an error."""
        with self._worded(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that only reads and waits for no lock."""
        with self._worded(), self._engine.connect().execution_options(**READS) as connection:
            yield connection

    def take_turns(self, connection: Connection, what: str) -> None:
        """Let nobody else in who says the same ``what``, until the transaction ends.

        SQLite's writers are one at a time anyway.
        """
        if connection.dialect.name == "postgresql":
            number = zlib.crc32(what.encode())
            connection.execute(select(func.pg_advisory_xact_lock(ADVISORY_LOCK, number - 2**31)))

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def prepare(self) -> None:
        """Make the tables if there are none, and bring those of an older fleet up to date.

        Where they are of this fleet nothing is written: who only reads waits for nobody.

        Raises:
            RecordsError: they were made by a newer version of fleet, or are not fleet's.
        """
        with self.read() as connection:
            if version_of(connection) == SCHEMA_VERSION:
                return
        with self.write() as connection:
            self.take_turns(connection, "schema")
            found = migrate(connection)
            if found > SCHEMA_VERSION:
                raise RecordsError(
                    f"{self.name} has schema {found}; this fleet knows {SCHEMA_VERSION}",
                    hint="a newer fleet has written there: upgrade this one",
                )

    @contextmanager
    def _worded(self) -> Iterator[None]:
        try:
            yield
        except FleetError:
            raise
        except (sql.SQLAlchemyError, sqlite3.Error, OSError) as error:
            raise self._error(error) from error

    def _error(self, error: Exception) -> RecordsError:
        origin = getattr(error, "orig", None) or error
        said = printable(str(origin), limit=300)
        if "database is locked" in said or "database table is locked" in said:
            holders = _holders(self._path) if self._path else ()
            who = "; open in " + ", ".join(holders) if holders else ""
            return RecordsError(
                f"{self.name} is locked by another process for over {BUSY_TIMEOUT_S:.0f} s{who}",
                hint="wait for that run to end, then run the same command again",
            )
        for sign, hint in _HINTS:
            if sign in said:
                return RecordsError(f"{self.name}: {said}", hint=hint)
        if isinstance(error, sql.OperationalError) and self._path is None:
            return RecordsError(
                f"{self.name}: {said}", hint="is the server up, and FLEET_DATABASE_URL right?"
            )
        return RecordsError(f"{self.name}: {said}")


_HINTS = (
    ("lock timeout", "another run holds it: wait for that to end, then run the same again"),
    ("idle-in-transaction", "this process stood still for too long; run the same command again"),
    ("disk is full", "free some space on the disk; what was recorded before is safe"),
    ("No space left", "free some space on the disk; what was recorded before is safe"),
    ("file is not a database", "move that file away; fleet starts a new one"),
    ("malformed", "restore it from a backup, or move it away; fleet starts a new one"),
    ("readonly database", "make the file and its folder writable for you"),
    ("attempt to write a readonly", "make the file and its folder writable for you"),
    ("unable to open database", "make its folder writable for you"),
)


def open_sqlite(state_dir: Path) -> Database:
    """Open ``fleet.db`` in the folder; a new file is readable only by this user."""
    path = state_dir / FILE_NAME
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise RecordsError(
            f"{path}: {error.strerror}",
            hint="run where you can write, or set FLEET_STATE to a folder of yours",
        ) from error
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=QueuePool,
        max_overflow=64,
        hide_parameters=True,
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, str(path), path)


def open_url(url: str) -> Database:
    """Open the database at ``FLEET_DATABASE_URL``; the password is never shown."""
    try:
        parsed = make_url(url)
    except (sql.ArgumentError, ValueError):
        # Not the text itself: it may hold a password.
        raise RecordsError(
            "FLEET_DATABASE_URL is not a database URL",
            hint="postgresql://user@host/database",
        ) from None
    backend = parsed.get_backend_name()
    if backend not in {"postgresql", "postgres"}:
        raise RecordsError(
            f"FLEET_DATABASE_URL is for {backend}; fleet keeps its records in PostgreSQL",
            hint="postgresql://user@host/database; unset it for SQLite in .fleet/",
        )
    parsed = parsed.set(drivername="postgresql+psycopg")
    name = parsed.render_as_string(hide_password=True).replace("+psycopg", "", 1)
    limits = {"connect_timeout": CONNECT_S, "tcp_user_timeout": DELIVERY_S * 1000}
    try:
        engine = create_engine(
            parsed,
            hide_parameters=True,
            pool_pre_ping=True,
            connect_args={
                name: limit for name, limit in limits.items() if name not in parsed.query
            },
        )
    except ModuleNotFoundError as error:
        raise RecordsError(
            f"{name} needs the PostgreSQL driver, which is not installed",
            hint="pip install 'fleet[postgres]'",
        ) from error
    event.listen(engine, "connect", _set_up_postgresql)
    return Database(engine, name, None)


def _set_up_postgresql(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = '{BUSY_TIMEOUT_S * 1000:.0f}ms'")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{PAUSED_S * 1000:.0f}ms'")
    connection.commit()


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy's own BEGIN (below) is the only one: the driver's would come late and unlocked.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_S * 1000:.0f}").close()
    _turn_to_wal(connection)
    for pragma in ("synchronous=NORMAL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _turn_to_wal(connection: sqlite3.Connection) -> None:
    """Let readers go on while one writes; a kill -9 loses nothing that was committed.

    Those who turn a new file at once get in each other's way, and SQLite then refuses some of them
    without waiting at all, so the waiting is done here.
    """
    give_up = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(TURN_EVERY_S)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    """Writers queue up at BEGIN, where SQLite waits; a lock taken midway would fail at once."""
    reads = connection.get_execution_options().get("fleet_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _holders(path: Path) -> tuple[str, ...]:
    """Processes of this user that have the file open, as ``pid 4711 (fleet register)``."""
    real = path.resolve()
    found = []
    for folder in sorted(Path("/proc").glob("[0-9]*")):
        if int(folder.name) == os.getpid():
            continue
        try:
            if any(fd.resolve() == real for fd in (folder / "fd").iterdir()):
                words = (folder / "cmdline").read_text(errors="replace").split("\0")
                found.append(f"pid {folder.name} ({printable(' '.join(words[:4]), limit=80)})")
        except OSError:
            continue  # gone, or another user's
    return tuple(found)
