"""Builds a fleet from the shapes of its files, and reports what contradicts itself."""

import re
from collections.abc import Collection, Mapping, Sequence

from fleet.inventory.channels import build_channels
from fleet.inventory.checking import Written
from fleet.inventory.document import nearest
from fleet.inventory.drift_settings import build_drift, build_ignores
from fleet.inventory.files import Folder, Problems, templates_folder
from fleet.inventory.policies import BUILT_IN, build_freezes, build_policies
from fleet.inventory.reading import FleetFile, WrittenFiles
from fleet.inventory.schema import AccountShape, HardwareShape, WorkloadShape
from fleet.inventory.stores import Known, StoreBuilder
from fleet.model.images import is_by_digest, is_in_ecr
from fleet.model.inventory import (
    Account,
    Architecture,
    Fleet,
    Hardware,
    Image,
    Installer,
    Store,
    Workload,
)

#: Words that `fleet rollout` takes for its own before it takes them for workloads.
ROLLOUT_VERBS = frozenset(
    {
        *("status", "watch", "wait", "pause", "resume", "promote"),
        *("retry", "skip", "abort", "rollback", "history"),
    }
)
_WORKLOAD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


def build(files: WrittenFiles, folder: Folder) -> Fleet | None:
    """Return the fleet, or None after problems have been added."""
    file, problems = files.fleet, folder.problems
    if file is None:
        return None
    known = Known(
        accounts=file.names["accounts"],
        groups=file.names["groups"],
        hardware=files.hardware,
        policies=file.names["policies"],
        rings=(file.whole.rings or ()) if file.whole else (),
    )
    hardware = {
        name: _hardware(name, written, problems)
        for name, written in sorted(files.hardware.items())
        if written is not None
    }
    accounts = {name: _account(name, written.shape) for name, written in file.accounts.items()}
    _check_accounts(accounts, file, problems)
    stores = StoreBuilder(
        defaults=file.defaults,
        groups=file.groups,
        accounts={name: (accounts[name], written) for name, written in file.accounts.items()},
        hardware=hardware,
        probes={name: box.shape.probe for name, box in files.hardware.items() if box},
        known=known,
        problems=problems,
    ).build(files.stores)
    #: None where not all stores could be read: what the others say is not known.
    complete = stores if len(stores) == len(files.stores) else None
    policies = build_policies(file.policies, problems)
    freezes = build_freezes(file.freezes, complete, problems)
    drift = build_drift(file.drift, problems)
    ignores = build_ignores(files.ignores, complete, problems)
    channels = build_channels(file.channels, known.accounts, problems)
    workloads = []
    for name, workload in sorted(files.workloads.items()):
        if workload is not None:
            _check_workload_name(name, workload, problems)
            _check_workload(workload, known, hardware, complete, problems)
            _check_template(workload, folder)
            workloads.append(_workload(name, workload))
    if file.whole is None or problems:
        return None
    installer = file.whole.installer
    return Fleet(
        name=file.whole.name,
        root=str(folder.root),
        accounts=accounts,
        hardware=hardware,
        stores=stores,
        workloads=tuple(workloads),
        installer=Installer(**installer.model_dump()) if installer else Installer(),
        policies=policies,
        freezes=freezes,
        drift=drift,
        ignores=ignores,
        channels=channels,
        log_retention_days=file.whole.log_retention_days,
        digest=folder.digest,
        read_files=tuple(folder.files),
        extras=file.extras,
    )


def _account(name: str, shape: AccountShape) -> Account:
    return Account(name, shape.account_id, shape.profile, shape.role_arn, shape.instance_role)


def _check_accounts(accounts: Mapping[str, Account], file: FleetFile, problems: Problems) -> None:
    owner: dict[str, str] = {}
    for name, account in accounts.items():
        other = owner.setdefault(account.account_id, name)
        if other != name:
            message = f'the account {account.account_id} is also "{other}"'
            problems.add(file.accounts[name].problem(("account_id",), message))


def _hardware(name: str, written: Written[HardwareShape], problems: Problems) -> Hardware:
    shape = written.shape
    variant = shape.variant or shape.architecture.value
    if variant.partition("/")[0] != shape.architecture.value:
        message = f'"{variant}" must begin with the architecture, {shape.architecture.value}'
        problems.add(written.problem(("variant",), message))
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


def _check_template(workload: Written[WorkloadShape], folder: Folder) -> None:
    """Check that the file is there, and count its text in the digest of the inventory."""
    templates = templates_folder(folder.root)
    path = templates / workload.shape.template
    if path.is_file():
        folder.text(path)
        return
    others = [str(file.relative_to(templates)) for file in templates.rglob("*.j2")]
    message = f'there is no template "{workload.shape.template}" in {templates}'
    hint = nearest(workload.shape.template, others)
    folder.problems.add(workload.problem(("template",), message, hint))


def _check_workload_name(name: str, workload: Written[WorkloadShape], problems: Problems) -> None:
    """Check that the name can be typed after ``fleet rollout`` and be part of a service's name."""
    if name in ROLLOUT_VERBS:
        message = f'"{name}" is what `fleet rollout {name}` means already'
        problems.add(workload.problem((), message, "give the file another name"))
    elif not _WORKLOAD.fullmatch(name):
        message = f'"{name}" is no name for a workload: 1 to 63 letters, digits, _ and -'
        problems.add(workload.problem((), message, "give the file another name"))


def _check_workload(
    workload: Written[WorkloadShape],
    known: Known,
    hardware: Mapping[str, Hardware],
    stores: Sequence[Store] | None,
    problems: Problems,
) -> None:
    """Check that conditions, policy and images of a workload name what exists.

    Ring, store and labels are left alone when ``stores`` is None: not all of them could be read,
    and what the unread ones say is not known.
    """
    shape = workload.shape
    policies = {*known.policies, BUILT_IN}
    problems.extend(workload.unknown(("policy",), "policy", [shape.policy], policies))
    boxes = hardware.values()
    valid: dict[str, Collection[str]] = {
        "hardware": known.hardware,
        "architecture": [architecture.value for architecture in Architecture],
        "variant": {box.variant for box in boxes},
        "accelerator": {box.accelerator for box in boxes if box.accelerator},
    }
    labels: set[str] = set()
    if stores is not None:
        valid["ring"] = {store.ring for store in stores}
        valid["store"] = {store.id for store in stores}
        labels = {label for store in stores for label in store.labels}
    for key, words in shape.where.items():
        where = ("where", key)
        if key.startswith("label.") and stores is not None:
            label = key.removeprefix("label.")
            missing = workload.unknown(where, "label", [label], labels)
            problems.extend(missing)
            if not missing:
                valid[key] = {store.labels[label] for store in stores if label in store.labels}
        if key in valid:
            problems.extend(workload.unknown(where, key, words, valid[key]))
    for name, image in (shape.images or {}).items():
        wrong, hint = _image_problem(image.image, image.platforms)
        if wrong:
            path = ("images", name, "image")
            problems.add(workload.problem(path, f'"{image.image}" {wrong}', hint))


def _image_problem(reference: str, platforms: Sequence[str]) -> tuple[str, str | None]:
    if is_in_ecr(reference):
        return "", None
    if not is_by_digest(reference):
        return "is outside ECR and not pinned", "write it as name@sha256:<64 hex digits>"
    if not platforms:
        return "is outside ECR and names no platforms", "add platforms: [linux/arm64]"
    return "", None
