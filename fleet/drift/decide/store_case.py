"""Joins the readings of an account and region, and gives each rule its store, host or shard.

SSM's node has the name of its host; ECS's container instance names its node (``mi-``). Where both
contradict the attributes that fleet set, the node decides, unless the node has another instance
whose attributes agree with it: then the contradicting instance is a clone's.
"""

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any, NamedTuple, TypedDict, Unpack

from fleet.drift.decide.finding_kinds import FindingKind
from fleet.drift.decide.host_connection import SeenHost, spells_of
from fleet.model.commands import Command, Proposal, aws_command, commands_of, text_of
from fleet.model.drift import (
    Background,
    Evidence,
    Finding,
    HostConnection,
    HostMemory,
    ShardSeen,
    Spell,
    StoreSeen,
)
from fleet.model.drift_settings import Severity
from fleet.model.hours import Powered
from fleet.model.identity import STORE_ATTRIBUTE, TAG_HOST, activation_name
from fleet.model.inventory import Fleet, Host, Lifecycle, Store
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping
from fleet.model.wanted import Wanted

NOTHING = HostMemory()
#: Lifecycles in which no host should be registered.
NOT_OPEN = frozenset({Lifecycle.CLOSED, Lifecycle.PLANNED})


class Details(TypedDict, total=False):
    """What a rule may add to a finding.

    Attributes:
        since: when it began, where AWS or the records say so. Without it, the finding is as old as
            its first scan, "at least".
        since_known: False where ``since`` may still be too late.
        severity: where it is not the catalogue's.
        sure: False where the scan could not prove what ``--fix`` rests on.
    """

    host: str
    subject: str
    fix: Command | Proposal
    since: datetime | None
    since_known: bool
    severity: Severity | None
    sure: bool
    data: Mapping[str, Any]


class Where(NamedTuple):
    """What a finding is about: an account's region, and a store of it; "" for the whole fleet."""

    account: str = ""
    region: str = ""
    store: str = ""


def make_finding(
    background: Background,
    where: Where,
    kind: FindingKind,
    cause: str,
    *evidence: Evidence,
    **details: Unpack[Details],
) -> Finding:
    """Return a finding; what its rule leaves out comes from the catalogue and earlier scans."""
    host, subject = details.get("host", ""), details.get("subject", "")
    since, fix = details.get("since"), details.get("fix", ())
    fix = (fix,) if isinstance(fix, Command) else fix
    known = background.first_seen.get((kind.code, *where, host, subject))
    return Finding(
        code=kind.code,
        severity=details.get("severity") or kind.severity,
        store=where.store,
        host=host,
        subject=subject,
        account=where.account,
        region=where.region,
        since=since or known or background.now,
        since_known=details.get("since_known", since is not None),
        cause=cause,
        evidence=evidence,
        fix=text_of(fix),
        commands=commands_of(fix),
        safe=kind.safe and details.get("sure", True),
        data=details.get("data", {}),
    )


@dataclass(frozen=True, slots=True)
class HostCase:
    """One host of the inventory and what SSM and ECS say of it.

    Attributes:
        nodes: SSM's nodes of the host's name, the current one first.
        instances: the host's container instances, the best one first.
        connection: how it is connected where that is certain; None where it is not.
    """

    host: Host
    nodes: tuple[ManagedInstance, ...]
    instances: tuple[ContainerInstance, ...]
    memory: HostMemory
    connection: Spell | None = None

    @property
    def node(self) -> ManagedInstance | None:
        """Return the current node."""
        return self.nodes[0] if self.nodes else None

    @property
    def instance(self) -> ContainerInstance | None:
        """Return the best container instance."""
        return self.instances[0] if self.instances else None

    @property
    def is_dark(self) -> bool:
        """Return whether it is certainly dark."""
        return self.is_certainly(HostConnection.DARK)

    @property
    def is_switched_off(self) -> bool:
        """Return whether it is certainly switched off because its store is closed."""
        return self.is_certainly(HostConnection.POWERED_OFF)

    @property
    def takes_tasks(self) -> bool:
        """Return whether it is certainly connected and its container instance ACTIVE."""
        instance = self.instance
        active = instance is not None and instance.status == "ACTIVE"
        return active and self.is_certainly(HostConnection.CONNECTED)

    def is_certainly(self, connection: HostConnection) -> bool:
        """Tell whether it is connected in this way, for certain."""
        return self.connection is not None and self.connection.connection is connection


@dataclass(frozen=True, slots=True)
class StoreCase:
    """One store with its hosts.

    Attributes:
        hosts: by name, in name order.
    """

    wanted: Wanted
    seen: StoreSeen
    shard: ShardSeen
    background: Background
    hosts: Mapping[str, HostCase]

    @property
    def store(self) -> Store:
        """Return the store of the inventory."""
        return self.wanted.store

    @property
    def is_open(self) -> bool:
        """Return whether the store is open."""
        return self.store.lifecycle is Lifecycle.OPEN

    @property
    def instances_at(self) -> datetime | None:
        """Return when its container instances were read; None where they were not."""
        return None if isinstance(self.seen.instances, NotRead) else self.seen.instances.at

    @property
    def nodes_at(self) -> datetime | None:
        """Return when SSM's nodes were read; None where they were not."""
        return None if isinstance(self.shard.nodes, NotRead) else self.shard.nodes.at

    @property
    def has_hosts_read(self) -> bool:
        """Return whether both SSM's nodes and ECS's container instances were read."""
        return self.instances_at is not None and self.nodes_at is not None

    def aws(self, words: str, *, sends: bool = True) -> Command:
        """Return the command line of an AWS call in the store's account and region."""
        return aws_command(words, self.store.region, self.store.account.profile, sends=sends)

    def found(
        self, kind: FindingKind, cause: str, *evidence: Evidence, **details: Unpack[Details]
    ) -> Finding:
        """Return a finding of this store."""
        where = Where(self.shard.account, self.shard.region, self.store.id)
        return make_finding(self.background, where, kind, cause, *evidence, **details)


@dataclass(frozen=True, slots=True)
class Placed:
    """A container instance and the store in whose cluster it is."""

    store: str
    instance: ContainerInstance


class Ledgers:
    """The readings of one account and region, indexed once so that joining is linear.

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
        all_placed = [
            Placed(seen.store, instance)
            for seen in shard.stores.values()
            if not isinstance(seen.instances, NotRead)
            for instance in seen.instances.value
        ]
        self.of_node: dict[str, list[Placed]] = defaultdict(list)
        for placed in all_placed:
            if placed.instance.managed_instance_id:
                self.of_node[placed.instance.managed_instance_id].append(placed)
        self.of_host: dict[str, list[Placed]] = defaultdict(list)
        for placed in all_placed:
            self.of_host[self.owner(placed)].append(placed)

    @cached_property
    def cloned(self) -> frozenset[str]:
        """Ids of the hosts that ``claims`` are about."""
        return frozenset(host for hosts in self.claims.values() for host in hosts)

    @cached_property
    def claims(self) -> Mapping[str, frozenset[str]]:
        """By ``mi-`` id, the hosts that its instances name, where they name different ones."""
        found = {}
        for id_, placed in self.of_node.items():
            if len(placed) > 1:
                hosts = frozenset(self.owner(one) for one in placed) - {""}
                if len(hosts) > 1:
                    found[id_] = hosts
        return found

    def owner(self, placed: Placed) -> str:
        """Return the id of the host whose container instance it is; "" for nobody's."""
        node = self.by_id.get(placed.instance.managed_instance_id)
        named = node.name if node is not None and node.name in self.hosts else ""
        claimed = self._claimed(placed)
        if not named or not claimed or named == claimed:
            return named or claimed
        others = self.of_node[placed.instance.managed_instance_id]
        agrees = any(one != placed and self._claimed(one) == named for one in others)
        return claimed if agrees else named

    def _claimed(self, placed: Placed) -> str:
        """Return the id of the host that an instance's attributes or tags name, or ""."""
        attributes = placed.instance.attributes
        store = attributes.get(STORE_ATTRIBUTE) or placed.store
        said = f"{store}/{attributes.get('fleet.host', '')}"
        if said in self.hosts:
            return said
        tagged = placed.instance.tags.get(TAG_HOST, "")
        return tagged if tagged in self.hosts else ""


@dataclass(frozen=True, slots=True)
class ShardCase:
    """An account and region as a whole, for rules that are about no single store."""

    fleet: Fleet
    ledgers: Ledgers
    background: Background

    @property
    def shard(self) -> ShardSeen:
        """Return what was read of it."""
        return self.ledgers.shard

    @property
    def place(self) -> str:
        """Return ``emea-prod/eu-west-1``."""
        return f"{self.shard.account}/{self.shard.region}"

    @property
    def is_whole(self) -> bool:
        """Return whether the container instances of every store of it were read."""
        here, seen = (self.shard.account, self.shard.region), self.shard.stores
        return all(
            store.id in seen and not isinstance(seen[store.id].instances, NotRead)
            for store in self.fleet.stores
            if (store.account.name, store.region) == here
        )

    def aws(self, words: str, *, sends: bool = True) -> Command:
        """Return the command line of an AWS call there."""
        account = self.fleet.accounts.get(self.shard.account)
        profile = account.profile if account else None
        return aws_command(words, self.shard.region, profile, sends=sends)

    def found(
        self,
        kind: FindingKind,
        cause: str,
        *evidence: Evidence,
        store: str = "",
        **details: Unpack[Details],
    ) -> Finding:
        """Return a finding of it, or of the store that it turns out to be about."""
        where = Where(self.shard.account, self.shard.region, store)
        return make_finding(self.background, where, kind, cause, *evidence, **details)


def hosts_by_id(fleet: Fleet) -> dict[str, Host]:
    """Return every host of the inventory by its id."""
    return {activation_name(host): host for store in fleet.stores for host in store.hosts}


def case_of(
    store: Store, wanted: Wanted | None, ledgers: Ledgers, background: Background
) -> StoreCase:
    """Return one store with everything that was read of it and of its hosts."""
    shard = ledgers.shard
    seen = shard.stores[store.id]
    hosts = {
        name: _joined(host, ledgers, background)
        for name, host in sorted({host.name: host for host in store.hosts}.items())
    }
    for name, spell in _spells(store, hosts, seen, shard, background).items():
        hosts[name] = replace(hosts[name], connection=spell)
    return StoreCase(wanted or Wanted(store, ()), seen, shard, background, hosts)


def _joined(host: Host, ledgers: Ledgers, background: Background) -> HostCase:
    """Return a host with its nodes and instances, before its connection is known."""
    memory = background.memory.get((host.store, host.name), NOTHING)
    mine = [one.instance for one in ledgers.of_host.get(host.id, ()) if one.store == host.store]
    named = ledgers.named.get(activation_name(host), ())
    nodes = _distinct(
        [*named, *(n for i in mine if (n := ledgers.by_id.get(i.managed_instance_id)))]
    )
    # Of several that answer, the one that ECS knows is the host, and the others are copies of it.
    known = {one.managed_instance_id for one in mine}
    if len(nodes) > 1:
        nodes = tuple(sorted(nodes, key=lambda node: _rank(node, known)))
    current = nodes[0].id if nodes else ""
    if len(mine) > 1:
        mine.sort(key=lambda i: (i.managed_instance_id == current, *i.liveliness), reverse=True)
    return HostCase(host, nodes, tuple(mine), memory)


def _rank(node: ManagedInstance, known: Container[str]) -> int:
    if node.ping is not Ping.ONLINE:
        return 2
    return 0 if node.id in known else 1


def _distinct(nodes: Iterable[ManagedInstance]) -> tuple[ManagedInstance, ...]:
    by_id = {node.id: node for node in nodes}
    return tuple(sorted(by_id.values(), key=lambda node: node.liveliness, reverse=True))


def _spells(
    store: Store,
    hosts: Mapping[str, HostCase],
    seen: StoreSeen,
    shard: ShardSeen,
    background: Background,
) -> Mapping[str, Spell]:
    if isinstance(shard.nodes, NotRead) or isinstance(seen.instances, NotRead):
        return {}
    both_seen = {
        name: SeenHost(
            one.node,
            one.instance,
            one.memory,
            store if one.host.powered is Powered.OPENING_HOURS else None,
        )
        for name, one in hosts.items()
        if one.node and one.instance and one.instance.managed_instance_id == one.node.id
    }
    return spells_of(both_seen, seen, shard.nodes.at, background)
