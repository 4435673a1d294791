"""What AWS says: each function asks one question and returns the answer with AWS's own time.

Everything here only reads, so everything is retried. A reading over several pages has the time of
its first page: it is as old as its oldest part.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.aws.session import Shard
from fleet.aws.shapes import (
    activation_of,
    caller_of,
    cluster_of,
    container_instance_of,
    in_batches,
    items,
    managed_instance_of,
    refuse_failures,
    tags_of,
    tier_of,
    unreadable,
)
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    DESCRIBE_ACTIVATIONS,
    DESCRIBE_CLUSTERS,
    DESCRIBE_CONTAINER_INSTANCES,
    DESCRIBE_INSTANCE_INFORMATION,
    GET_CALLER_IDENTITY,
    GET_ROLE,
    GET_SERVICE_SETTING,
    LIST_CONTAINER_INSTANCES,
    SSM_LIST_TAGS,
)
from fleet.model.observed import (
    Activation,
    Caller,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    NodeTier,
    Reading,
)

#: Most names, ARNs or filter values per call (botocore 1.44.5's model; ECS API reference).
BATCH = 100
#: Largest page of DescribeInstanceInformation and DescribeActivations.
SSM_PAGE = 50
#: Nodes the standard tier holds per account and region (Systems Manager user guide).
STANDARD_TIER_NODES = 1000
TIER_SETTING = "/ssm/managed-instance/activation-tier"
#: What an id of a managed node looks like; AWS refuses a whole call over one that does not.
MANAGED_INSTANCE_ID = re.compile(r"mi-[0-9a-f]{17}")


@dataclass(frozen=True, slots=True)
class KnownNodes:
    """What SSM knows of some ids.

    Attributes:
        known: the ones it knows.
        unknown: the ids it does not know in this account and region, in the order asked.
    """

    known: tuple[ManagedInstance, ...]
    unknown: tuple[str, ...]


def caller(shard: Shard) -> Reading[Caller]:
    """Who we are at AWS; the shard names it in its messages from then on."""
    reply = shard.call(GET_CALLER_IDENTITY)
    seen = caller_of(reply.body)
    shard.caller_arn = seen.arn
    return Reading(seen, reply.at)


def clusters(
    shard: Shard, names: Iterable[str], *, each: bool = False
) -> Reading[dict[str, Cluster]]:
    """The clusters of these names that exist, by name; INACTIVE (deleted) ones are among them.

    Args:
        each: whether to refuse an answer that passes some over. ECS names every one: among the
            clusters, or among the failures as MISSING; of others it has said nothing.
    """
    found: dict[str, Cluster] = {}
    times: list[datetime] = []
    for batch in in_batches(dict.fromkeys(names), BATCH):
        reply = shard.call(DESCRIBE_CLUSTERS, clusters=list(batch), include=["TAGS"])
        times.append(reply.at)
        refuse_failures(reply, DESCRIBE_CLUSTERS)
        told = items(reply, "clusters", DESCRIBE_CLUSTERS)
        if each and len(told) + len(reply.body.get("failures") or ()) < len(batch):
            raise unreadable(DESCRIBE_CLUSTERS, "it passes over clusters that were asked for")
        for raw in told:
            cluster = cluster_of(raw)
            found[cluster.name] = cluster
    return Reading(found, shard.oldest(times))


def container_instances(
    shard: Shard, cluster: str, known: Sequence[str] = ()
) -> Reading[tuple[ContainerInstance, ...]]:
    """The container instances of a cluster, INACTIVE ones not among them; empty without a cluster.

    One that vanishes between ListContainerInstances and DescribeContainerInstances is left out.

    Args:
        known: ARNs to look at without listing, which saves the first of two calls. Where one of
            them is no longer there or not ACTIVE, the cluster is listed after all.
    """
    if known:
        told = described_container_instances(shard, cluster, known)
        if len(told.value) == len(set(known)) and all(i.status == "ACTIVE" for i in told.value):
            return told
    listed = container_instance_arns(shard, cluster)
    if not listed.value:
        return Reading((), listed.at)
    try:
        described = described_container_instances(shard, cluster, listed.value)
    except AwsError as error:
        if error.code != "ClusterNotFoundException":
            raise
        return Reading((), listed.at)
    alive = tuple(one for one in described.value if one.status != "INACTIVE")
    return Reading(alive, min(listed.at, described.at))


def container_instance_arns(shard: Shard, cluster: str) -> Reading[tuple[str, ...]]:
    """ARNs of the container instances of a cluster, without INACTIVE ones; none without a cluster.

    A call per 100.
    """
    arns: list[str] = []
    times: list[datetime] = []
    try:
        for reply in shard.pages(LIST_CONTAINER_INSTANCES, cluster=cluster, maxResults=BATCH):
            times.append(reply.at)
            arns += items(reply, "containerInstanceArns", LIST_CONTAINER_INSTANCES)
    except AwsError as error:
        if error.code != "ClusterNotFoundException":
            raise
        arns = []
    return Reading(tuple(arns), shard.oldest(times))


def described_container_instances(
    shard: Shard, cluster: str, arns: Sequence[str]
) -> Reading[tuple[ContainerInstance, ...]]:
    """These container instances, as far as ECS knows them; a call per 100."""
    times: list[datetime] = []
    found: list[ContainerInstance] = []
    for batch in in_batches(arns, BATCH):
        reply = shard.call(
            DESCRIBE_CONTAINER_INSTANCES,
            cluster=cluster,
            containerInstances=list(batch),
            include=["TAGS"],
        )
        times.append(reply.at)
        refuse_failures(reply, DESCRIBE_CONTAINER_INSTANCES)
        found += [
            container_instance_of(raw, cluster)
            for raw in items(reply, "containerInstances", DESCRIBE_CONTAINER_INSTANCES)
        ]
    return Reading(tuple(found), shard.oldest(times))


def managed_instances_of_store(shard: Shard, store_id: str) -> Reading[tuple[ManagedInstance, ...]]:
    """The nodes that carry the tag ``fleet:store`` of this store, connected or not."""
    return managed_instances_tagged(shard, "fleet:store", store_id)


def managed_instances_tagged(
    shard: Shard, tag: str, *values: str
) -> Reading[tuple[ManagedInstance, ...]]:
    """The nodes that carry a tag with one of these values, connected or not.

    A call per 50 of them and per 100 values.
    """
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    for batch in in_batches(values, BATCH):
        reading = _nodes(shard, [{"Key": f"tag:{tag}", "Values": list(batch)}])
        times.append(reading.at)
        found.update((node.id, node) for node in reading.value)
    return Reading(tuple(found.values()), shard.oldest(times))


def managed_instances(shard: Shard, ids: Iterable[str]) -> Reading[KnownNodes]:
    """The nodes of these ids, and the ids that this account and region does not know.

    AWS refuses a whole call over one unknown id, so a refused batch is halved until the unknown
    ones stand alone. What is no id at all (a damaged vault) is unknown without asking.
    """
    asked = tuple(dict.fromkeys(ids))
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    pending = list(
        in_batches([id_ for id_ in asked if MANAGED_INSTANCE_ID.fullmatch(id_)], SSM_PAGE)
    )
    while pending:
        batch = pending.pop()
        try:
            reading = _nodes(shard, [{"Key": "InstanceIds", "Values": list(batch)}])
        except AwsError as error:
            if error.code != "InvalidInstanceId":
                raise
            if len(batch) > 1:
                middle = len(batch) // 2
                pending += [batch[:middle], batch[middle:]]
            continue
        times.append(reading.at)
        found.update((node.id, node) for node in reading.value)
    known = tuple(found[id_] for id_ in asked if id_ in found)
    unknown = tuple(id_ for id_ in asked if id_ not in found)
    return Reading(KnownNodes(known, unknown), shard.oldest(times))


def activations(shard: Shard, names: Iterable[str]) -> Reading[tuple[Activation, ...]]:
    """The activations with one of these DefaultInstanceNames, used up and expired ones included.

    Whether AWS's filter matches whole names is not documented, so the names are compared here too.
    """
    wanted = dict.fromkeys(names)
    found: list[Activation] = []
    times: list[datetime] = []
    for batch in in_batches(wanted, SSM_PAGE):
        filters = [{"FilterKey": "DefaultInstanceName", "FilterValues": list(batch)}]
        for reply in shard.pages(DESCRIBE_ACTIVATIONS, Filters=filters, MaxResults=SSM_PAGE):
            times.append(reply.at)
            found += map(activation_of, items(reply, "ActivationList", DESCRIBE_ACTIVATIONS))
    ours = tuple(activation for activation in found if activation.name in wanted)
    return Reading(ours, shard.oldest(times))


def activation(shard: Shard, activation_id: str) -> Reading[Activation | None]:
    """The activation of this id; None where this account and region does not know it (any more).

    What is no id is refused by AWS. Whether its filter matches whole ids is not documented, so they
    are compared here too.
    """
    filters = [{"FilterKey": "ActivationIds", "FilterValues": [activation_id]}]
    found: list[Activation] = []
    times: list[datetime] = []
    for reply in shard.pages(DESCRIBE_ACTIVATIONS, Filters=filters, MaxResults=SSM_PAGE):
        times.append(reply.at)
        found += map(activation_of, items(reply, "ActivationList", DESCRIBE_ACTIVATIONS))
    mine = next((one for one in found if one.id == activation_id), None)
    return Reading(mine, shard.oldest(times))


def node_tier(shard: Shard) -> Reading[NodeTier]:
    """The SSM tier of the account and region, and how many hybrid nodes it holds.

    Costs a call per 50 nodes, connected or not; the standard tier has at most 1,000 of them.
    """
    reply = shard.call(GET_SERVICE_SETTING, SettingId=TIER_SETTING)
    tier = tier_of(reply.body)
    nodes = _nodes(shard, [{"Key": "ResourceType", "Values": ["ManagedInstance"]}])
    limit = STANDARD_TIER_NODES if tier == "standard" else None
    return Reading(NodeTier(tier, len(nodes.value), limit), min(reply.at, nodes.at))


def managed_instance_tags(shard: Shard, managed_instance_id: str) -> Reading[dict[str, str]]:
    """The tags of a node; none for a node that this account and region does not know."""
    try:
        reply = shard.call(
            SSM_LIST_TAGS, ResourceType="ManagedInstance", ResourceId=managed_instance_id
        )
    except AwsError as error:
        if error.code != "InvalidResourceId":
            raise
        return Reading({}, shard.clock.now())
    return Reading(tags_of(reply.body.get("TagList")), reply.at)


def instance_role_exists(shard: Shard, role: str) -> Reading[bool]:
    """Whether the account has the IAM role that nodes are given."""
    try:
        reply = shard.call(GET_ROLE, RoleName=role)
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise
        return Reading(value=False, at=shard.clock.now())
    return Reading(value=True, at=reply.at)


def _nodes(
    shard: Shard, filters: Sequence[Mapping[str, Any]]
) -> Reading[tuple[ManagedInstance, ...]]:
    found: dict[str, ManagedInstance] = {}
    times: list[datetime] = []
    for reply in shard.pages(
        DESCRIBE_INSTANCE_INFORMATION, Filters=list(filters), MaxResults=SSM_PAGE
    ):
        times.append(reply.at)
        for raw in items(reply, "InstanceInformationList", DESCRIBE_INSTANCE_INFORMATION):
            node = managed_instance_of(raw)
            found[node.id] = node
    return Reading(tuple(found.values()), shard.oldest(times))
