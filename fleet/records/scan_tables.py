"""The tables of scans and of what they found. They came with version 3.

How hosts were connected, and under which ids, are observations like all others.
"""

from sqlalchemy import Boolean, Column, Identity, Index, Integer, String, Table, Text

from fleet.records.tables import METADATA, SERIAL, UtcTime

SCANS = Table(
    "fleet_scans",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("selection", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("states", Text, nullable=False),
    Column("calls", Integer, nullable=False),
    Column("throttled", Integer, nullable=False),
    Column("complete", Boolean, nullable=False),
    Index("fleet_scans_started", "started_at"),
)

FINDINGS = Table(
    "fleet_findings",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("code", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("finding", Text, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Column("resolved_at", UtcTime),
    Index("fleet_findings_store", "store", "first_seen"),
    Index("fleet_findings_first", "first_seen"),
    Index("fleet_findings_resolved", "resolved_at"),
)

#: Columns of ``Finding.key``, in its order.
KEY = ("code", "account", "region", "store", "host", "subject")
#: The same, in the order of the index that lets a finding be open only once.
OPEN_KEY = ("store", "host", "code", "subject", "account", "region")

Index(
    "fleet_findings_open",
    *(FINDINGS.c[name] for name in OPEN_KEY),
    unique=True,
    sqlite_where=FINDINGS.c.resolved_at.is_(None),
    postgresql_where=FINDINGS.c.resolved_at.is_(None),
)
