"""Which stores and hosts a command was asked to act on; nothing that was not named is ever in."""

import difflib
from collections.abc import Callable, Sequence

from fleet.errors import EmptySelection, UsageError
from fleet.inventory.decide.selection import Choice, choose, left_out, lives
from fleet.model.inventory import Fleet, Store


def choice_of(stores: Sequence[str] | None, where: str, ring: str, every: bool) -> Choice:
    """The words of a command's options."""
    return Choice(tuple(stores or ()), where, ring, every)


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


def select_hosts(stores: Sequence[Store], wanted: Sequence[str]) -> frozenset[str]:
    """Ids of the hosts asked for; empty when none was, which means all hosts of the stores.

    Args:
        wanted: ``cam-1`` means the host of that name in every one of the stores that has one;
            ``store-042/cam-1`` means exactly that host.

    Raises:
        UsageError: none of the stores has the host, or it is of a store that is not among them.
        EmptySelection: the stores have no hosts at all.
    """
    ids = [h.id for s in stores for h in s.hosts]
    if not ids:
        raise EmptySelection(
            f"{_named(stores)}: no hosts in the inventory", hint="fleet inventory list"
        )
    chosen: set[str] = set()
    for word in wanted:
        found = {id_ for id_ in ids if word in {id_, id_.partition("/")[2]}}
        if not found:
            _refuse(stores, ids, word)
        chosen |= found
    return frozenset(chosen)


def _refuse(stores: Sequence[Store], ids: Sequence[str], word: str) -> None:
    store, slash, _name = word.rpartition("/")
    if slash and store not in {s.id for s in stores}:
        raise UsageError(
            f"host {word!r} is not of {_named(stores)}: no host was chosen",
            hint=f"name its store too, as in `fleet register {store} --host {word}`",
        )
    known = ids if slash else list(dict.fromkeys(id_.partition("/")[2] for id_ in ids))
    near = difflib.get_close_matches(word, known, n=3) or known
    raise UsageError(
        f"no host {word!r} in {_named(stores)}", hint=f"hosts there: {', '.join(near)}"
    )


def _named(stores: Sequence[Store]) -> str:
    """``store-042, store-043 and 7 more``."""
    first = ", ".join(s.id for s in stores[:5])
    return f"{first} and {len(stores) - 5} more" if len(stores) > 5 else first  # noqa: PLR2004 - as sliced above
