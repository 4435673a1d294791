"""Operations on ECS clusters, and the parsing of names and ARNs."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import TypeVar

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Answer, Call, find_each, operation
from fleet.sandbox.control_plane.entities import ClusterEntity, arn_prefix
from fleet.sandbox.control_plane.tags import read_tags, write_tags
from fleet.sandbox.control_plane.world import RegionState

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_ALL = ("SETTINGS", "TAGS")
_MOST = 100

Held = TypeVar("Held")


def find_cluster(call: Call, given: str) -> ClusterEntity | None:
    """Return the ACTIVE cluster of a name or ARN; "" is the cluster called default.

    Raises:
        AwsFault: InvalidParameterException for an ARN of another account or region.
    """
    cluster = call.state.clusters.get(_name_in(call, given))
    return cluster if cluster is not None and cluster.status == "ACTIVE" else None


def needed_cluster(call: Call) -> ClusterEntity:
    """Return the ACTIVE cluster that the call's ``cluster`` names, or raise that there is none."""
    cluster = find_cluster(call, call.get("cluster"))
    if cluster is None:
        raise AwsFault("ClusterNotFoundException", "Cluster not found.")
    return cluster


def own_resource(call: Call, arn: str, kind: str) -> str:
    """Return what follows ``kind/`` in an ARN of this account and region."""
    head = f"{_prefix(call)}:{kind}/"
    if arn.startswith(head):
        return arn[len(head) :]
    raise AwsFault(
        "InvalidParameterException",
        f"Invalid identifier: {arn} is no {kind} of account {call.state.account}"
        f" in {call.state.region}.",
    )


def find_in(
    call: Call, cluster: ClusterEntity, kind: str, given: str, held: Mapping[str, Held]
) -> Held | None:
    """Return what a name, id or ARN means in a cluster, INACTIVE things included."""
    if given.startswith("arn:"):
        named, _, given = own_resource(call, given, kind).rpartition("/")
        if named and named != cluster.name:
            return None
    return held.get(given)


def arn_in(call: Call, cluster: ClusterEntity, kind: str, given: str) -> str:
    """Return the ARN of what a name, id or ARN would mean in a cluster."""
    return given if given.startswith("arn:") else f"{_prefix(call)}:{kind}/{cluster.name}/{given}"


@operation("clusterName tags settings")
def create_cluster(call: Call) -> Answer:
    """Create a cluster. One of that name that is there is answered as it is, unchanged."""
    name = call.get("clusterName") or "default"
    if not _NAME.fullmatch(name):
        raise call.bad(
            f"The cluster name {name[:300]!r} is not valid: 1 to 255 letters, digits,"
            " hyphens and underscores."
        )
    tags = read_tags(call)
    cluster = find_cluster(call, name)
    if cluster is None:
        account, region = call.state.account, call.state.region
        settings = call.get("settings", [])
        cluster = ClusterEntity(account, region, name, tags=tags, settings=settings)
        call.world.save(cluster)
    return {"cluster": _describe(cluster, call.state, _ALL)}


@operation("clusters include")
def describe_clusters(call: Call) -> Answer:
    """Describe at most 100 clusters; one that is not there is a failure, not an error."""
    given = call.items("clusters", _MOST) if call.get("clusters") else ["default"]
    found, failures = find_each(
        given,
        lambda name: call.state.clusters.get(_name_in(call, name)),
        lambda name: name if name.startswith("arn:") else f"{_prefix(call)}:cluster/{name}",
    )
    include = call.get("include", ())
    return {"clusters": [_describe(c, call.state, include) for c in found], "failures": failures}


@operation("maxResults nextToken")
def list_clusters(call: Call) -> Answer:
    """List the ARNs of the ACTIVE clusters, at most 100 a page."""
    arns = sorted(c.arn for c in call.state.clusters.values() if c.status == "ACTIVE")
    part, after = call.page(arns, most=_MOST, default=_MOST)
    return {"clusterArns": list(part), **after}


@operation("cluster")
def delete_cluster(call: Call) -> Answer:
    """Delete a cluster that nothing is in; afterwards it is shown as INACTIVE."""
    cluster = needed_cluster(call)
    if _registered(cluster, call.state):
        raise AwsFault(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    if _services(cluster, call.state):
        raise AwsFault(
            "ClusterContainsServicesException",
            "The Cluster cannot be deleted while Services are active.",
        )
    cluster.status = "INACTIVE"
    call.world.save(cluster)
    return {"cluster": _describe(cluster, call.state, ())}


def _prefix(call: Call) -> str:
    return arn_prefix("ecs", call.state.account, call.state.region)


def _name_in(call: Call, given: str) -> str:
    if given.startswith("arn:"):
        return own_resource(call, given, "cluster")
    return given or "default"


def _registered(cluster: ClusterEntity, state: RegionState) -> int:
    """Count ACTIVE and DRAINING instances, connected or not, as DescribeClusters does."""
    instances = state.instances_of.get(cluster.name, {})
    return sum(instance.status != "INACTIVE" for instance in instances.values())


def _services(cluster: ClusterEntity, state: RegionState) -> int:
    services = state.services_of.get(cluster.name, {}).values()
    return sum(service.status == "ACTIVE" for service in services)


def _describe(cluster: ClusterEntity, state: RegionState, include: tuple[str, ...]) -> Answer:
    states = Counter(task.last_status for task in state.tasks_of.get(cluster.name, {}).values())
    return {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": _registered(cluster, state),
        "runningTasksCount": states["RUNNING"],
        "pendingTasksCount": states["PENDING"] + states["PROVISIONING"],
        "activeServicesCount": _services(cluster, state),
        "statistics": [],
        "tags": write_tags(cluster.tags) if "TAGS" in include else [],
        "settings": cluster.settings if "SETTINGS" in include else [],
        "capacityProviders": [],
        "defaultCapacityProviderStrategy": [],
    }
