"""Small values for tests: one healthy shop, and ways to say only what differs from it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from fleet.model.identity import declared_attributes, host_tags
from fleet.model.inventory import (
    Account,
    Architecture,
    Fleet,
    Hardware,
    Host,
    Lifecycle,
    Link,
    Store,
)
from fleet.model.observed import (
    Activation,
    Cluster,
    ContainerInstance,
    DockerFacts,
    EcsAgentFacts,
    HostFacts,
    ManagedInstance,
    NodeTier,
    Ping,
    Privilege,
    SsmAgentFacts,
)
from fleet.model.registration import StoreLedgers
from fleet.register.decide.preflight import endpoints

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
MI = "mi-0c9e4f1ab2d37785e"
CLUSTER = "store-042"
ARN = f"arn:aws:ecs:eu-west-1:111122223333:container-instance/{CLUSTER}/aaaa"

ACCOUNT = Account("emea-prod", "111122223333", profile="emea-prod")
NUC = Hardware("nuc", Architecture.AMD64, "amd64")
XAVIER = Hardware(
    "xavier-nx",
    Architecture.ARM64,
    "arm64",
    default_runtime="nvidia",
    accelerator="tegra-xavier",
    min_disk_free_gb=8,
    devices=("/dev/nvhost-gpu",),
)


def host(name: str = "tel-1", hardware: Hardware = NUC, store: str = "store-042") -> Host:
    return Host(name, store, f"{name}.{store}.shops.example", hardware)


def store(*hosts: Host, **changes: Any) -> Store:
    value = Store(
        id="store-042",
        name="Leeds Briggate",
        account=ACCOUNT,
        region="eu-west-1",
        cluster=CLUSTER,
        time_zone="Europe/London",
        hours={},
        ring="broad",
        lifecycle=Lifecycle.OPEN,
        labels={},
        link=Link("lte", metered=True),
        hosts=hosts or (host(),),
    )
    return replace(value, **changes)


def fleet(*stores: Store) -> Fleet:
    return Fleet(
        "emea",
        "inventory",
        {ACCOUNT.name: ACCOUNT},
        {h.name: h for h in (NUC, XAVIER)},
        stores or (store(),),
    )


def bare_facts(**changes: Any) -> HostFacts:
    """A box fresh from the imaging bench: nothing of ECS Anywhere on it."""
    value = HostFacts(
        machine="x86_64",
        architecture=Architecture.AMD64,
        hostname="tel-1",
        os_id="ubuntu",
        os_version="22.04",
        os_name="Ubuntu 22.04.4 LTS",
        machine_id="11111111111111111111111111111111",
        privilege=Privilege.SUDO,
        systemd=True,
        cpus=4,
        memory_mb=8192,
        disk_free_mb=40960,
        disk_total_mb=65536,
        clock_offset_s=0.2,
        package_manager="apt",
        gpg=True,
        curl=True,
        egress=dict.fromkeys(endpoints("eu-west-1"), ""),
        shadow_credentials=(),
        docker=None,
        ssm=SsmAgentFacts(installed=False, enabled=False, active=False),
        ecs=EcsAgentFacts(installed=False, enabled=False, active=False),
    )
    return replace(value, **changes)


def installed_facts(*, vault: str | None = MI, cluster: str = CLUSTER, **changes: Any) -> HostFacts:
    """A box on which everything runs."""
    parts: dict[str, Any] = {
        "docker": DockerFacts("24.0.7", active=True, default_runtime="runc", runtimes=("runc",)),
        "ssm": SsmAgentFacts(
            installed=True,
            enabled=True,
            active=True,
            version="3.3",
            instance_id=vault,
            region="eu-west-1",
        ),
        "ecs": EcsAgentFacts(
            installed=True,
            enabled=True,
            active=True,
            version="1.105.1",
            config={"ECS_CLUSTER": cluster},
            has_state=True,
            cluster=cluster,
            container_instance_arn=ARN,
        ),
    }
    return bare_facts(**{**parts, **changes})


def node(**changes: Any) -> ManagedInstance:
    value = ManagedInstance(MI, "store-042/tel-1", Ping.ONLINE, NOW, "act-1", tags=ours())
    return replace(value, **changes)


def ours() -> dict[str, str]:
    """The tags of what this fleet made for the store's one host."""
    return host_tags("emea", host())


def instance(**changes: Any) -> ContainerInstance:
    shop = store()
    value = ContainerInstance(
        arn=ARN,
        cluster=CLUSTER,
        managed_instance_id=MI,
        status="ACTIVE",
        agent_connected=True,
        registered_at=NOW,
        attributes=declared_attributes(shop, shop.hosts[0]),
        tags=host_tags("emea", shop.hosts[0]),
    )
    return replace(value, **changes)


def activation(**changes: Any) -> Activation:
    return replace(Activation("act-1", "store-042/tel-1", 1, 1, NOW, ours()), **changes)


def ledgers(**changes: Any) -> StoreLedgers:
    """AWS of a healthy store with its one host."""
    value = StoreLedgers(
        cluster=Cluster(
            CLUSTER, f"arn:aws:ecs:eu-west-1:111122223333:cluster/{CLUSTER}", "ACTIVE", 1
        ),
        container_instances=(instance(),),
        managed_instances=(node(),),
        activations=(),
        tier=NodeTier("standard", 640, 1000),
    )
    return replace(value, **changes)


def empty_ledgers(**changes: Any) -> StoreLedgers:
    """AWS before the store was ever registered."""
    blank: Mapping[str, Any] = {
        "cluster": None,
        "container_instances": (),
        "managed_instances": (),
    }
    return ledgers(**{**blank, **changes})
