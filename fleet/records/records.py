"""The records of a fleet: runs, the audit of their changes, observations of hosts, and the rest."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from types import TracebackType
from typing import Any, Self

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from fleet.errors import RecordsError
from fleet.model.history import AuditEntry, Ledger, Observation, Run
from fleet.records.column_types import canonical
from fleet.records.database import Database
from fleet.records.leases import LeaseRecords
from fleet.records.notices import NoticeRecords
from fleet.records.rollouts import RolloutRecords
from fleet.records.scans import ScanRecords
from fleet.records.stops import StopRecords
from fleet.records.store_history import StoreHistoryRecords
from fleet.records.tables import AUDIT, OBSERVATIONS, RUNS
from fleet.records.task_definitions import TaskDefinitionCache

#: How run ids begin, by kind of run. A rollout outlives the runs that tick it, and is ``ro-118``.
PREFIXES = {"register": "reg", "rollout": "run", "drift": "drift"}
#: Bound values per statement that every SQLite allows.
STORES_PER_QUERY = 500
TRIES = 12


class Records:
    """The records of a fleet. Safe to use from many threads, and by many processes at once.

    Times are aware; they come back in UTC. Every method raises ``RecordsError`` when the database
    is locked, full, damaged or away.

    Attributes:
        rollouts: what they were told, did and owe.
        leases: who works on what.
        past: what all of them say of one store.
        scans: what they found over the nights.
        stops: of every send of every rollout.
        notices: what channels were notified of about rollouts.
        task_definitions: what is behind their ARNs.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.rollouts = RolloutRecords(database)
        self.leases = LeaseRecords(database)
        self.stores = StoreHistoryRecords(database)
        self.scans = ScanRecords(database)
        self.stops = StopRecords(database)
        self.notices = NoticeRecords(database)
        self.task_definitions = TaskDefinitionCache(database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start_run(self, kind: str, *, caller_arn: str, command: str, at: datetime) -> str:
        """Record the start of a run and return its id, for example ``reg-7f3a``.

        Ids are short because people type them. A taken id is drawn again, with more digits after
        several tries.
        """
        prefix = PREFIXES.get(kind, kind)
        for number in range(TRIES):
            run_id = f"{prefix}-{secrets.token_hex(2 + number // 4)}"
            row = {
                "id": run_id,
                "kind": kind,
                "caller_arn": caller_arn,
                "command": command,
                "started_at": at,
            }
            try:
                with self._database.write() as connection:
                    connection.execute(RUNS.insert().values(row))
            except RecordsError as error:
                if not isinstance(error.__cause__, IntegrityError):
                    raise
                continue
            return run_id
        raise RecordsError(f"{self._database.name}: no free id for a {kind} run")

    def finish_run(self, run_id: str, *, outcome: str, at: datetime) -> None:
        """Record the outcome of a run."""
        with self._database.write() as connection:
            connection.execute(
                update(RUNS).where(RUNS.c.id == run_id).values(finished_at=at, outcome=outcome)
            )

    def runs(self, *, limit: int = 50) -> tuple[Run, ...]:
        """Return the latest runs, newest first."""
        query = select(RUNS).order_by(RUNS.c.started_at.desc(), RUNS.c.id).limit(limit)
        with self._database.read() as connection:
            return tuple(Run(**row) for row in connection.execute(query).mappings())

    def audit(
        self,
        run_id: str,
        *,
        at: datetime,
        caller_arn: str,
        action: str,
        store: str = "",
        host: str = "",
        why: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Record one change in the audit.

        Raises:
            TypeError: ``detail`` holds a secret, or something that JSON has no word for.
        """
        entry = {
            "run_id": run_id,
            "at": at,
            "caller_arn": caller_arn,
            "action": action,
            "store": store,
            "host": host,
            "why": why,
            "detail": _checked(detail or {}),
        }
        with self._database.write() as connection:
            connection.execute(AUDIT.insert().values(entry))

    def audit_of(self, run_id: str) -> tuple[AuditEntry, ...]:
        """Return what a run changed, in the order it did."""
        columns = [column for column in AUDIT.c if column.name != "id"]
        query = select(*columns).where(AUDIT.c.run_id == run_id).order_by(AUDIT.c.id)
        with self._database.read() as connection:
            return tuple(AuditEntry(**row) for row in connection.execute(query).mappings())

    def observe(
        self, store: str, host: str, ledger: str, value: Mapping[str, Any], *, at: datetime
    ) -> bool:
        """Record what a ledger says of a host; return True if that is new.

        An equal value only moves ``last_seen``; another value starts a new row. The value must not
        contain anything that changes with every reading. An observation older than the latest
        one changes nothing.

        Raises:
            TypeError: the value holds a secret, or something that JSON has no word for.
            ValueError: no such ledger.
        """
        ledger = Ledger(ledger)
        text = canonical(_checked(value))
        key = (
            (OBSERVATIONS.c.store == store)
            & (OBSERVATIONS.c.host == host)
            & (OBSERVATIONS.c.ledger == ledger.value)
        )
        columns = (OBSERVATIONS.c.id, OBSERVATIONS.c.value, OBSERVATIONS.c.last_seen)
        latest = select(*columns).where(key).order_by(OBSERVATIONS.c.id.desc()).limit(1)
        with self._database.write() as connection:
            self._database.take_turns(connection, f"{store}/{host} {ledger}")
            seen = connection.execute(latest).one_or_none()
            if seen is not None and at < seen.last_seen:
                return False
            if seen is not None and canonical(seen.value) == text:
                same = OBSERVATIONS.c.id == seen.id
                connection.execute(update(OBSERVATIONS).where(same).values(last_seen=at))
                return False
            row = {
                "store": store,
                "host": host,
                "ledger": ledger.value,
                "value": value,
                "first_seen": at,
                "last_seen": at,
            }
            connection.execute(OBSERVATIONS.insert().values(row))
            return True

    def latest(self, stores: Iterable[str]) -> tuple[Observation, ...]:
        """Return the latest observation per ledger and host of these stores, sorted."""
        rest = iter(dict.fromkeys(stores))
        found: list[Observation] = []
        while ids := tuple(islice(rest, STORES_PER_QUERY)):
            newest = (
                select(func.max(OBSERVATIONS.c.id))
                .where(OBSERVATIONS.c.store.in_(ids))
                .group_by(OBSERVATIONS.c.store, OBSERVATIONS.c.host, OBSERVATIONS.c.ledger)
            )
            columns = [column for column in OBSERVATIONS.c if column.name != "id"]
            query = select(*columns).where(OBSERVATIONS.c.id.in_(newest))
            with self._database.read() as connection:
                found += [_observation(row) for row in connection.execute(query).mappings()]
        return tuple(sorted(found, key=lambda seen: (seen.store, seen.host, seen.ledger)))


def _checked(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the value, once it is sure that it can be kept: before a transaction is open."""
    canonical(value)
    return value


def _observation(row: Mapping[Any, Any]) -> Observation:
    return Observation(**{**row, "ledger": Ledger(row["ledger"])})
