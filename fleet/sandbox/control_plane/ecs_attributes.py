"""Attributes and tags of ECS resources."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.ecs_agents import MOST_CUSTOM
from fleet.sandbox.control_plane.ecs_clusters import find_cluster, needed_cluster, own_resource
from fleet.sandbox.control_plane.ecs_instances import find_instance
from fleet.sandbox.control_plane.region_state import (
    Cluster,
    ContainerInstance,
    RegionState,
    is_custom,
)
from fleet.sandbox.control_plane.tags import MOST, read_tags, without, write_tags
from fleet.sandbox.control_plane.workloads import Service, Task, TaskDefinition

_TARGET = "container-instance"
_MOST_PER_CALL = 10
_NAME = re.compile(r"[A-Za-z0-9_./\\-]{1,128}")
_VALUE = re.compile(r"(?! )[A-Za-z0-9_./\\@: -]{1,128}(?<! )")


def put_attributes(call: Call) -> dict[str, Any]:
    """PutAttributes: at most 10 in a call and 10 custom ones on an instance; all or none."""
    call.fields.only("cluster", "attributes")
    cluster = needed_cluster(call)
    asked = [(_target(call, cluster, item), item) for item in _asked(call)]
    after: dict[str, dict[str, str | None]] = {}
    for instance, item in asked:
        name, value = _writable(call, item)
        after.setdefault(instance.id, dict(instance.attributes))[name] = value
    for attributes in after.values():
        if sum(map(is_custom, attributes)) > MOST_CUSTOM:
            raise AwsFault(
                "AttributeLimitExceededException",
                f"You can apply up to {MOST_CUSTOM} custom attributes for each resource.",
            )
    for instance, _ in asked:
        if instance.attributes != after[instance.id]:
            instance.attributes = after[instance.id]
            instance.version += 1
            call.world.save(instance)
            call.world.work.look_at_cluster(call.state, cluster.name)
    return {"attributes": [_shown(i, item["name"], item.get("value") or None) for i, item in asked]}


def delete_attributes(call: Call) -> dict[str, Any]:
    """DeleteAttributes: at most 10; one that is not there is no error."""
    call.fields.only("cluster", "attributes")
    cluster = needed_cluster(call)
    asked = [(_target(call, cluster, item), item) for item in _asked(call)]
    names = [_writable(call, item)[0] for _, item in asked]
    gone = []
    for (instance, _), name in zip(asked, names, strict=True):
        if name in instance.attributes:
            value = instance.attributes[name]
            instance.attributes = {
                other: text for other, text in instance.attributes.items() if other != name
            }
            instance.version += 1
            call.world.save(instance)
            call.world.work.look_at_cluster(call.state, cluster.name)
            gone.append(_shown(instance, name, value))
    return {"attributes": gone}


def list_attributes(call: Call) -> dict[str, Any]:
    """ListAttributes: by name, or by name and value; at most 100 a page; INACTIVE ones left out."""
    fields = call.fields
    fields.only(
        "cluster", "targetType", "attributeName", "attributeValue", "maxResults", "nextToken"
    )
    cluster = needed_cluster(call)
    fields.needed_text("targetType")
    fields.choice("targetType", (_TARGET,))
    wanted, value = fields.text("attributeName"), fields.text("attributeValue")
    if value and not wanted:
        raise fields.bad("attributeValue needs an attributeName.")
    rows = {
        f"{instance.arn} {name}": (instance, name, text)
        for instance in call.state.instances_of.get(cluster.name, {}).values()
        if instance.status != "INACTIVE"
        for name, text in instance.attributes.items()
        if (not wanted or name == wanted) and (not value or text == value)
    }
    part, after = call.page(sorted(rows), most=100, default=100, style="maxResults")
    return {"attributes": [_shown(*rows[key]) for key in part], **after}


def tag_resource(call: Call) -> dict[str, Any]:
    """TagResource: adds or replaces; at most 50 on a resource."""
    call.fields.only("resourceArn", "tags")
    resource = _resource(call)
    tags = {**resource.tags, **read_tags(call.fields, "tags")}
    if len(tags) > MOST:
        raise call.fields.bad(f"The resource would have {len(tags)} tags; at most {MOST}.")
    resource.tags = tags
    call.world.save(resource)
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    """UntagResource."""
    call.fields.only("resourceArn", "tagKeys")
    resource = _resource(call)
    resource.tags = without(resource.tags, call.fields.texts("tagKeys"))
    call.world.save(resource)
    return {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """ListTagsForResource."""
    call.fields.only("resourceArn")
    return {"tags": write_tags(_resource(call).tags)}


def _asked(call: Call) -> list[Mapping[str, Any]]:
    items = call.fields.maps("attributes", most=_MOST_PER_CALL)
    if not items:
        raise call.fields.bad("Attributes cannot be empty.")
    return items


def _target(call: Call, cluster: Cluster, item: Mapping[str, Any]) -> ContainerInstance:
    kind, given = item.get("targetType"), item.get("targetId")
    if kind not in {None, _TARGET}:
        raise call.fields.bad(f"targetType {kind!r} is not {_TARGET}.")
    if not isinstance(given, str) or not given:
        raise call.fields.bad("an attribute needs the targetId of the instance it is for.")
    if kind is None and not given.startswith("arn:"):
        raise call.fields.bad(f"the short targetId {given} needs a targetType.")
    instance = find_instance(call, cluster, given)
    if instance is None or instance.status == "INACTIVE":
        raise AwsFault(
            "TargetNotFoundException",
            f"The specified target {given} was not found in cluster {cluster.name}.",
        )
    return instance


def _writable(call: Call, item: Mapping[str, Any]) -> tuple[str, str | None]:
    name, value = item.get("name"), item.get("value")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise call.fields.bad(f"the attribute name {name!r} is not valid.")
    if not is_custom(name):
        raise call.fields.bad(f"the attribute {name} belongs to ECS and cannot be changed.")
    if value is None or value == "":
        return name, None
    if not isinstance(value, str) or not _VALUE.fullmatch(value):
        raise call.fields.bad(f"the value of attribute {name} is not valid.")
    return name, value


def _shown(instance: ContainerInstance, name: str, value: str | None) -> dict[str, str]:
    shown = {"name": name, "targetType": _TARGET, "targetId": instance.arn}
    return shown if value is None else {**shown, "value": value}


def _resource(call: Call) -> Cluster | ContainerInstance | Service | Task | TaskDefinition:
    arn = call.fields.needed_text("resourceArn")
    kind = arn.partition("/")[0].rpartition(":")[2]
    if kind == "cluster":
        cluster = find_cluster(call, arn)
        if cluster is None:
            raise AwsFault("ClusterNotFoundException", "Cluster not found.")
        return cluster
    find = _TAGGED.get(kind)
    if find is None:
        raise call.fields.bad(f"the fleet sandbox keeps no tags on {arn}.")
    found = find(call.state, own_resource(call, arn, kind))
    if found is None or found.arn != arn or getattr(found, "status", "") == "INACTIVE":
        raise call.fields.bad(f"The specified resource {arn} is not found or inactive.")
    return found


def _task(state: RegionState, name: str) -> Task | None:
    cluster, _, task_id = name.partition("/")
    return state.tasks_of.get(cluster, {}).get(task_id)


def _task_definition(state: RegionState, name: str) -> TaskDefinition | None:
    family, _, revision = name.partition(":")
    known = revision.isascii() and revision.isdigit()
    return state.task_definitions.get(family, {}).get(int(revision)) if known else None


_TAGGED: Mapping[
    str, Callable[[RegionState, str], ContainerInstance | Service | Task | TaskDefinition | None]
] = {
    _TARGET: lambda state, name: state.instances.get(name.rpartition("/")[2]),
    "service": lambda state, name: state.service(name),
    "task": _task,
    "task-definition": _task_definition,
}


OPERATIONS: Mapping[str, Operation] = {
    "PutAttributes": put_attributes,
    "DeleteAttributes": delete_attributes,
    "ListAttributes": list_attributes,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
