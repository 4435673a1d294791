"""The edge to the database, SQLite or PostgreSQL: runs, observations, rollouts, leases.

Why SQL rows and both databases: one person on one machine needs no server, a team needs one
database that several controllers share. SQLAlchemy Core writes the same statements for both. The
few that differ ask for the dialect where they stand: upserts, the clock of leases, and how a
connection is prepared.

Stored names are a contract: columns, and the field names that ``model.plain`` writes as JSON.
They change only with an alias or a migration, and a test that reads a database of the version
before. A database of a newer schema is refused, so that an older fleet cannot spoil it.
"""
