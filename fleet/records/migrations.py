"""Migrates tables that an older fleet made, without losing a row."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, bindparam, inspect, select, text, update
from sqlalchemy.schema import CreateColumn

from fleet.model.verdicts import Stage
from fleet.records import tables
from fleet.records.tables import CHANGES, METADATA, ROLLOUTS, SCHEMA, SCHEMA_VERSION

#: What the fields of ``ObservedChange`` were called; times were ISO 8601 text as they are now.
_OBSERVED = {
    "reason": "reason",
    "hosts": "hosts",
    "hosts_read_at": "looked_at",
    "tasks": "tasks",
    "tasks_read_at": "deep_at",
    "task_definition": "runs",
    "deployment": "deployment",
    "cause": "cause",
    "settles_at": "settles_at",
    "pull_counted": "pull_counted",
    "restored": "restored",
}
#: Likewise for ``NextSend`` and ``Undo``.
_NEXT_SEND = {
    "last_try": "ended",
    "overwrite": "asked",
    "refusals": "refusals",
    "was_set_back": "set_back",
    "deployment_before": "before",
}
_UNDO = {"settled": "settled", "stays_back": "stays_back"}
#: How the reason of a change began whose turn had come while its store could not be read.
_POSTPONED = "its turn is put off"


def type_evidence(connection: Connection) -> None:
    """Rewrite the evidence of every change as ``details``, and add the column ``ok_at``.

    The column has another name, so that a process of version 3 that still runs fails instead of
    writing loose evidence.
    """
    known = {column["name"] for column in inspect(connection).get_columns(CHANGES.name)}
    if "evidence" in known:
        kind = CHANGES.c.ok_at.type.compile(connection.dialect)
        table = f"ALTER TABLE {CHANGES.name}"
        connection.execute(text(f"{table} RENAME COLUMN evidence TO details"))
        connection.execute(text(f"{table} ADD COLUMN ok_at {kind}"))
    for rollout in connection.scalars(select(CHANGES.c.rollout).distinct()).all():
        rows = connection.execute(_READ.where(CHANGES.c.rollout == rollout)).all()
        connection.execute(
            _WRITE,
            [
                {"_rollout": rollout, "_store": row.store, "_service": row.service}
                | typed(row.details, row.stage, row.reason, row.sent_at)
                for row in rows
            ],
        )


_READ = select(
    CHANGES.c.store,
    CHANGES.c.service,
    CHANGES.c.stage,
    CHANGES.c.reason,
    CHANGES.c.sent_at,
    CHANGES.c.details,
)
_WRITE = update(CHANGES).where(
    CHANGES.c.rollout == bindparam("_rollout"),
    CHANGES.c.store == bindparam("_store"),
    CHANGES.c.service == bindparam("_service"),
)


def typed(
    old: Mapping[str, Any], stage: str, reason: str, sent_at: datetime | None
) -> dict[str, Any]:
    """Return the columns ``details`` and ``ok_at`` for the evidence of version 3.

    That was of the send whose time was under ``try``. Where the change had been sent again since
    and not been looked at, only the absences of its hosts still counted.
    """
    observed, next_send = _renamed(old, _OBSERVED), _renamed(old, _NEXT_SEND)
    ok_at = _time(old.get("ok_at"))
    if reason.startswith(_POSTPONED):
        next_send["postponed"] = True
    if _time(old.get("try")) != sent_at:
        hosts = {name: {**host, "tried_s": 0.0} for name, host in old.get("hosts", {}).items()}
        observed, ok_at = {"hosts": hosts}, None
        if stage == Stage.SENT.value:
            next_send = {}
    details = {
        "observed": observed,
        "next_send": next_send,
        "undo": _renamed(old, _UNDO),
        "failure_accepted": old.get("accepted", False),
    }
    kept = {name: value for name, value in details.items() if value}
    return {"details": kept, "ok_at": ok_at}


def _renamed(old: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {new: old[name] for new, name in names.items() if name in old}


def _time(stamp: str | None) -> datetime | None:
    return datetime.fromisoformat(stamp) if stamp is not None else None


def version_of(connection: Connection) -> int | None:
    """Return the version of the tables that are there; None when there are none. Only reads."""
    if not inspect(connection).has_table(SCHEMA.name, schema=SCHEMA.schema):
        return None
    return max(connection.scalars(select(SCHEMA.c.version)), default=None)


def migrate(connection: Connection) -> int:
    """Create or migrate the tables in the caller's transaction.

    Returns:
        The version found: that of this fleet, or of the newer one that wrote there, and then
        nothing was done.
    """
    SCHEMA.create(connection, checkfirst=True)
    found: int | None = max(connection.scalars(select(SCHEMA.c.version)), default=None)
    if found is None:
        METADATA.create_all(connection)
        connection.execute(SCHEMA.insert().values(version=SCHEMA_VERSION))
        return SCHEMA_VERSION
    for version in range(found, SCHEMA_VERSION):
        _STEPS[version](connection)
    if found < SCHEMA_VERSION:
        connection.execute(update(SCHEMA).values(version=SCHEMA_VERSION))
    return max(found, SCHEMA_VERSION)


def _add_rollouts(connection: Connection) -> None:
    """Create the tables of rollouts."""
    METADATA.create_all(
        connection,
        tables=[
            tables.ROLLOUTS,
            tables.SPECS,
            tables.CHANGES,
            tables.EVENTS,
            tables.VERBS,
            tables.HOLDS,
            tables.LEASES,
            tables.TASK_DEFINITIONS,
            tables.CONNECTIVITY,
        ],
    )


def _add_scans(connection: Connection) -> None:
    """Create the tables of scans and findings."""
    METADATA.create_all(connection, tables=[tables.SCANS, tables.FINDINGS])


def _add_watching(connection: Connection) -> None:
    """Add what is known of a rollout after its waves, of its darkness test and from outside."""
    columns = ROLLOUTS.c.answered_at, ROLLOUTS.c.recalled, ROLLOUTS.c.darkness, ROLLOUTS.c.signals
    _add_columns(connection, *columns)


def _add_stops_and_notices(connection: Connection) -> None:
    """Create the tables of stops of all sends, and of what channels were notified of."""
    METADATA.create_all(connection, tables=[tables.STOPS, tables.NOTICES])


def _to_version_5(connection: Connection) -> None:
    """Change what the fifth version has changed."""
    _add_watching(connection)
    _add_stops_and_notices(connection)


def _add_columns(connection: Connection, *columns: Column[Any]) -> None:
    """Add columns to their tables, where they are not there yet."""
    for column in columns:
        known = {found["name"] for found in inspect(connection).get_columns(column.table.name)}
        if column.name not in known:
            words = CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {words}"))


#: Migration steps by their start version. A step creates a table in its newest form, so
#: a later step that changes the same table first checks whether the change is still needed.
_STEPS: Mapping[int, Callable[[Connection], None]] = {
    1: _add_rollouts,
    2: _add_scans,
    3: type_evidence,
    4: _to_version_5,
}
