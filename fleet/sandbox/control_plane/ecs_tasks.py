"""ECS tasks as people see them: list, describe, start by themselves, stop."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.control_plane import task_life
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.ecs_clusters import missing, needed_cluster, own_resource
from fleet.sandbox.control_plane.ecs_instances import find_instance
from fleet.sandbox.control_plane.ecs_services import service_in
from fleet.sandbox.control_plane.ecs_task_definitions import usable_task_definition
from fleet.sandbox.control_plane.placement import room_on
from fleet.sandbox.control_plane.region_state import Cluster
from fleet.sandbox.control_plane.tags import read_tags, write_tags
from fleet.sandbox.control_plane.workloads import Task

_MOST = 100
_MOST_STARTED = 10
_STATUSES = ("RUNNING", "PENDING", "STOPPED")
_MOMENTS = (
    "pullStartedAt",
    "pullStoppedAt",
    "startedAt",
    "stoppingAt",
    "executionStoppedAt",
    "stoppedAt",
)


def list_tasks(call: Call) -> dict[str, Any]:
    """ListTasks: by desired status, RUNNING unless another is asked for; 100 a page."""
    fields = call.fields
    fields.only(
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
    cluster = needed_cluster(call)
    call.world.forget_stopped()
    status = fields.choice("desiredStatus", _STATUSES, "RUNNING")
    launch_type = fields.text("launchType") or "EXTERNAL"
    family, started_by = fields.text("family"), fields.text("startedBy")
    if started_by and (family or fields.text("serviceName") or fields.text("containerInstance")):
        raise fields.bad("startedBy must be the only filter.")
    service = _filter_service(call)
    instance = _filter_instance(call, cluster)
    arns = sorted(
        task.arn
        for task in call.state.tasks_of.get(cluster.name, {}).values()
        if task.desired_status == status
        and launch_type == "EXTERNAL"
        and family in {"", task.family}
        and service in {"", task.service}
        and instance in {"", task.instance}
        and started_by in {"", task.starter}
    )
    part, after = call.page(arns, most=_MOST, default=_MOST)
    return {"taskArns": list(part), **after}


def describe_tasks(call: Call) -> dict[str, Any]:
    """DescribeTasks: at most 100; what is not there (any more) is a failure, not an error."""
    fields = call.fields
    fields.only("cluster", "include", "tasks")
    cluster = needed_cluster(call)
    call.world.forget_stopped()
    include = fields.includes(("TAGS",))
    given = fields.texts("tasks", most=_MOST)
    if not given:
        raise fields.bad("Tasks cannot be empty.")
    found, gone = [], []
    for name in given:
        task = _find(call, cluster, name)
        if task is None:
            gone.append(name)
        else:
            found.append(_describe(call, task, include))
    return {"tasks": found, "failures": missing(call, "task", cluster, gone)}


def start_task(call: Call) -> dict[str, Any]:
    """StartTask: a task of no service on each of at most 10 instances; nobody starts it again."""
    fields = call.fields
    fields.only("cluster", "containerInstances", "startedBy", "tags", "taskDefinition")
    cluster = needed_cluster(call)
    given = fields.texts("containerInstances", most=_MOST_STARTED)
    if not given:
        raise fields.bad("Container instances cannot be empty.")
    definition = usable_task_definition(call, fields.needed_text("taskDefinition"))
    said, tags = fields.text("startedBy", most=128), read_tags(fields, "tags")
    context = Context(call.world, call.state, call.now)
    started, failures = [], []
    for name in given:
        instance = find_instance(call, cluster, name)
        if instance is None or instance.status == "INACTIVE":
            failures += missing(call, "container-instance", cluster, [name])
            continue
        channels = call.world.channels
        obstacle = room_on(call.state, channels, instance, definition, call.now)
        if obstacle is not None:
            failures.append({"arn": instance.arn, "reason": obstacle.reason})
            continue
        task = task_life.start_on(context, definition, instance, started_by=said, tags=tags)
        started.append(_describe(call, task, frozenset({"TAGS"})))
    return {"tasks": started, "failures": failures}


def stop_task(call: Call) -> dict[str, Any]:
    """StopTask: its service will start another one."""
    fields = call.fields
    fields.only("cluster", "task", "reason")
    cluster = needed_cluster(call)
    task = _find(call, cluster, fields.needed_text("task"))
    if task is None:
        raise fields.bad("The referenced task was not found.")
    reason = fields.text("reason", most=1024) or "Task stopped by user"
    task_life.stop(Context(call.world, call.state, call.now), task, "UserInitiated", reason)
    service = call.state.service(task.service)
    if service is not None:
        call.world.work.look_at(service)
    return {"task": _describe(call, task, frozenset())}


def _find(call: Call, cluster: Cluster, given: str) -> Task | None:
    if given.startswith("arn:"):
        named, _, given = own_resource(call, given, "task").rpartition("/")
        if named and named != cluster.name:
            return None
    return call.state.tasks_of.get(cluster.name, {}).get(given)


def _filter_service(call: Call) -> str:
    given = call.fields.text("serviceName")
    return service_in(call, call.fields.text("cluster"), given).key if given else ""


def _filter_instance(call: Call, cluster: Cluster) -> str:
    given = call.fields.text("containerInstance")
    if not given:
        return ""
    instance = find_instance(call, cluster, given)
    if instance is None:
        raise call.fields.bad(f"Referenced container instance {given} not found.")
    return instance.id


def _describe(call: Call, task: Task, include: frozenset[str]) -> dict[str, Any]:
    connected, since = call.world.channels.connectivity(task.instance_arn, call.now)
    shown: dict[str, Any] = {
        "attachments": [],
        "attributes": [],
        "clusterArn": task.arn.partition(":task/")[0] + f":cluster/{task.cluster}",
        "connectivity": "CONNECTED" if connected else "DISCONNECTED",
        "containerInstanceArn": task.instance_arn,
        "containers": task.containers,
        "cpu": str(task.cpu),
        "createdAt": round(task.created_at, 3),
        "desiredStatus": task.desired_status,
        "enableExecuteCommand": False,
        "group": task.group,
        "healthStatus": task.health,
        "lastStatus": task.last_status,
        "launchType": "EXTERNAL",
        "memory": str(task.memory),
        "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []},
        "tags": write_tags(task.tags) if "TAGS" in include else [],
        "taskArn": task.arn,
        "taskDefinitionArn": task.task_definition,
        "version": task.version,
    }
    if task.starter:
        shown["startedBy"] = task.starter
    if since is not None:
        shown["connectivityAt"] = round(since, 3)
    ended = {"stopCode": task.stop_code, "stoppedReason": task.stopped_reason}
    shown |= {name: text for name, text in ended.items() if text}
    shown |= {name: round(task.times[name], 3) for name in _MOMENTS if name in task.times}
    return shown


OPERATIONS: Mapping[str, Operation] = {
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
    "StartTask": start_task,
    "StopTask": stop_task,
}
