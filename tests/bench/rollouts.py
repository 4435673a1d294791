"""What rollouts promise about speed and memory, measured over fleets of growing size.

AWS is played from memory, so that only fleet's own work is in the figures: deciding, and the
database (SQLite in a temporary folder).
"""

import resource
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

from fleet.model.inventory import Store
from fleet.model.plan import Plan
from fleet.model.policy import Amount, Policy, Window
from fleet.model.rollout import WavePlan
from fleet.model.services import StoreView
from fleet.model.verdicts import Verdict
from fleet.records.opening import open_records
from fleet.rollout.decide.gate import count, evaluate
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.surveys import darkness_now
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.shard_jobs import ShardJob, ShardResult
from fleet.rollout.start import start
from fleet.rollout.tick import TickContext, Ticked, rollout_lease, shard_lease, tick
from fleet.runtime.lease import held
from fleet.runtime.wiring import Wiring
from tests import rollouts
from tests.bench.taking import apart, seconds
from tests.rollout.decide import plans

SIZES = (100, 1000, 10_000)
#: Ticks that are measured, after one that begins.
TICKS = 5


def gate_evaluation(stores: int = 10_000) -> str:
    """Count the verdicts of a wave and ask its gate."""
    verdicts = (Verdict.OK, Verdict.OK, Verdict.OK, Verdict.FAILED, Verdict.DARK, Verdict.WAITING)
    rows = [rollouts.change(f"store-{n:05d}", verdicts[n % len(verdicts)]) for n in range(stores)]
    policy = Policy("standard")
    spec = rollouts.spec(WavePlan("wave 1", tuple(row.store for row in rows)))
    state = TickState(rollouts.rollout(spec=spec), rows, plans.NOW)

    def once() -> None:
        evaluate(
            count(rows, lambda change: change.service.rpartition("-")[2]),
            darkness_now(state),
            policy,
            wave_at=plans.NOW,
            complete_since=None,
            now=plans.NOW + timedelta(hours=1),
            accepted={},
            failures=[row for row in rows if row.verdict is Verdict.FAILED],
        )

    took = median(seconds(once) for _ in range(5))
    return f"{took * 1000:.0f} ms for one gate over {stores:,} stores (under 20)"


def planning() -> str:
    """Plan a rollout from a snapshot of what AWS said; each size in a process of its own."""
    return "; ".join(apart(_plan_once, size) for size in SIZES) + " (10,000: under 2 s, 500 MB)"


def ticking() -> str:
    """Ticks of a rollout over so many stores: its rows read, looked at, sent to, written."""
    return "; ".join(apart(_tick_often, size) for size in SIZES)


def _plan_once(size: int) -> str:
    stores, views = _snapshot(size)
    before = _peak_mb()
    took = seconds(lambda: _plan(stores, views))
    return f"{size:,} stores {took:.2f} s, {_peak_mb() - before:+.0f} MB to {_peak_mb():.0f} MB"


def _snapshot(size: int) -> tuple[Sequence[Store], Sequence[StoreView]]:
    stores = tuple(plans.shop(number) for number in range(size))
    return stores, [plans.view(store) for store in stores]


def _plan(stores: Sequence[Store], views: Sequence[StoreView]) -> Plan:
    policy = Policy("standard", window=Window.ALWAYS, concurrency=Amount(count=len(stores)))
    return plans.plan(stores, views, policy=policy, canary=True)


class _Clock:
    """Stands still but for what a tick adds."""

    def __init__(self) -> None:
        self.at = plans.NOW

    def now(self) -> Any:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class _Played(Executor):
    """Answers shard jobs from the snapshot, at once: every store is there, every write is done."""

    views: dict[str, StoreView]
    clock: _Clock

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        job: ShardJob = args[1]
        for one in job.writes:
            sent = plans.service(plans.arn(42), tags={"fleet:content": one.content})
            self.views[one.store] = replace(self.views[one.store], services=(sent,))
        done: Future[Any] = Future()
        done.set_result(
            ShardResult(
                account=job.account.name,
                region=job.region,
                views={
                    read.store: replace(self.views[read.store], at=self.clock.at)
                    for read in job.reads
                },
                written=tuple(
                    CallResult(
                        one.kind,
                        one.store,
                        one.service,
                        CallOutcome.DONE,
                        self.clock.at,
                        plans.arn(42),
                    )
                    for one in job.writes
                ),
                registered={one.content: plans.arn(42) for one in job.writes},
                budget={},
            )
        )
        return done


def _tick_often(size: int) -> str:
    stores, views = _snapshot(size)
    plan, clock = _plan(stores, views), _Clock()
    with tempfile.TemporaryDirectory() as folder, open_records(None, Path(folder)) as records:
        nowhere: Any = None
        wiring = Wiring(
            fleet=plans.fleet(stores),
            clock=clock,
            shard=nowhere,
            records=records,
            connect=nowhere,
            load_pins=nowhere,
            pin_machine=nowhere,
            listen=lambda _event: None,
            stop=threading.Event(),
        )
        crew = TickContext(
            wiring=wiring,
            executor=_Played({view.store: view for view in views}, clock),
            open_access=nowhere,
            owner="bench",
            run_id=records.start_run("bench", caller_arn="bench", command="", at=clock.at),
            caller="bench",
            tell=lambda _event: None,
            warn=lambda _text: None,
        )
        rollout = start(wiring, plan, caller="bench", run_id=crew.run_id)
        took = [_timed_tick(crew, rollout.id, clock) for _ in range(TICKS + 1)][1:]
    return f"{size:,} stores {median(took) * 1000:.0f} ms a tick, at most {_peak_mb():.0f} MB"


def _timed_tick(crew: TickContext, rollout_id: str, clock: _Clock) -> float:
    records = crew.wiring.records
    place = next(iter(records.rollouts.load(rollout_id).spec.places.values()))
    clock.sleep(20)
    ticked: list[Ticked] = []
    with (
        held(records, [rollout_lease(rollout_id)], crew.owner) as own,
        held(records, [shard_lease(place.account_id, place.region)], crew.owner) as shards,
    ):
        took = seconds(lambda: ticked.append(tick(crew, rollout_id, own, shards)))
    assert not ticked[0].troubles
    return took


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
