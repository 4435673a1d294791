"""Opens the records. SQLAlchemy is imported when a database is opened, so that help stays fast."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleet.records.records import Records


def open_records(url: str | None, state_dir: Path) -> "Records":
    """Open the database and create or migrate its tables.

    Args:
        url: ``FLEET_DATABASE_URL`` (PostgreSQL), or None or "" for SQLite.
        state_dir: folder of SQLite's ``fleet.db``; created if missing.

    Raises:
        RecordsError: the database cannot be opened, is damaged, or was written by a newer fleet.
    """
    from fleet.records.database import open_sqlite, open_url
    from fleet.records.records import Records

    database = open_url(url) if url else open_sqlite(state_dir)
    try:
        database.prepare()
    except BaseException:
        database.close()
        raise
    return Records(database)
