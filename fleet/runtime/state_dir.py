"""The folder in which run state lives."""

import os
from pathlib import Path


def state_dir() -> Path:
    """Return where run state lives: ``FLEET_STATE``, else ``.fleet`` in the current folder."""
    return Path(os.environ.get("FLEET_STATE", ".fleet"))
