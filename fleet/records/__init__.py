"""The edge to the database, SQLite or PostgreSQL: runs, observations, rollouts, leases."""

from fleet.records.store import Records, open_records

__all__ = ["Records", "open_records"]
