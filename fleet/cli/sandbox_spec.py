"""Inventory -> what the sandbox is told to simulate."""

from collections.abc import Mapping
from typing import Any

from fleet.errors import EmptySelection, UsageError
from fleet.model.inventory import Fleet, Host, Lifecycle, Store
from fleet.sandbox.spec import AccountSpec, HostSpec, SandboxSpec

KEY = "x-sandbox"
_KEYS = {
    "os_release",
    "cpus",
    "memory_mb",
    "disk_total_mb",
    "disk_free_mb",
    "docker",
    "l4t_release",
    "devices",
    "packages",
}
#: What an inventory that says nothing gets: a bare Ubuntu box.
_OS_RELEASE = {
    "ID": "ubuntu",
    "NAME": "Ubuntu",
    "VERSION_ID": "22.04",
    "PRETTY_NAME": "Ubuntu 22.04.4 LTS",
}
_LATENCY_MS = {"fibre": 10, "lte": 60}


def sandbox_spec(fleet: Fleet, *, rate: float, throttling: bool) -> SandboxSpec:
    """Return every host of every store that is not closed.

    Raises:
        EmptySelection: there is no such host.
        UsageError: an ``x-sandbox`` of the inventory cannot be used.
    """
    stores = [s for s in fleet.stores if s.lifecycle is not Lifecycle.CLOSED and s.hosts]
    if not stores:
        raise EmptySelection(
            f"the inventory {fleet.root} has no store with hosts that is not closed",
            hint="fleet inventory list",
        )
    accounts = {s.account.name: s.account for s in stores}
    return SandboxSpec(
        accounts=tuple(
            AccountSpec(a.account_id, a.profile or a.name, a.instance_role)
            for a in accounts.values()
        ),
        hosts=tuple(_host_spec(store, host) for store in stores for host in store.hosts),
        default_region=stores[0].region,
        clock_rate=rate,
        throttling=throttling,
    )


def _host_spec(store: Store, host: Host) -> HostSpec:
    box: dict[str, Any] = {}
    for source in (host.hardware.extras.get(KEY), host.extras.get(KEY)):
        box |= _checked(source or {}, host)
    try:
        return HostSpec(
            store=store.id,
            name=host.name,
            address=host.address,
            user=host.ssh.user,
            account_id=store.account.account_id,
            region=store.region,
            machine=host.hardware.architecture.uname,
            os_release={k: str(v) for k, v in (box.get("os_release") or _OS_RELEASE).items()},
            cpus=int(box.get("cpus", 4)),
            memory_mb=int(box.get("memory_mb", 8192)),
            disk_total_mb=int(box.get("disk_total_mb", 65536)),
            disk_free_mb=int(box.get("disk_free_mb", 40960)),
            docker=dict(box["docker"]) if box.get("docker") else None,
            l4t_release=str(box.get("l4t_release") or ""),
            devices=tuple(str(device) for device in box.get("devices", host.hardware.devices)),
            packages=tuple(str(name) for name in box.get("packages", ("gpg", "curl"))),
            link={"kind": store.link.kind, "latency_ms": _LATENCY_MS.get(store.link.kind, 30)},
            hardware=host.hardware.name,
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{host.hardware.source}: {KEY} of {host.id}: {error}") from error


def _checked(source: Any, host: Host) -> Mapping[str, Any]:
    if not isinstance(source, Mapping):
        raise UsageError(f"{host.hardware.source}: {KEY} of {host.id} must be a mapping")
    if unknown := sorted(set(source) - _KEYS):
        raise UsageError(
            f"{host.hardware.source}: {KEY} of {host.id} has unknown keys: {', '.join(unknown)}",
            hint=f"there are: {', '.join(sorted(_KEYS))}",
        )
    return source
