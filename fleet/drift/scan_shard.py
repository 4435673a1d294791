"""Reads the ledgers of one account and region for a scan, side by side and with bounded threads."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

from fleet.aws.activations import list_activations
from fleet.aws.clusters import count_clusters, describe_clusters
from fleet.aws.container_instances import describe_container_instances, scan_container_instances
from fleet.aws.interning import Interner
from fleet.aws.managed_instances import describe_managed_instances
from fleet.aws.services import scan_services
from fleet.aws.session import Shard
from fleet.aws.tasks import scan_tasks
from fleet.drift.decide.account import counts_clusters
from fleet.drift.decide.host_connection import proven, unexplained, with_lost, with_pings
from fleet.drift.decide.returned_stores import outage
from fleet.drift.scan_nodes import NodeReader
from fleet.errors import AwsError, Interrupted
from fleet.model.drift import HostMemory, ShardSeen, StoreSeen
from fleet.model.drift_settings import DriftSettings
from fleet.model.inventory import Lifecycle, Store
from fleet.model.observed import Cluster, ContainerInstance, ManagedInstance, NotRead
from fleet.model.observed import Reading as Read
from fleet.model.progress import Note
from fleet.model.services import TaskState
from fleet.model.spans import clock
from fleet.runtime.circuit_breaker import CircuitBreaker
from fleet.runtime.wiring import Wiring

T = TypeVar("T")
Clusters = Read[Mapping[str, Cluster]] | NotRead

#: SSM's questions go beside those about stores: other limits hold for them.
SSM_THREADS = 4
#: Longest sleep after which it is seen whether somebody wants the scan to end, in seconds.
NAP_S = 5.0
#: A line of progress for about every tenth part of the stores, and for no fewer than these.
STORES_PER_LINE = 250


@dataclass(frozen=True, slots=True)
class ShardQuestion:
    """What to read of an account and region.

    Attributes:
        stores: in scope, all of this account and region.
        names: services that each should run, by store id; None when that is not known.
        memory: by (store, host).
        digests: whether the tasks that run are read everywhere.
        narrow: whether only the nodes of these stores are asked for.
        known_nodes: ids of those that the records know of them.
        last_full_scan_at: as in ``Background``.
    """

    account: str
    region: str
    stores: tuple[Store, ...]
    names: Mapping[str, tuple[str, ...]] | None
    memory: Mapping[tuple[str, str], HostMemory]
    settings: DriftSettings
    digests: bool = False
    narrow: bool = False
    known_nodes: frozenset[str] = frozenset()
    last_full_scan_at: datetime | None = None


def read_shard(wiring: Wiring, question: ShardQuestion, interner: Interner) -> ShardSeen:
    """Read everything that a scan needs of an account and region; what fails is NotRead.

    Raises:
        Interrupted: somebody wanted it to end.
    """
    reader = _Reader(wiring, question, interner)
    with ThreadPoolExecutor(wiring.workers + SSM_THREADS, thread_name_prefix="scan") as pool:
        try:
            return reader.read(pool)
        except BaseException:
            # The others of this shard end at their next question.
            reader.ended.set()
            raise


def unread_shard(question: ShardQuestion, why: NotRead) -> ShardSeen:
    """Return an account and region of which nothing could be read."""
    stores = {store.id: StoreSeen(store.id, why, why) for store in question.stores}
    return ShardSeen(question.account, question.region, why, why, why, why, why, stores)


class _Reader:
    """Reads one account and region."""

    def __init__(self, wiring: Wiring, question: ShardQuestion, interner: Interner) -> None:
        self.ended = threading.Event()
        self._wiring = wiring
        self._question = question
        self._interner = interner
        account = wiring.fleet.accounts[question.account]
        self._shard: Shard = wiring.shard(account, question.region)
        self._breaker = CircuitBreaker()
        self._stores: dict[str, StoreSeen] = {}
        self._looked_at: dict[str, datetime] = {}
        self._counting = threading.Lock()
        self._per_line = max(STORES_PER_LINE, len(question.stores) // 10)

    def read(self, pool: ThreadPoolExecutor) -> ShardSeen:
        """Read all of it."""
        shard, fleet = self._shard, self._wiring.fleet.name
        reader = NodeReader(shard, fleet, self._ask, self._interner, pool)
        listed = None if self._question.narrow else reader.start()
        activations = pool.submit(self._ask, "activations", "ssm", lambda: list_activations(shard))
        names = [store.cluster for store in self._question.stores]
        clusters = self._ask("clusters", "ecs", lambda: _clusters(shard, names))
        count = self._cluster_count(clusters)
        self._side_by_side(
            pool, self._question.stores, lambda store: self._read_store(store, clusters)
        )
        if listed is None:
            question = self._question
            seen = reader.of_stores(question.stores, self._stores, question.known_nodes)
        else:
            seen = listed()
        nodes = seen.nodes
        if not isinstance(nodes, NotRead):
            nodes = self._read_doubtful_again(pool, nodes)
        return ShardSeen(
            account=self._question.account,
            region=self._question.region,
            clusters=clusters,
            nodes=nodes,
            tagged=seen.tagged,
            activations=activations.result(),
            tier=seen.tier,
            stores={store.id: self._stores[store.id] for store in self._question.stores},
            cluster_count=count,
        )

    def _cluster_count(self, clusters: Clusters) -> Read[int] | NotRead | None:
        """Count all clusters, others' too, where the number comes near the quota."""
        settings = self._question.settings
        if isinstance(clusters, NotRead) or not counts_clusters(len(clusters.value), settings):
            return None
        return self._ask("number of clusters", "ecs", lambda: count_clusters(self._shard))

    def _read_store(self, store: Store, clusters: Clusters) -> None:
        seen = self._seen(store, clusters)
        # By the clock that is slept by, which need not be AWS's.
        self._looked_at[store.id] = self._wiring.clock.now()
        with self._counting:
            self._stores[store.id] = seen
            count = len(self._stores)
        if count % self._per_line == 0:
            where = f"{self._question.account} {self._question.region}"
            self._note(f"{where}: read {count} of {len(self._question.stores)} stores")

    def _seen(self, store: Store, clusters: Clusters) -> StoreSeen:
        if isinstance(clusters, NotRead):
            return StoreSeen(store.id, clusters, clusters)
        cluster = clusters.value.get(store.cluster)
        if cluster is None or cluster.status == "INACTIVE":
            return StoreSeen(store.id, Read((), clusters.at), Read((), clusters.at))
        shard, interner = self._shard, self._interner
        instances: Read[tuple[ContainerInstance, ...]] | NotRead = Read((), clusters.at)
        if cluster.container_instances:
            known = self._remembered(store)
            instances = self._ask(
                "container instances",
                "ecs",
                lambda: _checked_by_count(
                    shard,
                    cluster,
                    lambda one: one.container_instances,
                    scan_container_instances(shard, cluster, known, interner),
                ),
            )
        names = None if self._question.names is None else self._question.names.get(store.id, ())
        seen = StoreSeen(store.id, instances, Read((), clusters.at))
        if names or cluster.services:
            services = self._ask(
                "services",
                "ecs",
                lambda: _checked_by_count(
                    shard,
                    cluster,
                    lambda one: one.services,
                    scan_services(shard, cluster, names, interner),
                ),
            )
            seen = replace(seen, services=services)
        return replace(seen, tasks=self._tasks(store, cluster, seen))

    def _tasks(
        self, store: Store, cluster: Cluster, seen: StoreSeen
    ) -> Read[tuple[TaskState, ...]] | NotRead | None:
        """Read tasks where digests are asked for; the stopped ones too of a store that is back.

        A task that is told to stop and still runs is listed with the stopped ones, and shows in
        the cluster's count alone.
        """
        back = self._is_back(store, seen)
        if not back and not self._question.digests:
            return None
        if not back and not cluster.running_tasks:
            return Read((), seen.services.at) if isinstance(seen.services, Read) else None
        read = self._listed(cluster, stopped=back)
        if back or isinstance(read, NotRead):
            return read
        running = sum(task.last_status == "RUNNING" for task in read.value)
        return self._listed(cluster, stopped=True) if running < cluster.running_tasks else read

    def _listed(self, cluster: Cluster, *, stopped: bool) -> Read[tuple[TaskState, ...]] | NotRead:
        return self._ask(
            "tasks",
            "ecs",
            lambda: scan_tasks(self._shard, cluster.name, stopped=stopped, interner=self._interner),
        )

    def _is_back(self, store: Store, seen: StoreSeen) -> bool:
        """Tell whether all of it was dark at the last full scan, and some is connected now."""
        if isinstance(seen.instances, NotRead):
            return False
        known = (self._question.memory.get((store.id, host.name)) for host in store.hosts)
        outages = [outage(memory, self._question.last_full_scan_at) for memory in known if memory]
        was_dark = bool(outages) and None not in outages
        return was_dark and any(one.agent_connected for one in seen.instances.value)

    def _remembered(self, store: Store) -> list[str]:
        known = (self._question.memory.get((store.id, host.name)) for host in store.hosts)
        return [one.container_instance_arn for one in known if one and one.container_instance_arn]

    def _read_doubtful_again(
        self, pool: ThreadPoolExecutor, nodes: Read[tuple[ManagedInstance, ...]]
    ) -> Read[tuple[ManagedInstance, ...]]:
        """Read hosts a second time where one reading leaves doubt; return the nodes as of then."""
        before = {node.id: node for node in nodes.value}
        doubtful = [
            (store, found)
            for store in self._question.stores
            if store.lifecycle is Lifecycle.OPEN
            and (found := unexplained(self._stores[store.id], before, nodes.at))
        ]
        if not doubtful:
            return nodes
        asked = [one for _store, found in doubtful for one in found]
        doubtful.sort(key=lambda pair: self._looked_at[pair[0].id])
        wait = timedelta(seconds=self._question.settings.look_again_s)
        last = self._looked_at[doubtful[-1][0].id] + wait
        many = "1 host" if len(asked) == 1 else f"{len(asked)} hosts"
        self._note(f"looking again at {many} until {clock(last)}: not connected, and not dark")
        again: dict[str, Read[tuple[ContainerInstance, ...]] | NotRead] = {}

        def look(pair: tuple[Store, tuple[ContainerInstance, ...]]) -> None:
            store, found = pair
            self._sleep_until(self._looked_at[store.id] + wait)
            arns = [one.arn for one in found]
            again[store.id] = self._ask(
                "container instances",
                "ecs",
                lambda: describe_container_instances(self._shard, store.cluster, arns),
            )

        self._side_by_side(pool, doubtful, look)
        ids = [one.managed_instance_id for one in asked]
        pings = self._ask("nodes", "ssm", lambda: describe_managed_instances(self._shard, ids))
        after = {} if isinstance(pings, NotRead) else {n.id: n for n in pings.value.known}
        sure = pings if isinstance(pings, NotRead) else with_pings(before, after, asked)
        for store_id, seen in again.items():
            self._stores[store_id] = replace(self._stores[store_id], again=proven(seen, sure))
        return Read(with_lost(before, after), nodes.at)

    def _side_by_side(
        self, pool: ThreadPoolExecutor, things: Iterable[T], work: Callable[[T], None]
    ) -> None:
        """Do this with all of them, so many at once as there are workers."""
        lock, rest = threading.Lock(), iter(things)

        def worker() -> None:
            for thing in _taken(rest, lock):
                work(thing)

        for future in [pool.submit(worker) for _ in range(self._wiring.workers)]:
            future.result()

    def _ask(self, part: str, service: str, read: Callable[[], Read[T]]) -> Read[T] | NotRead:
        self._check()
        return self._breaker.read(part, service, read)

    def _check(self) -> None:
        if self._wiring.stop.is_set() or self.ended.is_set():
            raise Interrupted("stopped while stores were read; nothing was recorded")

    def _sleep_until(self, due: datetime) -> None:
        clock = self._wiring.clock
        while (left := (due - clock.now()).total_seconds()) > 0:
            self._check()
            clock.sleep(min(NAP_S, left))

    def _note(self, text: str) -> None:
        self._wiring.listen(Note(self._wiring.clock.now(), text))


def _clusters(shard: Shard, names: Iterable[str]) -> Read[Mapping[str, Cluster]]:
    found = describe_clusters(shard, names, each=True)
    return Read(found.value, found.at)


def _checked_by_count(
    shard: Shard, cluster: Cluster, count: Callable[[Cluster], int], read: Read[tuple[T, ...]]
) -> Read[tuple[T, ...]]:
    """Return what was listed; nothing only where AWS's own count, read once more, is 0 too.

    Raises:
        AwsError: it is not: one of the two answers is wrong, so the store may not be empty.
    """
    if read.value or not count(cluster):
        return read
    now = describe_clusters(shard, [cluster.name]).value.get(cluster.name)
    if now is not None and count(now):
        raise AwsError(f"ECS counts {count(now)} in cluster {cluster.name} and lists none")
    return read


def _taken(rest: Iterator[T], lock: threading.Lock) -> Iterator[T]:
    """Yield what is left of an iterator that several threads share."""
    while True:
        with lock:
            try:
                thing = next(rest)
            except StopIteration:
                return
        yield thing
