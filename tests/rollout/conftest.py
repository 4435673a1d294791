from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shops import Shops, open_shops


@pytest.fixture
def shops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shops]:
    with open_shops(tmp_path, monkeypatch) as opened:
        yield opened
