"""Reads and writes scans, their findings, and what they found of hosts; deletes old rows."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    bindparam,
    delete,
    exists,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.drift import HostMemory, Spell, Versions
from fleet.model.history import Lease
from fleet.model.scan_result import FindingChanges, PastFinding, Scan
from fleet.records import host_memory
from fleet.records.database import Database
from fleet.records.host_memory import HostKey
from fleet.records.leases import fence
from fleet.records.scan_rows import finding_row, past_of, scan_of, scan_row
from fleet.records.tables import FINDINGS, KEY, OBSERVATIONS, OPEN_KEY, SCANS

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
        """Return how often each finding began since then, by ``Finding.key``."""
        columns = [FINDINGS.c[name] for name in KEY]
        query = select(*columns, func.count()).where(FINDINGS.c.first_seen >= when)
        with self._database.read() as connection:
            rows = connection.execute(query.group_by(*columns)).all()
        return {
            (code, account, region, store, host, subject): count
            for code, account, region, store, host, subject, count in map(tuple, rows)
        }

    def store_findings(self, store_id: str) -> tuple[PastFinding, ...]:
        """Return every finding of a store that is kept, the one that began last first."""
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


#: Rows taken away in one transaction; every SQLite allows as many bound values.
BATCH = 500


def prune(database: Database, before: datetime) -> int:
    """Delete rows that ended before a time and return how many.

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


class ScanRecords(FindingRecords):
    """The scans of one database, their findings, and what they know of hosts."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    def begin(self, scan: Scan) -> None:
        """Record the start of a scan; a killed scan stays without an end."""
        row = scan_row(scan)
        with self._database.write() as connection:
            _keep(connection, row)

    def write(
        self,
        scan: Scan,
        changes: FindingChanges,
        spells: Mapping[HostKey, Spell],
        ids: Mapping[HostKey, tuple[str, str]],
        at: datetime,
        *,
        versions: Mapping[HostKey, Versions] | None = None,
        lease: Lease | None = None,
    ) -> None:
        """Write what a scan found in one transaction, also if its start was not recorded.

        Args:
            spells: how hosts are connected, by (store, host), where that is certain.
            ids: likewise, the ``mi-`` id and the ARN of the container instance of those seen.
            at: when findings and ids were seen, by AWS's clock.
            versions: what runs on the hosts that have ids.
            lease: under which it was scanned; None where leases could not be had.

        Raises:
            LeaseLost: somebody else scans now; nothing was kept.
            TypeError: a finding holds a secret, or something that JSON has no word for.
        """
        row, rows = scan_row(scan), Rows(changes, at)
        with self._database.write() as connection:
            if lease is not None:
                fence(connection, lease)
            self._database.take_turns(connection, "scans")
            _keep(connection, row)
            rows.write(connection)
            host_memory.note(connection, spells, ids, at, versions or {})

    def since(self, when: datetime) -> tuple[Scan, ...]:
        """Scans that began since then, oldest first, those that never finished among them."""
        query = select(SCANS).where(SCANS.c.started_at >= when)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(SCANS.c.started_at, SCANS.c.id)).mappings()
            return tuple(map(scan_of, rows))

    def memory(
        self, store_ids: Iterable[str], since: datetime
    ) -> Mapping[tuple[str, str], HostMemory]:
        """Return what is recorded of the hosts of these stores, by (store, host).

        Args:
            since: spells that ended before it are left out; the last of each host never is.
        """
        with self._database.read() as connection:
            return host_memory.memory(connection, store_ids, since)

    def prune(self, before: datetime) -> int:
        """Delete rows that ended before a time and return how many.

        The latest observation of every host and ledger stays, however old, and so do open
        findings, the newest scan, and the newest one of the whole fleet that came to its end.
        """
        return prune(self._database, before)


def _keep(connection: Connection, row: dict[str, Any]) -> None:
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = kind.insert(SCANS).values(row)
    rest = {name: insert.excluded[name] for name in row if name != "id"}
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=rest))
