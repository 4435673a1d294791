"""The packages that a simulated host can download and install.

A package file is a line of text that names what it holds, a signature a line that names the key
and the digest it signs: enough for a changed or mixed-up download to be refused, as on a real host.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fleet.sandbox.agents.machine import Machine, write_whole

#: Where AWS has its install script: bucket and key (ecs-anywhere.md §1.3).
INSTALLER_OBJECT = "amazon-ecs-agent/ecs-anywhere-install-latest.sh"
DATABASE = "/var/lib/dpkg/sandbox.json"
ECS_INIT = "/usr/libexec/amazon-ecs-init"
_HEAD = "fleet sandbox package"


@dataclass(frozen=True, slots=True)
class Package:
    """What installing it does.

    Attributes:
        name: as the package manager knows it.
        version: the one on offer.
        programs: absolute paths of the programs it brings.
        units: services it brings -> their description; enabled and started after installation.
        dormant: units it brings that are neither enabled nor started.
        source: host name it is fetched from; "" when it only comes as a file.
        needs: file of the host that must exist for it to be on offer, or "".
    """

    name: str
    version: str
    programs: tuple[str, ...] = ()
    units: tuple[tuple[str, str], ...] = ()
    dormant: tuple[tuple[str, str], ...] = ()
    source: str = "archive.ubuntu.com"
    needs: str = ""


DOCKER_REPOSITORY = "/etc/apt/sources.list.d/docker.list"
_DOCKER_UNIT = (("docker", "Docker Application Container Engine"),)
_DOCKER = ("/usr/bin/docker",)

CATALOGUE: dict[str, Package] = {
    package.name: package
    for package in (
        Package("curl", "7.81.0", ("/usr/bin/curl",)),
        Package("gpg", "2.2.27", ("/usr/bin/gpg",)),
        Package("gnupg", "2.2.27", ("/usr/bin/gpg",)),
        Package("jq", "1.6", ("/usr/bin/jq",)),
        Package("ca-certificates", "20240203"),
        Package("software-properties-common", "0.99.22"),
        Package("apt-transport-https", "2.4.12"),
        Package("docker.io", "24.0.7", _DOCKER, _DOCKER_UNIT),
        Package(
            "docker-ce",
            "27.3.1",
            _DOCKER,
            _DOCKER_UNIT,
            source="download.docker.com",
            needs=DOCKER_REPOSITORY,
        ),
        Package("docker-ce-cli", "27.3.1", source="download.docker.com", needs=DOCKER_REPOSITORY),
        Package("containerd.io", "1.7.22", source="download.docker.com", needs=DOCKER_REPOSITORY),
        Package(
            "amazon-ssm-agent",
            "3.3.4108.0",
            ("/usr/bin/amazon-ssm-agent",),
            (("amazon-ssm-agent", "amazon-ssm-agent"),),
            source="",
        ),
        Package(
            "amazon-ecs-init",
            "1.105.1-1",
            (ECS_INIT,),
            dormant=(("ecs", "Amazon Elastic Container Service - container agent"),),
            source="",
        ),
    )
}


def package_bytes(name: str, version: str, architecture: str) -> bytes:
    """Return a package file."""
    return f"{_HEAD} {name} {version} {architecture}\n".encode()


def read_package(content: bytes) -> tuple[str, str, str] | None:
    """Return name, version and architecture that a package file holds; None when it is none."""
    head, _, rest = content.decode("utf-8", "replace").strip().partition(f"{_HEAD} ")
    words = rest.split()
    return (words[0], words[1], words[2]) if not head and len(words) == 3 else None  # noqa: PLR2004 - three fields


def key_bytes(name: str) -> bytes:
    """Return a public key file."""
    return f"fleet sandbox public key {name}\n".encode()


def signature_bytes(name: str, content: bytes) -> bytes:
    """Return a detached signature of ``content``."""
    digest = hashlib.sha256(content).hexdigest()
    return f"fleet sandbox signature {name} {digest}\n".encode()


def installed(machine: Machine) -> dict[str, str]:
    """Return the installed packages with their versions."""
    try:
        content = json.loads(machine.path(DATABASE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def record(machine: Machine, name: str, version: str) -> None:
    """Note that a package is installed."""
    packages = {**installed(machine), name: version}
    write_whole(machine.path(DATABASE), json.dumps(packages), 0o644)


@cache
def installer_bytes() -> bytes:
    """Return the install script that is served in place of AWS's, as its checksum is pinned."""
    return files(__package__).joinpath("installer.sh").read_bytes()
