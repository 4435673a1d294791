"""Counts what a rollout's rows say, store by store, in the words that its screens share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.changes import CONVOY, Change
from fleet.model.rollout import Phase, Rollout
from fleet.model.verdicts import Stage, Verdict


class Standing(StrEnum):
    """How a change stands for a person: its verdict, unless its stage says more."""

    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    OK = "ok"
    PLANNED = "to send"
    PARKED = "parked"
    WAITING = "waiting"
    UNDONE = "rolled back"
    UNDOING = "rolling back"
    DARK = "dark"
    UNDELIVERED = "undelivered"
    BY_HAND = "by hand"
    FAILED = "failed"


#: From best to worst; a store stands as the worst of its services.
_ORDER = {standing: number for number, standing in enumerate(Standing)}

_BY_STAGE = {
    Stage.SKIPPED: Standing.SKIPPED,
    Stage.UNDOING: Standing.UNDOING,
    Stage.UNDONE: Standing.UNDONE,
    Stage.HELD: Standing.BY_HAND,
}

_BY_VERDICT = {
    Verdict.OK: Standing.OK,
    Verdict.FAILED: Standing.FAILED,
    Verdict.UNDELIVERED: Standing.UNDELIVERED,
    Verdict.DARK: Standing.DARK,
    Verdict.WAITING: Standing.WAITING,
    Verdict.PARKED: Standing.PARKED,
    Verdict.UNCHANGED: Standing.UNCHANGED,
    Verdict.CHANGED_BY_HAND: Standing.BY_HAND,
}

#: A rich style per standing; colour repeats what words say and is never alone.
STYLES = {
    Standing.OK: "green",
    Standing.FAILED: "red",
    Standing.UNDELIVERED: "red",
    Standing.BY_HAND: "red",
    Standing.DARK: "yellow",
    Standing.PARKED: "yellow",
    Standing.UNDOING: "yellow",
}

#: Phases in which nothing is left to do, besides owed stores.
ENDED = frozenset({Phase.DONE, Phase.ABORTED, Phase.ROLLED_BACK})


def standing(change: Change) -> Standing:
    """How one change stands."""
    if change.stage in _BY_STAGE:
        return _BY_STAGE[change.stage]
    if change.stage is Stage.PLANNED and change.verdict is Verdict.WAITING:
        return Standing.PLANNED
    return _BY_VERDICT[change.verdict]


def worst(standings: Iterable[Standing]) -> Standing:
    """The one that a store stands as."""
    return max(standings, key=_ORDER.__getitem__)


def by_store(changes: Iterable[Change]) -> Mapping[str, tuple[Change, ...]]:
    """The changes of each store, stores in the order in which they first come."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        found.setdefault(change.store, []).append(change)
    return {store: tuple(mine) for store, mine in found.items()}


def store_standings(changes: Iterable[Change]) -> Mapping[str, Standing]:
    """How each store stands."""
    return {
        store: worst(standing(change) for change in mine)
        for store, mine in by_store(changes).items()
    }


@dataclass(frozen=True, slots=True)
class WaveCount:
    """A wave and how its stores stand.

    Attributes:
        index: into the spec's waves, or ``CONVOY``.
    """

    index: int
    name: str
    stores: int
    count: Mapping[Standing, int]


def wave_counts(rollout: Rollout, changes: Sequence[Change]) -> tuple[WaveCount, ...]:
    """The waves in order, stores that came back last; a convoy of none is left out."""
    rows: dict[int, list[Standing]] = {index: [] for index in range(len(rollout.spec.waves))}
    for mine in by_store(changes).values():
        wave = max(change.wave for change in mine)
        rows.setdefault(wave, []).append(worst(map(standing, mine)))
    ordered = sorted(rows, key=lambda index: (index == CONVOY, index))
    return tuple(
        WaveCount(index, wave_name(rollout, index), len(rows[index]), Counter(rows[index]))
        for index in ordered
    )


def wave_name(rollout: Rollout, index: int) -> str:
    """``canary``, ``wave 1`` ...; ``convoy`` for stores that came back."""
    if index == CONVOY:
        return "convoy"
    waves = rollout.spec.waves
    return waves[index].name if index < len(waves) else "after the last wave"


def variant_of(rollout: Rollout, change: Change) -> str:
    """The hardware variant that a change is for."""
    shape = rollout.spec.shapes.get(change.service)
    return shape.variant if shape else change.service


def owes(change: Change) -> bool:
    """Whether the store still owes the release: nobody could say that it runs it."""
    match change.stage:
        case Stage.PLANNED:
            return change.verdict is Verdict.PARKED
        case Stage.SENT:
            return change.verdict in {Verdict.DARK, Verdict.UNDELIVERED}
        case Stage.UNDONE:
            return change.verdict is Verdict.DARK
        case _:
            return False


#: Phases after which nobody waits for stores that were away.
_FORGIVEN = frozenset({Phase.ABORTED, Phase.ROLLING_BACK, Phase.ROLLED_BACK})


def owed(changes: Iterable[Change], phase: Phase = Phase.DONE) -> tuple[Change, ...]:
    """Those whose stores still owe the release; a release that was taken back is owed by nobody."""
    return () if phase in _FORGIVEN else tuple(filter(owes, changes))


def slowest(changes: Iterable[Change], now: datetime) -> tuple[tuple[Change, float], ...]:
    """What has been on its way for longest, with its seconds since it was sent."""
    waiting = [
        (change, (now - change.sent_at).total_seconds())
        for change in changes
        if change.sent_at is not None and standing(change) in {Standing.WAITING, Standing.UNDOING}
    ]
    return tuple(sorted(waiting, key=lambda row: (-row[1], row[0].key)))


def revision(arn: str) -> str:
    """``vision-arm64:13`` of a task definition's ARN; ``nothing`` for none."""
    return arn.rpartition("/")[2] or "nothing"
