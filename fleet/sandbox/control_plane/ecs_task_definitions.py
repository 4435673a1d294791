"""Operations on ECS task definitions: register, describe, list, deregister."""

import json
import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import cluster_query
from fleet.sandbox.control_plane.call import Answer, Call, operation, wire
from fleet.sandbox.control_plane.ecs_clusters import own_resource
from fleet.sandbox.control_plane.entities import TaskDefinitionEntity
from fleet.sandbox.control_plane.placement import demand_of
from fleet.sandbox.control_plane.stored_form import stored_form
from fleet.sandbox.control_plane.tags import read_tags, write_tags

#: Bytes of a task definition. (Facts 4.3; not confirmed by AWS's page on quotas.)
LARGEST = 64 * 1024
_MOST_CONTAINERS = 10
_MOST_CONSTRAINTS = 10
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_CONTENT = (
    "family taskRoleArn executionRoleArn networkMode containerDefinitions volumes"
    " placementConstraints requiresCompatibilities cpu memory pidMode ipcMode runtimePlatform"
)


@operation(f"{_CONTENT} tags")
def register_task_definition(call: Call) -> Answer:
    """Register a revision; each call makes one, also of the same content.

    Only what can run on external instances is taken; the rest of the API is refused by name.
    """
    family = call.get("family")
    if not _NAME.fullmatch(family):
        raise _refused(
            f"Family contains invalid characters or is longer than 255: {family[:300]!r}"
        )
    content = {
        "networkMode": "bridge",
        "volumes": [],
        "placementConstraints": [],
        **{name: call.get(name) for name in _CONTENT.split() if name in call.body},
    }
    _check_content(call, content)
    content = stored_form(content)
    if len(json.dumps(content, separators=(",", ":"))) > LARGEST:
        raise _refused("Actual length of the task definition is over 64 KiB.")
    made = TaskDefinitionEntity(
        call.state.account,
        call.state.region,
        family,
        max(call.state.task_definitions.get(family, {}), default=0) + 1,
        content,
        call.now,
        call.caller.arn,
        tags=read_tags(call),
    )
    call.world.save(made)
    return {"taskDefinition": _describe(made), "tags": write_tags(made.tags)}


@operation("taskDefinition include")
def describe_task_definition(call: Call) -> Answer:
    """Describe the revision of a family (the newest ACTIVE one), ``family:revision`` or ARN."""
    found = _find(call, call.get("taskDefinition"))
    if found is None:
        raise _refused("Unable to describe task definition.")
    tags = write_tags(found.tags) if "TAGS" in call.get("include", ()) else None
    return wire(taskDefinition=_describe(found), tags=tags)


@operation("familyPrefix status sort maxResults nextToken")
def list_task_definitions(call: Call) -> Answer:
    """List by family and revision, rising or falling; at most 100 a page."""
    falling = call.get("sort") == "DESC"
    family, status = call.get("familyPrefix"), call.get("status") or "ACTIVE"
    families = call.state.task_definitions
    arns = {
        f"{found.family} {found.revision:09}": found.arn
        for name in ([family] if family else families)
        for found in families.get(name, {}).values()
        if found.status == status
    }
    part, after = call.page(sorted(arns, reverse=falling), most=100, default=100, falling=falling)
    return {"taskDefinitionArns": [arns[key] for key in part], **after}


@operation("taskDefinition")
def deregister_task_definition(call: Call) -> Answer:
    """Make a revision INACTIVE; what runs it runs on."""
    given = call.get("taskDefinition")
    if ":" not in given:
        raise call.bad("Invalid revision number. Number: null")
    found = _find(call, given)
    if found is None:
        raise _refused("The specified task definition does not exist.")
    if found.deregistered_at is None:
        found.deregistered_at = call.now
        call.world.save(found)
    return {"taskDefinition": _describe(found)}


def usable_task_definition(call: Call, given: str) -> TaskDefinitionEntity:
    """Return the ACTIVE revision that a service may run, or raise ClientException."""
    found = _find(call, given) if given else None
    if found is None:
        raise _refused("TaskDefinition not found.")
    if found.status != "ACTIVE":
        raise _refused("TaskDefinition is inactive")
    if found.content["networkMode"] == "awsvpc":
        raise call.bad("Launch type EXTERNAL does not support network mode awsvpc.")
    return found


def _find(call: Call, given: str) -> TaskDefinitionEntity | None:
    """Return what a family, ``family:revision`` or ARN names; INACTIVE ones by number."""
    name = own_resource(call, given, "task-definition") if given.startswith("arn:") else given
    family, colon, number = name.partition(":")
    revisions = call.state.task_definitions.get(family, {})
    if not colon:
        active = [revision for revision, found in revisions.items() if found.status == "ACTIVE"]
        return revisions[max(active)] if active else None
    if not (number.isascii() and number.isdigit()):
        raise call.bad(f"Invalid revision number. Number: {number}")
    return revisions.get(int(number))


def _refused(message: str) -> AwsFault:
    return AwsFault("ClientException", message)


def _check_content(call: Call, content: Mapping[str, Any]) -> None:
    compatible = set(content.get("requiresCompatibilities", ()))
    if content["networkMode"] == "awsvpc" and "EXTERNAL" in compatible:
        raise _refused("Networking mode 'awsvpc' is not supported on EXTERNAL.")
    if others := sorted(compatible - {"EC2", "EXTERNAL"}):
        raise call.bad(f"the fleet sandbox does not model compatibility with {others}")
    _check_containers(content)
    for volume in content["volumes"]:
        if "efsVolumeConfiguration" in volume or "configuredAtLaunch" in volume:
            raise _refused("EXTERNAL does not support EFS or EBS volumes.")
    constraints = content["placementConstraints"]
    if len(constraints) > _MOST_CONSTRAINTS:
        raise call.bad(f"placementConstraints cannot have more than {_MOST_CONSTRAINTS} elements")
    for constraint in constraints:
        cluster_query.parse(constraint.get("expression", ""))
    try:
        demand_of(content)
    except ValueError as error:
        raise call.bad(f"cpu or memory cannot be read: {error!r}") from error


def _check_containers(content: Mapping[str, Any]) -> None:
    containers = content["containerDefinitions"]
    if not 1 <= len(containers) <= _MOST_CONTAINERS:
        raise _refused(f"A task definition needs 1 to {_MOST_CONTAINERS} containers.")
    for container in containers:
        name = container.get("name", "")
        if not _NAME.fullmatch(name):
            raise _refused(f"Container.name is not valid: {name!r}")
        if not container.get("image"):
            raise _refused("Container.image should not be null or empty.")
        if not any(
            part.get("memory") or part.get("memoryReservation") for part in (content, container)
        ):
            raise _refused(
                f"Invalid setting for container '{name}'. At least one of 'memory' or"
                " 'memoryReservation' must be specified."
            )
    if len({container["name"] for container in containers}) != len(containers):
        raise _refused("Container.name must be unique in a task definition.")
    if not any(container.get("essential", True) for container in containers):
        raise _refused("At least one container in a task must be marked as essential.")


def _describe(found: TaskDefinitionEntity) -> Answer:
    content = found.content
    external = content["networkMode"] != "awsvpc"
    return content | wire(
        taskDefinitionArn=found.arn,
        revision=found.revision,
        status=found.status,
        requiresAttributes=[],
        compatibilities=["EXTERNAL", "EC2"] if external else ["EC2"],
        registeredAt=found.registered_at,
        registeredBy=found.registered_by,
        deregisteredAt=found.deregistered_at,
    )
