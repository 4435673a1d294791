"""Joins the ledgers of an account and region into one case per store, on the ``mi-`` id.

SSM's node says by its name which host it is for; ECS's container instance names its node. Where the
two contradict the attributes that fleet set, the node decides, unless the node has another
instance that agrees with it: then the contradicting one is a clone's.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.spells import Sight, spells_of
from fleet.model.drift import Background, HostMemory, ShardSeen, Spell, StoreSeen
from fleet.model.identity import TAG_HOST, activation_name
from fleet.model.inventory import Fleet, Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping
from fleet.model.wanted import Wanted
from fleet.register.decide.classify import life_of_instance, life_of_node

NOTHING = HostMemory()


@dataclass(frozen=True, slots=True)
class Placed:
    """A container instance and the store in whose cluster it is."""

    store: str
    instance: ContainerInstance


class Ledgers:
    """One account and region, indexed once so that joining is linear.

    Attributes:
        hosts: of the whole inventory, by id.
        by_id: SSM's nodes; empty when they were not read.
        named: the same by name.
        of_node: container instances of all stores in scope, by ``mi-`` id.
        of_host: the same by the id of the host they belong to; "" for nobody's.
    """

    def __init__(self, shard: ShardSeen, hosts: Mapping[str, Host]) -> None:
        self.shard = shard
        self.hosts = hosts
        nodes = () if isinstance(shard.nodes, NotRead) else shard.nodes.value
        self.by_id = {node.id: node for node in nodes}
        self.named: dict[str, list[ManagedInstance]] = defaultdict(list)
        for node in nodes:
            self.named[node.name].append(node)
        self.of_node: dict[str, list[Placed]] = defaultdict(list)
        for seen in shard.stores.values():
            for instance in _instances(seen):
                if instance.managed_instance_id:
                    self.of_node[instance.managed_instance_id].append(Placed(seen.store, instance))
        self.of_host: dict[str, list[Placed]] = defaultdict(list)
        for seen in shard.stores.values():
            for instance in _instances(seen):
                placed = Placed(seen.store, instance)
                self.of_host[self.owner(placed)].append(placed)

    @cached_property
    def cloned(self) -> frozenset[str]:
        """Ids of the hosts that such claims are about."""
        return frozenset(host for hosts in self.claims.values() for host in hosts)

    @cached_property
    def claims(self) -> Mapping[str, frozenset[str]]:
        """By ``mi-`` id, the hosts that instances of it say they are, where they contradict."""
        found = {}
        for id_, placed in self.of_node.items():
            if len(placed) > 1:
                hosts = frozenset(self.owner(one) for one in placed) - {""}
                if len(hosts) > 1:
                    found[id_] = hosts
        return found

    def owner(self, placed: Placed) -> str:
        """Id of the host whose container instance it is; "" when it is none of the inventory's."""
        node = self.by_id.get(placed.instance.managed_instance_id)
        named = node.name if node is not None and node.name in self.hosts else ""
        claimed = self._claimed(placed)
        if not named or not claimed or named == claimed:
            return named or claimed
        others = self.of_node[placed.instance.managed_instance_id]
        agrees = any(one != placed and self._claimed(one) == named for one in others)
        return claimed if agrees else named

    def _claimed(self, placed: Placed) -> str:
        """Id of the host that an instance's attributes or tags name, as far as there is one."""
        attributes = placed.instance.attributes
        store = attributes.get("fleet.store") or placed.store
        said = f"{store}/{attributes.get('fleet.host', '')}"
        if said in self.hosts:
            return said
        tagged = placed.instance.tags.get(TAG_HOST, "")
        return tagged if tagged in self.hosts else ""


def _instances(seen: StoreSeen) -> tuple[ContainerInstance, ...]:
    return () if isinstance(seen.instances, NotRead) else seen.instances.value


def hosts_by_id(fleet: Fleet) -> dict[str, Host]:
    """Every host of the inventory."""
    return {activation_name(host): host for store in fleet.stores for host in store.hosts}


def case_of(
    store: Store, wanted: Wanted | None, ledgers: Ledgers, background: Background
) -> StoreCase:
    """One store with everything that was read of it and of its hosts."""
    shard = ledgers.shard
    seen = shard.stores[store.id]
    joined = {host.name: _joined(host, ledgers, background) for host in store.hosts}
    spells = _spells(joined, seen, shard, background)
    hosts = {
        name: HostCase(one.host, one.nodes, one.instances, spells.get(name), one.memory)
        for name, one in sorted(joined.items())
    }
    return StoreCase(wanted or Wanted(store, ()), seen, shard, background, hosts)


@dataclass(frozen=True, slots=True)
class _Joined:
    host: Host
    nodes: tuple[ManagedInstance, ...]
    instances: tuple[ContainerInstance, ...]
    memory: HostMemory


def _joined(host: Host, ledgers: Ledgers, background: Background) -> _Joined:
    memory = background.memory.get((host.store, host.name), NOTHING)
    mine = [one.instance for one in ledgers.of_host.get(host.id, ()) if one.store == host.store]
    named = ledgers.named.get(activation_name(host), ())
    nodes = _distinct(
        [*named, *(n for i in mine if (n := ledgers.by_id.get(i.managed_instance_id)))]
    )
    # Of several that answer, one that ECS knows is the host, and the others are copies of it.
    known = {one.managed_instance_id for one in mine}
    if len(nodes) > 1:
        nodes = tuple(sorted(nodes, key=lambda node: _rank(node, known)))
    current = nodes[0].id if nodes else ""
    if len(mine) > 1:
        mine.sort(
            key=lambda i: (i.managed_instance_id == current, *life_of_instance(i)), reverse=True
        )
    return _Joined(host, nodes, tuple(mine), memory)


def _rank(node: ManagedInstance, known: Container[str]) -> int:
    if node.ping is not Ping.ONLINE:
        return 2
    return 0 if node.id in known else 1


def _distinct(nodes: Iterable[ManagedInstance]) -> tuple[ManagedInstance, ...]:
    by_id = {node.id: node for node in nodes}
    if len(by_id) <= 1:
        return tuple(by_id.values())
    return tuple(sorted(by_id.values(), key=life_of_node, reverse=True))


def _spells(
    joined: Mapping[str, _Joined], seen: StoreSeen, shard: ShardSeen, background: Background
) -> Mapping[str, Spell]:
    if isinstance(shard.nodes, NotRead) or isinstance(seen.instances, NotRead):
        return {}
    sights = {
        name: Sight(one.nodes[0], one.instances[0], one.memory)
        for name, one in joined.items()
        if one.nodes and one.instances and one.instances[0].managed_instance_id == one.nodes[0].id
    }
    return spells_of(sights, seen, shard.nodes.at, background)
