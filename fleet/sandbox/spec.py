"""What the sandbox is told to simulate; written by the CLI from the inventory, in plain values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
        """``store-042/cam-1``."""
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
