"""Finds what rollouts have sent that was halted, taken back or recalled."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, case, func, or_, select

from fleet.model.history import RejectedRelease
from fleet.model.rollout import Phase
from fleet.model.verdicts import Verdict
from fleet.records.rollout_rows import id_of
from fleet.records.tables import CHANGES, ROLLOUTS

#: Latest rollouts that are looked at.
LATEST = 50
_REJECTS = (Phase.HALTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK, Phase.ABORTED)


def rejected(connection: Connection, contents: Collection[str]) -> Mapping[str, RejectedRelease]:
    """Return by content, of these, the rollout that sent it last, where that one was rejected."""
    newest = select(func.max(ROLLOUTS.c.number)).scalar_subquery()
    is_rejected = or_(ROLLOUTS.c.phase.in_(_REJECTS), ROLLOUTS.c.recalled != "")
    query = select(ROLLOUTS.c.number, ROLLOUTS.c.phase, ROLLOUTS.c.why)
    query = query.where(is_rejected, ROLLOUTS.c.number > newest - LATEST)
    rows = {row.number: row for row in connection.execute(query)}
    if not rows:
        return {}
    failed = func.sum(case((CHANGES.c.verdict == Verdict.FAILED.value, 1), else_=0))
    sent = select(CHANGES.c.content, CHANGES.c.rollout, failed)
    sent = sent.where(CHANGES.c.rollout >= min(rows), CHANGES.c.sends > 0)
    last: dict[str, RejectedRelease | None] = {}
    grouped = sent.group_by(CHANGES.c.content, CHANGES.c.rollout).order_by(CHANGES.c.rollout)
    for content, number, failures in connection.execute(grouped):
        row = rows.get(number)
        last[content] = row and RejectedRelease(
            id_of(number), Phase(row.phase), row.why, int(failures or 0)
        )
    return {c: one for c, one in last.items() if one is not None and c in contents}
