"""Chooses what a tick reads, and which stores may be sent the release next."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fleet.inventory.decide import calendar
from fleet.inventory.decide.calendar import Permission, may_begin
from fleet.model.changes import CONVOY, Change
from fleet.model.rollout import Phase
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.control_sample import surveys
from fleet.rollout.decide.late_verdicts import lost_wave
from fleet.rollout.decide.tick_state import TickState, is_in_flight, is_parked, is_unsent
from fleet.rollout.decide.watch import is_only_watched, is_watched_after, room_to_watch
from fleet.rollout.decide.weights import FlightRoom

#: Most stores read, and sent to, in one tick of one account and region; keeps ticks short.
LOOKS_PER_TICK = 80
SENDS_PER_TICK = 40
#: Reads that are left out for every store that is sent to: reading (20 calls a second, several per
#: store) must take no longer than the calls of the sends (5 a second).
LOOKS_OF_A_SEND = 0.75
#: A survey is one call, where reading a store is two: its services and its container instances.
LOOKS_OF_A_SURVEY = 0.5
#: Part of the reads of a tick that surveys of untouched stores may take.
SURVEYS_PER_TICK = LOOKS_PER_TICK // 4


@dataclass(frozen=True, slots=True)
class StoreRead:
    """Says what to read of a store: its services, and the container instances of its cluster.

    Attributes:
        services: names; none where only its container instances are read, for a survey.
        tasks: whether to read tasks too, and deployment records where something went wrong.
        instances: ARNs of its container instances, as far as somebody has seen them.
        targets: by service, the ARN that it was sent; "" or missing where nothing was.
        records: whether to read deployment records with the tasks in any case.
    """

    store: str
    cluster: str
    services: tuple[str, ...]
    tasks: bool = False
    instances: tuple[str, ...] = ()
    targets: Mapping[str, str] = field(default_factory=dict)
    records: bool = False


@dataclass(frozen=True, slots=True)
class StoreChoice:
    """Says what a tick reads, and to which stores it may send.

    Attributes:
        reads: in order of urgency, surveys first.
        to_send: stores that may be sent the release in this tick, once they were read.
        control: untouched stores among the reads, whose survey is due.
        waits_until: the first moment at which a store that waits for its window may begin.
        waits_for: what it waits for.
    """

    reads: tuple[StoreRead, ...]
    to_send: tuple[str, ...]
    control: tuple[str, ...]
    waits_until: datetime | None = None
    waits_for: str = ""


def choose_stores(state: TickState) -> StoreChoice:
    """Return what to read now, and which stores are next; no change is updated."""
    to_send, waits_until, waits_for = next_up(state)
    control = surveys(state).due[: SURVEYS_PER_TICK * state.scale]
    stores = dict.fromkeys([*to_send, *_due(state)])
    alone = [store for store in control if store not in stores]
    # Untouched stores are surveyed as punctually as updated ones, or they would seem less dark.
    costs = dict.fromkeys(alone, LOOKS_OF_A_SURVEY) | dict.fromkeys(stores, 1.0)
    for store in to_send:
        costs[store] += LOOKS_OF_A_SEND
    surveyed = set(alone)
    reads = tuple(
        _survey_read(state, store) if store in surveyed else store_read(state, store)
        for store in _capped(state, costs)
    )
    return StoreChoice(reads, to_send, control, waits_until, waits_for)


def stores_in_flight(state: TickState) -> list[str]:
    """Return the stores that count against the policy's concurrency.

    A store of an earlier wave that was good and lost its link has nothing left to apply.
    """
    flying = state.where(is_in_flight)
    return state.stores(c for c in flying if not is_only_watched(state, c))


def flight_room(state: TickState) -> FlightRoom:
    """Return the room that the policy leaves for further stores to be in flight."""
    return FlightRoom(state.rollout.spec, stores_in_flight(state))


def may_send(state: TickState, store: str) -> Permission:
    """Return whether a store may be sent the release now."""
    if state.stop is not None:
        return Permission(False, state.stop.words)
    spec = state.rollout.spec
    return may_begin(
        spec.places[store],
        spec.policy,
        spec.freezes,
        spec.override_freeze,
        needs_s(state, store),
        state.now,
    )


def needs_s(state: TickState, store: str) -> float:
    """Return the seconds that a change of this store is expected to take at most."""
    spec = state.rollout.spec
    pulls = (spec.pull_s.get(f"{store}/{c.service}", 0.0) for c in state.of_store(store))
    return calendar.needs_s(spec.policy, max(pulls, default=0.0))


def sends_are_held(state: TickState) -> bool:
    """Return whether nothing more is sent until it is known why stores are dark or lost."""
    return bool(state.rollout.darkness.holds) or lost_wave(state) is not None


def sends_now(state: TickState) -> bool:
    """Return whether anything may be sent: it runs, or a person retries single stores of it."""
    if state.rollout.phase is Phase.RUNNING:
        return not sends_are_held(state)
    return retries_by_itself(state)


def retries_by_itself(state: TickState) -> bool:
    """Return whether stores are sent to though the rollout waits for a person otherwise."""
    rests = state.rollout.phase.awaits_person
    return rests and bool(state.where(_is_sent_by_itself))


def _is_sent_by_itself(change: Change) -> bool:
    return change.is_sent_by_itself


def next_up(state: TickState) -> tuple[tuple[str, ...], datetime | None, str]:
    """Return the stores that may be sent to now, in order, and until when and why others wait."""
    if not sends_now(state):
        return (), None, ""
    busy = set(stores_in_flight(state))
    room = FlightRoom(state.rollout.spec, busy)
    per_shard: Counter[tuple[str, str]] = Counter()
    chosen: list[str] = []
    held: list[Permission] = []
    convoy_room = state.rollout.spec.policy.convoy - sum(
        1 for store in busy if any(c.wave == CONVOY for c in state.of_store(store))
    )
    places, most = state.rollout.spec.places, SENDS_PER_TICK * state.scale
    for store, in_convoy in _waiting(state):
        place = places[store]
        shard = (place.account, place.region)
        if per_shard[shard] >= most:
            continue
        if room.is_full:
            # While no place is free, further windows are not computed: for thousands it takes long.
            break
        if store in busy or (in_convoy and convoy_room <= 0) or not room.has_room_for(store):
            continue
        asked = may_send(state, store)
        if not asked.allowed:
            held.append(asked)
            continue
        chosen.append(store)
        room.take(store)
        per_shard[shard] += 1
        convoy_room -= in_convoy
    first = min(held, key=_opening, default=None)
    if first is None:
        return tuple(chosen), None, ""
    return tuple(chosen), first.next_at, first.reason


def waiting_for_windows(state: TickState) -> list[tuple[str, Permission]]:
    """Return the stores that only wait for their window or the end of a freeze."""
    if state.rollout.phase is not Phase.RUNNING:
        return []
    asked = ((store, may_send(state, store)) for store, _ in _waiting(state))
    return [(store, said) for store, said in asked if not said.allowed]


def _opening(refused: Permission) -> datetime:
    return refused.next_at or datetime.max.replace(tzinfo=UTC)


def _waiting(state: TickState) -> Iterable[tuple[str, bool]]:
    """Yield the stores to which something is to be sent: those of the wave, then of the convoy."""
    rollout = state.rollout
    if 0 <= rollout.wave < len(rollout.spec.waves):
        ready = {c.store for c in state.where(is_unsent, wave=rollout.wave) if is_next(state, c)}
        for store in rollout.spec.waves[rollout.wave].stores:
            if store in ready:
                yield store, False
    back = [c for c in state.where(is_unsent, wave=CONVOY) if is_next(state, c)]
    for store in state.stores(back):
        yield store, True


def is_next(state: TickState, change: Change) -> bool:
    """Return whether a change can be sent as soon as concurrency allows."""
    if state.rollout.phase is not Phase.RUNNING and not change.is_sent_by_itself:
        return False
    refused_lately = change.look_at is not None and change.look_at > state.now
    return is_unsent(change) and not refused_lately


def _due(state: TickState) -> list[str]:
    """Return the stores to be read now: those with a call in doubt first, then the most overdue.

    Of earlier stores only as many as a part of the read budget allows; the others stay overdue.
    """
    due = [
        c
        for c in state.where(may_be_watched)
        if (c.look_at is None or c.look_at <= state.now) and is_watched(state, c)
    ]
    due.sort(key=lambda c: (c.stage is not Stage.SENDING, c.look_at or state.now, c.store))
    urgent = {c.store for c in due if not is_only_watched(state, c)}
    room = room_to_watch(state) if len(urgent) < len(due) else {}
    chosen: dict[str, None] = {}
    for change in due:
        if change.store not in urgent and change.store not in chosen:
            shard = change.account, change.region
            if room[shard] <= 0:
                continue
            room[shard] -= 1
        chosen[change.store] = None
    return list(chosen)


def may_be_watched(change: Change) -> bool:
    """Return whether ``is_watched`` may hold of a change, in whichever rollout and wave it is."""
    if change.stage is Stage.SENT:
        return change.verdict is Verdict.OK or not change.verdict.traits.is_settled
    return change.stage in {Stage.SENDING, Stage.UNDONE} or is_parked(change)


def is_watched(state: TickState, change: Change) -> bool:
    """Return whether reading a change's store may show something that matters now."""
    rollout = state.rollout
    if rollout.finished_at is not None:
        return is_watched_after(state) and is_only_watched(state, change)
    if change.stage is Stage.SENDING:
        # The run was cut off, or its reply was lost; only the service shows whether it was sent.
        return True
    if change.stage is Stage.SENT:
        # A good store can still go bad, while its wave bakes and long after that.
        return change.verdict is Verdict.OK or not change.verdict.traits.is_settled
    if change.stage is Stage.UNDONE:
        if rollout.phase is Phase.ROLLING_BACK or change.undo.settled is False:
            return not change.undo.settled
        return change.owes and rollout.phase is Phase.RUNNING
    # Parked: its turn has come, and it is read now and then to see whether it is back.
    turn_has_come = change.wave == CONVOY or change.wave <= rollout.wave
    return is_parked(change) and turn_has_come and rollout.phase is Phase.RUNNING


def is_quiet(view: StoreView, targets: Mapping[str, str]) -> bool:
    """Return whether stopped tasks and deployment records of a store need not be read.

    Every service is set to what it was sent and has one deployment, which is complete and counts
    no failures, and all its tasks run since that deployment began: none was started later in the
    place of one that had stopped.
    """
    tasks = view.tasks or ()
    for service in view.services or ():
        if targets.get(service.name) not in {None, "", service.task_definition}:
            return False  # restored or changed by somebody: why is in what has stopped
        newest = service.deployments[0] if service.deployments else None
        if newest is None or len(service.deployments) != 1 or newest.failed_tasks:
            return False
        own = [t for t in tasks if t.service == service.name and t.last_status == "RUNNING"]
        if newest.rollout_state != "COMPLETED" or len(own) < service.desired:
            return False
        done = newest.updated_at
        if done is None or any(t.started_at is None or t.started_at > done for t in own):
            return False
    return True


def store_read(state: TickState, store: str, *, tasks: bool = False) -> StoreRead:
    """Return what to read of a store: tasks and records in any case while a call is in doubt."""
    rows = state.of_store(store)
    in_doubt = any(c.stage is Stage.SENDING for c in rows)
    place = state.rollout.spec.places[store]
    return StoreRead(
        store=store,
        cluster=place.cluster,
        services=tuple(sorted(c.service for c in rows)),
        tasks=tasks or in_doubt,
        instances=place.instances,
        targets={c.service: c.target for c in rows},
        records=in_doubt,
    )


def _survey_read(state: TickState, store: str) -> StoreRead:
    place = state.rollout.spec.places[store]
    return StoreRead(store, place.cluster, services=(), instances=place.instances)


def _capped(state: TickState, costs: Mapping[str, float]) -> Iterator[str]:
    """Yield as many stores as a tick has time to read beside its sends, by what each costs."""
    places = state.rollout.spec.places
    taken: dict[tuple[str, str], float] = {}
    for store, cost in costs.items():
        place = places[store]
        shard = place.account, place.region
        taken[shard] = taken.get(shard, 0) + cost
        if taken[shard] <= LOOKS_PER_TICK * state.scale:
            yield store
