"""Scans as they are recorded: what each found, how hosts were, and what that changed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from fleet.model.drift import HostMemory, Spell, Versions
from fleet.model.history import Lease
from fleet.model.night import FindingChanges, Scan
from fleet.records import host_memory, pruning
from fleet.records.database import Database
from fleet.records.findings import FindingRecords, Rows
from fleet.records.host_memory import HostKey
from fleet.records.leases import fence
from fleet.records.scan_rows import scan_of, scan_row
from fleet.records.scan_tables import SCANS


class ScanRecords(FindingRecords):
    """The scans of one database, their findings, and what they know of hosts."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._database = database

    def begin(self, scan: Scan) -> None:
        """Note that a scan begins; one that is killed stays as one that never finished."""
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
        """Keep what a scan found, all of it or nothing, whether or not its beginning was kept.

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
        """What is recorded of the hosts of these stores, by (store, host), where anything is.

        Args:
            since: spells that ended before it are left out; the last of each host never is.
        """
        with self._database.read() as connection:
            return host_memory.memory(connection, store_ids, since)

    def prune(self, before: datetime) -> int:
        """Take away what was over before a time; returns how many rows.

        The latest observation of every host and ledger stays, however old, and so do open
        findings, the newest scan, and the newest one of the whole fleet that came to its end.
        """
        return pruning.prune(self._database, before)


def _keep(connection: Connection, row: dict[str, Any]) -> None:
    kind = postgresql if connection.dialect.name == "postgresql" else sqlite
    insert = kind.insert(SCANS).values(row)
    rest = {name: insert.excluded[name] for name in row if name != "id"}
    connection.execute(insert.on_conflict_do_update(index_elements=["id"], set_=rest))
