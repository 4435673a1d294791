"""Findings over time: read as they were, and what a scan changes in them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.night import FindingChanges, PastFinding
from fleet.records.database import Database
from fleet.records.scan_rows import finding_row, past_of
from fleet.records.scan_tables import FINDINGS, KEY, OPEN_KEY

#: Bound values per statement that every SQLite allows.
STORES_PER_QUERY = 500

_PAST = (
    FINDINGS.c.finding,
    FINDINGS.c.first_seen,
    FINDINGS.c.last_seen,
    FINDINGS.c.resolved_at,
)
_OPEN = FINDINGS.c.resolved_at.is_(None)
#: The open row of a key, unless a later scan has seen it since.
_MINE = (
    *(FINDINGS.c[name] == bindparam(f"_{name}") for name in KEY),
    _OPEN,
    FINDINGS.c.last_seen <= bindparam("_at"),
)


class FindingRecords:
    """The findings of one database, to be read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, store_ids: Iterable[str] | None = None) -> tuple[PastFinding, ...]:
        """Findings that are not resolved, in the order in which they began.

        Args:
            store_ids: only of these stores, and those of no store; None for all.
        """
        query = select(*_PAST).where(_OPEN).order_by(FINDINGS.c.first_seen, FINDINGS.c.id)
        with self._database.read() as connection:
            if store_ids is None:
                return tuple(map(past_of, connection.execute(query)))
            found: list[PastFinding] = []
            rest = iter(dict.fromkeys(["", *store_ids]))
            while ids := tuple(islice(rest, STORES_PER_QUERY)):
                rows = connection.execute(query.where(FINDINGS.c.store.in_(ids)))
                found += map(past_of, rows)
        return tuple(sorted(found, key=lambda past: past.first_seen))

    def began_since(self, when: datetime) -> Mapping[tuple[str, str, str, str, str, str], int]:
        """How often each finding began since then, by ``Finding.key``."""
        columns = [FINDINGS.c[name] for name in KEY]
        query = select(*columns, func.count()).where(FINDINGS.c.first_seen >= when)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(*columns)).all()
        return {
            (code, account, region, store, host, subject): count
            for code, account, region, store, host, subject, count in map(tuple, rows)
        }

    def store_findings(self, store_id: str) -> tuple[PastFinding, ...]:
        """Every finding of a store that is kept, the one that began last first."""
        query = select(*_PAST).where(FINDINGS.c.store == store_id)
        query = query.order_by(FINDINGS.c.first_seen.desc(), FINDINGS.c.id.desc())
        with self._database.read() as connection:
            return tuple(map(past_of, connection.execute(query)))


class Rows:
    """What a scan changes, as rows: made before a transaction is open.

    Raises:
        TypeError: a finding holds a secret, or something that JSON has no word for.
    """

    def __init__(self, changes: FindingChanges, at: datetime) -> None:
        seen = [*changes.opened, *(finding for _row, finding in changes.kept)]
        self._at = at
        self._seen = [finding_row(finding, at) for finding in seen]
        self._gone = [_key(row) | {"_at": at} for row in changes.resolved]

    def write(self, connection: Connection) -> None:
        """Write them in the caller's transaction.

        A finding is open once. Where two scans overlap, what the later one saw stays: rows that it
        has written are not taken back by the one that was slower, nor opened again.
        """
        over = _over_since(connection, self._at)
        seen = [row for row in self._seen if tuple(row[name] for name in KEY) not in over]
        if seen:
            connection.execute(_upsert(connection), seen)
        if self._gone:
            gone = update(FINDINGS).where(*_MINE).values(resolved_at=bindparam("_at"))
            connection.execute(gone, self._gone)


def _over_since(connection: Connection, at: datetime) -> frozenset[tuple[Any, ...]]:
    """Keys of findings that a scan of a later time has found to be gone."""
    columns = [FINDINGS.c[name] for name in KEY]
    rows = connection.execute(select(*columns).where(FINDINGS.c.resolved_at > at))
    return frozenset(map(tuple, rows))


def _upsert(connection: Connection) -> Any:
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = kind.insert(FINDINGS)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=OPEN_KEY,
        index_where=_OPEN,
        set_={"finding": new.finding, "last_seen": new.last_seen},
        where=FINDINGS.c.last_seen <= new.last_seen,
    )


def _key(row: PastFinding) -> dict[str, str]:
    return {f"_{name}": value for name, value in zip(KEY, row.finding.key, strict=True)}
