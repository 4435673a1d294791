"""The install script that the sandbox's control plane serves in place of AWS's."""

import hashlib
from functools import cache
from importlib.resources import files

#: Where AWS has it: bucket and key (ecs-anywhere.md §1.3).
OBJECT = "amazon-ecs-agent/ecs-anywhere-install-latest.sh"


@cache
def installer_bytes() -> bytes:
    """The script, byte for byte as it is served and as its checksum is pinned."""
    return files(__package__).joinpath("installer.sh").read_bytes()


def installer_sha256() -> str:
    """SHA-256 of it, in hex; ``inventory/pins.yaml`` names the same."""
    return hashlib.sha256(installer_bytes()).hexdigest()
