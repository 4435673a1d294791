"""Selects the stores that a command acts on; a store that was not selected is never included."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fleet.errors import EmptySelection, UsageError
from fleet.model.inventory import Fleet, Lifecycle, Store
from fleet.model.selection import Selection, SelectionError, parse

__all__ = ["Choice", "Selection", "SelectionError", "choose", "describe", "left_out", "parse"]

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Choice:
    """The words of a command that choose stores. What is given must all hold.

    Attributes:
        stores: ids, in the order typed.
        where: a condition in the selection language; None when none was given, which "" is not.
        ring: name of a ring; None likewise.
        all: every store, for lack of any other word.
    """

    stores: tuple[str, ...] = ()
    where: str | None = None
    ring: str | None = None
    all: bool = False

    @property
    def is_given(self) -> bool:
        """Return whether anything was chosen."""
        words = self.where is not None or self.ring is not None
        return words or bool(self.stores) or self.all


def describe(choice: Choice) -> str:
    """Return the words as typed, so that they can be typed again; "" when nothing was chosen."""
    words = [*choice.stores]
    if choice.where is not None:
        words += ["--where", shlex.quote(choice.where)]
    if choice.ring is not None:
        words += ["--ring", shlex.quote(choice.ring)]
    return " ".join([*words, "--all"] if choice.all else words)


def choose(fleet: Fleet, choice: Choice, *, acting: bool = False) -> tuple[Store, ...]:
    """Return the stores chosen: ids alone in the order typed, else in id order, each once.

    Args:
        acting: for commands that change something: stores that are not open are left out unless
            their ids were typed or the condition speaks of ``lifecycle``.

    Raises:
        UsageError: nothing was chosen, or a word means nothing; names the nearest.
        EmptySelection: no store is what was asked for.
    """
    found = _chosen(fleet, choice)
    stores = _without(found, _not_open(choice, found)) if acting else found
    if stores:
        return stores
    words = describe(choice)
    if not found:
        raise EmptySelection(
            f"no store of the {len(fleet.stores)} in the inventory is chosen by {words}",
            hint="fleet inventory list",
        )
    raise EmptySelection(
        f"none of the stores chosen by {words} is open: {lives(found)}",
        hint="name their ids to act on them all the same",
    )


def left_out(fleet: Fleet, choice: Choice) -> tuple[Store, ...]:
    """Return the stores that ``choose`` leaves out of a change because they are not open."""
    return _not_open(choice, _chosen(fleet, choice))


def lives(stores: Sequence[Store]) -> str:
    """Return ``store-090 planned, store-109 paused``; the first few of many."""
    words = [f"{store.id} {store.lifecycle.value}" for store in stores[:_SHOWN]]
    more = len(stores) - _SHOWN
    return ", ".join(words) + (f" and {more} more" if more > 0 else "")


def _not_open(choice: Choice, stores: Sequence[Store]) -> tuple[Store, ...]:
    """Return those that are not open, and were chosen neither by id nor for that."""
    if choice.where is not None and "lifecycle" in parse(choice.where).fields:
        return ()
    named = frozenset(choice.stores)
    return tuple(s for s in stores if s.lifecycle is not Lifecycle.OPEN and s.id not in named)


def _without(stores: Sequence[Store], others: Sequence[Store]) -> tuple[Store, ...]:
    gone = {store.id for store in others}
    return tuple(store for store in stores if store.id not in gone)


def _chosen(fleet: Fleet, choice: Choice) -> tuple[Store, ...]:
    if not choice.is_given:
        raise UsageError(
            "no store was chosen",
            hint="name stores by id, or choose: --where 'market=uk and link.kind=lte', "
            "--ring NAME, --all",
        )
    stores = _named(fleet, choice.stores) if choice.stores else fleet.stores
    if choice.ring is not None:
        rings = sorted({store.ring for store in fleet.stores})
        if choice.ring not in rings:
            near = get_close_matches(choice.ring, rings, n=1)
            raise UsageError(
                f"no store is in a ring {choice.ring!r}",
                hint=f"did you mean {near[0]}?" if near else f"rings: {', '.join(rings)}",
            )
        stores = tuple(store for store in stores if store.ring == choice.ring)
    if choice.where is not None:
        condition = parse(choice.where)
        condition.check(fleet.stores)
        stores = tuple(store for store in stores if condition.matches(store))
    return stores


def _named(fleet: Fleet, names: Sequence[str]) -> tuple[Store, ...]:
    known = {store.id: store for store in fleet.stores}
    missing = [name for name in names if name not in known]
    if missing:
        near = get_close_matches(missing[0], known, n=3)
        raise UsageError(
            f"no store {missing[0]!r} in the inventory ({len(known)} stores)",
            hint=f"did you mean {', '.join(near)}?" if near else "fleet inventory list",
        )
    return tuple(known[name] for name in dict.fromkeys(names))


def stores_to_show(fleet: Fleet, choice: Choice) -> tuple[Store, ...]:
    """For commands that only look: the stores chosen, or all of them.

    Raises:
        UsageError: a word means nothing, or no store is what was asked for.
    """
    return choose(fleet, choice) if choice.is_given else fleet.stores


def stores_to_change(
    fleet: Fleet, choice: Choice, tell: Callable[[str], None]
) -> tuple[Store, ...]:
    """For commands that act: the stores chosen, without those that are not open.

    Args:
        tell: told which stores are left out, and why.

    Raises:
        UsageError: nothing was chosen, a word means nothing, or no store is what was asked for.
    """
    stores = choose(fleet, choice, acting=True)
    without = left_out(fleet, choice)
    if without:
        tell(f"left out, not open: {lives(without)} (name their ids to include them)")
    return stores
