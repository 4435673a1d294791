"""Reads what is known of stores now; what cannot be read is said, and nothing is made up for it."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from fleet.aws import observe
from fleet.aws.session import Shard
from fleet.decide.identity import TAG_FLEET
from fleet.decide.status import NotRead, Recorded, StoreReadings, store_status
from fleet.engine.ledgers import check_caller
from fleet.engine.wiring import Wiring
from fleet.errors import AwsError
from fleet.model.inventory import Store
from fleet.model.observed import Cluster, ContainerInstance, ManagedInstance, Reading
from fleet.model.status import StoreStatus

T = TypeVar("T")
Key = tuple[str, str]


def read_status(wiring: Wiring, stores: Sequence[Store]) -> tuple[StoreStatus, ...]:
    """The status of stores, in the order given.

    One sweep of SSM and one of the clusters per account and region, then two ECS calls per store
    that has a cluster. A ledger that cannot be read is named in the result; nothing is raised for
    it, so that one region's failure does not hide the others.
    """
    keys = sorted({(s.account.name, s.region) for s in stores})
    with ThreadPoolExecutor(wiring.workers) as pool:
        sweeps = dict(zip(keys, pool.map(lambda k: _sweep(wiring, k, stores), keys), strict=True))
        instances = list(pool.map(lambda s: _instances(wiring, s, sweeps), stores))
    recorded = {
        (f"{seen.store}/{seen.host}", str(seen.ledger)): Recorded(
            str(seen.value.get("state", "seen")), seen.last_seen
        )
        for seen in wiring.records.latest([s.id for s in stores])
    }
    statuses = []
    for store, seen in zip(stores, instances, strict=True):
        clusters, nodes = sweeps[_key(store)]
        statuses.append(
            store_status(StoreReadings(store, _cluster(clusters, store), seen, nodes, recorded))
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
    names = [s.cluster for s in stores if _key(s) == key]
    return (
        _attempt(lambda: observe.clusters(shard, names)),
        _attempt(lambda: observe.managed_instances_tagged(shard, TAG_FLEET, wiring.fleet.name)),
    )


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
    return _attempt(lambda: observe.container_instances(shard, store.cluster))


def _remember(wiring: Wiring, statuses: Sequence[StoreStatus]) -> None:
    """Keep what was read live, so that a later run that cannot read can say how old it is."""
    now = wiring.clock.now()
    for status in statuses:
        for host in status.hosts:
            for ledger, view in (("ssm", host.ssm), ("ecs", host.ecs)):
                if not view.why_not and view.as_of is not None:
                    wiring.records.observe(
                        status.store.id, host.host.name, ledger, {"state": view.state}, at=now
                    )
