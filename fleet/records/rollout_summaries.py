"""Rollouts without their stores, from their rows: a line of the history, and what is under way."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from fleet.model.history import ActiveRollout, RolloutSummary
from fleet.model.rollout import Phase
from fleet.model.verdicts import Verdict
from fleet.records.rollout_rows import id_of
from fleet.records.rollout_tables import CHANGES, EVENTS, HOLDS


def active_of(connection: Connection, row: Mapping[Any, Any]) -> ActiveRollout:
    """A rollout that is not finished, from its row."""
    turned = select(func.max(EVENTS.c.at)).where(
        EVENTS.c.rollout == row["number"], EVENTS.c.kind == "phase"
    )
    held = select(func.count(HOLDS.c.store.distinct())).where(HOLDS.c.rollout == row["number"])
    return ActiveRollout(
        id=id_of(row["number"]),
        phase=Phase(row["phase"]),
        workloads=row["workloads"],
        stores=connection.scalar(held) or 0,
        why=row["why"],
        phase_at=connection.scalar(turned) or row["started_at"],
        moved_at=row["updated_at"] or row["started_at"],
    )


def summary_of(connection: Connection, row: Mapping[Any, Any]) -> RolloutSummary:
    """A line of the history, from a rollout's row."""
    mine = CHANGES.c.rollout == row["number"]
    verdicts = select(CHANGES.c.verdict, func.count()).where(mine).group_by(CHANGES.c.verdict)
    stores = select(func.count(CHANGES.c.store.distinct())).where(mine)
    return RolloutSummary(
        id=id_of(row["number"]),
        phase=Phase(row["phase"]),
        stores=connection.scalar(stores) or 0,
        verdicts={Verdict(word): count for word, count in connection.execute(verdicts)},
        **{name: row[name] for name in _SUMMARY},
    )


_SUMMARY = ("run", "title", "release", "workloads", "caller", "started_at", "finished_at", "why")
