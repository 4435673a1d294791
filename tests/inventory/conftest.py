"""An inventory of a test's own: the example, with some of it said differently."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from fleet.errors import InventoryError, Problem
from fleet.inventory.loader import load_fleet

EXAMPLE = Path(__file__).parents[2]

FLEET = """
name: shops
accounts:
  prod: {account_id: "111122223333", regions: [eu-west-1]}
  two: {account_id: "444455556666", regions: [ap-southeast-1, us-east-1]}
defaults:
  account: prod
  time_zone: Europe/London
  hours: {daily: "08:00-20:00"}
  address: "{host}.{store}.example"
groups:
  lte: {link: {kind: lte, metered: true, price_per_gb: 4.50}}
"""
NUC = "architecture: amd64\n"
STORES = """
stores:
  store-1:
    hosts: {tel-1: {hardware: nuc}}
"""


class Inventory:
    """Files below a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "inventory"
        self.write("fleet.yaml", FLEET)
        self.write("hardware/nuc.yaml", NUC)
        self.write("stores/all.yaml", STORES)

    def write(self, name: str, text: str | bytes) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def template(self, name: str, text: str) -> None:
        self.write(f"../templates/{name}", text)

    def problems(self) -> Sequence[Problem]:
        """What is wrong with it; fails when nothing is."""
        with pytest.raises(InventoryError) as caught:
            load_fleet(self.root)
        return caught.value.problems

    def problem(self) -> Problem:
        """The one thing that is wrong with it."""
        (problem,) = self.problems()
        return problem


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory(tmp_path)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example fleet that may be changed."""
    for name in ("inventory", "templates"):
        shutil.copytree(EXAMPLE / name, tmp_path / name)
    return tmp_path / "inventory"


@pytest.fixture
def edit(example: Path) -> Callable[[str, str, str], None]:
    """Replace text that is there in a file of the example."""

    def change(name: str, old: str, new: str) -> None:
        path = example / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change
