"""Reads and deregisters ECS container instances, and sets their attributes."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet.aws.interning import Interner
from fleet.aws.replies import clean, in_batches, part_of, read_batches, read_pages, utc
from fleet.aws.session import Shard
from fleet.aws.tags import tags_of
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    DELETE_ATTRIBUTES,
    DEREGISTER_CONTAINER_INSTANCE,
    DESCRIBE_CONTAINER_INSTANCES,
    LIST_CONTAINER_INSTANCES,
    PUT_ATTRIBUTES,
)
from fleet.model.observed import Cluster, ContainerInstance, Reading

#: Most ARNs of one DescribeContainerInstances call, and largest page of ListContainerInstances
#: (ECS API reference).
PAGE = 100
#: Most attributes of one PutAttributes or DeleteAttributes call (ECS API reference).
ATTRIBUTES_PER_CALL = 10
#: What ``registeredContainerInstancesCount`` of a cluster counts (ECS API reference, Cluster).
COUNTED = frozenset({"ACTIVE", "DRAINING"})


def read_container_instances(
    shard: Shard, cluster: str, known: Sequence[str] = ()
) -> Reading[tuple[ContainerInstance, ...]]:
    """Return the container instances of a cluster without INACTIVE ones; none without a cluster.

    One that vanishes between ListContainerInstances and DescribeContainerInstances is left out.

    Args:
        known: ARNs to describe without listing, which saves the first of two calls. Where one of
            them is no longer there or not ACTIVE, the cluster is listed after all.
    """
    if known:
        read = describe_container_instances(shard, cluster, known)
        if len(read.value) == len(set(known)) and all(i.status == "ACTIVE" for i in read.value):
            return read
    listed = list_container_instances(shard, cluster)
    if not listed.value:
        return Reading((), listed.at)
    try:
        described = describe_container_instances(shard, cluster, listed.value)
    except AwsError as error:
        if error.code != "ClusterNotFoundException":
            raise
        return Reading((), listed.at)
    alive = tuple(one for one in described.value if one.status != "INACTIVE")
    return Reading(alive, min(listed.at, described.at))


def scan_container_instances(
    shard: Shard, cluster: Cluster, known: Sequence[str], interner: Interner
) -> Reading[tuple[ContainerInstance, ...]]:
    """Return the container instances of a cluster that are not INACTIVE, with the fewest calls.

    One call where the known ones are all that the cluster counts; else it is listed, and those that
    were not known are described too.

    Args:
        cluster: as just read.
        known: ARNs that an earlier scan saw. Those of another cluster are left out, because ECS
            refuses the whole call over one.
    """
    here = [arn for arn in dict.fromkeys(known) if f"/{cluster.name}/" in arn]
    found: dict[str, ContainerInstance] = {}
    times: list[datetime] = []
    if here:
        read = _describe_known(shard, cluster, here)
        times.append(read.at)
        found = {one.arn: one for one in read.value}
    if sum(one.status in COUNTED for one in found.values()) != cluster.container_instances:
        listed = list_container_instances(shard, cluster.name)
        rest = [arn for arn in listed.value if arn not in found]
        more = describe_container_instances(shard, cluster.name, rest)
        times += [listed.at, more.at] if rest else [listed.at]
        found.update((one.arn, one) for one in more.value)
    alive = (interner.instance(one) for one in found.values() if one.status != "INACTIVE")
    return Reading(tuple(alive), shard.oldest(times))


def list_container_instances(shard: Shard, cluster: str) -> Reading[tuple[str, ...]]:
    """Return the ARNs of the container instances of a cluster, without INACTIVE ones.

    A call per 100; none without a cluster.
    """
    try:
        listed = read_pages(shard, LIST_CONTAINER_INSTANCES, cluster=cluster, maxResults=PAGE)
    except AwsError as error:
        if error.code != "ClusterNotFoundException":
            raise
        return Reading((), shard.clock.now())
    return Reading(tuple(listed.value), listed.at)


def describe_container_instances(
    shard: Shard, cluster: str, arns: Sequence[str]
) -> Reading[tuple[ContainerInstance, ...]]:
    """Return these container instances, as far as ECS knows them; a call per 100."""
    read = read_batches(
        shard,
        DESCRIBE_CONTAINER_INSTANCES,
        "containerInstances",
        arns,
        PAGE,
        cluster=cluster,
        include=["TAGS"],
    )
    return Reading(tuple(container_instance_of(raw, cluster) for raw in read.value), read.at)


def put_attributes(
    shard: Shard, cluster: str, container_instance_arn: str, attributes: Mapping[str, str]
) -> None:
    """Set custom attributes of a container instance; others stay.

    Repeated until AWS answers: the same values again change nothing. More than ten go in several
    calls, of which the first may have been done when a later one fails.
    """
    for batch in in_batches(attributes.items(), ATTRIBUTES_PER_CALL):
        shard.call(
            PUT_ATTRIBUTES,
            cluster=cluster,
            attributes=[
                {
                    "name": name,
                    **({"value": value} if value else {}),
                    "targetType": "container-instance",
                    "targetId": container_instance_arn,
                }
                for name, value in batch
            ],
        )


def delete_attributes(
    shard: Shard, cluster: str, container_instance_arn: str, names: Iterable[str]
) -> None:
    """Remove custom attributes of a container instance; others stay.

    Repeated until AWS answers: what is not there need not be removed. More than ten go in several
    calls, of which the first may have been done when a later one fails.
    """
    for batch in in_batches(names, ATTRIBUTES_PER_CALL):
        shard.call(
            DELETE_ATTRIBUTES,
            cluster=cluster,
            attributes=[
                {
                    "name": name,
                    "targetType": "container-instance",
                    "targetId": container_instance_arn,
                }
                for name in batch
            ],
        )


def deregister_container_instance(
    shard: Shard, cluster: str, container_instance_arn: str, *, force: bool = False
) -> None:
    """Deregister a container instance, which is INACTIVE from then on. The host is not touched.

    Repeated until AWS answers. After a lost reply AWS may refuse the second call because the first
    was done; its error then does not tell that from other refusals, so that the caller has to look
    again.

    Args:
        force: also with tasks, which ECS then counts as stopped though they may run on, and
            replaces where their service wants them; without it AWS refuses.
    """
    shard.call(
        DEREGISTER_CONTAINER_INSTANCE,
        cluster=cluster,
        containerInstance=container_instance_arn,
        force=force,
    )


def _describe_known(
    shard: Shard, cluster: Cluster, arns: Sequence[str]
) -> Reading[tuple[ContainerInstance, ...]]:
    """Return those that are still there; none where ECS refuses one as no ARN of its own."""
    try:
        return describe_container_instances(shard, cluster.name, arns)
    except AwsError as error:
        if error.code != "InvalidParameterException":
            raise
        return Reading((), shard.clock.now())


@part_of(DESCRIBE_CONTAINER_INSTANCES)
def container_instance_of(raw: Mapping[str, Any], cluster: str) -> ContainerInstance:
    """Parse one of DescribeContainerInstances' ``containerInstances``."""
    versions = raw.get("versionInfo") or {}
    return ContainerInstance(
        arn=clean(raw["containerInstanceArn"]),
        cluster=cluster,
        managed_instance_id=clean(raw.get("ec2InstanceId")),
        status=clean(raw["status"]),
        agent_connected=bool(raw.get("agentConnected", False)),
        registered_at=utc(raw.get("registeredAt")),
        agent_version=clean(versions.get("agentVersion")),
        docker_version=clean(versions.get("dockerVersion")).removeprefix("DockerVersion: "),
        running_tasks=int(raw.get("runningTasksCount", 0)),
        pending_tasks=int(raw.get("pendingTasksCount", 0)),
        attributes={
            clean(attribute["name"]): clean(attribute.get("value"))
            for attribute in raw.get("attributes") or ()
        },
        tags=tags_of(raw.get("tags")),
        version=int(raw.get("version", 0)),
        registered=_amounts(raw.get("registeredResources")),
        remaining=_amounts(raw.get("remainingResources")),
    )


def _amounts(resources: Iterable[Mapping[str, Any]] | None) -> dict[str, int]:
    """Return CPU and MEMORY of a container instance; ports and the like are no whole numbers."""
    return {
        clean(resource["name"]): int(resource.get("integerValue", 0))
        for resource in resources or ()
        if resource.get("type") == "INTEGER"
    }
