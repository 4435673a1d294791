"""Reads what runs, rollouts and scans recorded of one store."""

from datetime import datetime

from sqlalchemy import select

from fleet.model.changes import Change
from fleet.model.history import AuditEntry
from fleet.model.rollout import Phase
from fleet.model.scan_result import Scan
from fleet.model.store_story import StoreRollout
from fleet.records.database import Database
from fleet.records.rollout_rows import CHANGE_COLUMNS, change_of, id_of
from fleet.records.scan_rows import scan_of
from fleet.records.tables import AUDIT, CHANGES, ROLLOUTS, SCANS


class StoreHistoryRecords:
    """Reads across runs and rollouts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def audit(
        self, store: str, *, since: datetime | None = None, limit: int | None = None
    ) -> tuple[AuditEntry, ...]:
        """Return what runs changed in a store, newest first."""
        columns = [column for column in AUDIT.c if column.name != "id"]
        query = select(*columns).where(AUDIT.c.store == store)
        if since is not None:
            query = query.where(AUDIT.c.at >= since)
        query = query.order_by(AUDIT.c.at.desc(), AUDIT.c.id.desc()).limit(limit)
        with self._database.read() as connection:
            return tuple(AuditEntry(**row) for row in connection.execute(query).mappings())

    def rollouts(self, store: str, *, limit: int | None = None) -> tuple[StoreRollout, ...]:
        """Return the rollouts that were to change a store, newest first, with its changes."""
        numbers = select(CHANGES.c.rollout).where(CHANGES.c.store == store).distinct()
        newest = numbers.order_by(CHANGES.c.rollout.desc()).limit(limit)
        with self._database.read() as connection:
            wanted = list(connection.scalars(newest))
            mine = (CHANGES.c.store == store) & CHANGES.c.rollout.in_(wanted)
            changes: dict[int, list[Change]] = {}
            for row in connection.execute(select(CHANGES.c.rollout, *CHANGE_COLUMNS).where(mine)):
                changes.setdefault(row[0], []).append(change_of(row[1:]))
            rows = connection.execute(
                select(
                    ROLLOUTS.c.number,
                    ROLLOUTS.c.title,
                    ROLLOUTS.c.phase,
                    ROLLOUTS.c.started_at,
                    ROLLOUTS.c.finished_at,
                    ROLLOUTS.c.caller,
                )
                .where(ROLLOUTS.c.number.in_(wanted))
                .order_by(ROLLOUTS.c.number.desc())
            ).all()
        return tuple(
            StoreRollout(
                id_of(row.number),
                row.title,
                Phase(row.phase),
                row.started_at,
                row.finished_at,
                row.caller,
                tuple(sorted(changes[row.number], key=lambda change: change.key)),
            )
            for row in rows
        )

    def last_scan(self) -> Scan | None:
        """Return the newest scan that came to its end, whatever it looked at."""
        query = select(SCANS).where(SCANS.c.finished_at.is_not(None))
        query = query.order_by(SCANS.c.started_at.desc(), SCANS.c.id.desc()).limit(1)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
            return None if row is None else scan_of(row)
