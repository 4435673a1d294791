"""The database of the sandbox: one row per entity, one transaction per call.

SQLite with a write-ahead log and no fsync: what a call answered survives the death of the process
(kill -9), though not that of the machine, which a sandbox need not promise.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError
from fleet.sandbox.control_plane.entities import Entity, from_row

_FORMAT = 1
_RESET = "`fleet sandbox down --purge` and `fleet sandbox up` begin a new one"
_SCHEMA = """
CREATE TABLE entity (
    kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, key TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (kind, account, region, key)
) WITHOUT ROWID;
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_PUT = "INSERT OR REPLACE INTO entity VALUES (?, ?, ?, ?, ?)"
_DROP = "DELETE FROM entity WHERE kind = ? AND account = ? AND region = ? AND key = ?"
_PUT_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"


class EntityDatabase:
    """An open database of a control plane; used under its lock.

    Raises:
        SandboxError: the file is not ours, of another version, or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=5
            )
        except sqlite3.Error as error:
            raise self._error("opened", error) from error
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise
        path.chmod(0o600)

    def load(self) -> Iterator[Entity]:
        """Return everything that was kept, in the order of kind and key."""
        for kind, body in self._connection.execute("SELECT kind, body FROM entity"):
            yield from_row(kind, json.loads(body))

    def meta(self) -> dict[str, str]:
        """Return the named values."""
        return dict(self._connection.execute("SELECT name, value FROM meta"))

    def write(self, changes: Mapping[Any, tuple[Entity, bool]], meta: Mapping[str, str]) -> None:
        """Keep changed entities (True) and forget others (False), all or nothing."""
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for entity, kept in changes.values():
                    key = (entity.KIND, entity.account, entity.region, entity.key)
                    if kept:
                        body = json.dumps(entity.as_row(), separators=(",", ":"))
                        self._connection.execute(_PUT, (*key, body))
                    else:
                        self._connection.execute(_DROP, key)
                self._connection.executemany(_PUT_META, meta.items())
                self._connection.execute("COMMIT")
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as error:
            raise self._error("written", error) from error

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _prepare(self) -> None:
        try:
            run = self._connection.execute
            (found,) = run("PRAGMA user_version").fetchone()
            (tables,) = run("SELECT count(*) FROM sqlite_master").fetchone()
            if not found and not tables:
                self._connection.executescript(f"{_SCHEMA} PRAGMA user_version = {_FORMAT};")
                found = _FORMAT
            run("PRAGMA journal_mode = WAL")
            run("PRAGMA synchronous = OFF")
        except sqlite3.Error as error:
            raise self._error("read", error) from error
        if found != _FORMAT:
            raise SandboxError(
                f"{self._path} was written by another version of the sandbox"
                f" (format {found}, this one reads {_FORMAT})",
                hint=_RESET,
            )

    def _error(self, verb: str, error: sqlite3.Error) -> SandboxError:
        return SandboxError(
            f"the sandbox's database {self._path} cannot be {verb}: {error}",
            hint=f"free the disk or stop the other process; {_RESET}",
        )


def persisted_time(database: Path) -> float | None:
    """Return epoch seconds the sandbox of this file had reached at most, or None without one.

    Start the clock there, so that nobody sees time run backwards over a restart.

    Raises:
        SandboxError: the file is not a sandbox's.
    """
    if not database.exists():
        return None
    stored = EntityDatabase(database)
    try:
        reached = stored.meta().get("reached")
    finally:
        stored.close()
    return None if reached is None else float(reached)
