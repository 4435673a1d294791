from pathlib import Path

import pytest


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder, which commands of this process use."""
    monkeypatch.setenv("FLEET_STATE", str(tmp_path))
    return tmp_path
