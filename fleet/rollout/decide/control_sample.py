"""Draws the untouched stores that updated ones are compared with, and says when to survey them."""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from fleet.model.changes import CONVOY, Change
from fleet.model.rollout import Phase, Place
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState, is_parked

#: Untouched stores that are read for comparison: 200 in five minutes are 0.7 calls a second, one
#: twentieth of what fleet reads at most.
CONTROL_SAMPLE = 200
#: Fewest of them in one carrier, link and time zone.
CONTROL_LEAST = 10
#: Seconds until a survey that is due and was not made is tried again.
SOON_S = 15.0


def control_sample(state: TickState) -> list[str]:
    """Return the untouched stores to compare with, drawn by the seed; none before the first send.

    Each carrier, link and time zone in which a store was sent the release has an equal part.
    """
    if state.rollout.phase is not Phase.RUNNING:
        return []
    kind_of = kinds(state)
    wanted = {kind_of.get(c.store, "") for c in state.first_where(is_updated)}
    if not wanted:
        return []
    share = max(CONTROL_LEAST, CONTROL_SAMPLE // len(wanted))
    room, sample = dict.fromkeys(wanted, share), []
    untouched = {c.store for c in state.first_where(is_untouched)}
    for store in _drawn(_ById(state.rollout.spec.places), state.rollout.spec.seed):
        kind = kind_of.get(store, "") if store in untouched else None
        if kind is None or not room.get(kind):
            continue
        sample.append(store)
        room[kind] -= 1
        if not room[kind] and not any(room.values()):
            break
    return sample


@dataclass(frozen=True, slots=True)
class Surveys:
    """Says which surveys of untouched stores are due, and when there is one to make next.

    Attributes:
        due: stores, the longest overdue first.
        next_at: not before ``SOON_S``, as a store that cannot be read stays due; None when there
            is nobody to survey.
    """

    due: tuple[str, ...]
    next_at: datetime | None


def surveys(state: TickState) -> Surveys:
    """Return the surveys of untouched stores that are due, and the time of the next one."""
    moments = sorted((_due_at(state, store), store) for store in control_sample(state))
    if not moments:
        return Surveys((), None)
    due = tuple(store for at, store in moments if at <= state.now)
    return Surveys(due, max(moments[0][0], state.in_seconds(SOON_S)))


def kinds_of(places: Mapping[str, Place], least: int) -> dict[str, str]:
    """Return by store what it is compared within: ``carrier/link/time zone``.

    A kind with fewer stores than ``least`` is taken together with others of the carrier and link,
    and if these are too few as well, with all others of which that is so.
    """
    fine = {store: f"{p.carrier}/{p.link}/{p.time_zone}" for store, p in places.items()}
    sizes = Counter(fine.values())
    if all(size >= least for size in sizes.values()):
        return fine
    coarse = {store: f"{places[store].carrier}/{places[store].link}" for store in fine}
    left = Counter(coarse[store] for store, kind in fine.items() if sizes[kind] < least)
    return {
        store: kind
        if sizes[kind] >= least
        else coarse[store]
        if left[coarse[store]] >= least
        else ""
        for store, kind in fine.items()
    }


def is_updated(change: Change) -> bool:
    """Return whether a store counts as updated: also when it was set back because it is dark."""
    if not change.sends or change.wave == CONVOY:
        return False
    set_back = change.stage in {Stage.UNDOING, Stage.UNDONE} and change.verdict is Verdict.DARK
    return set_back or change.stage is Stage.SENT


def is_untouched(change: Change) -> bool:
    """Return whether nothing was sent to a store, and it was not away at its turn."""
    return (
        change.stage is Stage.PLANNED
        and not change.sends
        and change.wave != CONVOY
        and not is_parked(change)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _ById:
    """Lets a mapping that is never changed be the key of a cache, by its identity."""

    places: Mapping[str, Place]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.places is self.places

    def __hash__(self) -> int:
        return id(self.places)


@lru_cache(maxsize=4)
def _drawn(by_id: _ById, seed: int) -> list[str]:
    """Return all stores in the order in which they are drawn for the sample."""
    return sorted(by_id.places, key=lambda store: (zlib.crc32(f"{seed} {store}".encode()), store))


@lru_cache(maxsize=4)
def _kinds_by_id(by_id: _ById, least: int) -> Mapping[str, str]:
    return kinds_of(by_id.places, least)


def kinds(state: TickState) -> Mapping[str, str]:
    """Return by store what it is compared within, as ``kinds_of`` says."""
    spec = state.rollout.spec
    return _kinds_by_id(_ById(spec.places), 2 * spec.policy.min_control)


def _due_at(state: TickState, store: str) -> datetime:
    at = state.of_store(store)[0].observed.survey.at
    every = timedelta(seconds=state.rollout.spec.policy.dark_after_s)
    return state.now if at is None else at + every
