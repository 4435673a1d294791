"""Keeps what the latest tick of a rollout has written, so that the next one need not read it."""

import threading
from collections import OrderedDict
from datetime import datetime

from fleet.model.rollout import Rollout
from fleet.model.stop import Stop
from fleet.rollout.decide.tick_state import TickState

#: Rollouts whose changes are kept; 10,000 stores take tens of MB.
MOST = 4


class StatesAtHand:
    """Holds the states of rollouts that this process ticks, with their changes indexed."""

    def __init__(self) -> None:
        self._states: OrderedDict[str, TickState] = OrderedDict()
        self._guard = threading.Lock()

    def find(self, rollout: Rollout, now: datetime, stop: Stop | None) -> TickState | None:
        """Return a state of a rollout as it was loaded; None when its changes have to be read.

        Every write of a tick counts the tick up, so nobody has written since if it is the same.
        What a done rollout is owed may be taken over by a newer one: it is always read.
        """
        with self._guard:
            kept = self._states.get(rollout.id)
        if kept is None or kept.rollout.tick != rollout.tick or rollout.finished_at is not None:
            return None
        return kept.again(rollout, now, stop)

    def keep(self, state: TickState) -> None:
        """Keep a copy of a state that was just written; what becomes of it later is not kept."""
        rollout = state.rollout
        with self._guard:
            self._states.pop(rollout.id, None)
            if rollout.finished_at is None:
                self._states[rollout.id] = state.again(rollout, state.now, state.latest_stop)
            if len(self._states) > MOST:
                self._states.popitem(last=False)
