"""Counts the fewest calls that a scan needs, and chooses how it asks SSM for nodes.

The count is what the API makes necessary, with the largest pages and batches (ECS and SSM API
references), in a fleet in which nothing is wrong. What a scan really sends is compared with it.

SSM lists nodes by tag or by id, and never by name (DescribeInstanceInformation, SSM API reference).
A scan of a few stores asks for the nodes with their tags, those that ECS names and those that
earlier scans knew. Only if a host is in none of these are all nodes listed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fleet.model import aws_actions
from fleet.model.aws_actions import ACTIONS
from fleet.model.drift import HostMemory, StoreSeen
from fleet.model.identity import activation_name
from fleet.model.inventory import Lifecycle, Store
from fleet.model.observed import ManagedInstance, NotRead
from fleet.model.rates import DEFAULT_SHARE, Rate
from fleet.model.scan_result import PastFinding

#: Largest batches and pages: DescribeClusters; DescribeTasks and ListTasks; SSM's listings;
#: DescribeServices; values of a filter of DescribeInstanceInformation.
CLUSTERS, TASKS, SSM_PAGE, SERVICES, FILTER_VALUES = 100, 100, 50, 10, 100


@dataclass(frozen=True, slots=True)
class ShardSize:
    """What there is to read in one account and region.

    Attributes:
        stores: in scope, open or not.
        nodes: hybrid nodes of the account and region, whosever they are.
        tagged: of them, those that carry the fleet's tag.
        activations: that SSM lists, used up and expired ones included.
        remembered: stores with container instances that the last scan saw.
        unremembered: stores with container instances that it did not: a first night, or a new one.
        services: wanted, by store: one number per store that has or should have any.
        families: of task definitions that run.
        unknown_revisions: that run and that the records do not know yet, or of no release of ours.
        returned: stores that were dark when they were last seen, and are back.
        tasks: by store, where ``--digests`` reads them: one number per store whose tasks run.
        doubtful_stores: where the ECS agent of a host is away and SSM does not say why.
        doubtful_hosts: in them.
        counted_clusters: of the account and region, where there are so many that they are counted.
        narrow: whether ``stores`` are few of those of the account and region, so that only their
            nodes are asked for; ``nodes`` are theirs then.
    """

    stores: int
    nodes: int
    tagged: int
    activations: int = 0
    remembered: int = 0
    unremembered: int = 0
    services: tuple[int, ...] = ()
    families: int = 0
    unknown_revisions: int = 0
    returned: int = 0
    tasks: tuple[int, ...] = ()
    doubtful_stores: int = 0
    doubtful_hosts: int = 0
    counted_clusters: int = 0
    narrow: bool = False


def least_calls(size: ShardSize) -> Counter[str]:
    """Return by action the fewest calls for one account and region.

    Term by term:

    - ``sts:GetCallerIdentity``: 1. Whoever reads the wrong account must know before the first line.
    - ``ecs:DescribeClusters``: a call per 100 stores, whose counts then say what need not be asked.
    - ``ecs:ListClusters``: a call per 100, where this fleet's own take half the quota.
    - ``ssm:DescribeInstanceInformation``: the nodes in pages of 50, once; and the tagged ones
      again, because SSM lists nodes without tags and takes a filter on tags alone. An answer
      without nodes is a page too. Hosts in doubt are asked for again by id, 50 a call.
    - Of a few stores: the nodes with their tags, 50 a call and 100 stores a call; and
      ``ssm:ListTagsForResource``, 1 per node, for the fleet's. The tier is left to the night.
    - ``ssm:DescribeActivations``: pages of 50, at least one.
    - ``ssm:GetServiceSetting``: 1, the tier.
    - ``ecs:DescribeContainerInstances``: 1 per store that has any: ECS takes ARNs of one cluster in
      a call, and a store is a cluster. 1 more per store in doubt.
    - ``ecs:ListContainerInstances``: 1 per store of which nothing is remembered; a store that is
      remembered is described without being listed.
    - ``ecs:DescribeServices``: per store a call per ten services; names come from the release.
    - ``ecs:ListTaskDefinitions``: 1 per family that runs: which revisions were deregistered.
    - ``ecs:DescribeTaskDefinition``: 1 per revision that nobody has read before; ECS takes one.
    - ``ecs:ListTasks`` and ``ecs:DescribeTasks``: with digests 1 and a call per 100 tasks per store
      that runs any; of a store that came back 2 (running and stopped) and 1.

    Images in ECR are left out: each costs two calls whatever the size of the fleet.
    """
    pages = _pages(size.nodes) + _pages(size.tagged)
    if size.narrow:
        pages = max(_pages(size.nodes), _batches(size.stores, FILTER_VALUES))
    pages += _batches(size.doubtful_hosts, SSM_PAGE)
    described = size.remembered + size.unremembered + size.doubtful_stores
    return +Counter(
        {
            aws_actions.GET_CALLER_IDENTITY.id: 1,
            aws_actions.DESCRIBE_CLUSTERS.id: _batches(size.stores, CLUSTERS),
            aws_actions.LIST_CLUSTERS.id: _batches(size.counted_clusters, CLUSTERS),
            aws_actions.DESCRIBE_INSTANCE_INFORMATION.id: pages,
            aws_actions.DESCRIBE_ACTIVATIONS.id: _pages(size.activations),
            aws_actions.SSM_LIST_TAGS.id: size.nodes if size.narrow else 0,
            aws_actions.GET_SERVICE_SETTING.id: int(not size.narrow),
            aws_actions.DESCRIBE_CONTAINER_INSTANCES.id: described,
            aws_actions.LIST_CONTAINER_INSTANCES.id: size.unremembered,
            aws_actions.DESCRIBE_SERVICES.id: sum(
                _batches(count, SERVICES) for count in size.services
            ),
            aws_actions.LIST_TASK_DEFINITIONS.id: size.families,
            aws_actions.DESCRIBE_TASK_DEFINITION.id: size.unknown_revisions,
            aws_actions.LIST_TASKS.id: len(size.tasks) + 2 * size.returned,
            aws_actions.DESCRIBE_TASKS.id: sum(_batches(n, TASKS) for n in size.tasks)
            + size.returned,
        }
    )


def least_seconds(calls: Mapping[str, int], share: float = DEFAULT_SHARE) -> float:
    """Return the least time in seconds that an account and region allows these calls in.

    Its buckets flow side by side, so the fullest one decides. They are taken to be empty at first,
    as fleet's own are: another process may just have used the burst up.

    Args:
        calls: by action.
        share: of the published rates that fleet takes.
    """
    by_rate: Counter[Rate] = Counter()
    for action, count in calls.items():
        by_rate[ACTIONS[action].rate] += count
    return max((rate.seconds(n, share) for rate, n in by_rate.items()), default=0.0)


def _pages(count: int) -> int:
    """Return the pages of an SSM listing; an empty one takes one too."""
    return max(1, _batches(count, SSM_PAGE))


def _batches(count: int, size: int) -> int:
    return -(-count // size)


def is_narrow(stores: Collection[Store], here: Collection[Store]) -> bool:
    """Tell whether the nodes of these stores cost fewer calls than all nodes.

    Args:
        stores: to look at.
        here: all of the inventory's in their account and region.
    """
    if len(stores) >= len(here):
        return False  # All stores: nodes of no store are looked for as well.
    return _ssm_calls(stores, narrow=True) < _ssm_calls(here, narrow=False)


def _ssm_calls(stores: Collection[Store], *, narrow: bool) -> int:
    hosts = sum(len(store.hosts) for store in stores)
    calls = least_calls(ShardSize(len(stores), hosts, hosts, narrow=narrow))
    return sum(count for action, count in calls.items() if action.startswith("ssm:"))


def known_nodes(
    stores: Iterable[Store],
    memory: Mapping[tuple[str, str], HostMemory],
    open_: Iterable[PastFinding],
) -> frozenset[str]:
    """Return the ids of the nodes that the records know of these stores.

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
        node for row in open_ if row.finding.store in scope for node in row.finding.resources.nodes
    )
    return frozenset(filter(None, (*remembered, *told)))


def nodes_in_ecs(seen: Iterable[StoreSeen]) -> frozenset[str]:
    """Return the ids of the nodes of these stores' container instances."""
    return frozenset(
        one.managed_instance_id
        for store in seen
        if not isinstance(store.instances, NotRead)
        for one in store.instances.value
        if one.managed_instance_id
    )


def hosts_without_node(
    stores: Iterable[Store], nodes: Iterable[ManagedInstance]
) -> tuple[str, ...]:
    """Return the ids of hosts without a node, of stores that should have some."""
    names = {node.name for node in nodes}
    return tuple(
        host.id
        for store in stores
        if store.lifecycle in {Lifecycle.OPEN, Lifecycle.PAUSED}
        for host in store.hosts
        if activation_name(host) not in names
    )
