from collections.abc import Iterator

import pytest

from tests.sandbox.plane.rig import Rig


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.close()
