"""Loads an inventory: every file, every problem at once, then the resolved values."""

from pathlib import Path
from typing import Any

from fleet.errors import InventoryError, Problem
from fleet.inventory.cache import cached, collector_at_rest
from fleet.inventory.files import Folder
from fleet.model.inventory import Fleet
from fleet.model.registration import CheckResult, PreflightCheck

CACHE = "inventory.cache"


def load_fleet(root: Path, state: Path | None = None) -> Fleet:
    """Read the inventory in ``root``; its templates lie beside it, in ``templates/``.

    Args:
        state: the folder of run state, where a fleet without problems is cached.

    Raises:
        InventoryError: with every problem found, each with file, line, path and hint.
    """
    if not root.is_dir():
        message = "there is no such folder"
        hint = "run from the project's folder, or name it: --inventory PATH"
        raise InventoryError([Problem(str(root), 0, "", message, hint)])
    folder = Folder(root)
    contents = folder.fingerprint() if state else None
    if state and contents:
        return cached(state / CACHE, contents, Fleet, lambda: _read(folder))
    with collector_at_rest():
        return _read(folder)


def _read(folder: Folder) -> Fleet:
    # Imported here: YAML and pydantic take longer than most commands.
    from fleet.inventory.building import build
    from fleet.inventory.reading import read_files

    made = build(read_files(folder), folder)
    folder.problems.raise_any()
    if made is None:
        # Unreachable while every None has a problem; said rather than assumed.
        raise InventoryError([Problem(str(folder.root), 0, "", "the inventory cannot be read")])
    return made


def published_schema() -> dict[str, Any]:
    """Return the JSON Schema of an inventory, for editors."""
    from fleet.inventory.schema import json_schema

    return json_schema()


def inventory_check(fleet: Fleet) -> PreflightCheck:
    """Say what an inventory holds, as a check for ``fleet doctor``; it could be read."""
    hosts = sum(len(store.hosts) for store in fleet.stores)
    seen = f"{fleet.root}: {len(fleet.stores)} stores, {hosts} hosts"
    return PreflightCheck("inventory", CheckResult.OK, seen)
