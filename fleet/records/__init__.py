"""The edge to the database, SQLite or PostgreSQL: runs, observations, rollouts, leases."""
