"""One account and region read as a whole, with the fewest calls that answer the question.

What a scan remembers of the night before stands in for listings; where AWS's own counts say that
something is missing from it, the listing is made after all. ``scan_calls`` (drift/decide) says what
each of these costs.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet.aws import services as ecs_services
from fleet.aws.observe import (
    BATCH,
    SSM_PAGE,
    TIER_SETTING,
    container_instance_arns,
    described_container_instances,
    managed_instance_tags,
)
from fleet.aws.session import Shard
from fleet.aws.shapes import activation_of, items, managed_instance_of, tier_of
from fleet.aws.sharing import Shared
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    DESCRIBE_ACTIVATIONS,
    DESCRIBE_INSTANCE_INFORMATION,
    GET_SERVICE_SETTING,
    LIST_CLUSTERS,
)
from fleet.model.observed import (
    Activation,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    Reading,
)
from fleet.model.services import ServiceState, TaskState

#: What ``registeredContainerInstancesCount`` of a cluster counts (ECS API reference, Cluster).
COUNTED = frozenset({"ACTIVE", "DRAINING"})


def nodes(shard: Shard, shared: Shared) -> Reading[tuple[ManagedInstance, ...]]:
    """Every hybrid node of the account and region, whosever it is; a call per 50."""
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    for at, raw in _information(shard, "ResourceType", "ManagedInstance"):
        times.append(at)
        for one in raw:
            node = managed_instance_of(one)
            found[node.id] = shared.node(node)
    return Reading(tuple(found.values()), shard.oldest(times))


def tagged(shard: Shard, tag: str, value: str) -> Reading[frozenset[str]]:
    """Ids of the nodes that carry a tag with this value; a call per 50.

    SSM lists nodes without their tags, and lets a filter on tags go with no other.
    """
    ids: set[str] = set()
    times: list[datetime] = []
    for at, raw in _information(shard, f"tag:{tag}", value):
        times.append(at)
        ids.update(managed_instance_of(one).id for one in raw)
    return Reading(frozenset(ids), shard.oldest(times))


def tagged_among(shard: Shard, tag: str, value: str, ids: Sequence[str]) -> Reading[frozenset[str]]:
    """Which of these nodes carry a tag with this value; a call each."""
    told = {id_: managed_instance_tags(shard, id_) for id_ in ids}
    mine = frozenset(id_ for id_, tags in told.items() if tags.value.get(tag) == value)
    return Reading(mine, shard.oldest([tags.at for tags in told.values()]))


def activations(shard: Shard) -> Reading[tuple[Activation, ...]]:
    """Every activation that SSM lists, used up and expired ones included; a call per 50."""
    found: list[Activation] = []
    times: list[datetime] = []
    for reply in shard.pages(DESCRIBE_ACTIVATIONS, MaxResults=SSM_PAGE):
        times.append(reply.at)
        found += map(activation_of, items(reply, "ActivationList", DESCRIBE_ACTIVATIONS))
    return Reading(tuple(found), shard.oldest(times))


def tier(shard: Shard) -> Reading[str]:
    """``standard`` or ``advanced``; one call."""
    reply = shard.call(GET_SERVICE_SETTING, SettingId=TIER_SETTING)
    return Reading(tier_of(reply.body), reply.at)


def cluster_count(shard: Shard) -> Reading[int]:
    """How many ACTIVE clusters the account and region has, whosever they are; a call per 100."""
    count, times = 0, []
    for reply in shard.pages(LIST_CLUSTERS, maxResults=BATCH):
        times.append(reply.at)
        count += len(items(reply, "clusterArns", LIST_CLUSTERS))
    return Reading(count, shard.oldest(times))


def instances(
    shard: Shard, cluster: Cluster, known: Sequence[str], shared: Shared
) -> Reading[tuple[ContainerInstance, ...]]:
    """The container instances of a cluster that are not INACTIVE.

    One call where the remembered ones are all that the cluster counts; else it is listed, and
    those that nobody remembered are looked at too.

    Args:
        cluster: as just read.
        known: ARNs that an earlier scan saw. Those of another cluster are left out, because ECS
            refuses the whole call over one.
    """
    here = [arn for arn in dict.fromkeys(known) if f"/{cluster.name}/" in arn]
    found: dict[str, ContainerInstance] = {}
    times: list[datetime] = []
    if here:
        told = _remembered(shard, cluster, here)
        times.append(told.at)
        found = {one.arn: one for one in told.value}
    if sum(one.status in COUNTED for one in found.values()) != cluster.container_instances:
        listed = container_instance_arns(shard, cluster.name)
        rest = [arn for arn in listed.value if arn not in found]
        more = described_container_instances(shard, cluster.name, rest)
        times += [listed.at, more.at] if rest else [listed.at]
        found.update((one.arn, one) for one in more.value)
    alive = (shared.instance(one) for one in found.values() if one.status != "INACTIVE")
    return Reading(tuple(alive), shard.oldest(times))


def instances_again(
    shard: Shard, cluster: str, arns: Sequence[str], shared: Shared
) -> Reading[tuple[ContainerInstance, ...]]:
    """These container instances once more, as far as they are still there; one call."""
    told = described_container_instances(shard, cluster, arns)
    return Reading(tuple(shared.instance(one) for one in told.value), told.at)


def services(
    shard: Shard, cluster: Cluster, names: Sequence[str] | None, shared: Shared
) -> Reading[tuple[ServiceState, ...]]:
    """The services of a cluster that are ACTIVE or DRAINING.

    One call per ten names where the cluster counts no other; else it is listed, which is two more.

    Args:
        cluster: as just read.
        names: of those that it should run; None when that is not known.
    """
    read = None
    if names is not None:
        read = ecs_services.services(shard, cluster.name, names)
        if sum(one.status == "ACTIVE" for one in read.value) != cluster.services:
            read = None
    if read is None:
        read = ecs_services.services_of_cluster(shard, cluster.name)
    alive = (shared.service(one) for one in read.value if one.status != "INACTIVE")
    return Reading(tuple(alive), read.at)


def tasks(
    shard: Shard, cluster: str, *, stopped: bool, shared: Shared
) -> Reading[tuple[TaskState, ...]]:
    """The tasks of a cluster: a listing (two with stopped ones) and a call per 100."""
    read = ecs_services.tasks(shard, cluster, None, stopped=stopped)
    return Reading(tuple(map(shared.task, read.value)), read.at)


def _remembered(
    shard: Shard, cluster: Cluster, arns: Sequence[str]
) -> Reading[tuple[ContainerInstance, ...]]:
    """Those that are still there; none where ECS takes one of the ARNs for no ARN of its own."""
    try:
        return described_container_instances(shard, cluster.name, arns)
    except AwsError as error:
        if error.code != "InvalidParameterException":
            raise
        return Reading((), shard.clock.now())


def _information(
    shard: Shard, key: str, value: str
) -> Iterator[tuple[datetime, list[Mapping[str, Any]]]]:
    filters = [{"Key": key, "Values": [value]}]
    action = DESCRIBE_INSTANCE_INFORMATION
    for reply in shard.pages(action, Filters=filters, MaxResults=SSM_PAGE):
        yield reply.at, items(reply, "InstanceInformationList", action)
