"""Which nodes a scan of a few stores asks SSM for, so that nobody waits for ten thousand others.

SSM lists nodes by tag or by id, and never by name (DescribeInstanceInformation, SSM API reference).
What carries a store's tag, what ECS names, and what earlier scans knew is asked for; a host of
which all that finds nothing may still have a node of its name, and then all of them are listed.
"""

from collections.abc import Collection, Iterable, Mapping

from fleet.drift.decide.least_calls import ShardSize, least_calls
from fleet.model.drift import HostMemory, StoreSeen
from fleet.model.identity import activation_name
from fleet.model.inventory import Lifecycle, Store
from fleet.model.night import PastFinding
from fleet.model.observed import ManagedInstance, NotRead


def is_narrow(stores: Collection[Store], here: Collection[Store]) -> bool:
    """Whether the nodes of these stores cost fewer calls than those of everybody.

    Args:
        stores: to look at.
        here: all of the inventory's in their account and region.
    """
    if len(stores) >= len(here):
        return False  # What belongs to no store can be told then, and is looked for.
    return _calls(stores, narrow=True) < _calls(here, narrow=False)


def _calls(stores: Collection[Store], *, narrow: bool) -> int:
    hosts = sum(len(store.hosts) for store in stores)
    calls = least_calls(ShardSize(len(stores), hosts, hosts, narrow=narrow))
    return sum(count for action, count in calls.items() if action.startswith("ssm:"))


def known_nodes(
    stores: Iterable[Store],
    memory: Mapping[tuple[str, str], HostMemory],
    open_: Iterable[PastFinding],
) -> frozenset[str]:
    """Ids of nodes that the records know of these stores.

    Args:
        memory: by (store, host).
        open_: findings that are not resolved; one that names a node is about it, and whether it
            is still so can only be said by looking at that.
    """
    scope = {store.id: store for store in stores}
    remembered = (
        memory[store.id, host.name].managed_instance_id
        for store in scope.values()
        for host in store.hosts
        if (store.id, host.name) in memory
    )
    told = (
        node
        for row in open_
        if row.finding.store in scope
        for node in (row.finding.data.get("node"), *_several(row.finding.data.get("nodes")))
        if isinstance(node, str)
    )
    return frozenset(filter(None, (*remembered, *told)))


def _several(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else ()


def named_by_ecs(seen: Iterable[StoreSeen]) -> frozenset[str]:
    """Ids of the nodes that container instances of these stores are of."""
    return frozenset(
        one.managed_instance_id
        for store in seen
        if not isinstance(store.instances, NotRead)
        for one in store.instances.value
        if one.managed_instance_id
    )


def not_found(stores: Iterable[Store], nodes: Iterable[ManagedInstance]) -> tuple[str, ...]:
    """Ids of hosts of which no node was found, of stores that should have some."""
    names = {node.name for node in nodes}
    return tuple(
        host.id
        for store in stores
        if store.lifecycle in {Lifecycle.OPEN, Lifecycle.PAUSED}
        for host in store.hosts
        if activation_name(host) not in names
    )
