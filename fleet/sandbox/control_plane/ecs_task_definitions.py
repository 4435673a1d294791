"""ECS task definitions: register, describe, list, deregister."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import cluster_query
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.ecs_clusters import own_resource
from fleet.sandbox.control_plane.fields import Fields
from fleet.sandbox.control_plane.placement import demand_of
from fleet.sandbox.control_plane.tags import read_tags, write_tags
from fleet.sandbox.control_plane.workloads import TaskDefinition

LARGEST = 64 * 1024
"""Bytes of a task definition. (Facts 4.3; not confirmed by AWS's page on quotas.)"""
_MOST_CONTAINERS = 10
_MOST_CONSTRAINTS = 10
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_KEPT = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "pidMode",
    "ipcMode",
    "runtimePlatform",
)
_MODES = ("bridge", "host", "none")
_LISTS = ("volumes", "placementConstraints")


def register_task_definition(call: Call) -> dict[str, Any]:
    """RegisterTaskDefinition: each call makes a revision, also of the same content.

    Only what can run on external instances is taken; the rest of the API is refused by name.
    """
    fields = call.fields
    fields.only(*_KEPT, "tags")
    family = _family(fields)
    _check_content(fields)
    sent = fields.question()
    content = {name: sent[name] for name in _KEPT if sent.get(name) is not None}
    content.setdefault("networkMode", "bridge")
    for name in _LISTS:
        content.setdefault(name, [])
    if len(json.dumps(content, separators=(",", ":"))) > LARGEST:
        raise AwsFault("ClientException", "Actual length of the task definition is over 64 KiB.")
    revisions = call.state.task_definitions.get(family, {})
    made = TaskDefinition(
        call.state.account,
        call.state.region,
        family,
        max(revisions, default=0) + 1,
        content,
        call.now,
        call.caller.arn,
        tags=read_tags(fields, "tags"),
    )
    call.world.save(made)
    return {"taskDefinition": _describe(made), "tags": write_tags(made.tags)}


def describe_task_definition(call: Call) -> dict[str, Any]:
    """DescribeTaskDefinition: by family (the newest ACTIVE revision), ``family:rev`` or ARN."""
    call.fields.only("taskDefinition", "include")
    include = call.fields.includes(("TAGS",))
    found = find_task_definition(call, call.fields.needed_text("taskDefinition"))
    if found is None:
        raise AwsFault("ClientException", "Unable to describe task definition.")
    tags = {"tags": write_tags(found.tags)} if "TAGS" in include else {}
    return {"taskDefinition": _describe(found), **tags}


def list_task_definitions(call: Call) -> dict[str, Any]:
    """ListTaskDefinitions: by family and revision, rising or falling; at most 100 a page."""
    fields = call.fields
    fields.only("familyPrefix", "status", "sort", "maxResults", "nextToken")
    status = fields.choice("status", ("ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"), "ACTIVE")
    falling = fields.choice("sort", ("ASC", "DESC"), "ASC") == "DESC"
    family = fields.text("familyPrefix")
    families = call.state.task_definitions
    arns = {
        f"{found.family} {found.revision:09}": found.arn
        for name in ([family] if family else families)
        for found in families.get(name, {}).values()
        if found.status == status
    }
    part, after = call.page(sorted(arns, reverse=falling), most=100, default=100, falling=falling)
    return {"taskDefinitionArns": [arns[key] for key in part], **after}


def list_task_definition_families(call: Call) -> dict[str, Any]:
    """ListTaskDefinitionFamilies: a family is ACTIVE while one of its revisions is."""
    fields = call.fields
    fields.only("familyPrefix", "status", "maxResults", "nextToken")
    status = fields.choice("status", ("ACTIVE", "INACTIVE", "ALL"), "ALL")
    prefix = fields.text("familyPrefix")
    families = sorted(
        name
        for name, revisions in call.state.task_definitions.items()
        if name.startswith(prefix) and status in {"ALL", _family_status(revisions)}
    )
    part, after = call.page(families, most=100, default=100)
    return {"families": list(part), **after}


def deregister_task_definition(call: Call) -> dict[str, Any]:
    """DeregisterTaskDefinition: INACTIVE afterwards; what runs it goes on."""
    call.fields.only("taskDefinition")
    given = call.fields.needed_text("taskDefinition")
    if ":" not in given:
        raise call.fields.bad("Invalid revision number. Number: null")
    found = find_task_definition(call, given)
    if found is None:
        raise AwsFault("ClientException", "The specified task definition does not exist.")
    if found.deregistered_at is None:
        found.deregistered_at = call.now
        call.world.save(found)
    return {"taskDefinition": _describe(found)}


def find_task_definition(call: Call, given: str) -> TaskDefinition | None:
    """The revision that a family, ``family:revision`` or ARN names; INACTIVE ones by number."""
    name = own_resource(call, given, "task-definition") if given.startswith("arn:") else given
    family, colon, number = name.partition(":")
    revisions = call.state.task_definitions.get(family, {})
    if not colon:
        active = [revision for revision, found in revisions.items() if found.status == "ACTIVE"]
        return revisions[max(active)] if active else None
    if not (number.isascii() and number.isdigit()):
        raise call.fields.bad(f"Invalid revision number. Number: {number}")
    return revisions.get(int(number))


def usable_task_definition(call: Call, given: str) -> TaskDefinition:
    """The ACTIVE revision that a service may run, or ClientException."""
    found = find_task_definition(call, given)
    if found is None:
        raise AwsFault("ClientException", "TaskDefinition not found.")
    if found.status != "ACTIVE":
        raise AwsFault("ClientException", "TaskDefinition is inactive")
    if found.content["networkMode"] not in _MODES:
        raise call.fields.bad("Launch type EXTERNAL does not support network mode awsvpc.")
    return found


def _family(fields: Fields) -> str:
    family = fields.needed_text("family")
    if not _NAME.fullmatch(family):
        raise AwsFault(
            "ClientException",
            f"Family contains invalid characters or is longer than 255: {family[:300]!r}",
        )
    return family


def _check_content(fields: Fields) -> None:
    mode = fields.choice("networkMode", (*_MODES, "awsvpc"), "bridge")
    wanted = fields.texts("requiresCompatibilities")
    if mode == "awsvpc" and "EXTERNAL" in wanted:
        raise AwsFault("ClientException", "Networking mode 'awsvpc' is not supported on EXTERNAL.")
    if others := sorted(set(wanted) - {"EC2", "EXTERNAL"}):
        raise fields.bad(f"the fleet sandbox does not model compatibility with {others}")
    _check_containers(fields)
    for volume in fields.maps("volumes"):
        if "efsVolumeConfiguration" in volume or "configuredAtLaunch" in volume:
            raise AwsFault("ClientException", "EXTERNAL does not support EFS or EBS volumes.")
    for constraint in fields.maps("placementConstraints", most=_MOST_CONSTRAINTS):
        if constraint.get("type") != "memberOf":
            raise fields.bad("a task definition can only be constrained by memberOf.")
        cluster_query.parse(str(constraint.get("expression", "")))
    try:
        demand_of({"networkMode": mode, **fields.question()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise fields.bad(f"cpu, memory or a port mapping cannot be read: {error!r}") from error


def _check_containers(fields: Fields) -> None:
    containers = fields.maps("containerDefinitions", most=_MOST_CONTAINERS)
    if not containers:
        raise AwsFault("ClientException", "Container list cannot be empty.")
    names = [_check_container(fields, container) for container in containers]
    if len(set(names)) != len(names):
        raise AwsFault("ClientException", "Container.name must be unique in a task definition.")
    if not any(container.get("essential", True) for container in containers):
        raise AwsFault(
            "ClientException", "At least one container in a task must be marked as essential."
        )
    for container in containers:
        if not (fields.text("memory") or _sized(container)):
            raise AwsFault(
                "ClientException",
                f"Invalid setting for container '{container['name']}'. At least one of 'memory'"
                " or 'memoryReservation' must be specified.",
            )


def _check_container(fields: Fields, container: Mapping[str, Any]) -> str:
    name = container.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise AwsFault("ClientException", f"Container.name is not valid: {name!r}")
    image = container.get("image")
    if not isinstance(image, str) or not image:
        raise AwsFault("ClientException", "Container.image should not be null or empty.")
    for part in ("cpu", "memory", "memoryReservation"):
        size = container.get(part, 0)
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise fields.bad(f"{part} of container {name} must be a whole number, not {size!r}")
    return name


def _sized(container: Mapping[str, Any]) -> bool:
    return bool(container.get("memory") or container.get("memoryReservation"))


def _family_status(revisions: Mapping[int, TaskDefinition]) -> str:
    active = any(found.status == "ACTIVE" for found in revisions.values())
    return "ACTIVE" if active else "INACTIVE"


def _describe(found: TaskDefinition) -> dict[str, Any]:
    content = found.content
    containers = [
        {
            "cpu": 0,
            "portMappings": [],
            "essential": True,
            "environment": [],
            "mountPoints": [],
            "volumesFrom": [],
            **container,
        }
        for container in content["containerDefinitions"]
    ]
    external = content["networkMode"] in _MODES
    shown = {
        **content,
        "containerDefinitions": containers,
        "taskDefinitionArn": found.arn,
        "revision": found.revision,
        "status": found.status,
        "requiresAttributes": [],
        "compatibilities": ["EXTERNAL", "EC2"] if external else ["EC2"],
        "registeredAt": round(found.registered_at, 3),
        "registeredBy": found.registered_by,
    }
    if found.deregistered_at is not None:
        shown["deregisteredAt"] = round(found.deregistered_at, 3)
    return shown


OPERATIONS: Mapping[str, Operation] = {
    "RegisterTaskDefinition": register_task_definition,
    "DescribeTaskDefinition": describe_task_definition,
    "ListTaskDefinitions": list_task_definitions,
    "ListTaskDefinitionFamilies": list_task_definition_families,
    "DeregisterTaskDefinition": deregister_task_definition,
}
