"""Reads, creates and deletes ECS clusters; each store has one."""

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.aws.replies import clean, part_of, read_batches, read_pages
from fleet.aws.session import Shard
from fleet.aws.tags import ecs_tags, tags_of
from fleet.model.aws_actions import CREATE_CLUSTER, DESCRIBE_CLUSTERS, LIST_CLUSTERS
from fleet.model.observed import Cluster, Reading

#: Most names of one DescribeClusters call, and largest page of ListClusters (ECS API reference).
PAGE = 100


def describe_clusters(
    shard: Shard, names: Iterable[str], *, each: bool = False
) -> Reading[dict[str, Cluster]]:
    """Return the clusters of these names that exist, by name, INACTIVE (deleted) ones too.

    Args:
        each: whether to refuse an answer that passes some over; see ``read_batches``.
    """
    read = read_batches(
        shard, DESCRIBE_CLUSTERS, "clusters", names, PAGE, each=each, include=["TAGS"]
    )
    found = map(cluster_of, read.value)
    return Reading({cluster.name: cluster for cluster in found}, read.at)


def count_clusters(shard: Shard) -> Reading[int]:
    """Count the ACTIVE clusters of the account and region, whosever they are; a call per 100."""
    listed = read_pages(shard, LIST_CLUSTERS, maxResults=PAGE)
    return Reading(len(listed.value), listed.at)


def create_cluster(shard: Shard, name: str, tags: Mapping[str, str]) -> Cluster:
    """Create the cluster, or return the one of that name that is there.

    Repeated until AWS answers: the name is the identity. A cluster that was there keeps its own
    tags, so the returned ones are to be compared with the wanted ones.
    """
    reply = shard.call(CREATE_CLUSTER, clusterName=name, tags=ecs_tags(tags))
    return _created_cluster(reply.body)


@part_of(DESCRIBE_CLUSTERS)
def cluster_of(raw: Mapping[str, Any]) -> Cluster:
    """Parse one of DescribeClusters' ``clusters``, or CreateCluster's ``cluster``."""
    return Cluster(
        name=clean(raw["clusterName"]),
        arn=clean(raw["clusterArn"]),
        status=clean(raw["status"]),
        container_instances=int(raw.get("registeredContainerInstancesCount", 0)),
        running_tasks=int(raw.get("runningTasksCount", 0)),
        tags=tags_of(raw.get("tags")),
        services=int(raw.get("activeServicesCount", 0)),
    )


@part_of(CREATE_CLUSTER)
def _created_cluster(body: Mapping[str, Any]) -> Cluster:
    return cluster_of(body["cluster"])
