"""The specification of a sandbox, and its state folder.

The CLI writes the spec from the inventory, in plain values.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fleet.errors import SandboxError


@dataclass(frozen=True, slots=True)
class AccountSpec:
    """An AWS account: twelve-digit id, the profile name to offer, and its instance role's name."""

    account_id: str
    profile: str
    instance_role: str = "ecsAnywhereRole"


@dataclass(frozen=True, slots=True)
class HostSpec:
    """A shop host to simulate.

    Attributes:
        store: id of its shop; links are cut by shop.
        name: unique in the shop.
        address: name that SSH is given; becomes a ``Host`` of the written ssh_config.
        user: login name.
        account_id: the account its agents will belong to (for reports; agents learn it by
            activating).
        region: likewise.
        machine: what ``uname -m`` prints.
        os_release: the fields of /etc/os-release.
        cpus: count.
        memory_mb: MiB.
        disk_total_mb: MiB.
        disk_free_mb: MiB.
        docker: None when not installed, else {"version": ..., "default_runtime": ...,
            "runtimes": [...], "running": [...]}.
        l4t_release: text of /etc/nv_tegra_release, or "".
        devices: device files that exist.
        packages: programs there from the start beside the base, as ``gpg``.
        link: {"kind": ..., "latency_ms": ..., "bandwidth_mbps": ...}.
        hardware: the inventory's word for what it is, for images that misbehave on some.
    """

    store: str
    name: str
    address: str
    user: str
    account_id: str
    region: str
    machine: str
    os_release: Mapping[str, str]
    cpus: int = 4
    memory_mb: int = 8192
    disk_total_mb: int = 65536
    disk_free_mb: int = 40960
    docker: Mapping[str, Any] | None = None
    l4t_release: str = ""
    devices: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("gpg", "curl")
    link: Mapping[str, Any] = field(default_factory=dict)
    hardware: str = ""

    @property
    def id(self) -> str:
        """Return ``store-042/cam-1``."""
        return f"{self.store}/{self.name}"


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """The whole simulation.

    Attributes:
        default_region: for the written AWS config.
        clock_rate: sandbox seconds per real second; 0 is a stepped clock that moves when told.
        throttling: whether the published token buckets apply.
        start: epoch seconds at which its time began; None is the machine's time.
    """

    accounts: tuple[AccountSpec, ...]
    hosts: tuple[HostSpec, ...]
    default_region: str = "eu-west-1"
    clock_rate: float = 20.0
    throttling: bool = True
    start: float | None = None


class StateDir:
    """The folder of one sandbox, and the names of its files.

    Attributes:
        path: the folder.
        spec: what is simulated.
        endpoint: process id and address of the daemon; there while it is ready.
        port: the port it had last, so that an exported environment outlives a restart.
        lock: held by the daemon as long as it lives.
        log: what the daemon writes.
        database: the control plane's.
        images: what container images are and do, as far as somebody told.
        ssh_config: for ``ssh -F``: addresses of the inventory to loopback ports.
        identity: the operator's private key, the only one that hosts accept.
        aws_config: profiles of the accounts, for AWS_CONFIG_FILE.
        aws_credentials: their dummy credentials, for AWS_SHARED_CREDENTIALS_FILE.
        toolbox: the programs that all hosts share.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.json"
        self.endpoint = path / "sandbox.json"
        self.port = path / "port"
        self.lock = path / "lock"
        self.log = path / "log"
        self.database = path / "plane.db"
        self.images = path / "images.json"
        self.ssh_config = path / "ssh_config"
        self.identity = path / "id_ed25519"
        self.aws_config = path / "aws_config"
        self.aws_credentials = path / "aws_credentials"
        self.toolbox = path / "toolbox"

    def host(self, spec: HostSpec) -> Path:
        """Return the folder of one host."""
        return self.path / "hosts" / spec.store / spec.name


def spec_as_json(spec: SandboxSpec) -> dict[str, Any]:
    """Return the spec in JSON's own types."""
    content: dict[str, Any] = json.loads(json.dumps(asdict(spec), default=dict))
    return content


def spec_from_json(content: Mapping[str, Any]) -> SandboxSpec:
    """Return the spec that ``spec_as_json`` gave; SandboxError when it is something else."""
    try:
        return SandboxSpec(
            accounts=tuple(AccountSpec(**account) for account in content["accounts"]),
            hosts=tuple(host_from_json(host) for host in content["hosts"]),
            default_region=content["default_region"],
            clock_rate=float(content["clock_rate"]),
            throttling=bool(content["throttling"]),
            start=None if content.get("start") is None else float(content["start"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise SandboxError(
            f"the sandbox's spec cannot be read: {type(error).__name__}: {error}",
            hint="fleet sandbox down --purge, then fleet sandbox up",
        ) from error


def host_from_json(content: Mapping[str, Any]) -> HostSpec:
    """Return one host of a spec."""
    fields = dict(content)
    for name in ("devices", "packages"):
        fields[name] = tuple(fields[name])
    return HostSpec(**fields)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a JSON object from a file; None when there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
