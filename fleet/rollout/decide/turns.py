"""Whose turn it is: what a tick looks at, and which stores may be sent the release next."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from fleet.inventory.decide import calendar
from fleet.inventory.decide.calendar import Permission, may_begin
from fleet.model.changes import CONVOY, Change
from fleet.model.rollout import Phase
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.board import Board, is_parked, is_sent
from fleet.rollout.decide.verdict import owes

#: Most stores looked at, and sent to, in one tick of one account and region; keeps ticks short.
LOOKS_PER_TICK = 80
SENDS_PER_TICK = 40
#: So many other looks less for every store that is sent to: reading (20 calls a second, and several
#: for a look) must take no longer than it takes for the sends' own calls to flow (5 a second).
LOOKS_OF_A_SEND = 0.75
#: Untouched stores that are looked at for comparison.
CONTROL_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Look:
    """What to read of a store.

    Attributes:
        services: names; read with the container instances, for who is connected.
        tasks: tasks too.
        records: ECS's own records of deployments in any case, as where a call was cut off.
    """

    store: str
    services: tuple[str, ...]
    tasks: bool = False
    records: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """What a tick does first.

    Attributes:
        looks: in order of urgency.
        next_up: stores that may be sent the release in this tick, once they were looked at.
        control: untouched stores among the looks, for comparison; empty when there is nothing to
            compare.
        held_until: the first moment at which a store that waits for its window may begin.
        held_why: what it waits for.
    """

    looks: tuple[Look, ...]
    next_up: tuple[str, ...]
    control: tuple[str, ...]
    held_until: datetime | None = None
    held_why: str = ""


def take_turn(board: Board) -> Turn:
    """What to look at now, and who is next. Moves nothing."""
    next_up, held_until, held_why = _next_up(board)
    chosen = set(next_up)
    looks = [_look(board, store) for store in next_up]
    looks += [_look(board, store) for store in _due(board) if store not in chosen]
    control = _control(board)
    looks += [_look(board, store) for store in control if store not in chosen]
    return Turn(tuple(_capped(board, looks, chosen)), next_up, control, held_until, held_why)


def flying(board: Board) -> list[str]:
    """Stores that take up one of the rollout's places."""
    return board.stores(c for c in board.changes if c.in_flight)


def places(board: Board) -> int:
    """Most stores that the policy lets be in flight at once."""
    spec = board.rollout.spec
    return spec.policy.concurrency.of(len(spec.places))


def permission(board: Board, store: str) -> Permission:
    """Whether a forward change of a store may begin now."""
    spec = board.rollout.spec
    return may_begin(
        spec.places[store],
        spec.policy,
        spec.freezes,
        spec.override_freeze,
        needs_s(board, store),
        board.now,
    )


def needs_s(board: Board, store: str) -> float:
    """Seconds that a change of this store is expected to take at most."""
    spec = board.rollout.spec
    pulls = (spec.pull_s.get(f"{store}/{c.service}", 0.0) for c in board.of_store(store))
    return calendar.needs_s(spec.policy, max(pulls, default=0.0))


def _next_up(board: Board) -> tuple[tuple[str, ...], datetime | None, str]:
    """Stores that may be sent to now, in order; and until when and why the others wait."""
    if board.rollout.phase is not Phase.RUNNING:
        return (), None, ""
    busy = set(flying(board))
    room = places(board) - len(busy)
    per_shard: Counter[tuple[str, str]] = Counter()
    chosen: list[str] = []
    held: list[Permission] = []
    convoy_room = board.rollout.spec.policy.convoy - sum(
        1 for store in busy if any(c.wave == CONVOY for c in board.of_store(store))
    )
    for store, in_convoy in _waiting(board):
        if len(chosen) >= room:
            # Nobody else's window matters while there is no place; asking thousands takes time.
            break
        if store in busy or (in_convoy and convoy_room <= 0):
            continue
        place = board.rollout.spec.places[store]
        shard = (place.account, place.region)
        if per_shard[shard] >= SENDS_PER_TICK:
            continue
        asked = permission(board, store)
        if not asked.allowed:
            held.append(asked)
            continue
        chosen.append(store)
        per_shard[shard] += 1
        convoy_room -= in_convoy
    first = min(held, key=_opening, default=None)
    if first is None:
        return tuple(chosen), None, ""
    return tuple(chosen), first.next_at, first.reason


def waiting_for_windows(board: Board) -> list[tuple[str, Permission]]:
    """Stores whose turn it is but for their window or a freeze, with what they wait for."""
    if board.rollout.phase is not Phase.RUNNING:
        return []
    asked = ((store, permission(board, store)) for store, _ in _waiting(board))
    return [(store, said) for store, said in asked if not said.allowed]


def _opening(refused: Permission) -> datetime:
    return refused.next_at or datetime.max.replace(tzinfo=UTC)


def _waiting(board: Board) -> Iterable[tuple[str, bool]]:
    """Stores to which something may be sent: the wave's in its order, then the convoy's."""
    rollout = board.rollout
    if 0 <= rollout.wave < len(rollout.spec.waves):
        for store in rollout.spec.waves[rollout.wave].stores:
            rows = [c for c in board.of_store(store) if c.wave == rollout.wave]
            if any(is_next(board, c) for c in rows):
                yield store, False
    back = [c for c in board.convoy if is_next(board, c)]
    for store in board.stores(back):
        yield store, True


def is_next(board: Board, change: Change) -> bool:
    """Whether a row can be sent as soon as there is a place for it."""
    refused_lately = change.look_at is not None and change.look_at > board.now
    return change.stage is Stage.PLANNED and not is_parked(change) and not refused_lately


def _due(board: Board) -> list[str]:
    """Stores whose next look is due: what may have been sent first, then the longest overdue."""
    due = [
        c for c in board.changes if is_watched(board, c) and (c.look_at or board.now) <= board.now
    ]
    due.sort(key=lambda c: (c.stage is not Stage.SENDING, c.look_at or board.now, c.store))
    return board.stores(due)


def is_watched(board: Board, change: Change) -> bool:
    """Whether looking at a row may tell something that matters now."""
    rollout = board.rollout
    if change.stage is Stage.SENDING:
        # The run was cut off, or its reply was lost: only the service itself can say.
        return True
    if change.stage is Stage.SENT:
        if change.verdict in {Verdict.WAITING, Verdict.DARK, Verdict.UNDELIVERED}:
            return True
        # A good store can still go bad while its wave bakes.
        return change.verdict is Verdict.OK and change.wave in {rollout.wave, CONVOY}
    if change.stage is Stage.UNDONE:
        if rollout.phase is Phase.ROLLING_BACK or change.undo.settled is False:
            return not change.undo.settled
        return owes(change) and rollout.phase is Phase.RUNNING
    # Parked: its turn has come, and it is asked now and then whether it is back.
    turn_has_come = change.wave == CONVOY or change.wave <= rollout.wave
    return is_parked(change) and turn_has_come and rollout.phase is Phase.RUNNING


def is_quiet(view: StoreView, targets: Mapping[str, str]) -> bool:
    """Whether nothing of a store asks for a look at stopped tasks and at ECS's own records.

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


def _look(board: Board, store: str) -> Look:
    rows = board.of_store(store)
    cut_off = any(c.stage is Stage.SENDING for c in rows)
    return Look(store, tuple(sorted(c.service for c in rows)), tasks=cut_off, records=cut_off)


def _capped(board: Board, looks: Iterable[Look], sends: Collection[str]) -> Iterable[Look]:
    """As many as a tick has time for beside its sends, which are the first of them."""
    taken: dict[tuple[str, str], float] = {}
    for look in looks:
        place = board.rollout.spec.places[look.store]
        shard = place.account, place.region
        cost = 1 + LOOKS_OF_A_SEND if look.store in sends else 1
        taken[shard] = taken.get(shard, 0) + cost
        if taken[shard] <= LOOKS_PER_TICK:
            yield look


def _control(board: Board) -> tuple[str, ...]:
    """Untouched stores to compare with: only when a sent store is away, and not too often."""
    away = [c for c in (*board.current, *board.convoy) if is_sent(c) and c.away_since is not None]
    if not away:
        return ()
    policy = board.rollout.spec.policy
    pool = [c for c in untouched(board) if c.stage is Stage.PLANNED]
    pool.sort(key=_seeded(board.rollout.spec.seed))
    sample = board.stores(pool)[:CONTROL_SAMPLE]
    again = timedelta(seconds=policy.dark_after_s)
    return tuple(
        store
        for store in sample
        if all(
            c.looked_at is None or board.now - c.looked_at >= again for c in board.of_store(store)
        )
    )


def untouched(board: Board) -> list[Change]:
    """Rows of stores that nothing was sent to and whose turn has not come."""
    wave = board.rollout.wave
    return [c for c in board.changes if c.wave > wave and not c.sends]


def _seeded(seed: int) -> Callable[[Change], str]:
    return lambda c: hashlib.sha256(f"{seed} {c.store}".encode()).hexdigest()
