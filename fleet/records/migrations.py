"""Brings tables that an older fleet made to those of this one, keeping everything in them."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection, inspect, select, update

from fleet.records import rollout_tables, scan_tables
from fleet.records.evidence_migration import type_evidence
from fleet.records.tables import METADATA, SCHEMA, SCHEMA_VERSION


def version_of(connection: Connection) -> int | None:
    """The version of the tables that are there; None when there are none. Only reads."""
    if not inspect(connection).has_table(SCHEMA.name, schema=SCHEMA.schema):
        return None
    return max(connection.scalars(select(SCHEMA.c.version)), default=None)


def migrate(connection: Connection) -> int:
    """Make what is missing, in the caller's transaction: all of it happens or none.

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
    """Runs, audit and observations stay as they are; rollouts get tables of their own."""
    METADATA.create_all(
        connection,
        tables=[
            rollout_tables.ROLLOUTS,
            rollout_tables.SPECS,
            rollout_tables.CHANGES,
            rollout_tables.EVENTS,
            rollout_tables.VERBS,
            rollout_tables.HOLDS,
            rollout_tables.LEASES,
            rollout_tables.TASK_DEFINITIONS,
            rollout_tables.CONNECTIVITY,
        ],
    )


def _add_scans(connection: Connection) -> None:
    """All that there is stays as it is; scans and findings get tables of their own."""
    METADATA.create_all(connection, tables=[scan_tables.SCANS, scan_tables.FINDINGS])


#: By the version it starts from, what leads to the next one. A step that makes a table makes it as
#: it is in this fleet; a later step that changes the same table looks whether that is still to do.
_STEPS: Mapping[int, Callable[[Connection], None]] = {
    1: _add_rollouts,
    2: _add_scans,
    3: type_evidence,
}
