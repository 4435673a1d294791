"""Rollouts as a list, newest first."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import RenderableType
from rich.text import Text

from fleet.model.history import RolloutSummary
from fleet.model.printable import who
from fleet.model.spans import exact_moment, span
from fleet.model.verdicts import WORST
from fleet.terminal.screen import table


def history_view(rollouts: Sequence[RolloutSummary], now: datetime, width: int) -> RenderableType:
    """Draw a row per rollout, in the order given."""
    if not rollouts:
        return Text("no rollout was started yet")
    return table(
        ("ID", "BEGAN", "TOOK", "PHASE", "STORES", "BY", "WHAT"),
        [
            (
                r.id,
                exact_moment(r.started_at, now),
                span(((r.finished_at or now) - r.started_at).total_seconds()),
                r.phase.value,
                str(r.stores),
                who(r.caller),
                _what(r),
            )
            for r in rollouts
        ],
        width=width,
    )


def _what(rollout: RolloutSummary) -> str:
    counts = [f"{rollout.verdicts[v]} {v.value}" for v in WORST if rollout.verdicts.get(v)]
    services = f"services {', '.join(counts)}" if counts else ""
    return "; ".join(filter(None, (rollout.title, rollout.why or services)))
