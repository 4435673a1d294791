"""Says of a rollout's changes since when an absence counts, and which stores are switched off."""

from datetime import datetime

from fleet.inventory.decide.calendar import window_at
from fleet.inventory.decide.power import PlannedOff, planned_off
from fleet.model.changes import Change
from fleet.rollout.decide.change_facts import absence_counts_from
from fleet.rollout.decide.tick_state import TickState


def absent_from(state: TickState, change: Change) -> datetime | None:
    """Return since when, or from when on, a host of a change counts as away; None without any."""
    if change.away_since is None:
        return None
    spec = state.rollout.spec
    return absence_counts_from(change, spec.places[change.store], spec.policy.dark_after_s)


def switched_off(state: TickState, change: Change) -> PlannedOff | None:
    """Return what is planned of a change's absence; None where it is here, or away unplanned."""
    if change.away_since is None:
        return None
    spec = state.rollout.spec
    place, counts = spec.places[change.store], absent_from(state, change)
    if not place.is_off_when_closed or (counts is not None and counts <= state.now):
        return None
    return planned_off(place, change.away_since, state.now, spec.policy.dark_after_s)


def applies_in_window(state: TickState, change: Change, off: PlannedOff) -> bool:
    """Return whether a store is in its window when its power is back and ECS goes on."""
    spec = state.rollout.spec
    if off.back_at is None:
        return False
    return window_at(spec.places[change.store], spec.policy, off.back_at) is not None
