"""Ends every wait: a rollout that gets no further asks a person, at a time that does not move.

That time is counted from the latest send of the wave, or from the last word of a person. Both are
moved only by what takes the rollout further: how often each store is sent to is limited.
"""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.inventory.decide.calendar import window_at
from fleet.model.changes import Change
from fleet.model.gate import Gate, GateAnswer
from fleet.model.printable import many
from fleet.model.spans import span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.store_choice import may_send
from fleet.rollout.decide.tick_state import TickState


def latest_step(state: TickState, rows: Sequence[Change]) -> datetime:
    """Return when the wave began, a person last answered for it, or it was last sent to.

    A stop of every send that was lifted counts as an answer.
    """
    rollout = state.rollout
    sent = (c.sent_at for c in rows if c.sends and c.sent_at is not None)
    # While the darkness test holds the sends back, it asks at a time of its own.
    held = rollout.darkness.held_since
    steps = (state.patience_from, *sent, *([held] if held else []))
    return max(steps)


def settles_within(state: TickState, rows: Sequence[Change]) -> timedelta:
    """Return how long after the latest send the rows have a verdict, or never will by themselves.

    A store has its deadline, and the same again when it was dark meanwhile and has come back.
    """
    spec = state.rollout.spec
    pulls = (spec.pull_s.get(f"{c.store}/{c.service}", 0.0) for c in rows)
    deadline_s = spec.policy.deadline_s + max(pulls, default=0.0)
    return timedelta(seconds=2 * deadline_s + spec.policy.bake_s)


def ask_when_stuck(
    state: TickState,
    rows: Sequence[Change],
    unsettled: Sequence[Change],
    gate: Gate | None,
    to_send: Collection[str],
) -> Gate | None:
    """Ask a person where a wave is not complete and nothing has taken it further for too long.

    Args:
        rows: of the wave, or of the convoy after the last one.
        unsettled: those of them that keep it from being complete.
        gate: by the verdicts; None while there is none.
        to_send: stores that this tick has read and may send to.
    """
    if not unsettled or (gate is not None and gate.answer in {GateAnswer.HALT, GateAnswer.ASK}):
        return gate
    at = _asks_at(state, rows, unsettled)
    if at is None:
        return gate
    if state.now >= at and _are_tried_first(unsettled, to_send):
        # A freeze ended, or nobody ticked it for hours: it is tried before a person is asked.
        return gate
    if state.now >= at:
        waited = span((state.now - latest_step(state, rows)).total_seconds())
        reason = f"{_stuck_words(state, unsettled)}; nothing was sent for {waited}"
        if gate is None:
            return Gate(GateAnswer.ASK, reason, (), {})
        return replace(gate, answer=GateAnswer.ASK, reason=reason, again_at=None)
    if gate is None or gate.answer is not GateAnswer.WAIT:
        return gate
    return replace(gate, again_at=min(at, gate.again_at or at))


def _asks_at(
    state: TickState, rows: Sequence[Change], unsettled: Sequence[Change]
) -> datetime | None:
    """Return when a person is asked; None while a store only waits for a window that will come."""
    policy = state.rollout.spec.policy
    patience = timedelta(seconds=policy.patience_s)
    at = latest_step(state, rows) + patience
    sent = [c for c in unsettled if c.stage is Stage.SENT]
    if sent:
        at += settles_within(state, sent)
    if state.now < at:
        # Windows of thousands of stores are computed only once they matter.
        return at
    for change in unsettled:
        if change.stage is not Stage.PLANNED:
            continue
        asked = may_send(state, change.store)
        if not asked.allowed:
            if asked.next_at is not None:
                return None
            continue
        window = window_at(state.rollout.spec.places[change.store], policy, state.now)
        if window is not None and window.begins is not None:
            # In a window that is shorter than its patience it asks halfway.
            half = (window.ends - window.begins) / 2 if window.ends else patience
            at = max(at, window.begins + min(patience, half))
    return at


def _are_tried_first(unsettled: Sequence[Change], to_send: Collection[str]) -> bool:
    """Return whether this tick sends to some of the stores, and none was tried in vain before.

    One whose call was lost or refused, or that could not be read, is tried again and again; that
    takes a rollout no further.
    """
    if any(c.next_send.is_tried or c.next_send.postponed for c in unsettled):
        return False
    waiting = (c for c in unsettled if c.stage is Stage.PLANNED and c.away_since is None)
    return any(c.store in to_send for c in waiting)


def _stuck_words(state: TickState, unsettled: Sequence[Change]) -> str:
    """Say what most of the stuck stores wait for."""
    told = Counter(_waits_for(state, change) for change in unsettled)
    why, _ = told.most_common(1)[0]
    stores = state.stores(c for c in unsettled if _waits_for(state, c) == why)
    others = len(state.stores(unsettled)) - len(stores)
    more = f", and {others} more for other reasons" if others > 0 else ""
    return f"{many(len(stores), 'store')}, as {stores[0]}: {why}{more}"


def _waits_for(state: TickState, change: Change) -> str:
    if change.stage is Stage.PLANNED and not change.next_send.postponed:
        asked = may_send(state, change.store)
        if not asked.allowed:
            return asked.reason
        if change.next_send.refusals == 0:
            dark = [c for c in state.changes if c.stage is Stage.SENT and c.verdict is Verdict.DARK]
            held = f"; {many(len(state.stores(dark)), 'dark store')} in the way" if dark else ""
            return f"not sent yet{held}"
    return change.reason or "whether it was sent is not known"
