from collections.abc import Iterator

import pytest

from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import Shops


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()


@pytest.fixture
def shops(rig: Rig) -> Shops:
    return Shops(rig)
