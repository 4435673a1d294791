"""Container instances and nodes that no host of the inventory stands for."""

from collections.abc import Iterable, Mapping

from fleet.drift.decide import host_codes as codes
from fleet.drift.decide.case import HostCase, StoreCase
from fleet.drift.decide.commands import aws_command
from fleet.drift.decide.host_words import drop_instance, ecs_says, short
from fleet.drift.decide.join import NOTHING, Ledgers, Placed
from fleet.drift.decide.registration import NOT_OPEN, elsewhere
from fleet.drift.decide.shard_case import ShardCase
from fleet.model.drift import Evidence, Finding
from fleet.model.inventory import Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead
from fleet.model.printable import listed, printable


def of_store(case: StoreCase, ledgers: Ledgers) -> list[Finding]:
    """Container instances of a store's cluster that are none of its hosts'."""
    seen = case.seen.instances
    if (
        case.store.lifecycle in NOT_OPEN
        or isinstance(seen, NotRead)
        or isinstance(case.shard.nodes, NotRead)
    ):
        return []
    found = []
    for instance in seen.value:
        owner = ledgers.owner(Placed(case.store.id, instance))
        if owner and (ledgers.hosts[owner].store == case.store.id or _told(owner, ledgers)):
            continue
        found.append(_instance(case, instance, owner))
    return found


def _instance(case: StoreCase, instance: ContainerInstance, owner: str) -> Finding:
    whose = f"it is {owner}'s" if owner else "the inventory has no such host"
    words = (
        f"ecs describe-container-instances --cluster {case.store.cluster} "
        f"--container-instances {instance.arn}"
    )
    return case.found(
        codes.FOREIGN_INSTANCE,
        f"{short(instance)} of {instance.managed_instance_id or 'no node'} is in the store's "
        f"cluster, and {whose}",
        ecs_says(case, instance),
        Evidence("inventory", f"{case.store.id} has {_named(case.store.hosts)}"),
        subject=short(instance),
        fix=f"{aws_command(case.store, words)}; if nobody's: {drop_instance(case.store, instance)}",
        data={"arn": instance.arn, "node": instance.managed_instance_id, "owner": owner},
    )


def _named(hosts: Iterable[Host]) -> str:
    return listed([host.name for host in hosts]) or "no host"


def _told(owner: str, ledgers: Ledgers) -> bool:
    """Whether the instance is told at its owner: as a clone's, or because it has no other."""
    if owner in ledgers.cloned:
        return True
    host = ledgers.hosts[owner]
    if host.store not in ledgers.shard.stores:
        return False
    nodes = tuple(ledgers.named.get(owner, ()))
    own = tuple(one.instance for one in ledgers.of_host[owner] if one.store == host.store)
    return elsewhere(HostCase(host, nodes, own, None, NOTHING), ledgers) is not None


def of_shard(case: ShardCase) -> list[Finding]:
    """Nodes that are ours by tag or by name, and no host of the inventory's.

    One that a cluster still names is told there, so nothing is said as long as not every cluster
    of the account and region was read.
    """
    shard = case.shard
    if isinstance(shard.nodes, NotRead) or not case.is_whole:
        return []
    tagged = frozenset() if isinstance(shard.tagged, NotRead) else shard.tagged.value
    stores = {store.id: store for store in case.fleet.stores}
    return [
        _node(case, stores, node, tagged=node.id in tagged)
        for node in shard.nodes.value
        if node.id not in case.ledgers.of_node
        and _is_strange(case, stores, node, tagged=node.id in tagged)
    ]


def _is_strange(
    case: ShardCase, stores: Mapping[str, Store], node: ManagedInstance, *, tagged: bool
) -> bool:
    host = case.ledgers.hosts.get(node.name)
    if host is not None:
        home = stores[host.store]
        return (home.account.name, home.region) != (case.shard.account, case.shard.region)
    store, slash, _name = node.name.partition("/")
    return tagged or (bool(slash) and store in stores)


def _node(
    case: ShardCase, stores: Mapping[str, Store], node: ManagedInstance, *, tagged: bool
) -> Finding:
    nodes, host = case.shard.nodes, case.ledgers.hosts.get(node.name)
    why = "the inventory has no such host"
    if host is not None:
        home = stores[host.store]
        why = f"that host lives in {home.account.name}/{home.region}"
    ours = "carries the fleet's tag" if tagged else "is named like a host of the fleet"
    name = f'"{printable(node.name, limit=80)}"' if node.name else "without a name"
    return case.found(
        codes.FOREIGN_NODE,
        f"{node.id} {name} {ours}, and {why}",
        Evidence("SSM", f"{node.id} {node.ping}", None if isinstance(nodes, NotRead) else nodes.at),
        subject=node.id,
        fix=case.aws(f"ssm deregister-managed-instance --instance-id {node.id}"),
        data={"node": node.id, "name": node.name},
    )
