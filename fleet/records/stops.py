"""Stops of all sends: one row each, written by anybody at any time, without a lease."""

from dataclasses import fields
from datetime import datetime

from sqlalchemy import Connection, select, update

from fleet.model.stop import Stop
from fleet.records.database import Database
from fleet.records.tables import STOPS

_COLUMNS = tuple(STOPS.c[field.name] for field in fields(Stop))


class StopRecords:
    """The stops of one database. What is in force holds for every process that sends."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def latest(self) -> Stop | None:
        """Return the stop that was set last, in force or lifted; None when there never was one."""
        with self._database.read() as connection:
            return _latest(connection)

    def in_force(self) -> Stop | None:
        """Return the stop that is in force; None when rollouts may send."""
        latest = self.latest()
        return latest if latest is not None and latest.is_in_force else None

    def set(self, *, by: str, at: datetime, why: str) -> tuple[Stop, bool]:
        """Stop every send.

        Returns:
            The stop that is in force, and whether it was set now; an older one stays as it is.
        """
        with self._database.write() as connection:
            self._database.take_turns(connection, "stops")
            latest = _latest(connection)
            if latest is not None and latest.is_in_force:
                return latest, False
            stop = Stop(at, by, why)
            row = {column.name: getattr(stop, column.name) for column in _COLUMNS}
            connection.execute(STOPS.insert().values(row))
            return stop, True

    def lift(self, *, by: str, at: datetime) -> Stop | None:
        """Let rollouts send again.

        Returns:
            The stop that was lifted; None when none was in force.
        """
        with self._database.write() as connection:
            self._database.take_turns(connection, "stops")
            latest = _latest(connection)
            if latest is None or not latest.is_in_force:
                return None
            lifted = update(STOPS).where(STOPS.c.lifted_at.is_(None))
            connection.execute(lifted.values(lifted_at=at, lifted_by=by))
            return _latest(connection)


def _latest(connection: Connection) -> Stop | None:
    newest = select(*_COLUMNS).order_by(STOPS.c.id.desc()).limit(1)
    row = connection.execute(newest).mappings().one_or_none()
    return None if row is None else Stop(**row)
