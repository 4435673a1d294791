"""Operations that ECS agents call: register, discover the endpoint, report tasks and health."""

from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import task_life
from fleet.sandbox.control_plane.call import Answer, Call, operation
from fleet.sandbox.control_plane.ecs_clusters import find_cluster
from fleet.sandbox.control_plane.ecs_instances import describe, find_instance
from fleet.sandbox.control_plane.entities import (
    Attributes,
    ClusterEntity,
    ContainerInstanceEntity,
    TaskEntity,
    is_custom,
)
from fleet.sandbox.control_plane.tags import read_tags

#: Custom attributes on one resource. (Developer guide, "Service quotas".)
MOST_CUSTOM = 10
_TIMES = ("pullStartedAt", "pullStoppedAt", "executionStoppedAt")
_REPORTED_OF_CONTAINERS = ("exitCode", "imageDigest", "networkBindings", "reason", "runtimeId")


@operation(
    "attributes clientToken cluster containerInstanceArn instanceIdentityDocument"
    " instanceIdentityDocumentSignature tags totalResources versionInfo"
)
def register_container_instance(call: Call) -> Answer:
    """Register a container instance, as an external agent asks for it.

    The identity document is empty: who registers is known from the credentials alone. Each
    registration makes a new instance, even for a node that has one (CR#1901: twins), unless it
    repeats a ``clientToken`` or names its ``containerInstanceArn``. Custom attributes and tags
    count at the first registration only (agent-protocol 2.1).
    """
    if not call.caller.managed_instance_id or call.get("instanceIdentityDocument"):
        raise AwsFault(
            "ClientException",
            "The instance identity document and signature are not valid: an external instance"
            " sends none, and is known by the credentials that SSM gave it.",
        )
    cluster = find_cluster(call, call.get("cluster"))
    if cluster is None:
        raise AwsFault("ClientException", "Cluster not found.")
    attributes: Attributes = {
        item["name"]: item.get("value") or None for item in call.get("attributes", [])
    }
    resources = _resources(call)
    arn = call.get("containerInstanceArn")
    if arn:
        instance = _registered_before(call, cluster, arn)
        own = {name: text for name, text in instance.attributes.items() if is_custom(name)}
        instance.attributes = {**attributes, **own}
        instance.version += 1
    else:
        instance = _repeated(call, cluster) or _new(call, cluster, attributes)
    instance.resources = resources
    versions = call.get("versionInfo", {})
    instance.agent_version = versions.get("agentVersion") or instance.agent_version
    instance.docker_version = versions.get("dockerVersion") or instance.docker_version
    call.world.save(instance)
    call.world.work.reconcile_cluster(call.state, cluster.name)
    return {"containerInstance": describe(call, instance, ("TAGS",))}


@operation("cluster containerInstance zoneId")
def discover_poll_endpoint(call: Call) -> Answer:
    """Say where the agent opens its websockets."""
    if not call.endpoint:
        raise AwsFault("ServerException", "the sandbox has no HTTP server to connect to", 500)
    return {"endpoint": f"{call.endpoint}/acs/", "telemetryEndpoint": f"{call.endpoint}/tacs/"}


@operation(
    "attachments cluster containers executionStoppedAt managedAgents pullStartedAt pullStoppedAt"
    " reason",
    needed="status task",
)
def submit_task_state_change(call: Call) -> Answer:
    """Take the state of a task; repeated and late reports change nothing.

    An agent that runs a task that ECS counts as stopped is told once more to stop it.
    """
    status = call.get("status")
    if status not in {"PENDING", "RUNNING", "STOPPED"}:
        raise call.bad(f"status has the value {status!r}; it must be PENDING, RUNNING or STOPPED")
    task = _own_task(call, call.get("task"))
    if task.last_status == "STOPPED":
        if status != "STOPPED":
            call.world.work.send_task(task)
        return {"acknowledgment": "ok"}
    task.times |= {name: float(call.get(name)) for name in _TIMES if call.get(name)}
    _take_containers(task, call.get("containers", []))
    if status == "STOPPED":
        _ended(call, task)
    else:
        if status == "RUNNING" and task.last_status != "RUNNING":
            task.last_status = "RUNNING"
            task.times["startedAt"] = call.now
        _save_changed(call, task)
    return {"acknowledgment": "ok"}


@operation("cluster containerInstance tasks")
def publish_health(call: Call) -> Answer:
    """Take the health of containers; this is PublishHealthRequest of the telemetry session."""
    for report in call.get("tasks", []):
        task = _own_task(call, str(report.get("taskArn", "")))
        reported = {
            part.get("containerName"): part["healthStatus"]
            for part in report.get("containers", [])
            if part.get("healthStatus") in {"HEALTHY", "UNHEALTHY"}
        }
        before = [container["healthStatus"] for container in task.containers]
        for container in task.containers:
            container["healthStatus"] = reported.get(container["name"], container["healthStatus"])
        if before != [container["healthStatus"] for container in task.containers]:
            task.health = _health(call, task)
            _save_changed(call, task)
    return {}


def _new(call: Call, cluster: ClusterEntity, attributes: Attributes) -> ContainerInstanceEntity:
    if sum(map(is_custom, attributes)) > MOST_CUSTOM:
        raise call.bad(f"more than {MOST_CUSTOM} custom attributes on one instance")
    return ContainerInstanceEntity(
        call.state.account,
        call.state.region,
        call.world.hex_id(32),
        cluster.name,
        call.caller.managed_instance_id,
        call.now,
        attributes=attributes,
        tags=read_tags(call),
        client_token=call.get("clientToken"),
    )


def _repeated(call: Call, cluster: ClusterEntity) -> ContainerInstanceEntity | None:
    token = call.get("clientToken")
    for instance in call.state.instances_of.get(cluster.name, {}).values():
        same_node = instance.managed_instance_id == call.caller.managed_instance_id
        if token and same_node and instance.client_token == token and instance.status != "INACTIVE":
            return instance
    return None


def _registered_before(call: Call, cluster: ClusterEntity, arn: str) -> ContainerInstanceEntity:
    instance = find_instance(call, cluster, arn)
    if instance is None:
        raise AwsFault("ClientException", f"Container instance {arn} not found in the cluster.")
    if instance.managed_instance_id != call.caller.managed_instance_id:
        raise AwsFault("ClientException", "Container instance belongs to another instance.")
    if instance.status == "INACTIVE":
        raise AwsFault("ClientException", "The container instance is inactive.")
    return instance


def _resources(call: Call) -> list[dict[str, Any]]:
    resources = []
    for item in call.get("totalResources", []):
        if not item.get("name") or not item.get("type"):
            raise call.bad(f"a resource needs a name and a type: {item}")
        resources.append({"doubleValue": 0.0, "longValue": 0, "integerValue": 0, **item})
    return resources


def _own_task(call: Call, arn: str) -> TaskEntity:
    """Return the task of an ARN, if it is on an instance of the caller's."""
    cluster, _, task_id = arn.partition(":task/")[2].partition("/")
    task = call.state.tasks_of.get(cluster, {}).get(task_id)
    if task is None or task.arn != arn:
        raise call.bad("The referenced task was not found.")
    owner = call.state.instances[task.instance]
    if owner.managed_instance_id != call.caller.managed_instance_id:
        raise call.bad("The referenced task is not on a container instance of the caller.")
    return task


def _take_containers(task: TaskEntity, reports: list[Mapping[str, Any]]) -> None:
    by_name = {report.get("containerName"): report for report in reports}
    for container in task.containers:
        report = by_name.get(container["name"], {})
        container["lastStatus"] = report.get("status") or container["lastStatus"]
        for name in _REPORTED_OF_CONTAINERS:
            if report.get(name) not in (None, "", []):
                container[name] = report[name]


def _ended(call: Call, task: TaskEntity) -> None:
    if not task.stop_code:
        started = "startedAt" in task.times
        task.stop_code = "EssentialContainerExited" if started else "TaskFailedToStart"
        usual = "Essential container in task exited" if started else "Task failed to start"
        task.stopped_reason = call.get("reason") or usual
    task.times.setdefault("executionStoppedAt", call.now)
    task_life.stopped(call, task)


def _save_changed(call: Call, task: TaskEntity) -> None:
    task.version += 1
    call.world.save(task)
    service = call.state.service(task.service)
    if service is not None:
        call.world.work.reconcile(service)


def _health(call: Call, task: TaskEntity) -> str:
    """Return the worst health of the essential containers that have a health check."""
    found = call.state.task_definition(task.task_definition)
    checked = {
        part["name"]
        for part in (found.content["containerDefinitions"] if found is not None else ())
        if part.get("essential", True) and part.get("healthCheck")
    }
    states = {c["healthStatus"] for c in task.containers if c["name"] in checked}
    if "UNHEALTHY" in states:
        return "UNHEALTHY"
    return "HEALTHY" if states == {"HEALTHY"} else "UNKNOWN"
