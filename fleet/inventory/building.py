"""Shapes in, model out: resolves every store and refuses what does not add up."""

from collections.abc import Mapping
from typing import Any

from fleet.inventory.checking import Problems
from fleet.inventory.document import Path, nearest
from fleet.inventory.drift import build_channels, build_drift, build_ignores
from fleet.inventory.folder import Folder, templates_folder
from fleet.inventory.policies import build_freezes, build_policies
from fleet.inventory.reading import Files, FleetFile
from fleet.inventory.references import (
    Known,
    check_layer,
    check_stores,
    check_workload,
    check_workload_name,
)
from fleet.inventory.resolve import ResolvedHost, ResolvedStore, Written, resolve
from fleet.inventory.shapes import (
    AccountShape,
    FleetShape,
    HardwareShape,
    StoreShape,
    WorkloadShape,
)
from fleet.model.drift_settings import DriftSettings, Ignore
from fleet.model.inventory import (
    Account,
    Fleet,
    Hardware,
    Host,
    Image,
    Installer,
    Lifecycle,
    Store,
    Workload,
)
from fleet.model.notify import MailChannel, SnsChannel, WebhookChannel
from fleet.model.policy import Freeze, Policy


def build(files: Files, folder: Folder, problems: Problems) -> Fleet | None:
    """The fleet, or None after problems have been added."""
    if files.fleet is None:
        return None
    known = Known(
        accounts=files.fleet.names["accounts"],
        groups=files.fleet.names["groups"],
        hardware=files.hardware,
        policies=files.fleet.names["policies"],
    )
    hardware = {
        name: _hardware(name, written, problems)
        for name, written in sorted(files.hardware.items())
        if written is not None
    }
    probes = {name: box.shape.probe for name, box in files.hardware.items() if box is not None}
    stores = _StoreBuilder(files.fleet, known, hardware, probes, problems).build(files.stores)
    check_stores(stores, problems)
    complete = len(stores) == len(files.stores)
    policies = build_policies(files.fleet.policies, problems)
    freezes = build_freezes(files.fleet.freezes, stores if complete else None, problems)
    drift = build_drift(files.fleet.drift, problems)
    ignores = build_ignores(files.ignores, stores if complete else None, problems)
    channels = build_channels(files.fleet.channels, known.accounts, problems)
    workloads = []
    for name, workload in sorted(files.workloads.items()):
        if workload is not None:
            check_workload_name(name, workload, problems)
            check_workload(workload, known, hardware, stores if complete else None, problems)
            _check_template(workload, folder, problems)
            workloads.append(_workload(name, workload))
    if files.fleet.whole is None or problems:
        return None
    return _fleet(
        files.fleet.whole,
        files.fleet,
        folder,
        hardware=hardware,
        stores=stores,
        workloads=tuple(workloads),
        policies=policies,
        freezes=freezes,
        drift=drift,
        ignores=ignores,
        channels=channels,
    )


def _fleet(
    shape: FleetShape,
    file: FleetFile,
    folder: Folder,
    *,
    hardware: Mapping[str, Hardware],
    stores: tuple[Store, ...],
    workloads: tuple[Workload, ...],
    policies: Mapping[str, Policy],
    freezes: tuple[Freeze, ...],
    drift: DriftSettings,
    ignores: tuple[Ignore, ...],
    channels: tuple[MailChannel | WebhookChannel | SnsChannel, ...],
) -> Fleet:
    installer = shape.installer
    return Fleet(
        name=shape.name,
        root=str(folder.root),
        accounts={name: _account(name, account) for name, account in shape.accounts.items()},
        hardware=hardware,
        stores=stores,
        workloads=workloads,
        installer=Installer(installer.bucket, installer.key, installer.region)
        if installer
        else Installer(),
        policies=policies,
        freezes=freezes,
        drift=drift,
        ignores=ignores,
        channels=channels,
        log_retention_days=shape.log_retention_days,
        digest=folder.digest,
        read_files=tuple(folder.files),
        extras=file.extras,
    )


def _account(name: str, shape: AccountShape) -> Account:
    return Account(name, shape.account_id, shape.profile, shape.role_arn, shape.instance_role)


def _hardware(name: str, written: Written[HardwareShape], problems: Problems) -> Hardware:
    shape = written.shape
    variant = shape.variant or shape.architecture.value
    if variant.partition("/")[0] != shape.architecture.value:
        message = f'"{variant}" must begin with the architecture, {shape.architecture.value}'
        problems.add(written.document.problem(("variant",), message))
    return Hardware(
        name=name,
        architecture=shape.architecture,
        variant=variant,
        default_runtime=shape.default_runtime,
        accelerator=shape.accelerator,
        min_disk_free_gb=shape.min_disk_free_gb,
        min_memory_mb=shape.min_memory_mb,
        devices=tuple(shape.devices or ()),
        agent_settings=shape.agent_settings or {},
        source=written.source,
        extras=written.extras,
    )


def _workload(name: str, written: Written[WorkloadShape]) -> Workload:
    shape = written.shape
    images = (shape.images or {}).items()
    return Workload(
        name=name,
        template=shape.template,
        variables=shape.variables or {},
        where={key: tuple(words) for key, words in shape.where.items()},
        images={
            key: Image(image.image, tuple(image.platforms), image.size_mb) for key, image in images
        },
        daemon=shape.daemon,
        policy=shape.policy,
        source=written.source,
        extras=written.extras,
    )


def _check_template(workload: Written[WorkloadShape], folder: Folder, problems: Problems) -> None:
    """The file is there; its text is part of what the inventory's digest stands for."""
    templates = templates_folder(folder.root)
    path = templates / workload.shape.template
    if path.is_file():
        folder.text(path)
        return
    others = [str(file.relative_to(templates)) for file in templates.rglob("*.j2")]
    message = f'there is no template "{workload.shape.template}" in {templates}'
    hint = nearest(workload.shape.template, others)
    problems.add(workload.document.problem(("template",), message, hint))


class _StoreBuilder:
    """Makes the stores of one fleet."""

    def __init__(
        self,
        file: FleetFile,
        known: Known,
        hardware: Mapping[str, Hardware],
        probes: Mapping[str, str | None],
        problems: Problems,
    ) -> None:
        self._file = file
        self._probes = probes
        self._known = known
        self._hardware = hardware
        self._problems = problems
        self._accounts = {
            name: _account(name, written.shape) for name, written in file.accounts.items()
        }
        self._check_accounts()

    def build(self, written: Mapping[str, Written[StoreShape] | None]) -> tuple[Store, ...]:
        """The stores that are right, in id order; the others have become problems."""
        for layer in (self._file.defaults, *self._file.groups.values()):
            check_layer(layer, self._known, self._problems)
        stores = []
        for identity, entry in sorted(written.items()):
            if entry is not None:
                check_layer(entry, self._known, self._problems)
                store = self._store(identity, entry)
                if store is not None:
                    stores.append(store)
        return tuple(stores)

    def _check_accounts(self) -> None:
        owner: dict[str, str] = {}
        for name, account in self._accounts.items():
            other = owner.setdefault(account.account_id, name)
            if other != name:
                message = f'the account {account.account_id} is also "{other}"'
                path = ("accounts", name, "account_id")
                self._problems.add(self._file.document.problem(path, message))

    def _store(self, identity: str, entry: Written[StoreShape]) -> Store | None:
        groups = self._file.groups
        layers = [groups[name] for name in entry.shape.groups if name in groups]
        resolved = resolve(identity, [self._file.defaults, *layers], entry)
        account = self._accounts.get(resolved.values.get("account", ""))
        region = self._region(resolved, account, entry)
        lifecycle = resolved.values.get("lifecycle", Lifecycle.OPEN)
        self._require(resolved, entry, "account", "time_zone", "hours")
        hosts = [self._host(identity, name, host, entry) for name, host in resolved.hosts.items()]
        # A group that is not there has been pointed out, and may be the one that has the hosts.
        complete = len(layers) == len(entry.shape.groups)
        if not hosts and complete and lifecycle in {Lifecycle.OPEN, Lifecycle.PAUSED}:
            message = f"the store is {lifecycle.value} but has no hosts"
            hint = "write hosts: {cam-1: {hardware: ...}}, or lifecycle: planned"
            self._problem(entry, entry.path, message, hint)
        values = resolved.values
        if account is None or region is None or "time_zone" not in values or "hours" not in values:
            return None
        return Store(
            id=identity,
            name=entry.shape.name or identity,
            account=account,
            region=region,
            cluster=entry.shape.cluster or identity,
            time_zone=values["time_zone"],
            hours=values["hours"],
            ring=values.get("ring", "standard"),
            lifecycle=lifecycle,
            labels=resolved.labels,
            link=resolved.link,
            hosts=tuple(host for host in hosts if host is not None),
            source=entry.source,
            extras=resolved.extras,
        )

    def _region(
        self, resolved: ResolvedStore, account: Account | None, entry: Written[StoreShape]
    ) -> str | None:
        """The region said, or the only one of the account."""
        if account is None:
            return None
        regions = self._file.accounts[account.name].shape.regions
        region: str | None = resolved.values.get("region")
        if region is None and len(regions) == 1:
            return regions[0]
        if region is None:
            message = f"no region is given, and {account.name} has {', '.join(regions)}"
            self._problem(entry, entry.path, message, "write region: ...")
        elif region not in regions:
            layer = resolved.said["region"]
            message = f'the account "{account.name}" does not offer "{region}"'
            hint = nearest(region, regions)
            self._problem(layer, (*layer.path, "region"), message, hint)
            return None
        return region

    def _require(self, resolved: ResolvedStore, entry: Written[StoreShape], *keys: str) -> None:
        for key in keys:
            if key not in resolved.values:
                message = f"no {key} is given"
                hint = f"write {key}: in the store, in one of its groups or in defaults"
                self._problem(entry, entry.path, message, hint)

    def _host(
        self, store: str, name: str, resolved: ResolvedHost, entry: Written[StoreShape]
    ) -> Host | None:
        written = resolved.written
        for key, value in (("hardware", resolved.hardware), ("address", resolved.address)):
            if value is None:
                hint = f"write {key}: in the host, or where the store inherits from"
                path = (*entry.path, "hosts", name)
                self._problem(entry, path, f"no {key} is given", hint)
        hardware = self._hardware.get(resolved.hardware or "")
        if hardware is None or resolved.address is None:
            return None
        inherited = written.path[: len(entry.path)] != entry.path
        return Host(
            name=name,
            store=store,
            address=resolved.address,
            hardware=hardware,
            ssh=resolved.ssh,
            attributes=resolved.attributes,
            source=entry.source if inherited else written.source,
            extras=resolved.extras,
            # What a kind of box says holds where nothing is said of the store or the host.
            probe=resolved.probe or self._probes.get(hardware.name) or "ssm",
        )

    def _problem(
        self, written: Written[Any], path: Path, message: str, hint: str | None = None
    ) -> None:
        self._problems.add(written.document.problem(path, message, hint))
