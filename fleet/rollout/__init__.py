"""Brings a release to stores, in waves under gates.

Why ticks and leases, and not a workflow engine: a rollout takes hours to days, and the process
that drives it is killed, upgraded or moved in that time. Its state is rows in the database. A
tick reads the rows, observes ECS, decides, writes what it decided, acts, and writes what came of
it; between two ticks nothing is in memory that matters. A process must hold the lease of a shard
(account and region, where AWS's rate limits apply) to tick it. A lease expires by the database's
clock, and every write checks its fencing token, so that a process that was paused cannot
overwrite its successor. After a crash the next tick observes again and decides again: nothing is
replayed, so no step has to be deterministic. A workflow engine would add a server to run in every
team's account and a second copy of the state; SQL rows with leases are what the tool needs anyway
for its screens.
"""
