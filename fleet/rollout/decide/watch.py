"""Says how the stores of earlier waves are watched: which, how often, and how many at a time.

A wave that has passed says nothing of what the release does an hour later. Its stores are read
every ``watch_every``, evenly spread, beside whatever the present wave needs. All of that takes at
most a quarter of the read budget, so that with thousands of stores the period becomes longer.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
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
    rollout = state.rollout
    if not is_sent(change):
        return False
    if rollout.finished_at is not None:
        return True
    return change.wave != CONVOY and change.wave < rollout.wave


def earlier_changes(state: TickState) -> list[Change]:
    """Return the changes for which ``is_earlier`` holds, without a look at all the others."""
    if state.rollout.finished_at is not None:
        return [c for c in state.changes if is_sent(c)]
    return [c for wave in range(state.rollout.wave) for c in state.of_wave(wave) if is_sent(c)]


def is_only_watched(state: TickState, change: Change) -> bool:
    """Return whether an earlier change was good, so that only late trouble is looked for."""
    if change.stage is not Stage.SENT:
        return False
    if change.verdict is not Verdict.OK and change.verdict is not Verdict.DARK:
        return False
    return is_earlier(state, change) and (change.verdict is Verdict.OK or change.was_applied)


@dataclass(frozen=True, slots=True)
class WatchSchedule:
    """Gives each earlier store its slot in every period.

    Attributes:
        slots: of a period, by account and region.
        places: by store, its account and region, and its slot.
    """

    slots: Mapping[Shard, int]
    places: Mapping[str, tuple[Shard, int]]

    def next_look(self, store: str, now: datetime) -> datetime:
        """Return when a store is read next: in its slot of this period or of the next one."""
        if store not in self.places:  # it has just become good: the next schedule has it
            return now + timedelta(seconds=SLOT_S)
        shard, slot = self.places[store]
        number = int(now.timestamp() // SLOT_S)
        ahead = (slot - number - 1) % self.slots[shard] + 1
        return datetime.fromtimestamp((number + ahead) * SLOT_S, UTC)


def watch_schedule(state: TickState) -> WatchSchedule:
    """Return when the earlier stores are read, in the order in which they were sent to."""
    by_shard: dict[Shard, list[str]] = {}
    for store in _earlier_stores(state):
        place = state.rollout.spec.places[store]
        by_shard.setdefault((place.account, place.region), []).append(store)
    slots = {shard: _slots(state, len(stores)) for shard, stores in by_shard.items()}
    places: dict[str, tuple[Shard, int]] = {}
    for shard, stores in by_shard.items():
        groups = min(slots[shard], math.ceil(len(stores) / STORES_OF_A_SLOT))
        for number, store in enumerate(stores):
            group = number * groups // len(stores)
            places[store] = (shard, group * slots[shard] // groups)
    return WatchSchedule(slots, places)


def watch_period_s(state: TickState) -> float:
    """Return the seconds after which each earlier store is read again, where it takes longest."""
    places = state.rollout.spec.places
    per_shard = Counter((places[s].account, places[s].region) for s in _earlier_stores(state))
    return SLOT_S * _slots(state, max(per_shard.values(), default=0))


def _slots(state: TickState, stores: int) -> int:
    """Return the slots of a period: as the policy says, or as many as the read budget needs."""
    wanted = math.ceil(state.rollout.spec.policy.watch_every_s / SLOT_S)
    return max(1, wanted, math.ceil(stores / READS_PER_SLOT))


def _earlier_stores(state: TickState) -> list[str]:
    """Return the stores of earlier waves in the order of sending; each wave is a fair sample."""
    earlier = {c.store for c in earlier_changes(state) if is_only_watched(state, c)}
    ordered = [store for wave in state.rollout.spec.waves for store in wave.stores]
    return [store for store in ordered if store in earlier]


def room_to_watch(state: TickState) -> dict[Shard, int]:
    """Return how many earlier stores may be read now, beside those that were just read."""
    since = state.now - timedelta(seconds=SLOT_S)
    just = {
        change.store: (change.account, change.region)
        for change in earlier_changes(state)
        if change.looked_at is not None
        and change.looked_at > since
        and is_only_watched(state, change)
    }
    used = Counter(just.values())
    most = READS_PER_SLOT * state.scale
    left = {shard: max(0, most - number) for shard, number in used.items()}
    return defaultdict(lambda: most, left)
