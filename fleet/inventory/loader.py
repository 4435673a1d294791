"""Loads an inventory: every file, every problem at once, then the resolved values."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleet.errors import InventoryError, Problem
from fleet.inventory.files import Folder, Problems
from fleet.model.inventory import Fleet


def load_fleet(root: Path) -> Fleet:
    """Read the inventory in ``root``; its templates lie beside it, in ``templates/``.

    Raises:
        InventoryError: with every problem found, each with file, line, path and hint.
    """
    if not root.is_dir():
        message = "there is no such folder"
        hint = "run from the project's folder, or name it: --inventory PATH"
        raise InventoryError([Problem(str(root), 0, "", message, hint)])
    problems = Problems()
    folder = Folder(root, problems)
    with _collector_at_rest():
        # Imported here: YAML and pydantic take longer than most commands.
        from fleet.inventory.building import build
        from fleet.inventory.reading import read_files

        fleet = build(read_files(folder, problems), folder, problems)
    problems.raise_any()
    if fleet is None:
        # Unreachable while every None has a problem; said rather than assumed.
        raise InventoryError([Problem(str(root), 0, "", "the inventory cannot be read")])
    return fleet


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Collect no cycles meanwhile, and none of what is there afterwards.

    A large inventory is very many small objects that all stay; walking them over and over to find
    nothing takes longer than reading them.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if running:
            gc.enable()
