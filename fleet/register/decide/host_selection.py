"""Selects the hosts of the chosen stores that a registration is about."""

import difflib
from collections.abc import Sequence

from fleet.errors import EmptySelection, UsageError
from fleet.model.inventory import Store
from fleet.model.printable import some


def select_hosts(stores: Sequence[Store], wanted: Sequence[str]) -> frozenset[str]:
    """Return the ids of the selected hosts; none selects all hosts of the stores.

    Args:
        wanted: ``cam-1`` means the host of that name in every one of the stores that has one;
            ``store-042/cam-1`` means exactly that host.

    Raises:
        UsageError: none of the stores has the host, or it is of a store that is not among them.
        EmptySelection: the stores have no hosts at all.
    """
    ids = [h.id for s in stores for h in s.hosts]
    if not ids:
        message = f"{_named(stores)}: no hosts in the inventory"
        raise EmptySelection(message, hint="fleet inventory list")
    chosen: set[str] = set()
    for word in wanted:
        found = {id_ for id_ in ids if word in {id_, id_.partition("/")[2]}}
        if not found:
            _refuse(stores, ids, word)
        chosen |= found
    return frozenset(chosen)


def _named(stores: Sequence[Store]) -> str:
    return some([store.id for store in stores])


def _refuse(stores: Sequence[Store], ids: Sequence[str], word: str) -> None:
    store, slash, _name = word.rpartition("/")
    if slash and store not in {s.id for s in stores}:
        raise UsageError(
            f"host {word!r} is not of {_named(stores)}: no host was chosen",
            hint=f"name its store too, as in `fleet register {store} --host {word}`",
        )
    known = ids if slash else list(dict.fromkeys(id_.partition("/")[2] for id_ in ids))
    near = difflib.get_close_matches(word, known, n=3) or known
    hint = f"hosts there: {', '.join(near)}"
    raise UsageError(f"no host {word!r} in {_named(stores)}", hint=hint)
