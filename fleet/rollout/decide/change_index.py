"""Holds the changes of a rollout, and finds those of a store, a wave or a kind without a scan.

A tick of ten thousand changes asks many questions that concern a few of them. What an index says
is kept up to date by ``put``, and a copy goes on with it.
"""

from collections.abc import Callable, Iterable

from fleet.model.changes import Change

Key = tuple[str, str]


class ChangeIndex:
    """Holds changes in the order in which they were given, which every answer has."""

    def __init__(self, changes: Iterable[Change]) -> None:
        by_key = {change.key: change for change in changes}
        self._rows = list(by_key.values())
        self._places = {key: place for place, key in enumerate(by_key)}
        self._by_store: dict[str, list[int]] = {}
        self._by_wave: dict[int, set[int]] = {}
        self._kinds: dict[Callable[[Change], bool], set[int]] = {}
        for place, change in enumerate(self._rows):
            self._by_store.setdefault(change.store, []).append(place)
            self._by_wave.setdefault(change.wave, set()).add(place)
        self._first = frozenset(places[0] for places in self._by_store.values())

    def copy(self) -> "ChangeIndex":
        """Return an index of the same changes that is independent of this one."""
        copied = ChangeIndex(())
        # Which changes there are never changes.
        copied._places, copied._by_store, copied._first = self._places, self._by_store, self._first
        copied._rows = list(self._rows)
        copied._by_wave = {wave: set(places) for wave, places in self._by_wave.items()}
        copied._kinds = {holds: set(places) for holds, places in self._kinds.items()}
        return copied

    def put(self, change: Change) -> Change:
        """Replace one change; returns what it was.

        Raises:
            KeyError: there is none of that store and service.
        """
        place = self._places[change.key]
        was, self._rows[place] = self._rows[place], change
        if change.wave != was.wave:
            self._by_wave[was.wave].discard(place)
            self._by_wave.setdefault(change.wave, set()).add(place)
        for holds, places in self._kinds.items():
            if holds(change):
                places.add(place)
            else:
                places.discard(place)
        return was

    def all(self) -> tuple[Change, ...]:
        """Return all changes."""
        return tuple(self._rows)

    def one(self, key: Key) -> Change:
        """Return the change of a store and service."""
        return self._rows[self._places[key]]

    def of_store(self, store: str) -> tuple[Change, ...]:
        """Return the changes of a store; none for one that is not known."""
        return tuple([self._rows[place] for place in self._by_store.get(store, ())])

    def of_wave(self, wave: int) -> list[Change]:
        """Return the changes of a wave."""
        return self._in_order(self._by_wave.get(wave, ()))

    def where(self, holds: Callable[[Change], bool], *, wave: int | None = None) -> list[Change]:
        """Return the changes for which something holds: all, or those of a wave.

        Args:
            holds: says so of a change, by nothing but its fields. It is a function of a module:
                what it says is kept for as long as the index.
        """
        found = self._of_kind(holds)
        if wave is not None:
            found = found & self._by_wave.get(wave, set())
        return self._in_order(found)

    def first_where(self, holds: Callable[[Change], bool]) -> list[Change]:
        """Return those of ``where`` that are the first change of their store."""
        return self._in_order(self._of_kind(holds) & self._first)

    def _of_kind(self, holds: Callable[[Change], bool]) -> set[int]:
        if holds not in self._kinds:
            places = {place for place, change in enumerate(self._rows) if holds(change)}
            self._kinds[holds] = places
        return self._kinds[holds]

    def in_order(self, keys: Iterable[Key]) -> list[Change]:
        """Return the changes with these keys."""
        return self._in_order([self._places[key] for key in keys])

    def _in_order(self, places: Iterable[int]) -> list[Change]:
        rows = self._rows
        return [rows[place] for place in sorted(places)]
