"""All tables of the database and the version of their schema."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from fleet.records.column_types import CanonicalJson, Names, UtcTime

#: Of the tables below; rises when they change so that an older fleet could spoil them.
SCHEMA_VERSION = 5


#: Serial numbers: BIGINT on PostgreSQL; on SQLite only INTEGER is the row's own number.
SERIAL = BigInteger().with_variant(Integer, "sqlite")

METADATA = MetaData()

SCHEMA = Table("fleet_schema", METADATA, Column("version", Integer, primary_key=True))

RUNS = Table(
    "fleet_runs",
    METADATA,
    Column("id", String(40), primary_key=True),
    Column("kind", String(40), nullable=False),
    Column("caller_arn", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Column("outcome", Text, nullable=False, default=""),
    Index("fleet_runs_started", "started_at"),
)

AUDIT = Table(
    "fleet_audit",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("run_id", ForeignKey("fleet_runs.id"), nullable=False, index=True),
    Column("at", UtcTime, nullable=False),
    Column("caller_arn", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("detail", CanonicalJson, nullable=False),
    Index("fleet_audit_host", "store", "host", "at"),
)

OBSERVATIONS = Table(
    "fleet_observations",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("store", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("ledger", String(20), nullable=False),
    Column("value", CanonicalJson, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    Index("fleet_observations_host", "store", "host", "ledger", "id"),
)


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


ROLLOUTS = Table(
    "fleet_rollouts",
    METADATA,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("run", String(40), nullable=False),
    Column("caller", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("release", Text, nullable=False),
    Column("workloads", Names, nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("phase", String(20), nullable=False),
    Column("why", Text, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("wave_at", UtcTime),
    Column("baking_since", UtcTime),
    Column("promoted", Boolean, nullable=False),
    Column("accepted", CanonicalJson, nullable=False),
    Column("owed_until", UtcTime),
    Column("tick", Integer, nullable=False),
    Column("updated_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("answered_at", UtcTime),
    Column("recalled", Text, nullable=False, server_default=""),
    Column("darkness", CanonicalJson),
    Column("signals", CanonicalJson, nullable=False, server_default="{}"),
    Index("fleet_rollouts_finished", "finished_at"),
)

# Megabytes for thousands of stores, so apart from the row that every tick writes anew.
SPECS = Table(
    "fleet_rollout_specs",
    METADATA,
    Column("rollout", ForeignKey("fleet_rollouts.number"), primary_key=True),
    Column("spec", Text, nullable=False),
)

CHANGES = Table(
    "fleet_changes",
    METADATA,
    Column("rollout", ForeignKey("fleet_rollouts.number"), primary_key=True),
    Column("store", Text, primary_key=True),
    Column("service", Text, primary_key=True),
    Column("workload", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("cluster", Text, nullable=False),
    Column("wave", Integer, nullable=False),
    Column("content", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("desired_count", Integer, nullable=False),
    Column("previous_count", Integer, nullable=False),
    Column("stage", String(20), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", UtcTime),
    Column("sent_at", UtcTime),
    Column("target", Text, nullable=False),
    Column("sends", Integer, nullable=False),
    Column("pulls_failed", Integer, nullable=False),
    Column("away_since", UtcTime),
    Column("looked_at", UtcTime),
    Column("look_at", UtcTime),
    # Fields of a change that no query asks for; ``rollout_rows`` says which.
    Column("details", CanonicalJson, nullable=False),
    Column("ok_at", UtcTime),
    Index("fleet_changes_verdict", "rollout", "verdict", "stage"),
)

EVENTS = Table(
    "fleet_rollout_events",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("rollout", ForeignKey("fleet_rollouts.number"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("text", Text, nullable=False),
    Column("store", Text, nullable=False),
    Column("data", CanonicalJson, nullable=False),
    Index("fleet_rollout_events_of", "rollout", "id"),
)

VERBS = Table(
    "fleet_verbs",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("rollout", ForeignKey("fleet_rollouts.number"), nullable=False),
    Column("name", String(20), nullable=False),
    Column("stores", Names, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("why", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Index("fleet_verbs_of", "rollout", "id"),
)

HOLDS = Table(
    "fleet_holds",
    METADATA,
    Column("store", Text, primary_key=True),
    Column("workload", Text, primary_key=True),
    Column("rollout", ForeignKey("fleet_rollouts.number"), nullable=False, index=True),
    Column("by", Text, nullable=False),
    Column("since", UtcTime, nullable=False),
)

#: Stops of every send; the newest one is in force until it is lifted.
STOPS = Table(
    "fleet_stops",
    METADATA,
    Column("id", SERIAL, Identity(), primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("lifted_at", UtcTime),
    Column("lifted_by", Text, nullable=False),
)

#: What a channel was notified of about a rollout; ``key`` says of what, once.
NOTICES = Table(
    "fleet_rollout_notices",
    METADATA,
    Column("rollout", ForeignKey("fleet_rollouts.number"), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("key", String(40), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

# Rows stay when a lease is given back: the token has to rise for ever. Times are seconds since
# 1970 of the database's own clock, which both kinds of database can compare in the statement.
LEASES = Table(
    "fleet_leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("taken_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("ttl_s", Double, nullable=False),
    Column("state", CanonicalJson, nullable=False),
)

TASK_DEFINITIONS = Table(
    "fleet_task_definitions",
    METADATA,
    Column("arn", Text, primary_key=True),
    Column("account_id", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("family", Text, nullable=False),
    Column("content", String(64), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("body", CanonicalJson, nullable=False),
    Index("fleet_task_definitions_content", "account_id", "region", "content"),
)

CONNECTIVITY = Table(
    "fleet_connectivity",
    METADATA,
    Column("rollout", ForeignKey("fleet_rollouts.number"), primary_key=True),
    Column("hour", UtcTime, primary_key=True),
    Column("dark", Integer, nullable=False),
    Column("stores", Integer, nullable=False),
)
