"""Inheritance, in one place: fleet defaults < groups in the order listed < store < host.

A later layer's word replaces an earlier one's. ``labels``, ``attributes``, ``ssh`` and ``hosts``
are merged key by key; ``hours`` are replaced whole. ``link`` is merged too, unless the later layer
names its ``kind``: another kind of link inherits no price from the one it replaces. Whatever is
said of a host, at whichever layer, wins over what is said of its store.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fleet.inventory.document import Document, Map, Path
from fleet.inventory.shape import Shape
from fleet.inventory.shapes import HostShape, LayerShape, LinkShape, SshShape, StoreShape
from fleet.model.inventory import Link, Source, SshAccess

S_co = TypeVar("S_co", bound=Shape, covariant=True)


@dataclass(frozen=True, slots=True)
class Written(Generic[S_co]):
    """A shape, and where it is written.

    Attributes:
        extras: the ``x-`` keys beside its own.
        line: of its key, 1-based; 1 for a whole file.
    """

    shape: S_co
    document: Document
    path: Path
    extras: Mapping[str, Any] = field(default_factory=dict)
    line: int = 1

    @property
    def source(self) -> Source:
        """File and line."""
        return Source(self.document.file, self.line)


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """A host after inheritance; None is what no layer says."""

    hardware: str | None
    address: str | None
    ssh: SshAccess
    attributes: Mapping[str, str]
    probe: str | None
    extras: Mapping[str, Any]
    written: Written[Shape]


@dataclass(frozen=True, slots=True)
class ResolvedStore:
    """A store after inheritance; None is what no layer says.

    Attributes:
        said: key -> the layer that had the last word on it.
    """

    values: Mapping[str, Any]
    said: Mapping[str, Written[LayerShape]]
    labels: Mapping[str, str]
    link: Link
    hosts: Mapping[str, ResolvedHost]
    extras: Mapping[str, Any]


_WORDS = ("account", "region", "time_zone", "hours", "ring", "lifecycle", "address", "probe")


def resolve(
    identity: str, layers: Sequence[Written[LayerShape]], store: Written[StoreShape]
) -> ResolvedStore:
    """Apply the layers, outermost first, the store being the innermost."""
    chain: list[Written[LayerShape]] = [*layers, store]
    values: dict[str, Any] = {}
    said: dict[str, Written[LayerShape]] = {}
    for layer in chain:
        for word in _WORDS:
            value = getattr(layer.shape, word)
            if value is not None:
                values[word], said[word] = value, layer
    return ResolvedStore(
        values=values,
        said=said,
        labels=_merged(layer.shape.labels for layer in chain),
        link=_link(layer.shape.link for layer in chain),
        hosts=_hosts(identity, chain, values),
        extras=_merged(layer.extras for layer in chain),
    )


def _hosts(
    identity: str, chain: Sequence[Written[LayerShape]], values: Mapping[str, Any]
) -> dict[str, ResolvedHost]:
    found: dict[str, list[Written[HostShape]]] = {}
    for layer in chain:
        for name, shape in (layer.shape.hosts or {}).items():
            found.setdefault(name, []).append(_host_entry(layer, name, shape))
    ssh = [layer.shape.ssh for layer in chain]
    attributes = _merged(layer.shape.attributes for layer in chain)
    return {
        name: _host(name, identity, found[name], ssh=ssh, attributes=attributes, values=values)
        for name in sorted(found)
    }


def _host_entry(
    layer: Written[LayerShape], name: str, shape: HostShape | None
) -> Written[HostShape]:
    path = (*layer.path, "hosts", name)
    raw: Any = layer.document.value
    for step in path:
        raw = raw[step]
    if isinstance(raw, Map):
        return Written(shape or HostShape(), layer.document, path, raw.extras, raw.line)
    return Written(HostShape(), layer.document, path, {}, layer.document.line(path))


def _host(
    name: str,
    store: str,
    entries: Sequence[Written[HostShape]],
    *,
    ssh: Sequence[SshShape | None],
    attributes: Mapping[str, str],
    values: Mapping[str, Any],
) -> ResolvedHost:
    hardware = None
    address, probe = values.get("address"), values.get("probe")
    for entry in entries:
        hardware = entry.shape.hardware or hardware
        address = entry.shape.address or address
        probe = entry.shape.probe or probe
    if address:
        address = address.replace("{store}", store).replace("{host}", name)
    return ResolvedHost(
        hardware=hardware,
        address=address,
        ssh=_ssh([*ssh, *(entry.shape.ssh for entry in entries)]),
        attributes=_merged([attributes, *(entry.shape.attributes for entry in entries)]),
        probe=probe,
        extras=_merged(entry.extras for entry in entries),
        written=entries[-1],
    )


def _merged(mappings: Iterable[Mapping[str, Any] | None]) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for mapping in mappings:
        if mapping:
            merged.update(mapping)
    return merged


def _given(shape: Shape) -> dict[str, Any]:
    return {key: value for key, value in shape if value is not None}


def _link(shapes: Iterable[LinkShape | None]) -> Link:
    values: dict[str, Any] = {}
    for shape in shapes:
        if shape is not None:
            values = _given(shape) if shape.kind else values | _given(shape)
    return Link(**values)


def _ssh(shapes: Iterable[SshShape | None]) -> SshAccess:
    values: dict[str, Any] = {}
    for shape in shapes:
        if shape is not None:
            values |= _given(shape)
    return SshAccess(**values)
