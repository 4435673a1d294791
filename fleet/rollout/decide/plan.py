"""Plans a rollout: what happens to every service, in which waves, and what it costs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from fleet.inventory.decide.calendar import freeze_span, may_begin, needs_s, slot
from fleet.inventory.decide.opening_hours import SEARCH
from fleet.model.desired import DesiredService, Release
from fleet.model.gate import Sample
from fleet.model.hours import Powered
from fleet.model.images import images_of
from fleet.model.inventory import Fleet, Lifecycle, Store
from fleet.model.plan import Estimate, Kind, Plan, PlannedChange
from fleet.model.policy import OnUnclear, Policy
from fleet.model.printable import some
from fleet.model.rates import DEFAULT_SHARE
from fleet.model.rollout import Hold, Place, WavePlan
from fleet.model.services import StoreView, revision
from fleet.model.spans import moment, span
from fleet.model.weights import share_words, weight_limit
from fleet.release.decide.task_diff import task_diff
from fleet.rollout.decide import service_plan
from fleet.rollout.decide.control_sample import CONTROL_SAMPLE
from fleet.rollout.decide.estimate import Matter, bodies_to_register, estimate, pull_s, register_s
from fleet.rollout.decide.fingerprint import differences, fingerprint
from fleet.rollout.decide.waves import Candidate, choose_canary, plan_waves

__all__ = ["differences", "fingerprint", "place_of", "plan_rollout"]

#: More bodies than this in one account and region are said beforehand: ECS takes one a second.
MANY_BODIES = 20
#: Stores that are named in a note on heavy ones.
HEAVY_NAMED = 5
_NOTHING = Estimate((), 0.0, "", 0, 0)


def plan_rollout(
    fleet: Fleet,
    release: Release,
    views: Mapping[str, StoreView],
    *,
    contents: Mapping[str, str],
    bodies: Mapping[str, Mapping[str, Any]],
    workloads: Sequence[str],
    stores: Sequence[Store],
    selection: str,
    policy: Policy,
    seed: int,
    canary: bool,
    now: datetime,
    alike: Mapping[str, str] | None = None,
    held: Sequence[Hold] = (),
    away: Mapping[str, datetime] | None = None,
    history: Sample | None = None,
    override: str = "",
    overwrite: bool = False,
    share: float = DEFAULT_SHARE,
) -> Plan:
    """Return what a rollout would do. Nothing in it depends on the order of what is given.

    Args:
        views: by store id; a store that is missing was not read.
        contents: content address by ARN of task definition, of what runs now; "" for a revision
            that is none of fleet's.
        bodies: by ARN, likewise, as far as they could be read.
        workloads: names; empty for all.
        stores: the selected ones.
        selection: as typed.
        alike: by the content of an older release, the one of this release that means the same.
        held: who holds which store and workload.
        away: by host id, since when a host is away, as far as was recorded.
        history: stores that went dark on record, and the store-hours in which they were watched.
        override: the reason for which freezes are passed over, or "".
        overwrite: whether what a person changed by hand may be changed back.
        share: part of the published rates that fleet takes.
    """
    ordered = sorted({store.id: store for store in stores}.values(), key=lambda s: s.id)
    inputs = _Inputs(
        fleet=fleet,
        release=release,
        views=views,
        contents=contents,
        bodies=bodies,
        workloads=frozenset(workloads or (w.name for w in fleet.workloads)),
        stores=tuple(ordered),
        policy=policy,
        seed=seed,
        now=now,
        background=service_plan.PlanContext(
            fleet=fleet.name,
            now=now,
            contents=contents,
            alike=alike or {},
            held={(hold.store, hold.workload): hold for hold in held},
            away=away or {},
            dark_after_s=policy.dark_after_s,
            overwrite=overwrite,
        ),
        override=override,
        share=share,
        selection=selection,
        canary=canary,
        history=history or Sample(0, 0),
    )
    return _plan_of(inputs)


def place_of(store: Store, hosts: Mapping[str, tuple[str, ...]]) -> Place:
    """Return a store as ticks need it.

    Args:
        hosts: names by service name.
    """
    return Place(
        store=store.id,
        name=store.name,
        account=store.account.name,
        account_id=store.account.account_id,
        region=store.region,
        cluster=store.cluster,
        time_zone=store.time_zone,
        hours=store.hours,
        link=store.link.kind,
        carrier=store.link.carrier or "",
        metered=store.link.metered,
        hosts=hosts,
        weight=Decimal(1) if store.weight is None else store.weight,
        off_when_closed=tuple(
            sorted(
                host.name
                for host in store.hosts
                if host.powered is Powered.OPENING_HOURS
                and any(host.name in names for names in hosts.values())
            )
        ),
    )


@dataclass(frozen=True)
class _Inputs:
    fleet: Fleet
    release: Release
    views: Mapping[str, StoreView]
    contents: Mapping[str, str]
    bodies: Mapping[str, Mapping[str, Any]]
    workloads: frozenset[str]
    stores: tuple[Store, ...]
    policy: Policy
    seed: int
    now: datetime
    background: service_plan.PlanContext
    override: str
    share: float
    selection: str
    canary: bool
    history: Sample
    wanted: Mapping[str, tuple[DesiredService, ...]] = field(init=False)
    images: Mapping[str, frozenset[str]] = field(init=False)

    def __post_init__(self) -> None:
        by_store: dict[str, list[DesiredService]] = {}
        for service in self.release.services:
            by_store.setdefault(service.store, []).append(service)
        wanted = {
            store: tuple(sorted(services, key=lambda s: s.service))
            for store, services in by_store.items()
        }
        object.__setattr__(self, "wanted", wanted)
        images = {arn: frozenset(images_of(body)) for arn, body in self.bodies.items()}
        object.__setattr__(self, "images", images)


@dataclass(frozen=True)
class _Rolling:
    """Holds the part of a plan that changes something.

    Attributes:
        changes: every service of every store that was read, those that are left alone among them.
        rolling: those that are changes.
        places: of the stores that change, and of those that have no time for it.
    """

    changes: tuple[PlannedChange, ...]
    rolling: tuple[PlannedChange, ...]
    unread: Mapping[str, str]
    places: Mapping[str, Place]
    candidates: tuple[Candidate, ...]


def _plan_of(inputs: _Inputs) -> Plan:
    found = _rolling(inputs)
    candidates, policy, seed = found.candidates, inputs.policy, inputs.seed
    chosen = choose_canary(candidates, policy, seed) if inputs.canary else None
    waves = plan_waves(candidates, policy, seed, chosen)
    matter = Matter(
        release=inputs.release,
        stores={s.id: s for s in inputs.stores},
        places=found.places,
        changes=found.rolling,
        waves=waves,
        policy=policy,
        now=inputs.now,
        contents=inputs.contents,
        images=inputs.images,
        freezes=inputs.fleet.freezes,
        override=inputs.override,
        share=inputs.share,
    )
    strata = dict.fromkeys(sorted({c.stratum for c in candidates}), "")
    notes = [
        *_notes(inputs, matter, candidates, found.places),
        *_darkness_notes(policy, waves, inputs.history),
    ]
    plan = Plan(
        fleet=inputs.fleet.name,
        inventory=inputs.fleet.digest,
        release=inputs.release,
        workloads=tuple(sorted(inputs.workloads)),
        selection=inputs.selection,
        policy=policy,
        seed=seed,
        canary=inputs.canary,
        fingerprint="",
        changes=found.changes,
        diffs=_diffs(inputs, found.rolling),
        waves=waves,
        strata=chosen.strata if chosen else strata,
        estimate=estimate(matter) if found.rolling else _NOTHING,
        unread=found.unread,
        refusals=_refusals(inputs, candidates, found.places),
        notes=(*inputs.release.notes, *(chosen.notes if chosen else ()), *notes),
        instances=_instances(inputs, found.rolling),
        weights=_weights(inputs, candidates),
        stamped=inputs.now.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        overwrite=inputs.background.overwrite,
    )
    return replace(plan, fingerprint=fingerprint(plan))


def _rolling(inputs: _Inputs) -> _Rolling:
    """Return what changes; a store that has no time for it is left, unless that is all of them."""
    changes, unread = _changes(inputs)
    rolling = [c for c in changes if c.kind.is_change]
    touched = {(change.store, change.service) for change in rolling}
    places = {
        s.id: place_of(
            s,
            {name: on for name, on in _hosts(inputs, s.id).items() if (s.id, name) in touched},
        )
        for s in _stores_of(inputs, rolling)
    }
    candidates = _candidates(inputs, rolling, places)
    never = {c.store: _why_never(inputs, places[c.store]) for c in candidates if c.next_at is None}
    if len(never) < len(candidates):
        changes = [_left_without_time(c, never) for c in changes]
        rolling = [c for c in rolling if c.store not in never]
        candidates = [c for c in candidates if c.store not in never]
    return _Rolling(tuple(changes), tuple(rolling), unread, places, tuple(candidates))


def _instances(inputs: _Inputs, rolling: Iterable[PlannedChange]) -> dict[str, tuple[str, ...]]:
    """Return the ARNs of container instances by store, so that ticks need not list them."""
    return {
        store.id: tuple(sorted(i.arn for i in inputs.views[store.id].instances or ()))
        for store in _stores_of(inputs, rolling)
    }


def _changes(inputs: _Inputs) -> tuple[list[PlannedChange], dict[str, str]]:
    """Return every service of every selected store that was read, and the stores that were not."""
    shapes = inputs.release.shapes
    changes: list[PlannedChange] = []
    unread: dict[str, str] = {}
    for store in inputs.stores:
        everything = inputs.wanted.get(store.id, ())
        wanted = [s for s in everything if shapes[s.service].workload in inputs.workloads]
        if store.lifecycle is not Lifecycle.OPEN:
            changes.append(service_plan.closed_store(store))
            continue
        if not wanted and not everything:
            continue
        view = inputs.views.get(store.id)
        why = service_plan.why_unread(view)
        if view is None or why:
            unread[store.id] = why
            continue
        changes += service_plan.plan_services(store, wanted, view, shapes, inputs.background)
        changes += service_plan.unwanted_services(store, everything, view, inputs.fleet.name)
    changes.sort(key=lambda c: (c.store, c.service))
    return changes, unread


def _stores_of(inputs: _Inputs, changes: Iterable[PlannedChange]) -> list[Store]:
    named = {change.store for change in changes}
    return [store for store in inputs.stores if store.id in named]


def _hosts(inputs: _Inputs, store: str) -> dict[str, tuple[str, ...]]:
    return {service.service: service.hosts for service in inputs.wanted.get(store, ())}


def _candidates(
    inputs: _Inputs, rolling: Sequence[PlannedChange], places: Mapping[str, Place]
) -> list[Candidate]:
    by_store: dict[str, list[PlannedChange]] = {}
    for change in rolling:
        by_store.setdefault(change.store, []).append(change)
    candidates = []
    for store in _stores_of(inputs, rolling):
        changes, place = by_store[store.id], places[store.id]
        owed = [c.reason for c in changes if c.kind is Kind.OWED]
        needed = _needed(inputs, store, changes)
        candidates.append(
            Candidate(
                store=store.id,
                stratum=_stratum(store, changes, place),
                hosts=len(store.hosts),
                ring=store.ring,
                kin=(place.carrier, place.account, place.region),
                dark=f"is away ({owed[0]})" if owed else "",
                next_at=slot(
                    place,
                    inputs.policy,
                    inputs.fleet.freezes,
                    needed,
                    inputs.now,
                    override=inputs.override,
                ),
                weight=place.weight,
            )
        )
    return candidates


def _weights(inputs: _Inputs, candidates: Sequence[Candidate]) -> dict[str, Decimal]:
    """Return the weights of the stores that change; none where nobody wrote any down."""
    if all(store.weight is None for store in inputs.stores):
        return {}
    return {c.store: c.weight for c in candidates}


def _left_without_time(change: PlannedChange, never: Mapping[str, str]) -> PlannedChange:
    if change.store not in never or not change.kind.is_change:
        return change
    reason = f"no time for it within {SEARCH.days} days: {never[change.store]}"
    return replace(change, kind=Kind.LEFT, reason=reason)


def _needed(inputs: _Inputs, store: Store, changes: Sequence[PlannedChange]) -> float:
    return needs_s(inputs.policy, pull_s(inputs.release, store, changes, inputs.images))


def _stratum(store: Store, changes: Sequence[PlannedChange], place: Place) -> str:
    """Return ``nuc+xavier-nx · lte``: hardware that the rollout touches, and the link.

    A variant belongs to its hardware, so stores of one stratum get the same services.
    """
    touched = {name for change in changes for name in place.hosts.get(change.service, ())}
    hardware = sorted({h.hardware.name for h in store.hosts if h.name in touched})
    return f"{'+'.join(hardware)} · {place.link}"


def _diffs(inputs: _Inputs, rolling: Iterable[PlannedChange]) -> dict[str, tuple[str, ...]]:
    diffs: dict[str, tuple[str, ...]] = {}
    for change in rolling:
        key = f"{change.before} {change.content}"
        if key in diffs or change.before_content == change.content:
            continue
        body = inputs.release.task_definitions[change.content].body
        before = inputs.bodies.get(change.before)
        if change.before and before is None:
            diffs[key] = (f"? {revision(change.before)} could not be read, so nothing is compared",)
        else:
            diffs[key] = task_diff(before, body)
    return dict(sorted(diffs.items()))


def _refusals(
    inputs: _Inputs, candidates: Sequence[Candidate], places: Mapping[str, Place]
) -> tuple[str, ...]:
    if not candidates or any(c.next_at is not None for c in candidates):
        return ()
    why = _why_never(inputs, places[candidates[0].store])
    return (f"no store has a time for it within 14 days: {candidates[0].store}: {why}",)


def _why_never(inputs: _Inputs, place: Place) -> str:
    needed = needs_s(inputs.policy, 0.0)
    freezes, override = inputs.fleet.freezes, inputs.override
    return may_begin(place, inputs.policy, freezes, override, needed, inputs.now).reason


def _notes(
    inputs: _Inputs,
    matter: Matter,
    candidates: Sequence[Candidate],
    places: Mapping[str, Place],
) -> list[str]:
    notes = _freeze_notes(inputs, candidates, places) + _heavy_notes(inputs, candidates)
    bodies = {shard: len(contents) for shard, contents in bodies_to_register(matter).items()}
    if sum(bodies.values()) > MANY_BODIES:
        where = ", ".join(f"{count} in {'/'.join(shard)}" for shard, count in bodies.items())
        notes.append(
            f"{sum(bodies.values())} task definitions are to be registered ({where}); ECS takes "
            f"one a second, so that alone takes {span(register_s(matter))}"
        )
    return notes


def _heavy_notes(inputs: _Inputs, candidates: Sequence[Candidate]) -> list[str]:
    """Name the stores that are heavier than a limit by themselves, which go alone."""
    notes = []
    total = sum((c.weight for c in candidates), Decimal(0))
    for key, how in (
        ("max_weight_in_flight", "each is sent while nothing else is in flight"),
        ("max_weight_per_wave", "each is a wave of its own"),
    ):
        limit = getattr(inputs.policy, key)
        most = weight_limit(limit, total)
        heavy = [c for c in candidates if most is not None and c.weight > most]
        if heavy:
            named = [f"{c.store} ({share_words(c.weight, total)})" for c in heavy]
            notes.append(f"heavier than {key}, {limit}: {some(named, HEAVY_NAMED)}; {how}")
    return notes


def _darkness_notes(policy: Policy, waves: Sequence[WavePlan], history: Sample) -> list[str]:
    """Name the waves in which a dark store can be compared with nothing, and what follows.

    Untouched stores are recorded while earlier waves settle and bake, which stands in for them.
    """
    left, alone = sum(len(wave.stores) for wave in waves), []
    on_record = float(history.of)
    for wave in waves:
        left -= len(wave.stores)
        if left < policy.min_control and on_record < policy.min_control:
            alone.append(wave.name)
        on_record += min(left, CONTROL_SAMPLE) * (policy.settle_s + policy.bake_s) / 3600
    if not alone:
        return []
    follows = {
        OnUnclear.ASK: "asks",
        OnUnclear.WAIT: f"waits for the store, and asks after {span(policy.patience_s)}",
    }
    return [
        f"{' and '.join(alone)}: by the end fewer than {policy.min_control} stores are left to "
        f"compare with when one goes dark, and {history.of} store-hours are on record; then the "
        f"rollout sends nothing more and {follows[policy.on_unclear]} (on_unclear: "
        f"{policy.on_unclear.value})"
    ]


def _freeze_notes(
    inputs: _Inputs, candidates: Sequence[Candidate], places: Mapping[str, Place]
) -> list[str]:
    """Return the freezes that hold for some of the stores now, and until when."""
    notes = []
    for freeze in inputs.fleet.freezes:
        frozen: dict[str, datetime | None] = {}
        for candidate in candidates:
            if freeze.stores is not None and candidate.store not in freeze.stores:
                continue
            held = freeze_span(freeze, places[candidate.store].time_zone)
            if inputs.now in held:
                frozen[candidate.store] = held.ends
        if frozen:
            until = moment(max(at for at in frozen.values() if at is not None))
            passed = f"passed over ({inputs.override}) for" if inputs.override else "holds"
            who = _stores_words(list(frozen))
            notes.append(f"freeze {freeze.name} {passed} {who} until {until}: {freeze.reason}")
    return notes


def _stores_words(stores: Sequence[str]) -> str:
    """Return ``store-001, store-002 and 38 more``."""
    shown = 3
    names = ", ".join(stores[:shown])
    return f"{names} and {len(stores) - shown} more" if len(stores) > shown else names
