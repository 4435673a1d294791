"""Simulates rollouts of a plan: asks neither AWS nor hosts, and writes no record."""

from collections.abc import Callable
from dataclasses import replace

from fleet.errors import UsageError
from fleet.model.plan import Plan
from fleet.model.progress import Note
from fleet.model.restarts import RestartSource
from fleet.model.simulation import SimulatedRun, Simulation, StoreModel
from fleet.model.spans import span
from fleet.rollout.decide.simulation import scale_of, simulate
from fleet.rollout.decide.store_model import SimulatedStores
from fleet.rollout.decide.surveys import HISTORY
from fleet.rollout.plan import plan_of_inventory
from fleet.rollout.plan_request import PlanRequest, asked_of, only_plan_file, read_plan
from fleet.rollout.start import parts_of
from fleet.runtime.wiring import Wiring


def simulate_rollouts(
    wiring: Wiring,
    request: PlanRequest,
    model: StoreModel,
    *,
    runs: int,
    seed: int,
    recorded: bool,
    tell: Callable[[str], None],
) -> Simulation:
    """Return what becomes of so many rollouts, each with other stores by its seed.

    Args:
        recorded: whether stores go dark as often as the records say, instead of as the model does.
        tell: is told what is left out.

    Raises:
        UsageError: a word means nothing, the plan changes nothing, or nothing is on record.
    """
    now = wiring.clock.now()
    plan = _plan(wiring, request, tell)
    spec, changes = parts_of(wiring.fleet, plan, now, request.override_freeze)
    # Nobody answers for alarms, checks and restarts in a simulation.
    quiet = replace(spec.policy, alarms=(), checks=(), restart_source=RestartSource.OFF)
    spec = replace(spec, policy=quiet)
    history = wiring.records.rollouts.history_sample(now - HISTORY)
    if recorded:
        if not history.of:
            raise UsageError(
                "no store-hours are on record, so nobody knows how often stores go dark",
                hint="give a share: --darkness 2%",
            )
        # Stores that go dark in an hour, times the hours for which they stay so.
        model = replace(model, darkness=min(0.5, history.dark / history.of * model.outage_s / 3600))
    played: list[SimulatedRun] = []
    for number in range(runs):
        one = simulate(spec, changes, model, seed=seed + number, began=now, history=history)
        played.append(one)
        text = f"run {number + 1} of {runs}: {one.phase.value} after {span(one.seconds)}"
        wiring.listen(Note(wiring.clock.now(), text))
    return Simulation(
        policy=plan.policy.name,
        selection=plan.selection,
        stores=len(spec.places),
        bad=len(SimulatedStores(spec, changes, model, seed, now).bad),
        waves=tuple((wave.name, len(wave.stores)) for wave in spec.waves),
        model=model,
        runs=tuple(played),
        scale=scale_of(len(spec.places)),
    )


def _plan(wiring: Wiring, request: PlanRequest, tell: Callable[[str], None]) -> Plan:
    path = only_plan_file(request, "fleet rollout simulate")
    if path is not None:
        return read_plan(path, tell=tell)
    return plan_of_inventory(
        wiring.fleet, asked_of(wiring.fleet, request, tell), wiring.clock.now()
    )
