"""Counts what a rollout's rows say, store by store, in the words that its screens share."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fleet.model.changes import CONVOY, Change, by_store
from fleet.model.rollout import Rollout
from fleet.model.verdicts import Standing, worst


def store_standings(changes: Iterable[Change]) -> Mapping[str, Standing]:
    """Return how each store stands."""
    return {
        store: worst(change.standing for change in mine)
        for store, mine in by_store(changes).items()
    }


@dataclass(frozen=True, slots=True)
class WaveCount:
    """Counts how the stores of a wave stand.

    Attributes:
        index: into the spec's waves, or ``CONVOY``.
    """

    index: int
    name: str
    stores: int
    count: Mapping[Standing, int]


def wave_counts(rollout: Rollout, changes: Sequence[Change]) -> tuple[WaveCount, ...]:
    """Return the waves in order, the convoy last; an empty convoy is left out."""
    rows: dict[int, list[Standing]] = {index: [] for index in range(len(rollout.spec.waves))}
    for mine in by_store(changes).values():
        wave = max(change.wave for change in mine)
        rows.setdefault(wave, []).append(worst(change.standing for change in mine))
    ordered = sorted(rows, key=lambda index: (index == CONVOY, index))
    return tuple(
        WaveCount(index, rollout.spec.wave_name(index), len(rows[index]), Counter(rows[index]))
        for index in ordered
    )


def slowest(changes: Iterable[Change], now: datetime) -> tuple[tuple[Change, float], ...]:
    """Return what has been on its way for longest, with its seconds since it was sent."""
    waiting = [
        (change, (now - change.sent_at).total_seconds())
        for change in changes
        if change.sent_at is not None and change.standing in {Standing.WAITING, Standing.UNDOING}
    ]
    return tuple(sorted(waiting, key=lambda row: (-row[1], row[0].key)))
