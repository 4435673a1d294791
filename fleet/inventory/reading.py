"""Reads the files of an inventory into shapes, each with the place where it is written."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.errors import InventoryError, Problem
from fleet.inventory.channels import ChannelShape
from fleet.inventory.checking import S, Written, check
from fleet.inventory.csv_stores import read_table
from fleet.inventory.document import Map, YamlDocument, read_yaml
from fleet.inventory.document import Path as Place
from fleet.inventory.drift_settings import DriftShape, IgnoreShape, IgnoresShape
from fleet.inventory.files import Folder, Problems
from fleet.inventory.policies import FreezeShape, PolicyShape
from fleet.inventory.schema import (
    AccountShape,
    FleetShape,
    HardwareShape,
    LayerShape,
    StoreShape,
    StoresShape,
    WorkloadShape,
)


@dataclass(frozen=True, slots=True)
class FleetFile:
    """``fleet.yaml``, section by section, so that one mistake does not hide the rest.

    Attributes:
        whole: all of it, or None when some of it is wrong.
        names: section -> the names written in it, also those whose content is wrong.
    """

    whole: FleetShape | None
    document: YamlDocument
    accounts: Mapping[str, Written[AccountShape]]
    groups: Mapping[str, Written[LayerShape]]
    defaults: Written[LayerShape]
    policies: Mapping[str, Written[PolicyShape]]
    freezes: Mapping[str, Written[FreezeShape]]
    drift: Written[DriftShape] | None
    channels: Mapping[str, Written[ChannelShape]]
    names: Mapping[str, Collection[str]]
    extras: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenFiles:
    """The files of an inventory in their shapes; None stands for one with problems."""

    fleet: FleetFile | None
    hardware: Mapping[str, Written[HardwareShape] | None]
    stores: Mapping[str, Written[StoreShape] | None]
    workloads: Mapping[str, Written[WorkloadShape] | None]
    ignores: Sequence[Written[IgnoreShape]] = ()


def read_files(folder: Folder) -> WrittenFiles:
    """Read every file of the inventory; what is wrong goes to its problems."""
    return WrittenFiles(
        fleet=_fleet_file(folder),
        hardware=_one_per_file("hardware", HardwareShape, folder),
        stores=_stores(folder),
        workloads=_one_per_file("workloads", WorkloadShape, folder),
        ignores=_ignores(folder),
    )


def read_file(path: Path, folder: Folder, *, counts: bool = True) -> YamlDocument | None:
    """Return a YAML file, counted in the digest or not; None after its problems have been added."""
    text = folder.text(path, counts=counts)
    if text is None:
        return None
    try:
        return read_yaml(text, str(path))
    except InventoryError as error:
        folder.problems.extend(error.problems)
        return None


def _fleet_file(folder: Folder) -> FleetFile | None:
    document = read_file(folder.root / "fleet.yaml", folder)
    if document is None:
        return None
    whole = check(FleetShape, document.value, document, (), folder.problems)
    content = document.value if isinstance(document.value, Map) else Map()
    return FleetFile(
        whole=whole,
        document=document,
        accounts=_section(AccountShape, "accounts", document, content),
        groups=_section(LayerShape, "groups", document, content),
        defaults=_entry(LayerShape, content.get("defaults"), document, ("defaults",))
        or Written(LayerShape(), document, ("defaults",)),
        policies=_section(PolicyShape, "policies", document, content),
        freezes=_section(FreezeShape, "freezes", document, content),
        drift=_entry(DriftShape, content.get("drift"), document, ("drift",)),
        channels=_section(ChannelShape, "notify", document, content),
        names={
            name: list(section) if isinstance(section := content.get(name), Map) else []
            for name in ("accounts", "groups", "policies")
        },
        extras=content.extras,
    )


def _section(
    shape: type[S], name: str, document: YamlDocument, content: Map
) -> dict[str, Written[S]]:
    section = content.get(name)
    if not isinstance(section, Map):
        return {}
    entries = {key: _entry(shape, value, document, (name, key)) for key, value in section.items()}
    return {key: entry for key, entry in entries.items() if entry is not None}


def _entry(shape: type[S], value: Any, document: YamlDocument, path: Place) -> Written[S] | None:
    """Check one entry alone; its problems were reported with the whole file."""
    checked = check(shape, value, document, path, Problems())
    return None if checked is None else Written(checked, document, path, _extras(value))


def _extras(value: Any) -> Mapping[str, Any]:
    return value.extras if isinstance(value, Map) else {}


def _one_per_file(kind: str, shape: type[S], folder: Folder) -> dict[str, Written[S] | None]:
    found: dict[str, Written[S] | None] = {}
    for path in folder.members(kind):
        name = path.stem
        if name in found:
            folder.problems.add(Problem(str(path), 0, "", f'there is another file for "{name}"'))
            continue
        found[name] = None
        document = read_file(path, folder)
        if document is not None:
            checked = check(shape, document.value, document, (), folder.problems)
            if checked is not None:
                found[name] = Written(checked, document, (), _extras(document.value))
    return found


def _ignores(folder: Folder) -> list[Written[IgnoreShape]]:
    """Read ``ignores.yaml``, which is no part of the digest: it changes nothing that stores run."""
    file = folder.root / "ignores.yaml"
    document = read_file(file, folder, counts=False) if file.exists() else None
    if document is None:
        return []
    check(IgnoresShape, document.value, document, (), folder.problems)
    entries = document.value.get("ignores") if isinstance(document.value, Map) else None
    found = []
    for index, value in enumerate(entries if isinstance(entries, list) else []):
        path = ("ignores", index)
        checked = check(IgnoreShape, value, document, path, Problems())
        if checked is not None:
            line = document.line(path)
            found.append(Written(checked, document, path, _extras(value), line))
    return found


def _stores(folder: Folder) -> dict[str, Written[StoreShape] | None]:
    found: dict[str, Written[StoreShape] | None] = {}
    places: dict[str, str] = {}
    for path in folder.members("stores"):
        for document, name, value in _stores_of(path, folder):
            where = ("stores", name)
            if name in found:
                message = f"is also written in {places[name]}"
                folder.problems.add(document.problem(where, message))
                continue
            line = value.line if isinstance(value, Map) else document.line(where)
            places[name] = f"{document.file}:{line}"
            checked = check(StoreShape, value, document, where, folder.problems)
            if checked is None or name in document.unreadable:
                found[name] = None
            else:
                found[name] = Written(checked, document, where, _extras(value), line)
    return found


def _stores_of(path: Path, folder: Folder) -> Iterator[tuple[YamlDocument, str, Any]]:
    """Yield the entries of one file, after the file around them has been checked."""
    if path.suffix == ".csv":
        text = folder.text(path)
        document = None if text is None else read_table(text, str(path), folder.problems)
    else:
        document = read_file(path, folder)
    if document is None:
        return
    content = document.value
    entries = content.get("stores") if isinstance(content, Map) else None
    if isinstance(content, Map) and isinstance(entries, Map):
        content = {**content, "stores": dict.fromkeys(entries)}
    check(StoresShape, content, document, (), folder.problems)
    if isinstance(entries, Map):
        for name, value in entries.items():
            yield document, name, value
