"""Resolves stores from layers: defaults < groups in the order listed < store < host.

A later layer's word replaces an earlier one's. ``labels``, ``attributes``, ``ssh`` and ``hosts``
are merged key by key; ``hours`` are replaced whole. ``link`` is merged too, unless the later layer
names its ``kind``: another kind of link inherits no price from the one it replaces. Whatever is
said of a host, at whichever layer, wins over what is said of its store.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fleet.errors import Problem
from fleet.inventory.checking import Shape, Written
from fleet.inventory.document import Map, nearest
from fleet.inventory.files import Problems
from fleet.inventory.schema import AccountShape, HostShape, LayerShape, StoreShape
from fleet.model.hours import Powered
from fleet.model.inventory import (
    Account,
    Hardware,
    Host,
    Lifecycle,
    Link,
    Source,
    SshAccess,
    Store,
)

#: ECS keeps 10 custom attributes per resource (PutAttributes); fleet itself sets up to six.
MOST_ATTRIBUTES = 4
_WORDS = frozenset(
    {"account", "region", "time_zone", "hours", "ring", "lifecycle", "address", "probe"}
    | {"powered", "weight"}
)


@dataclass(frozen=True, slots=True)
class _HostLayers:
    """What layers say of one host.

    Attributes:
        words: hardware, address, probe and powered, as far as they are written.
        last: the last layer that mentions it, and the line where it does.
    """

    words: Mapping[str, Any] = field(default_factory=dict)
    ssh: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    last: Written[LayerShape] | None = None
    line: int = 0


_NO_LAYERS = _HostLayers()


@dataclass(frozen=True, slots=True)
class _Layers:
    """What a chain of layers says: fleet defaults, groups and at last a store.

    Attributes:
        words: values that are replaced whole, as far as they are written.
        region: the layer that named the region.
    """

    words: Mapping[str, Any] = field(default_factory=dict)
    region: Written[LayerShape] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    link: Link = field(default_factory=Link)
    ssh: SshAccess = field(default_factory=SshAccess)
    hosts: Mapping[str, _HostLayers] = field(default_factory=dict)

    def then(self, layer: Written[LayerShape]) -> "_Layers":
        """Return these layers with one more, whose values win."""
        given = _given(layer.shape)
        link, ssh = given.get("link"), given.get("ssh")
        return _Layers(
            words={**self.words, **{key: given[key] for key in given if key in _WORDS}},
            region=layer if "region" in given else self.region,
            labels=_merged(self.labels, given.get("labels")),
            attributes=_merged(self.attributes, given.get("attributes")),
            extras=_merged(self.extras, layer.extras),
            link=replace(Link() if link.kind else self.link, **_given(link)) if link else self.link,
            ssh=replace(self.ssh, **_given(ssh)) if ssh else self.ssh,
            hosts=_merged(self.hosts, self._hosts(layer, given.get("hosts"))),
        )

    def _hosts(
        self, layer: Written[LayerShape], shapes: Mapping[str, HostShape | None] | None
    ) -> dict[str, _HostLayers]:
        if not shapes:
            return {}
        raw = layer.document.value
        for step in layer.path:
            raw = raw[step]
        found = {}
        for name, shape in shapes.items():
            entry, before = raw["hosts"][name], self.hosts.get(name, _NO_LAYERS)
            given = _given(shape) if shape else {}
            ssh, attributes = given.pop("ssh", None), given.pop("attributes", None)
            if isinstance(entry, Map):
                extras, line = entry.extras, entry.line or layer.line
            else:
                extras, line = {}, layer.document.line((*layer.path, "hosts", name))
            found[name] = _HostLayers(
                words=_merged(before.words, given),
                ssh=_merged(before.ssh, ssh and _given(ssh)),
                attributes=_merged(before.attributes, attributes),
                extras=_merged(before.extras, extras),
                last=layer,
                line=line,
            )
        return found


def _given(shape: Shape) -> dict[str, Any]:
    """Return the keys of a shape that are written and not null."""
    values = shape.__dict__
    return {key: values[key] for key in shape.model_fields_set if values[key] is not None}


def _merged(base: Mapping[str, Any], more: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Merge two mappings, the later winning; ``base`` itself when nothing is added."""
    if not more:
        return base
    return {**base, **more} if base else more


@dataclass(frozen=True, slots=True)
class Known:
    """The names that are written, also those whose content is wrong.

    Attributes:
        rings: empty where the fleet names none; then a store may be in any ring.
    """

    accounts: Collection[str]
    groups: Collection[str]
    hardware: Collection[str]
    policies: Collection[str]
    rings: Collection[str] = ()


class StoreBuilder:
    """Builds the stores of one fleet; problems are added to ``problems``."""

    def __init__(
        self,
        *,
        defaults: Written[LayerShape],
        groups: Mapping[str, Written[LayerShape]],
        accounts: Mapping[str, tuple[Account, Written[AccountShape]]],
        hardware: Mapping[str, Hardware],
        probes: Mapping[str, str | None],
        known: Known,
        problems: Problems,
    ) -> None:
        self._defaults = defaults
        self._groups = groups
        self._accounts = accounts
        self._hardware = hardware
        self._probes = probes
        self._known = known
        self._problems = problems
        self._inherited: dict[tuple[str, ...], _Layers] = {}

    def build(self, written: Mapping[str, Written[StoreShape] | None]) -> tuple[Store, ...]:
        """Return the stores that are right, in id order; the others have become problems."""
        for layer in (self._defaults, *self._groups.values()):
            self._check_names(layer)
        found = [
            self._store(identity, entry) for identity, entry in sorted(written.items()) if entry
        ]
        stores = tuple(store for store in found if store is not None)
        self._check_together(stores)
        return stores

    def _check_names(self, layer: Written[LayerShape]) -> None:
        """Check that the account, groups and hardware of a layer exist.

        Checked where a word is written, so that a wrong default is one problem and not one a store.
        """
        shape, known, add = layer.shape, self._known, self._problems.extend
        add(layer.unknown(("account",), "account", [shape.account], known.accounts))
        if known.rings:
            add(layer.unknown(("ring",), "ring", [shape.ring], known.rings))
        if isinstance(shape, StoreShape):
            add(layer.unknown(("groups",), "group", shape.groups, known.groups))
        for name, host in (shape.hosts or {}).items():
            if host and host.hardware not in known.hardware:
                below = ("hosts", name, "hardware")
                add(layer.unknown(below, "hardware", [host.hardware], known.hardware))

    def _inherited_by(self, groups: Sequence[str]) -> _Layers:
        """Return what defaults and groups say, resolved once for all stores with the same list."""
        names = tuple(name for name in groups if name in self._groups)
        if names not in self._inherited:
            layers = _Layers().then(self._defaults)
            for name in names:
                layers = layers.then(self._groups[name])
            self._inherited[names] = layers
        return self._inherited[names]

    def _store(self, identity: str, entry: Written[StoreShape]) -> Store | None:
        self._check_names(entry)
        shape = entry.shape
        layers = self._inherited_by(shape.groups).then(entry)
        words = layers.words
        account = self._accounts.get(words.get("account", ""))
        region = self._region(layers, account, entry)
        lifecycle = words.get("lifecycle", Lifecycle.OPEN)
        for key in ("account", "time_zone", "hours"):
            if key not in words:
                hint = f"write {key}: in the store, in one of its groups or in defaults"
                self._problems.add(entry.problem((), f"no {key} is given", hint))
        source = entry.source
        hosts = [self._host(name, identity, layers, entry, source) for name in sorted(layers.hosts)]
        # A group that is not there has been pointed out, and may be the one that has the hosts.
        complete = all(name in self._groups for name in shape.groups)
        if not hosts and complete and lifecycle in {Lifecycle.OPEN, Lifecycle.PAUSED}:
            message = f"the store is {lifecycle.value} but has no hosts"
            hint = "write hosts: {cam-1: {hardware: ...}}, or lifecycle: planned"
            self._problems.add(entry.problem((), message, hint))
        if account is None or region is None or "time_zone" not in words or "hours" not in words:
            return None
        return Store(
            id=identity,
            name=shape.name or identity,
            account=account[0],
            region=region,
            cluster=shape.cluster or identity,
            time_zone=words["time_zone"],
            hours=words["hours"],
            ring=words.get("ring", "standard"),
            lifecycle=lifecycle,
            labels=layers.labels,
            link=layers.link,
            hosts=tuple(host for host in hosts if host is not None),
            source=source,
            extras=layers.extras,
            weight=words.get("weight"),
        )

    def _region(
        self,
        layers: _Layers,
        account: tuple[Account, Written[AccountShape]] | None,
        entry: Written[StoreShape],
    ) -> str | None:
        """Return the region written, or the only one of the account."""
        if account is None:
            return None
        name, regions = account[0].name, account[1].shape.regions
        region: str | None = layers.words.get("region")
        if region in regions:
            return region
        if region is not None:
            message = f'the account "{name}" does not offer "{region}"'
            layer = layers.region or entry
            self._problems.add(layer.problem(("region",), message, nearest(region, regions)))
        elif len(regions) == 1:
            return regions[0]
        else:
            message = f"no region is given, and {name} has {', '.join(regions)}"
            self._problems.add(entry.problem((), message, "write region: ..."))
        return None

    def _host(
        self, name: str, store: str, layers: _Layers, entry: Written[StoreShape], source: Source
    ) -> Host | None:
        """Return a host of a store, or None after problems; ``source`` is the store's."""
        own = layers.hosts[name]
        kind = own.words.get("hardware")
        address = own.words.get("address") or layers.words.get("address")
        hardware = self._hardware.get(kind or "")
        if hardware is None or address is None:
            needed = {"hardware": kind, "address": address}
            for key in [key for key, value in needed.items() if value is None]:
                hint = f"write {key}: in the host, or where the store inherits from"
                self._problems.add(entry.problem(("hosts", name), f"no {key} is given", hint))
            return None
        return Host(
            name=name,
            store=store,
            address=address.replace("{store}", store).replace("{host}", name),
            hardware=hardware,
            ssh=replace(layers.ssh, **own.ssh) if own.ssh else layers.ssh,
            attributes=_merged(layers.attributes, own.attributes),
            source=source
            if own.last is not entry or own.line == source.line
            else Source(source.file, own.line),
            extras=own.extras,
            # The hardware decides where neither the host nor its store does.
            probe=own.words.get("probe")
            or layers.words.get("probe")
            or self._probes.get(hardware.name)
            or "ssm",
            powered=own.words.get("powered") or layers.words.get("powered") or Powered.ALWAYS,
        )

    def _check_together(self, stores: Sequence[Store]) -> None:
        """Check that addresses and clusters are unique, and that attributes fit in ECS."""
        clusters: dict[tuple[str, str, str], Store] = {}
        addresses: dict[tuple[str, int], Host] = {}
        for store in stores:
            place = (store.account.name, store.region, store.cluster)
            other = clusters.setdefault(place, store)
            if other is not store:
                message = f'the cluster "{store.cluster}" is also that of {other.id}'
                self._complain(store, f"{message} ({other.source})")
            for host in store.hosts:
                twin = addresses.setdefault((host.address, host.ssh.port), host)
                if twin is not host:
                    where = f"{host.address} port {host.ssh.port}"
                    self._complain(
                        host, f"{where} is also the address of {twin.id} ({twin.source})"
                    )
                if len(host.attributes) > MOST_ATTRIBUTES:
                    self._complain(
                        host,
                        f"has {len(host.attributes)} attributes of its own, at most "
                        f"{MOST_ATTRIBUTES} fit: ECS keeps 10 and fleet sets up to 6",
                    )

    def _complain(self, whose: Store | Host, message: str) -> None:
        source = whose.source
        self._problems.add(Problem(source.file, source.line, whose.id, message))
