"""Plays a rollout on a simulated clock: the decisions are the product's, the stores are a model.

A tick takes as long as its calls do at the rates that fleet takes of AWS's. With thousands of
stores it stands for several, and for more once every wave has passed. Nothing is asked, sent or
recorded.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.gate import Sample
from fleet.model.rates import DEFAULT_SHARE, ECS_CLUSTER_RESOURCE_READ, ECS_SERVICE_MODIFY
from fleet.model.rollout import Phase, Rollout, RolloutSpec
from fleet.model.simulation import Moment, SimulatedRun, StoreModel
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.call_results import apply_results
from fleet.rollout.decide.next_tick import waits_for_person
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.store_choice import (
    StoreChoice,
    choose_stores,
    store_read,
    stores_in_flight,
)
from fleet.rollout.decide.store_model import LONGEST, SimulatedStores
from fleet.rollout.decide.surveys import compare, hour_sample
from fleet.rollout.decide.tick import Settled, begin, settle
from fleet.rollout.decide.tick_state import TickState, is_sent

#: Calls of the busiest group that one read of a store takes: instances, and often tasks.
CALLS_OF_A_READ = 2
READS_PER_S = ECS_CLUSTER_RESOURCE_READ.refill * DEFAULT_SHARE / CALLS_OF_A_READ
SENDS_PER_S = ECS_SERVICE_MODIFY.refill * DEFAULT_SHARE
#: Shortest tick; as many times that as the ticks that it stands for.
LEAST_S = 1.0
#: Stores for which ticks are as short as in a rollout; with more, each stands for several.
STORES_OF_A_TICK = 500
#: Ticks for which one stands beyond that once every wave has passed: hours in which little happens.
TICKS_AFTER_WAVES = 6
#: Moments that are kept of a run.
MOMENTS = 120


def simulate(
    spec: RolloutSpec,
    changes: Iterable[Change],
    model: StoreModel,
    *,
    seed: int,
    began: datetime,
    history: Sample | None = None,
) -> SimulatedRun:
    """Return what becomes of one rollout: until it has ended, or only a person can move it on.

    Args:
        seed: of the stores; that of the plan stays as it is.
        history: stores that went dark on record, and the store-hours in which they were watched.
    """
    rows = tuple(changes)
    stores = SimulatedStores(spec, rows, model, seed, began)
    # Nobody is there to promote it.
    rollout = Rollout("ro-1", spec, "", began, promoted=True)
    return _Simulation(rollout, rows, stores, seed=seed, history=history).run()


def scale_of(stores: int) -> int:
    """Return how many ticks of a rollout of so many stores a simulated one stands for."""
    return max(1, stores // STORES_OF_A_TICK)


class _Simulation:
    def __init__(
        self,
        rollout: Rollout,
        changes: tuple[Change, ...],
        stores: SimulatedStores,
        *,
        seed: int,
        history: Sample | None,
    ) -> None:
        self._scale = scale_of(len(rollout.spec.places))
        self._state = TickState(rollout, changes, rollout.started_at, scale=self._scale)
        self._stores = stores
        self._seed, self._began = seed, rollout.started_at
        self._recorded: dict[datetime | None, Sample] = {None: history or Sample(0, 0)}
        self._moments: list[Moment] = []

    def run(self) -> SimulatedRun:
        now, ticks, by_darkness = self._began, 0, False
        rests = False
        while not rests and now - self._began <= LONGEST:
            self._state = self._state.again(self._state.rollout, now, None)
            settled, cost_s = self._tick(self._state)
            ticks += 1
            by_darkness = by_darkness or self._halted_by_darkness(settled)
            self._note(now)
            rollout = self._state.rollout
            waits = waits_for_person(rollout, self._state.changes, settled.actions)
            rests = rollout.finished_at is not None or waits
            ended_at, now = now, max(now + timedelta(seconds=cost_s), settled.wake_at or now)
        return self._ended(ended_at, ticks, by_darkness=by_darkness)

    def _tick(self, state: TickState) -> tuple[Settled, float]:
        """Do one tick; returns what it decided, and the seconds that its calls take."""
        now = state.now
        begin(state)
        choice = choose_stores(state)
        views = {read.store: self._stores.view(read, now) for read in choice.reads}
        deeper = observe(state, views)
        deep = {s: self._stores.view(store_read(state, s, tasks=True), now) for s in deeper}
        observe(state, deep)
        compare(state, views, self._history())
        test = state.rollout.darkness
        sample = hour_sample(test)
        if sample is not None:
            self._recorded[test.hour] = sample
        settled = settle(state, choice, frozenset(views))
        written = [
            self._stores.perform(action, state.change(action.store, action.service), now)
            for action in settled.actions
        ]
        apply_results(state, written)
        state.rollout = replace(state.rollout, updated_at=now, tick=state.rollout.tick + 1)
        return settled, self._cost_s(choice, len(written))

    def _history(self) -> Sample:
        """Return what is on record, with what this rollout has recorded itself."""
        samples = self._recorded.values()
        return Sample(sum(s.dark for s in samples), sum(s.of for s in samples))

    def _cost_s(self, choice: StoreChoice, calls: int) -> float:
        places = self._state.rollout.spec.places
        shards = Counter((places[r.store].account, places[r.store].region) for r in choice.reads)
        reads = max(shards.values(), default=0)
        return max(self._least_s(), reads / READS_PER_S, calls / len(shards or (1,)) / SENDS_PER_S)

    def _least_s(self) -> float:
        rollout = self._state.rollout
        passed = rollout.wave >= len(rollout.spec.waves)
        return LEAST_S * self._scale * (TICKS_AFTER_WAVES if passed and self._scale > 1 else 1)

    def _halted_by_darkness(self, settled: Settled) -> bool:
        checks = settled.gate.checks if settled.gate is not None else ()
        over = any(check.name == "darkness" and check.mark.value == "OVER" for check in checks)
        return over and self._state.rollout.phase in {Phase.HALTED, Phase.ROLLING_BACK}

    def _note(self, now: datetime) -> None:
        state = self._state
        sent = state.where(is_sent)
        verdicts = {v: {c.store for c in sent if c.verdict is v} for v in _SHOWN}
        self._moments.append(
            Moment(
                (now - self._began).total_seconds(),
                len({c.store for c in sent}),
                len(stores_in_flight(state)),
                len(verdicts[Verdict.DARK]),
                len(verdicts[Verdict.FAILED]),
            )
        )

    def _ended(self, now: datetime, ticks: int, *, by_darkness: bool) -> SimulatedRun:
        rollout = self._state.rollout
        reached = {c.store for c in self._state.where(is_sent)}
        return SimulatedRun(
            seed=self._seed,
            phase=rollout.phase,
            why=rollout.why,
            wave=rollout.wave_name,
            seconds=(now - self._began).total_seconds(),
            reached=len(reached),
            bad=len(reached & self._stores.bad),
            peak=max(moment.in_flight for moment in self._moments),
            asks=rollout.phase is Phase.PAUSED,
            by_darkness=by_darkness,
            ticks=ticks,
            moments=tuple(_thinned(self._moments)),
        )


_SHOWN = (Verdict.DARK, Verdict.FAILED)


def _thinned(moments: list[Moment]) -> Iterable[Moment]:
    """Return some of the moments, evenly over time, the last one among them."""
    every = max(1, len(moments) // MOMENTS)
    return [*moments[:-1:every], moments[-1]]
