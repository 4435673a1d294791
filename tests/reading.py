"""How a person reads what is printed: from its beginning to its end."""

from collections.abc import Sequence


def in_order(found: str, parts: Sequence[str]) -> bool:
    """Whether all of these are there, one after the other."""
    places = [found.index(part) for part in parts]
    return places == sorted(places)
