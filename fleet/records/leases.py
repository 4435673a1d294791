"""Leases: take, renew and release them. They expire by the database's clock and have tokens."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, RowMapping, cast, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fleet.errors import LeaseLost
from fleet.model.history import Lease
from fleet.records.column_types import canonical
from fleet.records.database import Database
from fleet.records.tables import LEASES

#: The Julian day of 1970-01-01, from which SQLite's clock counts.
JULIAN_1970 = 2440587.5
DAY_S = 86400.0
#: A lease that ends this many seconds later than its owner can have asked for was written before
#: the database's clock was set back.
CLOCK_SET_BACK_S = 1.0


class LeaseRecords:
    """Leases of one database. Time is the database's own, so no two machines need to agree.

    A lease that has expired may be taken by anybody and then has a new token; whatever the old
    owner writes under the old one is refused, however late it arrives. A lease that has expired
    and that nobody took is still its owner's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        """Return the database's time."""
        with self._database.read() as connection:
            return _time(connection.scalar(select(_now(connection))) or 0.0)

    def take(self, name: str, owner: str, ttl_s: float) -> Lease | None:
        """Return the lease, when it is free or has expired; None while somebody holds it.

        Args:
            owner: unique to whoever asks: a lease that is held is not given to its own owner
                either, who would renew it.
            ttl_s: seconds, more than none.
        """
        if not (math.isfinite(ttl_s) and ttl_s > 0 and owner):
            raise ValueError(f"a lease of {ttl_s} s for {owner!r} is none")
        with self._database.write() as connection:
            now = _now(connection)
            _be_there(connection, name)
            # In one statement, which PostgreSQL judges again after having waited for the row.
            expired = (LEASES.c.expires_at <= now) | (
                LEASES.c.expires_at > now + LEASES.c.ttl_s + CLOCK_SET_BACK_S
            )
            taken = (
                update(LEASES)
                .where(LEASES.c.name == name, expired)
                .values(
                    owner=owner,
                    token=LEASES.c.token + 1,
                    taken_at=now,
                    expires_at=now + ttl_s,
                    ttl_s=ttl_s,
                )
                .returning(*LEASES.c)
            )
            row = connection.execute(taken).mappings().one_or_none()
            return None if row is None else _lease(row)

    def renew(self, lease: Lease, *, state: Mapping[str, Any] | None = None) -> Lease:
        """Put the end of the lease off by its ``ttl_s`` from now.

        Args:
            state: to travel on with it; None keeps what is there.

        Raises:
            LeaseLost: another owner has it.
            TypeError: the state holds a secret, or something that JSON has no word for.
        """
        with self._database.write() as connection:
            now = _now(connection)
            renewed = _update(lease, state, expires_at=now + lease.ttl_s).returning(*LEASES.c)
            row = connection.execute(renewed).mappings().one_or_none()
            if row is None:
                raise _lost(connection, lease)
            return _lease(row)

    def release(self, lease: Lease, *, state: Mapping[str, Any] | None = None) -> bool:
        """Give it back, with its state for whoever comes next; nothing is written under it again.

        Returns:
            Whether it was still the owner's; if not, nothing was kept.
        """
        with self._database.write() as connection:
            given = _update(lease, state, owner="", expires_at=0.0)
            return bool(connection.execute(given).rowcount)

    def holder(self, name: str) -> Lease | None:
        """Return who holds it at this moment, or None."""
        query = select(LEASES).where(LEASES.c.name == name, LEASES.c.owner != "")
        with self._database.read() as connection:
            live = query.where(LEASES.c.expires_at > _now(connection))
            row = connection.execute(live).mappings().one_or_none()
            return None if row is None else _lease(row)

    def state(self, name: str) -> Mapping[str, Any]:
        """Return what travels with it, whoever holds it; empty when nobody ever did."""
        query = select(LEASES.c.state).where(LEASES.c.name == name)
        with self._database.read() as connection:
            return connection.scalar(query) or {}


def fence(connection: Connection, lease: Lease) -> None:
    """Let the transaction go on only for the lease's present owner, and nobody take it meanwhile.

    Raises:
        LeaseLost: another owner has it, or it was given back.
    """
    query = select(LEASES.c.name).where(*_own(lease)).with_for_update()
    if connection.execute(query).first() is None:
        raise _lost(connection, lease)


def _own(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return (
        LEASES.c.name == lease.name,
        LEASES.c.token == lease.token,
        LEASES.c.owner == lease.owner,
    )


def _update(lease: Lease, state: Mapping[str, Any] | None, **values: Any) -> Any:
    if state is not None:
        canonical(state)
        values["state"] = state
    return update(LEASES).where(*_own(lease)).values(**values)


def _be_there(connection: Connection, name: str) -> None:
    row = {"name": name, "owner": "", "token": 0, "taken_at": 0.0, "expires_at": 0.0, "ttl_s": 0.0}
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    connection.execute(
        kind.insert(LEASES).values(**row, state={}).on_conflict_do_nothing(index_elements=["name"])
    )


def _now(connection: Connection) -> ColumnElement[float]:
    """Seconds since 1970 by the clock of the database, when the row is looked at.

    Not PostgreSQL's now(), which is the moment at which the transaction began to wait for a row.
    """
    if connection.dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()), Double)
    return (func.julianday("now", type_=Double) - JULIAN_1970) * DAY_S


def _lease(row: RowMapping) -> Lease:
    times = {name: _time(row[name]) for name in ("taken_at", "expires_at")}
    return Lease(**{**row, **times})


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _lost(connection: Connection, lease: Lease) -> LeaseLost:
    query = select(LEASES.c.owner).where(LEASES.c.name == lease.name)
    owner = connection.scalar(query)
    who = f"{owner} has taken {lease.name} over" if owner else f"{lease.name} was given back"
    return LeaseLost(f"{who}; nothing of this write was kept")
