"""Limits waves and what is in flight by the weight of stores, beside their number.

A store that is heavier than a limit by itself is never left out: it goes alone.
"""

from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from typing import TypeVar

from fleet.model.rollout import RolloutSpec
from fleet.model.weights import total_weight, weight_limit

T = TypeVar("T")


def cut_by_weight(
    items: Sequence[T], weight_of: Callable[[T], Decimal], most: Decimal | None
) -> list[list[T]]:
    """Return the items in parts, none of which is heavier than ``most`` unless it is of one item.

    The order is kept, except that an item that is heavier by itself comes after the others.
    """
    if most is None:
        return [list(items)] if items else []
    parts: list[list[T]] = []
    weighs = Decimal(0)
    for item in items:
        weight = weight_of(item)
        if weight > most:
            continue
        if not parts or weighs + weight > most:
            parts.append([])
            weighs = Decimal(0)
        parts[-1].append(item)
        weighs += weight
    return [*parts, *([item] for item in items if weight_of(item) > most)]


class FlightRoom:
    """Counts the places, and the weight, that are left for stores to be sent the release.

    Args:
        in_flight: ids of the stores that are in flight.

    Attributes:
        places: how many more stores may be in flight by their number.
    """

    def __init__(self, spec: RolloutSpec, in_flight: Collection[str]) -> None:
        self._spec = spec
        self.places = spec.policy.concurrency.of(len(spec.places)) - len(in_flight)
        limit = spec.policy.max_weight_in_flight
        # Without a limit nothing is added up: a rollout may be of ten thousand stores.
        self._most = weight_limit(limit, total_weight(spec.places)) if limit else None
        self._flying = sum((self._weight(store) for store in in_flight), Decimal(0))

    @property
    def is_full(self) -> bool:
        """Return whether there is no room for any store."""
        return self.places <= 0 or (self._most is not None and self._flying >= self._most)

    def has_room_for(self, store: str) -> bool:
        """Return whether a store may join those in flight; a heavy one may when there are none."""
        if self.is_full:
            return False
        fits = self._most is None or self._flying + self._weight(store) <= self._most
        return fits or not self._flying

    def take(self, store: str) -> None:
        """Count a store as in flight."""
        self.places -= 1
        self._flying += self._weight(store)

    def _weight(self, store: str) -> Decimal:
        return self._spec.places[store].weight if self._most is not None else Decimal(0)
