"""Counts the activations of a run, from every thread, so that none is forgotten open."""

import threading

from fleet.model.progress import ActivationTally


class Tally:
    """Which activations a run made and which of them it deleted."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._created: list[str] = []
        self._deleted: set[str] = set()
        self._unsure = 0

    def created(self, activation_id: str) -> None:
        """One was made."""
        with self._lock:
            self._created.append(activation_id)

    def deleted(self, activation_id: str) -> None:
        """One is gone, ours or an earlier run's."""
        with self._lock:
            self._deleted.add(activation_id)

    def unsure(self) -> None:
        """There may be one that nobody can name."""
        with self._lock:
            self._unsure += 1

    def value(self) -> ActivationTally:
        """The counts now."""
        with self._lock:
            left = tuple(a for a in self._created if a not in self._deleted)
            return ActivationTally(len(self._created), len(self._deleted), left, self._unsure)
