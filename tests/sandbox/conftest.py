from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.sandbox.hosts import toolbox
from tests.sandbox.shop import Shop


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs that all hosts share."""
    folder = tmp_path_factory.mktemp("toolbox")
    toolbox.build(folder)
    return folder


@pytest.fixture
def shop(tmp_path: Path, programs: Path) -> Iterator[Shop]:
    shop = Shop(tmp_path, programs)
    yield shop
    shop.plane.close()
