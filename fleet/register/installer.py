"""AWS's install script for ECS Anywhere, which runs only when its checksum is pinned."""

import hashlib
from dataclasses import dataclass

from fleet.aws.installer import fetch_installer
from fleet.runtime.wiring import Wiring


@dataclass(frozen=True, slots=True)
class InstallScript:
    """The install script.

    Attributes:
        place: where it was fetched, as ``s3://BUCKET/KEY``.
        sha256: hex digest of the content.
        pinned: what inventory/pins.yaml says of this digest; None when it is not pinned.
    """

    place: str
    content: bytes
    sha256: str
    pinned: str | None


def read_install_script(wiring: Wiring) -> InstallScript:
    """Fetch the install script that the inventory names.

    Raises:
        AwsError: it could not be fetched.
    """
    source = wiring.fleet.installer
    content = fetch_installer(source.bucket, source.key, source.region, clock=wiring.clock)
    digest = hashlib.sha256(content).hexdigest()
    pinned = wiring.load_pins().installers.get(digest)
    return InstallScript(f"s3://{source.bucket}/{source.key}", content, digest, pinned)
