"""What agents report: changes of tasks, and the health of containers."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.control_plane import task_life
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.workloads import Task

_REPORTED = ("PENDING", "RUNNING", "STOPPED")
_HEALTHS = {"HEALTHY", "UNHEALTHY"}
_MOMENTS = ("pullStartedAt", "pullStoppedAt", "executionStoppedAt")


def submit_task_state_change(call: Call) -> dict[str, Any]:
    """SubmitTaskStateChange, as an agent sends it; repeated and late ones change nothing.

    An agent that runs what was given up here is told once more to stop it.
    """
    fields = call.fields
    fields.only(
        "attachments",
        "cluster",
        "containers",
        "managedAgents",
        "reason",
        "status",
        "task",
        *_MOMENTS,
    )
    fields.needed_text("status")
    status = fields.choice("status", _REPORTED)
    task = _own_task(call, fields.needed_text("task"))
    moments = {name: moment for name in _MOMENTS if (moment := fields.moment(name)) is not None}
    containers = fields.maps("containers")
    if task.last_status == "STOPPED":
        if status != "STOPPED":
            call.world.work.tell(task)
        return {"acknowledgment": "ok"}
    task.times |= moments
    _take_containers(task, containers)
    context = Context(call.world, call.state, call.now)
    if status == "STOPPED":
        _ended(context, task, fields.text("reason"))
    elif status == "RUNNING" and task.last_status != "RUNNING":
        task.last_status = "RUNNING"
        task.times["startedAt"] = call.now
        _changed(context, task)
    else:
        _changed(context, task)
    return {"acknowledgment": "ok"}


def publish_health(call: Call) -> dict[str, Any]:
    """The agent's PublishHealthRequest of TACS: what the health checks of containers say."""
    fields = call.fields
    fields.only("cluster", "containerInstance", "tasks")
    context = Context(call.world, call.state, call.now)
    for report in fields.maps("tasks"):
        task = _own_task(call, str(report.get("taskArn", "")))
        said = {
            str(part.get("containerName")): part.get("healthStatus")
            for part in report.get("containers") or ()
            if isinstance(part, Mapping) and part.get("healthStatus") in _HEALTHS
        }
        before = [container["healthStatus"] for container in task.containers]
        for container in task.containers:
            container["healthStatus"] = said.get(container["name"], container["healthStatus"])
        if before != [container["healthStatus"] for container in task.containers]:
            task.health = _health(context, task)
            _changed(context, task)
    return {}


def _own_task(call: Call, arn: str) -> Task:
    """The task of an ARN, if it is on an instance of the caller's."""
    task = call.state.tasks_of.get(_cluster_in(arn), {}).get(arn.rpartition("/")[2])
    if task is None or task.arn != arn:
        raise call.fields.bad("The referenced task was not found.")
    owner = call.state.instances[task.instance]
    if owner.managed_instance_id != call.caller.managed_instance_id:
        raise call.fields.bad("The referenced task is not on a container instance of the caller.")
    return task


def _cluster_in(arn: str) -> str:
    return arn.partition(":task/")[2].partition("/")[0]


def _take_containers(task: Task, containers: list[Mapping[str, Any]]) -> None:
    said = {str(container.get("containerName")): container for container in containers}
    for container in task.containers:
        report = said.get(container["name"])
        if report is None:
            continue
        if report.get("status"):
            container["lastStatus"] = report["status"]
        for name in ("exitCode", "imageDigest", "networkBindings", "reason", "runtimeId"):
            value = report.get(name)
            if value is not None and value not in ("", []):
                container[name] = value


def _ended(context: Context, task: Task, reason: str) -> None:
    if not task.stop_code:
        if "startedAt" in task.times:
            task.stop_code = "EssentialContainerExited"
            task.stopped_reason = reason or "Essential container in task exited"
        else:
            task.stop_code = "TaskFailedToStart"
            task.stopped_reason = reason or "Task failed to start"
    task.times.setdefault("executionStoppedAt", context.now)
    task_life.stopped(context, task)


def _changed(context: Context, task: Task) -> None:
    task.version += 1
    context.world.save(task)
    service = context.state.service(task.service)
    if service is not None:
        context.world.work.look_at(service)


def _health(context: Context, task: Task) -> str:
    """The worst of the essential containers that have a health check."""
    found = context.state.task_definition(task.task_definition)
    parts = found.content["containerDefinitions"] if found is not None else ()
    checked = {part["name"] for part in parts if part.get("essential", True)} & {
        part["name"] for part in parts if part.get("healthCheck")
    }
    said = {c["healthStatus"] for c in task.containers if c["name"] in checked}
    if "UNHEALTHY" in said:
        return "UNHEALTHY"
    return "HEALTHY" if said == {"HEALTHY"} else "UNKNOWN"


OPERATIONS: Mapping[str, Operation] = {"SubmitTaskStateChange": submit_task_state_change}
TELEMETRY: Mapping[str, Operation] = {"PublishHealth": publish_health}
