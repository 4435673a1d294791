"""The edge to the database: runs, audit and observations, in SQLite or PostgreSQL."""

from fleet.records.store import Records, open_records

__all__ = ["Records", "open_records"]
