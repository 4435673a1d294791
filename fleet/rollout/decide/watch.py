"""Says how the stores of earlier waves are watched: which, how often, and how many at a time.

A wave that has passed says nothing of what the release does an hour later. Its stores are read
every ``watch_every``, evenly spread, beside whatever the present wave needs. All of that takes at
most a quarter of the read budget, so that with thousands of stores the period becomes longer.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fleet.model.changes import CONVOY, Change
from fleet.model.rates import DEFAULT_SHARE, ECS_CLUSTER_RESOURCE_READ
from fleet.model.rollout import Phase, Rollout
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.tick_state import TickState, is_sent

#: Part of what fleet may read that watching earlier stores takes at most.
READ_SHARE = 0.25
#: Calls of the busiest group that reading a store takes, on average: a look whose service has
#: events reads tasks too.
CALLS_PER_READ = 2
#: Stores that are watched per second, in one account and region.
READS_PER_S = ECS_CLUSTER_RESOURCE_READ.refill * DEFAULT_SHARE * READ_SHARE / CALLS_PER_READ
#: Seconds of a slot; stores of one slot are read together.
SLOT_S = 10.0
#: Most stores that are read in one slot of an account and region.
READS_PER_SLOT = int(READS_PER_S * SLOT_S)
#: Stores that share a slot while there are slots enough: fewer ticks, and still spread.
STORES_OF_A_SLOT = 5
#: Longest ``watch_for`` that a policy may ask for.
LONGEST_WATCH = timedelta(days=30)
Shard = tuple[str, str]


def watched_until(rollout: Rollout) -> datetime | None:
    """Return until when the stores of a done rollout are watched; None for any other.

    One that was rebuilt from AWS has had no tick: what its stores ran is not known well enough.
    """
    if rollout.phase is not Phase.DONE or rollout.finished_at is None or not rollout.tick:
        return None
    return rollout.finished_at + timedelta(seconds=rollout.spec.policy.watch_for_s)


def is_watched_after(state: TickState) -> bool:
    """Return whether the rollout is done and its stores are still watched."""
    until = watched_until(state.rollout)
    return until is not None and state.now < until


def is_earlier(state: TickState, change: Change) -> bool:
    """Return whether a change was sent in a wave that has passed; all are once it is done."""
    return has_passed(state, change) and is_sent(change)


def has_passed(state: TickState, change: Change) -> bool:
    """Return whether the wave of a change has passed; all have once the rollout is done."""
    rollout = state.rollout
    return rollout.finished_at is not None or CONVOY < change.wave < rollout.wave


def earlier_changes(state: TickState) -> Sequence[Change]:
    """Return the changes for which ``is_earlier`` holds, wave by wave while the rollout goes on."""
    return state.once(_earlier_changes)


def _earlier_changes(state: TickState) -> Sequence[Change]:
    if state.rollout.finished_at is not None:
        return state.where(is_sent)
    return [c for wave in range(state.rollout.wave) for c in state.where(is_sent, wave=wave)]


def is_only_watched(state: TickState, change: Change) -> bool:
    """Return whether an earlier change was good, so that only late trouble is looked for."""
    return is_earlier(state, change) and is_good_or_gone(change)


def is_good_or_gone(change: Change) -> bool:
    """Return whether a change that was sent is good, or was so before its store went dark."""
    if change.stage is not Stage.SENT or not change.sends:
        return False
    return change.verdict is Verdict.OK or (change.verdict is Verdict.DARK and change.was_applied)


def _only_watched(state: TickState) -> Sequence[Change]:
    """Return the changes for which ``is_only_watched`` holds."""
    if state.rollout.finished_at is not None:
        return state.where(is_good_or_gone)
    waves = range(state.rollout.wave)
    return [c for wave in waves for c in state.where(is_good_or_gone, wave=wave)]


@dataclass(frozen=True, slots=True)
class WatchSchedule:
    """Gives each earlier store its slot in every period.

    Attributes:
        slots: of a period, by account and region.
        stores: likewise, how many stores share them.
        places: by store, its account and region, and its number among their stores.
    """

    slots: Mapping[Shard, int]
    stores: Mapping[Shard, int]
    places: Mapping[str, tuple[Shard, int]]

    def next_look(self, store: str, now: datetime) -> datetime:
        """Return when a store is read next: in its slot of this period or of the next one."""
        if store not in self.places:  # it has just become good: the next schedule has it
            return now + timedelta(seconds=SLOT_S)
        shard, number = self.places[store]
        slots, stores = self.slots[shard], self.stores[shard]
        groups = min(slots, math.ceil(stores / STORES_OF_A_SLOT))
        slot = number * groups // stores * slots // groups
        present = int(now.timestamp() // SLOT_S)
        ahead = (slot - present - 1) % slots + 1
        return datetime.fromtimestamp((present + ahead) * SLOT_S, UTC)


def watch_schedule(state: TickState) -> WatchSchedule:
    """Return when the earlier stores are read, in the order in which they were sent to."""
    known = state.rollout.spec.places
    by_shard: dict[Shard, list[str]] = {}
    for store in state.once(_earlier_stores):
        place = known[store]
        by_shard.setdefault((place.account, place.region), []).append(store)
    return WatchSchedule(
        slots={shard: _slots(state, len(stores)) for shard, stores in by_shard.items()},
        stores={shard: len(stores) for shard, stores in by_shard.items()},
        places={
            store: (shard, number)
            for shard, stores in by_shard.items()
            for number, store in enumerate(stores)
        },
    )


def watch_period_s(state: TickState) -> float:
    """Return the seconds after which each earlier store is read again, where it takes longest."""
    places = state.rollout.spec.places
    stores = state.once(_earlier_stores)
    per_shard = Counter((places[s].account, places[s].region) for s in stores)
    return SLOT_S * _slots(state, max(per_shard.values(), default=0))


def _slots(state: TickState, stores: int) -> int:
    """Return the slots of a period: as the policy says, or as many as the read budget needs."""
    wanted = math.ceil(state.rollout.spec.policy.watch_every_s / SLOT_S)
    return max(1, wanted, math.ceil(stores / READS_PER_SLOT))


def _earlier_stores(state: TickState) -> list[str]:
    """Return the stores of earlier waves in the order of sending; each wave is a fair sample."""
    earlier = {c.store for c in state.once(_only_watched)}
    waves = state.rollout.spec.waves
    return [store for wave in waves for store in wave.stores if store in earlier]


def room_to_watch(state: TickState) -> dict[Shard, int]:
    """Return how many earlier stores may be read now, beside those that were just read."""
    since = state.now - timedelta(seconds=SLOT_S)
    just = {
        change.store: (change.account, change.region)
        for change in state.once(_only_watched)
        if change.looked_at is not None and change.looked_at > since
    }
    used = Counter(just.values())
    most = READS_PER_SLOT * state.scale
    left = {shard: max(0, most - number) for shard, number in used.items()}
    return defaultdict(lambda: most, left)
