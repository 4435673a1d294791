"""A rollout while one tick thinks about it: rows that can be moved, and the story of it."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.changes import CONVOY, Change
from fleet.model.rollout import Phase, Rollout, RolloutEvent
from fleet.model.verdicts import Stage, Verdict


class Board:
    """The rows of one rollout in one tick. What was moved is known, so that only that is written.

    Args:
        now: the run's time; everything that happens on the board happens now.
    """

    def __init__(self, rollout: Rollout, changes: Iterable[Change], now: datetime) -> None:
        self.rollout = rollout
        self.now = now
        self.events: list[RolloutEvent] = []
        self._changes = {change.key: change for change in changes}
        self._before = dict(self._changes)
        self._by_store: dict[str, list[tuple[str, str]]] = {}
        for key in self._changes:
            self._by_store.setdefault(key[0], []).append(key)

    @property
    def changes(self) -> tuple[Change, ...]:
        """All of them, in the order they were given."""
        return tuple(self._changes.values())

    @property
    def moved(self) -> tuple[Change, ...]:
        """Those that are no longer as they were given."""
        return tuple(c for key, c in self._changes.items() if c != self._before[key])

    def change(self, store: str, service: str) -> Change:
        """One row as it is now."""
        return self._changes[store, service]

    def of_store(self, store: str) -> tuple[Change, ...]:
        """The rows of a store; empty for a store that the rollout does not change."""
        return tuple(self._changes[key] for key in self._by_store.get(store, ()))

    def stores(self, changes: Iterable[Change]) -> list[str]:
        """Ids of the stores of these rows, each once, in their order."""
        return list(dict.fromkeys(c.store for c in changes))

    def move(self, change: Change, **fields: Any) -> Change:
        """Change one row; a new verdict is dated now unless ``since`` says otherwise."""
        if fields.get("verdict", change.verdict) is not change.verdict:
            fields.setdefault("since", self.now)
        moved = replace(change, **fields)
        self._changes[moved.key] = moved
        return moved

    def put(self, change: Change) -> None:
        """Replace one row by what it has become."""
        self._changes[change.key] = change

    def in_seconds(self, seconds: float) -> datetime:
        """So many seconds from now."""
        return self.now + timedelta(seconds=seconds)

    def enter_phase(self, phase: Phase, why: str, **fields: Any) -> None:
        """Bring the rollout into a phase, and say so when it was in another one."""
        if phase is not self.rollout.phase:
            self.say("phase", f"{phase.value}: {why}", data={"phase": phase.value, "why": why})
        self.rollout = replace(self.rollout, phase=phase, why=why, **fields)

    def say(
        self, kind: str, text: str, store: str = "", data: Mapping[str, Any] | None = None
    ) -> None:
        """Add a line to the rollout's story."""
        self.events.append(
            RolloutEvent(0, self.rollout.id, self.now, kind, text, store, data or {})
        )

    @property
    def current(self) -> Iterator[Change]:
        """Rows of the wave that is sent or judged now."""
        return (c for c in self._changes.values() if c.wave == self.rollout.wave)

    @property
    def convoy(self) -> Iterator[Change]:
        """Rows of stores that were dark at their turn and have come back."""
        return (c for c in self._changes.values() if c.wave == CONVOY)


def is_sent(change: Change) -> bool:
    """Whether a change went out in this rollout, whatever became of it; N counts these."""
    return change.sends > 0 and change.stage is not Stage.SKIPPED


def is_failed(change: Change) -> bool:
    """Whether a change that went out has failed."""
    return is_sent(change) and change.verdict is Verdict.FAILED


def accepted(changes: Iterable[Change], variant_of: Callable[[Change], str]) -> dict[str, int]:
    """Stores by variant whose failure a person has accepted; one that is tried again is none.

    The rows know it and no number does: what was accepted of some stores is no room for others.
    """
    found = {
        (variant_of(change), change.store)
        for change in changes
        if is_failed(change) and change.failure_accepted
    }
    return dict(Counter(variant for variant, _ in found))


def is_parked(change: Change) -> bool:
    """Whether nothing was sent because the hosts were away; such a change is owed."""
    return change.stage is Stage.PLANNED and change.verdict is Verdict.PARKED
