"""ECS clusters: create, describe, list, delete."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.arns import arn_prefix
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.region_state import Cluster, RegionState
from fleet.sandbox.control_plane.tags import read_tags, write_tags

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_INCLUDES = ("ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS")
_MOST_DESCRIBED = 100


def find_cluster(call: Call, given: str) -> Cluster | None:
    """The ACTIVE cluster of a name or ARN; "" is the cluster called default.

    Raises:
        AwsFault: InvalidParameterException for an ARN of another account or region.
    """
    cluster = call.state.clusters.get(cluster_name(call, given))
    return cluster if cluster is not None and cluster.status == "ACTIVE" else None


def needed_cluster(call: Call) -> Cluster:
    """The ACTIVE cluster that the call's ``cluster`` names, or ClusterNotFoundException."""
    cluster = find_cluster(call, call.fields.text("cluster"))
    if cluster is None:
        raise AwsFault("ClusterNotFoundException", "Cluster not found.")
    return cluster


def cluster_name(call: Call, given: str) -> str:
    """The name in a name or ARN."""
    if not given.startswith("arn:"):
        return given or "default"
    return own_resource(call, given, "cluster")


def own_resource(call: Call, arn: str, kind: str) -> str:
    """What follows ``kind/`` in an ARN of this account and region."""
    prefix = arn_prefix("ecs", call.state.account, call.state.region)
    head = f"{prefix}:{kind}/"
    if arn.startswith(head):
        return arn[len(head) :]
    raise AwsFault(
        "InvalidParameterException",
        f"Invalid identifier: {arn} is no {kind} of account {call.state.account}"
        f" in {call.state.region}.",
    )


def create_cluster(call: Call) -> dict[str, Any]:
    """CreateCluster. A cluster of the name that is there is answered as it is, unchanged."""
    fields = call.fields
    fields.only("clusterName", "tags", "settings", "configuration")
    name = fields.text("clusterName") or "default"
    if not _NAME.fullmatch(name):
        raise fields.bad(
            f"The cluster name {name[:300]!r} is not valid: 1 to 255 letters, digits,"
            " hyphens and underscores."
        )
    tags = read_tags(fields, "tags")
    cluster = find_cluster(call, name)
    if cluster is None:
        cluster = Cluster(
            call.state.account,
            call.state.region,
            name,
            tags=tags,
            settings=[dict(setting) for setting in fields.maps("settings")],
            configuration=dict(fields.mapping("configuration")),
        )
        call.world.save(cluster)
    return {"cluster": _describe(cluster, call.state, frozenset(_INCLUDES))}


def describe_clusters(call: Call) -> dict[str, Any]:
    """DescribeClusters: at most 100; what is not there is a failure, not an error."""
    fields = call.fields
    fields.only("clusters", "include")
    include = fields.includes(_INCLUDES)
    found, failures = [], []
    for given in fields.texts("clusters", most=_MOST_DESCRIBED) or ["default"]:
        cluster = call.state.clusters.get(cluster_name(call, given))
        if cluster is None:
            failures.append({"arn": _arn_of(call, given), "reason": "MISSING"})
        else:
            found.append(_describe(cluster, call.state, include))
    return {"clusters": found, "failures": failures}


def list_clusters(call: Call) -> dict[str, Any]:
    """ListClusters: ARNs of the ACTIVE ones, at most 100 a page."""
    call.fields.only("maxResults", "nextToken")
    arns = sorted(c.arn for c in call.state.clusters.values() if c.status == "ACTIVE")
    part, after = call.page(arns, most=100, default=100, style="maxResults")
    return {"clusterArns": list(part), **after}


def delete_cluster(call: Call) -> dict[str, Any]:
    """DeleteCluster: refused while something is in it; afterwards it is shown INACTIVE."""
    call.fields.only("cluster")
    call.fields.needed_text("cluster")
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
    return {"cluster": _describe(cluster, call.state, frozenset())}


def missing(call: Call, kind: str, cluster: Cluster, given: list[str]) -> list[dict[str, str]]:
    """The failures of what was asked for by name or ARN in a cluster and is not there."""
    prefix = arn_prefix("ecs", call.state.account, call.state.region)
    return [
        {
            "arn": name if name.startswith("arn:") else f"{prefix}:{kind}/{cluster.name}/{name}",
            "reason": "MISSING",
        }
        for name in given
    ]


def _arn_of(call: Call, given: str) -> str:
    if given.startswith("arn:"):
        return given
    return f"{arn_prefix('ecs', call.state.account, call.state.region)}:cluster/{given}"


def _registered(cluster: Cluster, state: RegionState) -> int:
    """ACTIVE and DRAINING instances, connected or not, as DescribeClusters counts them."""
    instances = state.instances_of.get(cluster.name, {})
    return sum(instance.status != "INACTIVE" for instance in instances.values())


def _services(cluster: Cluster, state: RegionState) -> int:
    services = state.services_of.get(cluster.name, {}).values()
    return sum(service.status == "ACTIVE" for service in services)


def _describe(cluster: Cluster, state: RegionState, include: frozenset[str]) -> dict[str, Any]:
    states = Counter(task.last_status for task in state.tasks_of.get(cluster.name, {}).values())
    shown: dict[str, Any] = {
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
    if "CONFIGURATIONS" in include and cluster.configuration:
        shown["configuration"] = cluster.configuration
    return shown


OPERATIONS: Mapping[str, Operation] = {
    "CreateCluster": create_cluster,
    "DescribeClusters": describe_clusters,
    "ListClusters": list_clusters,
    "DeleteCluster": delete_cluster,
}
