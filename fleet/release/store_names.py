"""What a template may say of a store, and what it did say: rendering once serves all alike."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import jinja2

from fleet.model.inventory import Store

T = TypeVar("T")


def store_values(store: Store) -> Mapping[str, Any]:
    """``store`` as templates see it."""
    return {
        "id": store.id,
        "name": store.name,
        "region": store.region,
        "account": store.account.name,
        "account_id": store.account.account_id,
        "time_zone": store.time_zone,
        "labels": store.labels,
    }


class StoreNames:
    """``store`` in a template; every word that is read is noted, with what it said.

    A label that a store lacks is undefined, so that ``default`` can speak for it.
    """

    __slots__ = ("_entries", "_path", "_used")

    def __init__(
        self, entries: Mapping[str, Any], used: dict[str, str | None], path: str = ""
    ) -> None:
        self._entries = entries
        self._used = used
        self._path = path

    @property
    def were_used(self) -> bool:
        """Whether anything was read."""
        return bool(self._used)

    def __getitem__(self, key: str) -> Any:
        path = f"{self._path}{key}"
        value = self._entries.get(key)
        if isinstance(value, Mapping):
            return StoreNames(value, self._used, f"{path}.")
        self._used[path] = value
        if value is None:
            known = ", ".join(sorted(self._entries)) or "nothing"
            return jinja2.StrictUndefined(hint=f"'store.{path}' is undefined; there is {known}")
        return value


class Memory(Generic[T]):
    """What renderings came to, by all that they read of a store.

    A rendering depends on nothing else of it: a store that says the same in everything that was
    read would take the same way through the template, and come to the same.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, ...], dict[tuple[str | None, ...], T]] = {}

    def find(self, values: Mapping[str, Any]) -> T | None:
        """What a store that says this comes to, if one like it was rendered before."""
        for paths, known in self._found.items():
            made = known.get(tuple(_said(values, path) for path in paths))
            if made is not None:
                return made
        return None

    def keep(self, used: Mapping[str, str | None], made: T) -> None:
        """Remember a rendering and what it read."""
        paths = tuple(sorted(used))
        self._found.setdefault(paths, {})[tuple(used[path] for path in paths)] = made


def _said(values: Mapping[str, Any], path: str) -> str | None:
    value: Any = values
    for step in path.split(".", 1):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
