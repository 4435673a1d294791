"""Says when a rollout has something to do next, and what it waits for until then."""

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

from fleet.inventory.decide.calendar import next_window, window_at
from fleet.model.changes import Change
from fleet.model.gate import Gate
from fleet.model.rollout import Phase, Rollout, RolloutAction
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.control_sample import surveys
from fleet.rollout.decide.judgement import retry_at
from fleet.rollout.decide.signal_reads import read_again_at
from fleet.rollout.decide.store_choice import (
    StoreChoice,
    is_watched,
    may_be_watched,
    next_up,
    retries_by_itself,
)
from fleet.rollout.decide.switched_off import switched_off
from fleet.rollout.decide.tick_state import TickState, is_call_open, is_undelivered
from fleet.rollout.decide.watch import SLOT_S, is_only_watched

#: Seconds between ticks of a rollout that runs and of which nothing else says when, and most while
#: every send is stopped.
AT_LEAST_EVERY_S = 15.0


def waits_for_person(
    rollout: Rollout, changes: Iterable[Change], actions: Collection[RolloutAction]
) -> bool:
    """Return whether only a person can move a rollout on: nothing of it is under way any more.

    Args:
        actions: of the latest tick.
    """
    if not rollout.phase.awaits_person or actions:
        return False
    return not any(change.is_settling or change.is_sent_by_itself for change in changes)


def next_tick(
    state: TickState, choice: StoreChoice, gate: Gate | None, *, acts: bool
) -> tuple[datetime | None, str]:
    """Return when the next tick has something to do, and what it waits for until then.

    The time is None when only a person can move the rollout.

    Args:
        acts: whether this tick acts; what that comes to is seen at once.
    """
    rollout = state.rollout
    if rollout.finished_at is not None:
        look_at, read_at = _first_look(state), read_again_at(state)
        looks = [look_at, max(read_at, state.now) if read_at is not None else None]
        first = min((at for at in looks if at is not None), default=None)
        return first, "its stores are watched"
    if acts:
        return state.now, ""
    settles_at = _settles_at(state)
    due = [(settles_at, "what was sent settles")] if settles_at else []
    if rollout.phase is Phase.RUNNING or retries_by_itself(state):
        to_send, opens_at, opens_for = next_up(state)
        if set(to_send) - set(choice.to_send):
            # Their turn came with what this tick read or decided: a wave began, or a store is back.
            return state.now, ""
        if opens_at is not None:
            due.append((opens_at, opens_for))
        due += _due_while_running(state, gate)
        if not due or state.stop is not None:
            due.append((state.in_seconds(AT_LEAST_EVERY_S), rollout.why))
        survey_at = surveys(state).next_at
        if survey_at is not None:
            due.append((survey_at, "untouched stores are read for comparison"))
        read_at = read_again_at(state)
        if read_at is not None:
            due.append((read_at, "alarms and checks are read"))
    if not due:
        return None, rollout.why
    at, why = min(due, key=lambda item: item[0])
    return max(at, state.now), gate.reason if gate and rollout.phase is Phase.RUNNING else why


def _due_while_running(state: TickState, gate: Gate | None) -> Iterator[tuple[datetime, str]]:
    if gate is not None and gate.again_at is not None:
        yield gate.again_at, gate.reason
    if state.rollout.owed_until is not None:
        yield state.rollout.owed_until, "stores that owe the release may come back"


def _settles_at(state: TickState) -> datetime | None:
    """Return when the first change is read, sent again or set back; None when none is."""
    undone = (undo_at(state, c) for c in state.where(is_call_open) if c.stage is Stage.UNDOING)
    # Its turn was postponed: its hosts are away for a moment, or AWS refused it. After that it
    # waits for a place or its window, which ``choose_stores`` reports.
    put_off = (c.look_at for c in state.where(_has_turn) if c.look_at and c.look_at > state.now)
    moments = [*undone, *put_off, _first_look(state)]
    if state.rollout.phase is Phase.RUNNING:
        # Nothing is sent again while the rollout does not run, however long it has been due.
        moments += [pulls_again_at(state, c) for c in state.where(is_undelivered)]
    return min((at for at in moments if at is not None), default=None)


def _has_turn(change: Change) -> bool:
    return change.stage is Stage.PLANNED and change.look_at is not None


def _first_look(state: TickState) -> datetime | None:
    """Return when the first watched change is read; None when none is watched."""
    first: datetime | None = None
    for change in state.where(may_be_watched):
        at = change.look_at
        if first is not None and at is not None and at >= first and at > state.now:
            continue
        if is_watched(state, change):
            at = _look_at(state, change)
            first = at if first is None else min(first, at)
    return first


def _look_at(state: TickState, change: Change) -> datetime:
    """Return when a watched change is read; an overdue earlier store waits for the read budget."""
    at = change.look_at or state.now
    if at <= state.now and is_only_watched(state, change):
        return state.in_seconds(SLOT_S)
    return at


def pulls_again_at(state: TickState, change: Change) -> datetime | None:
    """Return when a change that could not be pulled is sent again; None for never."""
    policy = state.rollout.spec.policy
    return retry_at(change, policy) if change.stage is Stage.SENT else None


def undo_at(state: TickState, change: Change) -> datetime | None:
    """Return when a store may be set back: now, when AWS is asked again, or in its next window."""
    if not may_undo(state, change):
        return _opens(state, change)
    return max(state.now, change.look_at or state.now)


def may_undo(state: TickState, change: Change) -> bool:
    """Return whether a store may be set back now: always, unless the policy wants windows for it.

    A dark one always may, and one that is switched off: nothing happens in the shop, and ECS would
    apply the release later.
    """
    policy = state.rollout.spec.policy
    if not policy.rollback_in_window or change.verdict is Verdict.DARK:
        return True
    if switched_off(state, change) is not None:
        return True
    return window_at(state.rollout.spec.places[change.store], policy, state.now) is not None


def _opens(state: TickState, change: Change) -> datetime | None:
    spec = state.rollout.spec
    window = next_window(spec.places[change.store], spec.policy, state.now)
    return window.begins if window is not None else None
