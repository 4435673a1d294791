"""ECS container instances as people see them: list, describe, drain, deregister."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import cluster_query, task_life
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.ecs_clusters import needed_cluster, own_resource
from fleet.sandbox.control_plane.placement import remaining
from fleet.sandbox.control_plane.region_state import Cluster, ContainerInstance, RegionState
from fleet.sandbox.control_plane.tags import write_tags
from fleet.sandbox.control_plane.world import World

_MOST_DESCRIBED = 100
_MOST_UPDATED = 10
_INCLUDES = ("TAGS", "CONTAINER_INSTANCE_HEALTH")
_STATES = ("ACTIVE", "DRAINING", "REGISTERING", "DEREGISTERING", "REGISTRATION_FAILED")


def find_instance(call: Call, cluster: Cluster, given: str) -> ContainerInstance | None:
    """The container instance of an id or ARN in this cluster, INACTIVE ones included."""
    if given.startswith("arn:"):
        named, _, given = own_resource(call, given, "container-instance").rpartition("/")
        if named and named != cluster.name:
            return None
    return call.state.instances_of.get(cluster.name, {}).get(given)


def list_container_instances(call: Call) -> dict[str, Any]:
    """ListContainerInstances: at most 100 a page; without ``status`` all but the INACTIVE ones."""
    fields = call.fields
    fields.only("cluster", "filter", "status", "maxResults", "nextToken")
    cluster = needed_cluster(call)
    status = fields.choice("status", _STATES)
    text = fields.text("filter")
    matches = cluster_query.parse(text) if text else None
    arns = sorted(
        instance.arn
        for instance in call.state.instances_of.get(cluster.name, {}).values()
        if (instance.status == status if status else instance.status != "INACTIVE")
        and (matches is None or matches(_subject(call, instance)))
    )
    part, after = call.page(arns, most=100, default=100, style="maxResults")
    return {"containerInstanceArns": list(part), **after}


def describe_container_instances(call: Call) -> dict[str, Any]:
    """DescribeContainerInstances: at most 100; what is not there is a failure, not an error."""
    call.fields.only("cluster", "containerInstances", "include")
    cluster = needed_cluster(call)
    include = call.fields.includes(_INCLUDES)
    found, failures = _sort_out(call, cluster, _MOST_DESCRIBED)
    return {
        "containerInstances": [
            describe(call.world, call.state, i, call.now, include) for i in found
        ],
        "failures": failures,
    }


def update_container_instances_state(call: Call) -> dict[str, Any]:
    """UpdateContainerInstancesState: ACTIVE or DRAINING, at most 10."""
    call.fields.only("cluster", "containerInstances", "status")
    cluster = needed_cluster(call)
    call.fields.needed_text("status")
    status = call.fields.choice("status", ("ACTIVE", "DRAINING"))
    found, failures = _sort_out(call, cluster, _MOST_UPDATED)
    changed = []
    for instance in found:
        if instance.status == "INACTIVE":
            failures.append({"arn": instance.arn, "reason": "INACTIVE"})
            continue
        if instance.status != status:
            instance.status = status
            instance.version += 1
            call.world.save(instance)
            call.world.work.look_at_cluster(call.state, cluster.name)
        changed.append(describe(call.world, call.state, instance, call.now, frozenset(_INCLUDES)))
    return {"containerInstances": changed, "failures": failures}


def deregister_container_instance(call: Call) -> dict[str, Any]:
    """DeregisterContainerInstance: shown INACTIVE afterwards; its agent is disconnected.

    With ``force`` its tasks are orphaned: they run on, unknown to ECS, and the services they were
    of start others elsewhere.
    """
    call.fields.only("cluster", "containerInstance", "force")
    cluster = needed_cluster(call)
    force = call.fields.flag("force")
    given = call.fields.needed_text("containerInstance")
    instance = find_instance(call, cluster, given)
    if instance is None:
        raise call.fields.bad(f"Referenced container instance {given} not found.")
    if instance.status == "INACTIVE":
        raise AwsFault("ClientException", f"The container instance {given} is inactive.")
    tasks = tuple(call.state.tasks_on.get(instance.id, {}).values())
    if tasks and not force:
        raise call.fields.bad("Found running tasks on the instance.")
    for task in tasks:
        task.stop_code = task.stop_code or task_life.SCHEDULER
        task.stopped_reason = "Container instance deregistration forced by user"
        task_life.stopped(Context(call.world, call.state, call.now), task)
    instance.status = "INACTIVE"
    instance.version += 1
    call.world.save(instance)
    call.world.work.look_at_cluster(call.state, cluster.name)
    call.world.channels.end(instance.arn)
    return {"containerInstance": describe(call.world, call.state, instance, call.now, frozenset())}


def update_container_agent(call: Call) -> dict[str, Any]:
    """UpdateContainerAgent: not for external instances; their package is upgraded instead."""
    call.fields.only("cluster", "containerInstance")
    cluster = needed_cluster(call)
    given = call.fields.needed_text("containerInstance")
    if find_instance(call, cluster, given) is None:
        raise call.fields.bad(f"Referenced container instance {given} not found.")
    raise AwsFault(
        "ClientException", "The container agent of an external instance cannot be updated by ECS."
    )


def describe(
    world: World,
    state: RegionState,
    instance: ContainerInstance,
    now: float,
    include: frozenset[str],
) -> dict[str, Any]:
    """A container instance in wire form; ``agentConnected`` is of this moment."""
    connected = world.channels.connected(instance.arn, now)
    versions = {
        "agentVersion": instance.agent_version,
        "dockerVersion": instance.docker_version,
    }
    tasks = state.tasks_on.get(instance.id, {}).values()
    running = sum(task.last_status == "RUNNING" for task in tasks)
    shown: dict[str, Any] = {
        "containerInstanceArn": instance.arn,
        "ec2InstanceId": instance.managed_instance_id,
        "version": instance.version,
        "versionInfo": {name: text for name, text in versions.items() if text},
        "remainingResources": remaining(state, instance),
        "registeredResources": instance.resources,
        "status": instance.status,
        "agentConnected": connected,
        "runningTasksCount": running,
        "pendingTasksCount": len(tasks) - running,
        "attributes": [
            {"name": name} if value is None else {"name": name, "value": value}
            for name, value in instance.attributes.items()
        ],
        "registeredAt": round(instance.registered_at, 3),
        "attachments": [],
        "tags": write_tags(instance.tags) if "TAGS" in include else [],
    }
    if "CONTAINER_INSTANCE_HEALTH" in include:
        shown["healthStatus"] = _health(world, instance, now, connected=connected)
    return shown


def _health(
    world: World, instance: ContainerInstance, now: float, *, connected: bool
) -> dict[str, Any]:
    """The runtime check as the agent would report it while it is heard (simulator's choice)."""
    if connected:
        status = "OK"
    else:
        status = "INSUFFICIENT_DATA" if instance.ever_connected else "INITIALIZING"
    channel = world.channels.of(instance.arn)
    updated = channel.heard_at if channel is not None else min(now, instance.registered_at)
    return {
        "overallStatus": status,
        "details": [
            {
                "type": "CONTAINER_RUNTIME",
                "status": status,
                "lastUpdated": round(updated, 3),
                "lastStatusChange": round(instance.registered_at, 3),
            }
        ],
    }


def _sort_out(
    call: Call, cluster: Cluster, most: int
) -> tuple[list[ContainerInstance], list[dict[str, str]]]:
    given = call.fields.texts("containerInstances", most=most)
    if not given:
        raise call.fields.bad("Container instances cannot be empty.")
    found, failures = [], []
    for name in given:
        instance = find_instance(call, cluster, name)
        if instance is not None:
            found.append(instance)
            continue
        stem = cluster.arn.replace(":cluster/", ":container-instance/")
        arn = name if name.startswith("arn:") else f"{stem}/{name}"
        failures.append({"arn": arn, "reason": "MISSING"})
    return found, failures


def _subject(call: Call, instance: ContainerInstance) -> cluster_query.Subject:
    return cluster_query.Subject(
        agent_connected=call.world.channels.connected(instance.arn, call.now),
        agent_version=instance.agent_version,
        attributes=instance.attributes,
        ec2_instance_id=instance.managed_instance_id,
        registered_at=instance.registered_at,
        running_tasks=sum(
            task.last_status == "RUNNING"
            for task in call.state.tasks_on.get(instance.id, {}).values()
        ),
    )


OPERATIONS: Mapping[str, Operation] = {
    "ListContainerInstances": list_container_instances,
    "DescribeContainerInstances": describe_container_instances,
    "UpdateContainerInstancesState": update_container_instances_state,
    "DeregisterContainerInstance": deregister_container_instance,
    "UpdateContainerAgent": update_container_agent,
}
