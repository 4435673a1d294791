"""Operations on attributes and tags of ECS resources."""

import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Answer, Call, operation, wire
from fleet.sandbox.control_plane.ecs_agent_calls import MOST_CUSTOM
from fleet.sandbox.control_plane.ecs_clusters import find_cluster, needed_cluster, own_resource
from fleet.sandbox.control_plane.ecs_instances import KIND, find_instance, save_changed
from fleet.sandbox.control_plane.entities import (
    ClusterEntity,
    ContainerInstanceEntity,
    ServiceEntity,
    TaskDefinitionEntity,
    TaskEntity,
    is_custom,
)
from fleet.sandbox.control_plane.tags import MOST, read_tags, without, write_tags

_MOST_PER_CALL = 10
_NAME = re.compile(r"[A-Za-z0-9_./\\-]{1,128}")
_VALUE = re.compile(r"(?! )[A-Za-z0-9_./\\@: -]{1,128}(?<! )")

Tagged = ClusterEntity | ContainerInstanceEntity | ServiceEntity | TaskEntity | TaskDefinitionEntity


@operation("cluster attributes")
def put_attributes(call: Call) -> Answer:
    """Set at most 10 attributes in a call, 10 custom ones on an instance; all or none."""
    asked = _asked(call)
    after: dict[str, dict[str, str | None]] = {}
    for instance, name, value in asked:
        after.setdefault(instance.id, dict(instance.attributes))[name] = value
    for attributes in after.values():
        if sum(map(is_custom, attributes)) > MOST_CUSTOM:
            raise AwsFault(
                "AttributeLimitExceededException",
                f"You can apply up to {MOST_CUSTOM} custom attributes for each resource.",
            )
    for instance, _, _ in asked:
        if instance.attributes != after[instance.id]:
            instance.attributes = after[instance.id]
            save_changed(call, instance)
    return {"attributes": [_shown(*one) for one in asked]}


@operation("cluster attributes")
def delete_attributes(call: Call) -> Answer:
    """Remove at most 10 attributes; one that is not there is no error."""
    gone = []
    for instance, name, _ in _asked(call):
        if name in instance.attributes:
            gone.append(_shown(instance, name, instance.attributes[name]))
            kept = {other: text for other, text in instance.attributes.items() if other != name}
            instance.attributes = kept
            save_changed(call, instance)
    return {"attributes": gone}


@operation("cluster targetType attributeName attributeValue maxResults nextToken")
def list_attributes(call: Call) -> Answer:
    """List attributes by name, or by name and value; at most 100 a page; not of INACTIVE ones."""
    cluster = needed_cluster(call)
    wanted, value = call.get("attributeName"), call.get("attributeValue")
    if value and not wanted:
        raise call.bad("attributeValue needs an attributeName.")
    rows = {
        f"{instance.arn} {name}": (instance, name, text)
        for instance in call.state.instances_of.get(cluster.name, {}).values()
        if instance.status != "INACTIVE"
        for name, text in instance.attributes.items()
        if (not wanted or name == wanted) and (not value or text == value)
    }
    part, after = call.page(sorted(rows), most=100, default=100)
    return {"attributes": [_shown(*rows[key]) for key in part], **after}


@operation("resourceArn tags")
def tag_resource(call: Call) -> Answer:
    """Add or replace tags; at most 50 on a resource."""
    resource = _resource(call)
    tags = {**resource.tags, **read_tags(call)}
    if len(tags) > MOST:
        raise call.bad(f"The resource would have {len(tags)} tags; at most {MOST}.")
    resource.tags = tags
    call.world.save(resource)
    return {}


@operation("resourceArn tagKeys")
def untag_resource(call: Call) -> Answer:
    """Remove tags."""
    resource = _resource(call)
    resource.tags = without(resource.tags, call.get("tagKeys"))
    call.world.save(resource)
    return {}


@operation("resourceArn")
def list_tags_for_resource(call: Call) -> Answer:
    """List the tags of a resource."""
    return {"tags": write_tags(_resource(call).tags)}


def _asked(call: Call) -> list[tuple[ContainerInstanceEntity, str, str | None]]:
    """Return instance, name and value of each attribute that a call names."""
    cluster = needed_cluster(call)
    items: list[Any] = call.items("attributes", _MOST_PER_CALL)
    return [(_target(call, cluster, item), *_writable(call, item)) for item in items]


def _target(call: Call, cluster: ClusterEntity, item: Mapping[str, Any]) -> ContainerInstanceEntity:
    given = item.get("targetId") or ""
    if not given:
        raise call.bad("an attribute needs the targetId of the instance it is for.")
    if item.get("targetType") is None and not given.startswith("arn:"):
        raise call.bad(f"the short targetId {given} needs a targetType.")
    instance = find_instance(call, cluster, given)
    if instance is None or instance.status == "INACTIVE":
        raise AwsFault(
            "TargetNotFoundException",
            f"The specified target {given} was not found in cluster {cluster.name}.",
        )
    return instance


def _writable(call: Call, item: Mapping[str, Any]) -> tuple[str, str | None]:
    name, value = item["name"], item.get("value") or None
    if not _NAME.fullmatch(name):
        raise call.bad(f"the attribute name {name!r} is not valid.")
    if not is_custom(name):
        raise call.bad(f"the attribute {name} belongs to ECS and cannot be changed.")
    if value is not None and not _VALUE.fullmatch(value):
        raise call.bad(f"the value of attribute {name} is not valid.")
    return name, value


def _shown(instance: ContainerInstanceEntity, name: str, value: str | None) -> Answer:
    return wire(name=name, targetType=KIND, targetId=instance.arn, value=value)


def _resource(call: Call) -> Tagged:
    arn = call.get("resourceArn")
    kind = arn.partition("/")[0].rpartition(":")[2]
    if kind == "cluster":
        cluster = find_cluster(call, arn)
        if cluster is None:
            raise AwsFault("ClusterNotFoundException", "Cluster not found.")
        return cluster
    if kind not in {KIND, "service", "task", "task-definition"}:
        raise call.bad(f"the fleet sandbox keeps no tags on {arn}.")
    found = _find_tagged(call, kind, own_resource(call, arn, kind))
    if found is None or found.arn != arn or getattr(found, "status", "") == "INACTIVE":
        raise call.bad(f"The specified resource {arn} is not found or inactive.")
    return found


def _find_tagged(call: Call, kind: str, name: str) -> Tagged | None:
    state = call.state
    cluster, _, last = name.rpartition("/")
    match kind:
        case "service":
            return state.service(name)
        case "task":
            return state.tasks_of.get(cluster, {}).get(last)
        case "task-definition":
            return state.task_definition(name)
    return state.instances.get(last)
