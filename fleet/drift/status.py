"""Reads the status of stores from SSM and ECS now; names what cannot be read."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import read_container_instances
from fleet.aws.managed_instances import (
    describe_managed_instances,
    managed_instances_tagged,
)
from fleet.aws.session import Shard
from fleet.drift.decide.store_status import RecordedState, StoreReadings, store_status
from fleet.errors import AwsError, RecordsError
from fleet.model.history import Observation
from fleet.model.identity import TAG_FLEET, TAG_STORE
from fleet.model.inventory import Store
from fleet.model.observed import Cluster, ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from fleet.model.progress import Note
from fleet.model.status import Freshness, LedgerView, StoreStatus
from fleet.runtime.ledgers import check_caller
from fleet.runtime.wiring import Wiring

T = TypeVar("T")
Key = tuple[str, str]


def read_status(wiring: Wiring, stores: Sequence[Store]) -> tuple[StoreStatus, ...]:
    """Return the status of stores, in the order given.

    One sweep of SSM and one of the clusters per account and region, then two ECS calls per store
    that has hosts in its cluster, and one more of SSM where ECS names a node that the sweep lacks.
    A ledger that cannot be read is named in the result; nothing is raised for it, so that one
    region's failure does not hide the others.
    """
    keys = sorted({(s.account.name, s.region) for s in stores})
    with ThreadPoolExecutor(wiring.workers) as pool:
        sweeps = dict(zip(keys, pool.map(lambda k: _sweep(wiring, k, stores), keys), strict=True))
        instances = list(pool.map(lambda s: _instances(wiring, s, sweeps), stores))
        named = list(zip(stores, instances, strict=True))
        found = list(pool.map(lambda k: _untagged(wiring, k, sweeps[k][1], named), keys))
    nodes_of = dict(zip(keys, found, strict=True))
    recorded = {
        (f"{seen.store}/{seen.host}", str(seen.ledger)): _recorded(seen)
        for seen in wiring.records.latest([s.id for s in stores])
    }
    statuses = []
    for store, seen in named:
        clusters, nodes = sweeps[_key(store)][0], nodes_of[_key(store)]
        statuses.append(
            store_status(
                StoreReadings(
                    store,
                    _cluster(clusters, store),
                    seen,
                    nodes,
                    wiring.clock.now(),
                    recorded,
                    wiring.fleet.drift.hold_s,
                )
            )
        )
    _remember(wiring, statuses)
    return tuple(statuses)


Clusters = Reading[dict[str, Cluster]] | NotRead
Nodes = Reading[tuple[ManagedInstance, ...]] | NotRead
Instances = Reading[tuple[ContainerInstance, ...]] | NotRead


def _key(store: Store) -> Key:
    return store.account.name, store.region


def _attempt(read: Callable[[], Reading[T]]) -> Reading[T] | NotRead:
    try:
        return read()
    except AwsError as error:
        return NotRead(str(error))


def _sweep(wiring: Wiring, key: Key, stores: Sequence[Store]) -> tuple[Clusters, Nodes]:
    shard = wiring.shard(wiring.fleet.accounts[key[0]], key[1])
    try:
        check_caller(shard)
    except AwsError as error:
        why = NotRead(str(error))
        return why, why
    mine = [s for s in stores if _key(s) == key]
    return (
        _attempt(lambda: describe_clusters(shard, [s.cluster for s in mine])),
        _attempt(lambda: _nodes(wiring, shard, mine)),
    )


#: Up to so many stores are asked for one by one; more cost less in one sweep of the fleet's nodes.
FEW_STORES = 5


def _nodes(
    wiring: Wiring, shard: Shard, stores: Sequence[Store]
) -> Reading[tuple[ManagedInstance, ...]]:
    if len(stores) > FEW_STORES:
        return managed_instances_tagged(shard, TAG_FLEET, wiring.fleet.name)
    readings = [managed_instances_tagged(shard, TAG_STORE, store.id) for store in stores]
    nodes = tuple(node for reading in readings for node in reading.value)
    return Reading(nodes, min(reading.at for reading in readings))


def _cluster(clusters: Clusters, store: Store) -> Reading[Cluster | None] | NotRead:
    if isinstance(clusters, NotRead):
        return clusters
    return Reading(clusters.value.get(store.cluster), clusters.at)


def _instances(
    wiring: Wiring, store: Store, sweeps: dict[Key, tuple[Clusters, Nodes]]
) -> Instances:
    clusters, _nodes = sweeps[_key(store)]
    if isinstance(clusters, NotRead):
        return clusters
    cluster = clusters.value.get(store.cluster)
    if cluster is None or not cluster.container_instances:
        return Reading((), clusters.at)
    shard: Shard = wiring.shard(store.account, store.region)
    return _attempt(lambda: read_container_instances(shard, store.cluster))


def _untagged(
    wiring: Wiring, key: Key, nodes: Nodes, named: Sequence[tuple[Store, Instances]]
) -> Nodes:
    """Return the sweep's nodes, and those that ECS names but that lost our tags."""
    if isinstance(nodes, NotRead):
        return nodes
    wanted = {
        instance.managed_instance_id
        for store, reading in named
        if _key(store) == key and not isinstance(reading, NotRead)
        for instance in reading.value
    }
    missing = sorted(wanted - {node.id for node in nodes.value} - {""})
    if not missing:
        return nodes
    shard = wiring.shard(wiring.fleet.accounts[key[0]], key[1])
    lookup = _attempt(lambda: describe_managed_instances(shard, missing))
    if isinstance(lookup, NotRead):
        return lookup
    return Reading((*nodes.value, *lookup.value.known), nodes.at)


def _recorded(seen: Observation) -> RecordedState:
    since = seen.value.get("as_of")
    as_of = datetime.fromisoformat(since) if isinstance(since, str) else seen.last_seen
    return RecordedState(seen.state or "seen", as_of)


def _observed(view: LedgerView, ledger: str) -> dict[str, str]:
    """Return what to record of a view. The last ping of a lost node stays, so it is part of it."""
    lost = ledger == "ssm" and view.state != str(Ping.ONLINE) and view.as_of is not None
    more = {"as_of": view.as_of.isoformat()} if lost and view.as_of else {}
    return {"state": view.state, **more}


def _remember(wiring: Wiring, statuses: Sequence[StoreStatus]) -> None:
    """Record what was read live, so that a later run that cannot read can say how old it is.

    A database that is locked or full must not hide what was just read.
    """
    now = wiring.clock.now()
    try:
        for status in statuses:
            for host in status.hosts:
                for ledger, view in (("ssm", host.ssm), ("ecs", host.ecs)):
                    if view.freshness is Freshness.LIVE:
                        value = _observed(view, ledger)
                        wiring.records.observe(
                            status.store.id, host.host.name, ledger, value, at=now
                        )
    except RecordsError as error:
        wiring.listen(Note(wiring.clock.now(), f"not recorded: {error}"))
