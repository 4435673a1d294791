"""Which active rollouts nobody moves any more, so that what they hold is a scan's business again.

A rollout silences differences in what it holds, because it makes them. One that is paused for
weeks, or that nobody ticks, would silence a shop for as long.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from fleet.model.history import ActiveRollout
from fleet.model.rollout import Phase
from fleet.model.wanted import IdleRollout

#: In these a rollout waits for a person, however often it is ticked.
WAITING = frozenset({Phase.PAUSED, Phase.HALTED, Phase.AWAITING})


def idle(
    rollouts: Iterable[ActiveRollout], now: datetime, limit_s: float
) -> tuple[IdleRollout, ...]:
    """Those that have stood still for so long, in the order given.

    Args:
        limit_s: seconds from which on.
    """
    found = []
    for one in rollouts:
        waits = one.phase in WAITING
        since = one.phase_at if waits else one.moved_at
        if now - since >= timedelta(seconds=limit_s):
            found.append(IdleRollout(one, since, waits))
    return tuple(found)
