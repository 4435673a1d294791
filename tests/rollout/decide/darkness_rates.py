"""Plays many rollouts of a thousand stores against the darkness test, and counts how it ends.

Only surveys are played, with the arithmetic of the product: whole ticks would take hours. The sends
follow the standard policy; the stores go dark by themselves, by what the release does, or both.
"""

import itertools
import random
from dataclasses import dataclass, field

from fleet.model.darkness import DarknessTest
from fleet.model.gate import Sample
from fleet.model.policy import Policy
from fleet.rollout.decide.control_sample import CONTROL_SAMPLE
from fleet.rollout.decide.darkness import Draw, p_bound, with_draws
from fleet.rollout.decide.surveys import FOLLOWED

POLICY = Policy("standard")
#: Names of the waves of the standard policy with a canary.
WAVES = ("canary", "wave 1", "wave 2", "wave 3")
#: Ticks in the time between two surveys of a store; each surveys its part of the stores.
TICKS = 20
#: Surveys of which one comes later than it could, as updated stores are read for their verdicts.
LATE = 4
#: Mean length of an outage, in surveys: half an hour.
OUTAGE = 6.0


@dataclass(frozen=True)
class World:
    """What makes stores go dark.

    Attributes:
        darkness: share of stores that are dark at any time, whatever is sent.
        flappers: share of stores that have all of these outages; 1 for all alike.
        carriers: how many carriers' outages take many stores at once, none for one by one.
        excess: share of updated stores that the release takes away for good.
    """

    darkness: float
    flappers: float = 1.0
    carriers: int = 0
    excess: float = 0.0
    stores: int = 1000


@dataclass(frozen=True)
class Ended:
    """Where the test halted a rollout, and how many stores had been sent the release by then."""

    wave: str | None
    sent: int


@dataclass
class _Store:
    number: int
    sent_at: int
    wave: int
    carrier: int
    outages: list[tuple[float, float]] = field(default_factory=list)
    presence: str = "new"
    looks: int = 0
    updated: bool = False
    counted: bool = False

    def is_away(self, at: float) -> bool:
        return any(begins <= at < ends for begins, ends in self.outages)

    @property
    def is_at_risk(self) -> bool:
        return self.presence in {"here", "away"}

    @property
    def is_candidate(self) -> bool:
        return self.updated and self.is_at_risk and not self.counted


def play(world: World, seed: int) -> Ended:
    """Return how one rollout ends."""
    chance = random.Random(seed)
    stores = _sent(world, chance)
    end = stores[-1].sent_at + 3 * TICKS
    _strike(world, chance, stores, end / TICKS)
    # Whom to compare with is drawn independently of the order of sending.
    pool = sorted(stores, key=lambda _: chance.random())
    by_tick: dict[int, list[_Store]] = {}
    for store in stores:
        by_tick.setdefault(store.sent_at, []).append(store)
    due: dict[int, list[_Store]] = {}
    sample = pool[:CONTROL_SAMPLE]
    test = DarknessTest()
    for tick in range(end):
        at = tick / TICKS
        for store in by_tick.get(tick, ()):
            _send(world, chance, store, at)
            if store.updated:
                # An updated store is surveyed a little later each time than it could be.
                for later in range(tick + TICKS + LATE, end, TICKS + LATE):
                    due.setdefault(later, []).append(store)
        if tick in by_tick:
            untouched = (store for store in pool if store.sent_at > tick)
            sample = list(itertools.islice(untouched, CONTROL_SAMPLE))
        dark = [s for s in due.get(tick, ()) if _survey(s, at) and not s.counted]
        gone = [
            s
            for s in sample
            if s.number % TICKS == tick % TICKS and _survey(s, at) and s.looks > FOLLOWED
        ]
        if not dark and not gone:
            continue
        for store in dark:
            store.counted = True
        # Those that have just gone dark could, too.
        risk = [*dark, *(s for s in stores if s.is_candidate)]
        others = [*gone, *(s for s in sample if s.looks >= FOLLOWED and s.is_at_risk)]
        test = _weighed(test, dark, risk, gone, others)
        if p_bound(test, POLICY) <= POLICY.alpha:
            sent = [s for s in stores if s.updated]
            return Ended(WAVES[max(s.wave for s in sent)], len(sent))
    return Ended(None, len(stores))


def _weighed(
    test: DarknessTest,
    dark: list[_Store],
    risk: list[_Store],
    gone: list[_Store],
    others: list[_Store],
) -> DarknessTest:
    """Return the test after updated and untouched stores went dark, of those that could have."""
    if len(others) < POLICY.min_control:
        return test
    draws = [
        Draw(
            Sample(_in(dark, carrier), _in(risk, carrier)),
            Sample(_in(gone, carrier), _in(others, carrier)),
        )
        for carrier in {s.carrier for s in (*dark, *gone)}
    ]
    return DarknessTest(log_ratios=with_draws(test.log_ratios, draws))


def _in(stores: list[_Store], carrier: int) -> int:
    return sum(store.carrier == carrier for store in stores)


def _sent(world: World, chance: random.Random) -> list[_Store]:
    """The stores in the order of sending: waves of 8, 5, 25 and 100 %, 100 in flight at once."""
    ends = [8, *(int(world.stores * share) for share in (0.05, 0.25, 1.0))]
    flight = world.stores // 10
    stores, at, first = [], 0, 0
    for wave, end in enumerate(ends):
        for number in range(first, end):
            # Forty are sent in a tick; a place is free again after four minutes.
            in_wave = number - first
            tick = at + in_wave // flight * (TICKS * 4 // 5) + in_wave % flight // 40
            stores.append(_Store(number, tick, wave, chance.randrange(max(1, world.carriers))))
        # The last one settles in four minutes, and the wave bakes for ten.
        at, first = stores[-1].sent_at + TICKS * 14 // 5, end
    return stores


def _strike(world: World, chance: random.Random, stores: list[_Store], until: float) -> None:
    """Give the stores the outages that they have whatever is sent."""
    if not world.darkness:
        return
    if world.carriers:
        # One outage takes a third of a carrier's stores.
        each = world.darkness * 3 / OUTAGE
        for carrier in range(world.carriers):
            for begins, ends in _outages(chance, each, until):
                for store in stores:
                    if store.carrier == carrier and chance.random() < 1 / 3:
                        store.outages.append((begins, ends))
        return
    each = world.darkness / world.flappers / (1 - world.darkness) / OUTAGE
    for store in stores:
        if chance.random() < world.flappers:
            store.outages = list(_outages(chance, each, until))


def _outages(chance: random.Random, each: float, until: float) -> list[tuple[float, float]]:
    found, at = [], -20.0
    while (at := at + chance.expovariate(each)) < until:
        ends = at + chance.expovariate(1 / OUTAGE)
        found.append((at, ends))
        at = ends
    return found


def _send(world: World, chance: random.Random, store: _Store, at: float) -> None:
    if store.is_away(at):
        return
    store.updated, store.presence, store.looks, store.counted = True, "here", 1, False
    if chance.random() < world.excess:
        # It takes up to twenty minutes until the link is gone.
        store.outages.append((at + chance.uniform(0, 4), float("inf")))


def _survey(store: _Store, at: float) -> bool:
    """Survey a store; returns whether it goes dark."""
    before, away = store.presence, store.is_away(at)
    store.looks += 1
    store.presence = "here" if not away else "away" if before == "here" else "dark"
    return before == "away" and store.presence == "dark"


def upper_bound(hits: int, runs: int) -> float:
    """Return the upper limit of a share at 95 %, by Clopper and Pearson."""
    low, high = hits / runs, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(hits, runs, middle) > 0.05 else (low, middle)
    return high


def _at_most(hits: int, runs: int, share: float) -> float:
    term, total = (1 - share) ** runs, 0.0
    for k in range(hits + 1):
        total += term
        term *= (runs - k) / (k + 1) * share / (1 - share) if share < 1 else 0.0
    return total
