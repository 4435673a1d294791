"""ECS clusters: create, describe, list, delete; and that no service or task runs in them yet."""

import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.plane.call import Call, Operation
from fleet.sandbox.plane.realm import Cluster, Realm, arn_prefix
from fleet.sandbox.plane.tags import read_tags, write_tags

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_INCLUDES = ("ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "STATISTICS", "TAGS")
_MOST_DESCRIBED = 100
_MOST_SERVICES = 10


def find_cluster(call: Call, given: str) -> Cluster | None:
    """The ACTIVE cluster of a name or ARN; "" is the cluster called default.

    Raises:
        AwsFault: InvalidParameterException for an ARN of another account or region.
    """
    cluster = call.realm.clusters.get(cluster_name(call, given))
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
    prefix = arn_prefix("ecs", call.realm.account, call.realm.region)
    head = f"{prefix}:{kind}/"
    if arn.startswith(head):
        return arn[len(head) :]
    raise AwsFault(
        "InvalidParameterException",
        f"Invalid identifier: {arn} is no {kind} of account {call.realm.account}"
        f" in {call.realm.region}.",
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
            call.realm.account,
            call.realm.region,
            name,
            tags=tags,
            settings=[dict(setting) for setting in fields.maps("settings")],
            configuration=dict(fields.mapping("configuration")),
        )
        call.world.save(cluster)
    return {"cluster": _describe(cluster, call.realm, frozenset(_INCLUDES))}


def describe_clusters(call: Call) -> dict[str, Any]:
    """DescribeClusters: at most 100; what is not there is a failure, not an error."""
    fields = call.fields
    fields.only("clusters", "include")
    include = fields.includes(_INCLUDES)
    found, failures = [], []
    for given in fields.texts("clusters", most=_MOST_DESCRIBED) or ["default"]:
        cluster = call.realm.clusters.get(cluster_name(call, given))
        if cluster is None:
            failures.append({"arn": _arn_of(call, given), "reason": "MISSING"})
        else:
            found.append(_describe(cluster, call.realm, include))
    return {"clusters": found, "failures": failures}


def list_clusters(call: Call) -> dict[str, Any]:
    """ListClusters: ARNs of the ACTIVE ones, at most 100 a page."""
    call.fields.only("maxResults", "nextToken")
    arns = sorted(c.arn for c in call.realm.clusters.values() if c.status == "ACTIVE")
    part, after = call.page(arns, most=100, default=100, style="maxResults")
    return {"clusterArns": list(part), **after}


def delete_cluster(call: Call) -> dict[str, Any]:
    """DeleteCluster: refused while instances are in it; afterwards it is shown INACTIVE."""
    call.fields.only("cluster")
    call.fields.needed_text("cluster")
    cluster = needed_cluster(call)
    if _registered(cluster, call.realm):
        raise AwsFault(
            "ClusterContainsContainerInstancesException",
            "The Cluster cannot be deleted while Container Instances are active or draining.",
        )
    cluster.status = "INACTIVE"
    call.world.save(cluster)
    return {"cluster": _describe(cluster, call.realm, frozenset())}


def describe_services(call: Call) -> dict[str, Any]:
    """DescribeServices: there are none, so every one asked for is MISSING."""
    call.fields.only("cluster", "services", "include")
    cluster = needed_cluster(call)
    services = call.fields.texts("services", most=_MOST_SERVICES)
    if not services:
        raise call.fields.bad("Services cannot be empty.")
    return {"services": [], "failures": _missing(call, "service", cluster, services)}


def list_services(call: Call) -> dict[str, Any]:
    """ListServices: there are none."""
    call.fields.only("cluster", "launchType", "schedulingStrategy", "maxResults", "nextToken")
    needed_cluster(call)
    part, after = call.page([], most=100, default=10, style="maxResults")
    return {"serviceArns": list(part), **after}


def list_tasks(call: Call) -> dict[str, Any]:
    """ListTasks: there are none."""
    call.fields.only(
        "cluster",
        "containerInstance",
        "desiredStatus",
        "family",
        "launchType",
        "maxResults",
        "nextToken",
        "serviceName",
        "startedBy",
    )
    needed_cluster(call)
    part, after = call.page([], most=100, default=100, style="maxResults")
    return {"taskArns": list(part), **after}


def describe_tasks(call: Call) -> dict[str, Any]:
    """DescribeTasks: there are none, so every one asked for is MISSING."""
    call.fields.only("cluster", "include", "tasks")
    cluster = needed_cluster(call)
    tasks = call.fields.texts("tasks", most=100)
    if not tasks:
        raise call.fields.bad("Tasks cannot be empty.")
    return {"tasks": [], "failures": _missing(call, "task", cluster, tasks)}


def _missing(call: Call, kind: str, cluster: Cluster, given: list[str]) -> list[dict[str, str]]:
    prefix = arn_prefix("ecs", call.realm.account, call.realm.region)
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
    return f"{arn_prefix('ecs', call.realm.account, call.realm.region)}:cluster/{given}"


def _registered(cluster: Cluster, realm: Realm) -> int:
    """ACTIVE and DRAINING instances, connected or not, as DescribeClusters counts them."""
    instances = realm.instances_of.get(cluster.name, {})
    return sum(instance.status != "INACTIVE" for instance in instances.values())


def _describe(cluster: Cluster, realm: Realm, include: frozenset[str]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "clusterArn": cluster.arn,
        "clusterName": cluster.name,
        "status": cluster.status,
        "registeredContainerInstancesCount": _registered(cluster, realm),
        "runningTasksCount": 0,
        "pendingTasksCount": 0,
        "activeServicesCount": 0,
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
    "DescribeServices": describe_services,
    "ListServices": list_services,
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
}
