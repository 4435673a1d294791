"""Takes old rows away, a little at a time, so that nobody who writes has to wait for long."""

from datetime import datetime

from sqlalchemy import ColumnElement, Table, delete, exists, select

from fleet.records.database import Database
from fleet.records.scan_tables import FINDINGS, SCANS
from fleet.records.tables import OBSERVATIONS

#: Rows taken away in one transaction; every SQLite allows as many bound values.
BATCH = 500


def prune(database: Database, before: datetime) -> int:
    """Take away what was over before a time; returns how many rows.

    The latest observation of every host and ledger stays, however old, and so do open findings,
    the newest scan, and the newest one of the whole fleet that came to its end.
    """
    return (
        _sweep(database, OBSERVATIONS, _old_observations(before))
        + _sweep(database, FINDINGS, FINDINGS.c.resolved_at < before)
        + _prune_scans(database, before)
    )


def _old_observations(before: datetime) -> ColumnElement[bool]:
    later = OBSERVATIONS.alias()
    follows = (
        (later.c.store == OBSERVATIONS.c.store)
        & (later.c.host == OBSERVATIONS.c.host)
        & (later.c.ledger == OBSERVATIONS.c.ledger)
        & (later.c.id > OBSERVATIONS.c.id)
    )
    return (OBSERVATIONS.c.last_seen < before) & exists().where(follows)


def _sweep(database: Database, table: Table, which: ColumnElement[bool]) -> int:
    """Delete by rising id, so that every row is looked at once."""
    after, gone = 0, 0
    while True:
        query = select(table.c.id).where(table.c.id > after, which)
        with database.write() as connection:
            ids = list(connection.scalars(query.order_by(table.c.id).limit(BATCH)))
            if not ids:
                return gone
            connection.execute(delete(table).where(table.c.id.in_(ids)))
        after, gone = ids[-1], gone + len(ids)


def _prune_scans(database: Database, before: datetime) -> int:
    newest = select(SCANS.c.id).order_by(SCANS.c.started_at.desc(), SCANS.c.id).limit(1)
    of_all = newest.where(SCANS.c.selection == "", SCANS.c.finished_at.is_not(None))
    with database.write() as connection:
        kept = [*connection.scalars(newest), *connection.scalars(of_all)]
        old = delete(SCANS).where(SCANS.c.started_at < before, SCANS.c.id.not_in(kept))
        return connection.execute(old).rowcount
