"""What ECS agents call on their own account: register, ask where to connect."""

import json
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.ecs_clusters import find_cluster
from fleet.sandbox.control_plane.ecs_instances import describe, find_instance
from fleet.sandbox.control_plane.region_state import (
    Attributes,
    Cluster,
    ContainerInstance,
    is_custom,
)
from fleet.sandbox.control_plane.tags import read_tags

MOST_CUSTOM = 10
"""Custom attributes on one resource. (Developer guide, "Service quotas".)"""


def register_container_instance(call: Call) -> dict[str, Any]:
    """RegisterContainerInstance, as an external agent sends it.

    The identity document is empty: who registers is known from the credentials alone. Each
    registration makes a new instance, even for a node that has one (CR#1901: twins), unless it
    repeats a ``clientToken`` or names its ``containerInstanceArn``. Custom attributes and tags
    count at the first registration only (agent-protocol 2.1).
    """
    fields = call.fields
    fields.only(
        "attributes",
        "clientToken",
        "cluster",
        "containerInstanceArn",
        "instanceIdentityDocument",
        "instanceIdentityDocumentSignature",
        "tags",
        "totalResources",
        "versionInfo",
    )
    node = call.caller.managed_instance_id
    if not node or fields.text("instanceIdentityDocument", most=65536):
        raise AwsFault(
            "ClientException",
            "The instance identity document and signature are not valid: an external instance"
            " sends none, and is known by the credentials that SSM gave it.",
        )
    cluster = find_cluster(call, fields.text("cluster"))
    if cluster is None:
        raise AwsFault("ClientException", "Cluster not found.")
    attributes = _attributes(call)
    resources = _resources(call)
    arn = fields.text("containerInstanceArn")
    if arn:
        instance = _registered_before(call, cluster, arn)
        own = {name: text for name, text in instance.attributes.items() if is_custom(name)}
        instance.attributes = {**attributes, **own}
        instance.version += 1
    else:
        instance = _repeated(call, cluster) or _new(call, cluster, attributes)
    instance.resources = resources
    versions = fields.mapping("versionInfo")
    instance.agent_version = versions.get("agentVersion") or instance.agent_version
    instance.docker_version = versions.get("dockerVersion") or instance.docker_version
    call.world.save(instance)
    call.world.work.look_at_cluster(call.state, cluster.name)
    return {
        "containerInstance": describe(
            call.world, call.state, instance, call.now, frozenset({"TAGS"})
        )
    }


def discover_poll_endpoint(call: Call) -> dict[str, Any]:
    """DiscoverPollEndpoint: where the agent opens its websockets."""
    call.fields.only("cluster", "containerInstance", "zoneId")
    if not call.endpoint:
        raise AwsFault("ServerException", "the sandbox has no HTTP server to connect to", 500)
    return {"endpoint": f"{call.endpoint}/acs/", "telemetryEndpoint": f"{call.endpoint}/tacs/"}


def _new(call: Call, cluster: Cluster, attributes: Attributes) -> ContainerInstance:
    if sum(map(is_custom, attributes)) > MOST_CUSTOM:
        raise call.fields.bad(f"more than {MOST_CUSTOM} custom attributes on one instance")
    return ContainerInstance(
        call.state.account,
        call.state.region,
        call.world.hex_id(32),
        cluster.name,
        call.caller.managed_instance_id,
        call.now,
        attributes=attributes,
        tags=read_tags(call.fields, "tags"),
        client_token=call.fields.text("clientToken"),
    )


def _repeated(call: Call, cluster: Cluster) -> ContainerInstance | None:
    token = call.fields.text("clientToken")
    if not token:
        return None
    for instance in call.state.instances_of.get(cluster.name, {}).values():
        same_node = instance.managed_instance_id == call.caller.managed_instance_id
        if same_node and instance.client_token == token and instance.status != "INACTIVE":
            return instance
    return None


def _registered_before(call: Call, cluster: Cluster, arn: str) -> ContainerInstance:
    instance = find_instance(call, cluster, arn)
    if instance is None:
        raise AwsFault("ClientException", f"Container instance {arn} not found in the cluster.")
    if instance.managed_instance_id != call.caller.managed_instance_id:
        raise AwsFault("ClientException", "Container instance belongs to another instance.")
    if instance.status == "INACTIVE":
        raise AwsFault("ClientException", "The container instance is inactive.")
    return instance


def _attributes(call: Call) -> Attributes:
    attributes: Attributes = {}
    for item in call.fields.maps("attributes"):
        name, value = item.get("name"), item.get("value")
        if not isinstance(name, str) or not name:
            raise call.fields.bad(f"an attribute needs a name: {json.dumps(dict(item))}")
        if value is not None and not isinstance(value, str):
            raise call.fields.bad(f"the value of attribute {name} must be a string")
        attributes[name] = value or None
    return attributes


def _resources(call: Call) -> list[dict[str, Any]]:
    resources = []
    for item in call.fields.maps("totalResources"):
        if not item.get("name") or not item.get("type"):
            raise call.fields.bad(f"a resource needs a name and a type: {json.dumps(dict(item))}")
        resources.append({"doubleValue": 0.0, "longValue": 0, "integerValue": 0, **item})
    return resources


OPERATIONS: Mapping[str, Operation] = {
    "RegisterContainerInstance": register_container_instance,
    "DiscoverPollEndpoint": discover_poll_endpoint,
}
