"""Rollouts as a list, newest first."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from fleet.model.rollout import Rollout
from fleet.report.rollout import who
from fleet.report.rollout_lines import moment
from fleet.report.screen import table
from fleet.report.times import span


def history_view(rollouts: Sequence[Rollout], now: datetime, width: int) -> RenderableType:
    """A row per rollout, newest first."""
    if not rollouts:
        return Text("no rollout was started yet")
    return table(
        ("ID", "BEGAN", "TOOK", "PHASE", "STORES", "BY", "WHAT"),
        [
            (
                r.id,
                moment(r.started_at, now),
                span(((r.finished_at or now) - r.started_at).total_seconds()),
                r.phase.value,
                str(len(r.spec.places)),
                who(r.caller),
                f"{r.spec.title}: {r.why}" if r.why else r.spec.title,
            )
            for r in rollouts
        ],
        width=width,
    )
