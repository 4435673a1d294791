"""Starts a rollout from a plan: its spec, its changes and its holds, in one transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from fleet.errors import UsageError
from fleet.model.changes import CONVOY, Change
from fleet.model.inventory import Fleet, Store
from fleet.model.plan import Kind, Plan, PlannedChange
from fleet.model.rollout import Rollout, RolloutSpec
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.estimate import pull_s
from fleet.rollout.decide.plan import place_of
from fleet.runtime.wiring import Wiring


def start(
    wiring: Wiring, plan: Plan, *, caller: str, run_id: str, override_freeze: str = ""
) -> Rollout:
    """Record and audit a rollout that does what the plan says; the first tick begins it.

    Owed changes of older rollouts that this one makes as well are taken over by it.

    Raises:
        UsageError: the plan must not be run, or changes nothing.
        Locked: another rollout holds some of its stores and workloads.
    """
    if plan.refusals:
        raise UsageError(f"the plan cannot be run: {plan.refusals[0]}", hint="fleet plan")
    now = wiring.clock.now()
    spec, changes = parts_of(wiring.fleet, plan, now, override_freeze)
    pairs = sorted({(c.store, c.workload) for c in plan.changes if c.kind.is_change})
    rollouts = wiring.records.rollouts
    rollout = rollouts.start(spec, changes, pairs, caller=caller, at=now, run=run_id)
    wiring.records.audit(
        run_id,
        at=wiring.clock.now(),
        caller_arn=caller,
        action="start rollout",
        why=f"in spite of freezes: {override_freeze}" if override_freeze else spec.title,
        detail={
            "rollout": rollout.id,
            "release": spec.release,
            "selection": spec.selection,
            "policy": spec.policy.name,
            "override_freeze": override_freeze,
            "overwrite": spec.overwrite,
        },
    )
    return rollout


def parts_of(
    fleet: Fleet, plan: Plan, now: datetime, override_freeze: str
) -> tuple[RolloutSpec, list[Change]]:
    """Return what a rollout of this plan is told, and its changes.

    Raises:
        UsageError: the plan changes nothing.
    """
    planned = [c for c in plan.changes if c.kind.is_change]
    if not planned:
        raise UsageError("there is nothing to roll out: every store runs the release already")
    stores = {store.id: store for store in fleet.stores}
    spec = _spec(fleet, plan, planned, stores, override_freeze)
    return spec, _changes(plan, planned, spec, now)


def _spec(
    fleet: Fleet,
    plan: Plan,
    planned: Sequence[PlannedChange],
    stores: dict[str, Store],
    override_freeze: str,
) -> RolloutSpec:
    release = plan.release
    services = {c.service for c in planned}
    contents = {c.content for c in planned}
    hosts = {(s.store, s.service): s.hosts for s in release.services}
    running: dict[str, dict[str, tuple[str, ...]]] = {}
    for change in planned:
        running.setdefault(change.store, {})[change.service] = hosts.get(
            (change.store, change.service), ()
        )
    return RolloutSpec(
        release=release.id,
        title=", ".join(sorted({c.workload for c in planned})),
        workloads=plan.workloads,
        selection=plan.selection,
        inventory=plan.inventory,
        policy=plan.policy,
        waves=plan.waves,
        shapes={name: release.shapes[name] for name in sorted(services)},
        task_definitions={c: release.task_definitions[c] for c in sorted(contents)},
        places={
            store: replace(
                place_of(stores[store], running[store]), instances=plan.instances.get(store, ())
            )
            for store in sorted(running)
        },
        freezes=fleet.freezes,
        override_freeze=override_freeze,
        pull_s={
            f"{c.store}/{c.service}": pull_s(release, stores[c.store], [c], {}) for c in planned
        },
        seed=plan.seed,
        canary=plan.canary,
        overwrite=plan.overwrite,
        kept_counts=frozenset(f"{c.store}/{c.service}" for c in planned if c.keeps_count),
    )


def _changes(
    plan: Plan, planned: Iterable[PlannedChange], spec: RolloutSpec, now: datetime
) -> list[Change]:
    wave_of = {store: index for index, wave in enumerate(plan.waves) for store in wave.stores}
    rows = []
    for change in planned:
        place = spec.places[change.store]
        owed = change.kind is Kind.OWED
        rows.append(
            Change(
                store=change.store,
                service=change.service,
                account=place.account,
                region=place.region,
                cluster=place.cluster,
                wave=wave_of.get(change.store, CONVOY),
                content=change.content,
                previous=change.before,
                desired_count=change.count,
                previous_count=change.before_count,
                stage=Stage.PLANNED,
                verdict=Verdict.PARKED if owed else Verdict.WAITING,
                reason=change.reason,
                since=now,
            )
        )
    return rows
