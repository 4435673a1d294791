"""What each store should be: the committed release, what rollouts owe it, and who is at it."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.desired import DesiredService, Release
from fleet.model.history import ActiveRollout
from fleet.model.inventory import Store
from fleet.model.observed import NotRead
from fleet.model.rollout import Hold, Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.model.wanted import IdleRollout, Owed, Wanted


def wanted_of(
    stores: Sequence[Store],
    release: Release | NotRead,
    owed: Iterable[tuple[str, Change]],
    holds: Iterable[Hold],
    now: datetime,
    *,
    idle: Collection[str] = frozenset(),
) -> dict[str, Wanted]:
    """By store id, of these stores.

    Args:
        release: without it nothing is known of services; what is owed still is.
        owed: rollout ids and changes as the records say them, oldest first; the latest counts.
        holds: stores and workloads that active rollouts have to themselves.
        now: since when what has no time of its own is owed, as a rollout rebuilt from AWS's tags.
        idle: ids of the rollouts that stand still.
    """
    services: dict[str, list[DesiredService]] = {}
    workloads: dict[str, str] = {}
    if not isinstance(release, NotRead):
        workloads = {name: shape.workload for name, shape in release.shapes.items()}
        for service in release.services:
            services.setdefault(service.store, []).append(service)
    debts: dict[str, dict[str, Owed]] = {}
    for rollout, change in owed:
        debts.setdefault(change.store, {})[change.service] = _owed(rollout, change, now)
    held = {(hold.store, hold.workload): hold.rollout for hold in holds}
    wanted = {}
    for store in stores:
        keys = ((name, (store.id, workload)) for name, workload in workloads.items())
        by = {name: held[key] for name, key in keys if key in held}
        wanted[store.id] = Wanted(
            store,
            tuple(services.get(store.id, ())),
            owed=debts.get(store.id, {}),
            rolling={name: rollout for name, rollout in by.items() if rollout not in idle},
            stalled={name: rollout for name, rollout in by.items() if rollout in idle},
        )
    return wanted


def _owed(rollout: str, change: Change, now: datetime) -> Owed:
    words = change.verdict.value
    if change.verdict is Verdict.DARK and change.stage is Stage.UNDONE:
        words = "dark, set back"
    since = change.since or change.looked_at or change.sent_at or now
    return Owed(rollout, change.service, change.content, words, since)


#: In these a rollout waits for a person, however often it is ticked.
WAITING = frozenset({Phase.PAUSED, Phase.HALTED, Phase.AWAITING})


def idle(
    rollouts: Iterable[ActiveRollout], now: datetime, limit_s: float
) -> tuple[IdleRollout, ...]:
    """Those that have stood still for so long, in the order given.

    Args:
        limit_s: seconds from which on.
    """
    found = []
    for one in rollouts:
        waits = one.phase in WAITING
        since = one.phase_at if waits else one.moved_at
        if now - since >= timedelta(seconds=limit_s):
            found.append(IdleRollout(one, since, waits))
    return tuple(found)
