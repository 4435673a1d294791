"""Brings a release to stores, in waves under gates.

Why ticks and leases, and not a workflow engine: a rollout takes hours to days, and the process
that drives it is killed, upgraded or moved in that time. Its state is rows in the database. A
tick reads the rows, observes ECS, decides, writes what it decided, acts, and writes what came of
it; between two ticks nothing is in memory that matters.

The holder of the rollout's lease may tick it. The holder of a shard's lease (account and region,
where AWS limits calls) may spend its call budget. Leases expire by the database's clock, and the
writes of a tick check the fencing token, so that a process that was paused cannot overwrite its
successor. After a crash the next tick observes again and decides again: nothing is replayed, so no
step has to be deterministic.

A workflow engine would add a server to run in every team's account and a second copy of the state;
SQL rows with leases are what the tool needs anyway for its screens.
"""
