"""The inventory as frozen, resolved values, without I/O.

Inheritance (fleet < group < store < host) has already been applied when these exist:
``fleet.inventory`` resolves it and is the only maker of these values outside tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from fleet.model.drift_settings import DriftSettings, Ignore
from fleet.model.hours import Hours, Powered
from fleet.model.notify import MailChannel, SnsChannel, WebhookChannel
from fleet.model.policy import Freeze, Policy


class Architecture(StrEnum):
    """A CPU architecture as an image index names it; ECS and uname have names of their own."""

    AMD64 = "amd64"
    ARM64 = "arm64"

    @property
    def uname(self) -> str:
        """Return what ``uname -m`` prints: x86_64 or aarch64."""
        return "x86_64" if self is Architecture.AMD64 else "aarch64"

    @property
    def ecs(self) -> str:
        """Return the value of the attribute ``ecs.cpu-architecture``: x86_64 or arm64."""
        return "x86_64" if self is Architecture.AMD64 else "arm64"


class Lifecycle(StrEnum):
    """Where a store stands in its life; only open stores are expected to be alive."""

    PLANNED = "planned"
    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Source:
    """Where something was written down.

    Attributes:
        file: path as given.
        line: 1-based.
    """

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Account:
    """An AWS account that stores may live in.

    Attributes:
        name: ours, as in ``emea-prod``.
        account_id: twelve digits; compared with the caller's before anything is done.
        profile: AWS profile to use, or None for the default credential chain.
        role_arn: role to assume from there, or None.
        instance_role: name of the IAM role that hosts get through SSM (trust ssm.amazonaws.com).
    """

    name: str
    account_id: str
    profile: str | None = None
    role_arn: str | None = None
    instance_role: str = "ecsAnywhereRole"


@dataclass(frozen=True, slots=True)
class Link:
    """How a store reaches AWS.

    Attributes:
        kind: ``fibre``, ``lte`` or another word of the team's.
        metered: whether bytes cost money.
        price_per_gb: in the team's currency, or None when unknown or unmetered.
        carrier: who provides it, or None; stores of one carrier fail together.
    """

    kind: str = "fibre"
    metered: bool = False
    price_per_gb: Decimal | None = None
    carrier: str | None = None


@dataclass(frozen=True, slots=True)
class SshAccess:
    """How to log in to a host.

    Attributes:
        user: login name; root, or one that may ``sudo -n``.
        port: TCP port.
        identity_file: private key path, or None for the agent and the usual files.
        connect_timeout_s: seconds to wait for TCP, banner and login each.
    """

    user: str = "fleet"
    port: int = 22
    identity_file: str | None = None
    connect_timeout_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of box.

    Attributes:
        name: as in ``xavier-nx``.
        architecture: of its CPU.
        variant: what services are split by; the architecture unless something finer is named.
        default_runtime: docker's default runtime it must have, as ``nvidia``; None for any.
        accelerator: value of the attribute ``fleet.accelerator``, or None.
        min_disk_free_gb: least free space on / before anything is installed.
        min_memory_mb: least memory, in MiB.
        devices: device paths that must exist, as ``/dev/nvhost-gpu``.
        agent_settings: extra lines of /etc/ecs/ecs.config, as ECS_IMAGE_PULL_BEHAVIOR.
        source: where it is written down.
        extras: the keys that start with ``x-``.
    """

    name: str
    architecture: Architecture
    variant: str
    default_runtime: str | None = None
    accelerator: str | None = None
    min_disk_free_gb: float = 4.0
    min_memory_mb: int = 1024
    devices: tuple[str, ...] = ()
    agent_settings: Mapping[str, str] = field(default_factory=dict)
    source: Source = Source("", 0)
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Host:
    """One box in a store.

    Attributes:
        name: unique in its store, as in ``cam-1``.
        store: id of its store.
        address: what SSH connects to; a name of ssh_config, a DNS name or an IP address.
        hardware: what kind of box it is.
        ssh: how to log in.
        attributes: custom ECS attributes beside the ones fleet sets.
        probe: how ``fleet drift --deep`` asks it: ``ssm`` for Run Command, or ``ssh``.
        powered: whether it is switched off while its store is closed.
        source: where it is written down.
    """

    name: str
    store: str
    address: str
    hardware: Hardware
    ssh: SshAccess = SshAccess()
    attributes: Mapping[str, str] = field(default_factory=dict)
    source: Source = Source("", 0)
    extras: Mapping[str, Any] = field(default_factory=dict)
    probe: str = "ssm"
    powered: Powered = Powered.ALWAYS

    @property
    def id(self) -> str:
        """Unique in the fleet: ``store-042/cam-1``."""
        return f"{self.store}/{self.name}"


@dataclass(frozen=True, slots=True)
class Store:
    """One shop: one ECS cluster and its hosts.

    Attributes:
        id: as in ``store-042``.
        name: for people, as in ``Leeds Briggate``.
        account: the AWS account it lives in.
        region: the AWS region it lives in.
        cluster: name of its ECS cluster; the store's id unless written otherwise.
        time_zone: IANA name, as in ``Europe/London``.
        hours: when it is open, store-local.
        ring: ``canary`` or another word of the team's.
        lifecycle: whether it is expected to be alive.
        labels: free words to select by, as ``market=emea``.
        link: how it reaches AWS.
        hosts: in name order.
        source: where it is written down.
        weight: how much it matters beside other stores, as its sales; None when nobody wrote it
            down, which counts as 1.
    """

    id: str
    name: str
    account: Account
    region: str
    cluster: str
    time_zone: str
    hours: Hours
    ring: str
    lifecycle: Lifecycle
    labels: Mapping[str, str]
    link: Link
    hosts: tuple[Host, ...]
    source: Source = Source("", 0)
    extras: Mapping[str, Any] = field(default_factory=dict)
    weight: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that a workload uses.

    Attributes:
        reference: ``name@sha256:...``; in ECR also ``name:tag``, which is pinned at plan time.
        platforms: what its index holds, as ``linux/arm64``; empty for ECR, where it can be read.
        size_mb: compressed, for estimates; None when nobody wrote it down.
    """

    reference: str
    platforms: tuple[str, ...] = ()
    size_mb: float | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that runs in shops; becomes one ECS service per variant and store.

    Attributes:
        name: as in ``vision``.
        template: file name below ``templates/``.
        variables: handed to the template.
        where: conditions on hosts, all must hold, as ``{"hardware": "xavier-nx"}``. Keys are
            ``hardware``, ``architecture``, ``variant``, ``ring``, ``store``, ``accelerator`` or
            ``label.NAME``.
        images: by the name that the template uses, as ``images.inference``.
        daemon: one per matching host by DAEMON scheduling instead of REPLICA.
        policy: name of the rollout policy.
        source: where it is written down.
    """

    name: str
    template: str
    variables: Mapping[str, Any]
    where: Mapping[str, tuple[str, ...]]
    images: Mapping[str, Image] = field(default_factory=dict)
    daemon: bool = False
    policy: str = "standard"
    source: Source = Source("", 0)
    extras: Mapping[str, Any] = field(default_factory=dict)

    def fits(self, box: Hardware) -> bool:
        """Return whether its host conditions hold; store conditions are not checked."""
        is_a = {
            "hardware": box.name,
            "architecture": box.architecture.value,
            "variant": box.variant,
            "accelerator": box.accelerator,
        }
        return all(is_a[key] in words for key, words in self.where.items() if key in is_a)

    def wants(self, store: Store) -> bool:
        """Return whether its store conditions hold; host conditions are not checked."""
        for key, words in self.where.items():
            if key.startswith("label."):
                if store.labels.get(key.removeprefix("label.")) not in words:
                    return False
            elif (key == "ring" and store.ring not in words) or (
                key == "store" and store.id not in words
            ):
                return False
        return True


@dataclass(frozen=True, slots=True)
class Installer:
    """Where the ECS Anywhere install script comes from.

    AWS publishes it in a public S3 bucket (ECS developer guide, "Registering an external
    instance"); it is read anonymously through S3 GetObject and only run when its SHA-256 is among
    the pins, because it runs as root in every shop.
    """

    bucket: str = "amazon-ecs-agent"
    key: str = "ecs-anywhere-install-latest.sh"
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class Fleet:
    """The whole inventory.

    Attributes:
        name: of the fleet; tagged on everything it makes.
        root: folder it was loaded from, as given.
        accounts: by name.
        hardware: by name.
        stores: in id order.
        workloads: in name order.
        installer: the install script's place.
        policies: rollout policies by name; ``standard`` is always there.
        freezes: times in which nothing new is sent, in order of their beginning.
        log_retention_days: of log groups that fleet makes.
        drift: what counts as drift.
        ignores: findings that the team lives with for a while, as in ``ignores.yaml``.
        channels: where people are told of a night, in the order written.
        digest: SHA-256 over the files read, so that a plan can say which inventory it was made of.
        read_files: the files it was read from, in order.
    """

    name: str
    root: str
    accounts: Mapping[str, Account]
    hardware: Mapping[str, Hardware]
    stores: tuple[Store, ...]
    workloads: tuple[Workload, ...] = ()
    installer: Installer = Installer()
    policies: Mapping[str, Policy] = field(default_factory=dict)
    freezes: tuple[Freeze, ...] = ()
    log_retention_days: int = 30
    drift: DriftSettings = field(default_factory=DriftSettings)
    ignores: tuple[Ignore, ...] = ()
    channels: tuple[MailChannel | WebhookChannel | SnsChannel, ...] = ()
    digest: str = ""
    read_files: tuple[str, ...] = ()
    extras: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pins:
    """What makes boxes and downloads the ones we know; committed beside the inventory.

    Attributes:
        machine_ids: host id -> content of its /etc/machine-id at first registration.
        installers: SHA-256 (hex) of every install script that may run -> where it came from.
    """

    machine_ids: Mapping[str, str] = field(default_factory=dict)
    installers: Mapping[str, str] = field(default_factory=dict)
