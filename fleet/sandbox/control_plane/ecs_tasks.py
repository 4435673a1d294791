"""Operations on ECS tasks: list, describe, run, start, stop."""

from fleet.sandbox.control_plane import task_life
from fleet.sandbox.control_plane.call import Answer, Call, find_each, operation, wire
from fleet.sandbox.control_plane.ecs_clusters import arn_in, find_in, needed_cluster
from fleet.sandbox.control_plane.ecs_instances import KIND, find_instance, needed_instance
from fleet.sandbox.control_plane.ecs_services import service_in
from fleet.sandbox.control_plane.ecs_task_definitions import usable_task_definition
from fleet.sandbox.control_plane.entities import ClusterEntity, TaskEntity
from fleet.sandbox.control_plane.placement import room_on
from fleet.sandbox.control_plane.tags import read_tags, write_tags

_MOST = 100
_MOST_STARTED = 10
_TIMES = (
    "pullStartedAt",
    "pullStoppedAt",
    "startedAt",
    "stoppingAt",
    "executionStoppedAt",
    "stoppedAt",
)


@operation(
    "cluster containerInstance desiredStatus family launchType maxResults nextToken serviceName"
    " startedBy"
)
def list_tasks(call: Call) -> Answer:
    """List by desired status, RUNNING unless another is asked for; 100 a page."""
    cluster = needed_cluster(call)
    call.world.forget_stopped()
    family, started_by = call.get("family"), call.get("startedBy")
    service, instance = call.get("serviceName"), call.get("containerInstance")
    if started_by and (family or service or instance):
        raise call.bad("startedBy must be the only filter.")
    wanted_service = service_in(call, service).key if service else ""
    wanted_instance = needed_instance(call, cluster, instance).id if instance else ""
    arns = sorted(
        task.arn
        for task in call.state.tasks_of.get(cluster.name, {}).values()
        if task.desired_status == (call.get("desiredStatus") or "RUNNING")
        and call.get("launchType") in {"", "EXTERNAL"}
        and family in {"", task.family}
        and wanted_service in {"", task.service}
        and wanted_instance in {"", task.instance}
        and started_by in {"", task.starter}
    )
    part, after = call.page(arns, most=_MOST, default=_MOST)
    return {"taskArns": list(part), **after}


@operation("cluster include tasks")
def describe_tasks(call: Call) -> Answer:
    """Describe at most 100; what is not there (any more) is a failure, not an error."""
    cluster = needed_cluster(call)
    call.world.forget_stopped()
    found, failures = find_each(
        call.items("tasks", _MOST),
        lambda name: _find(call, cluster, name),
        lambda name: arn_in(call, cluster, "task", name),
    )
    tags = "TAGS" in call.get("include", ())
    return {"tasks": [_describe(call, task, tags=tags) for task in found], "failures": failures}


@operation("cluster containerInstances startedBy tags taskDefinition")
def start_task(call: Call) -> Answer:
    """Start a task of no service on each of at most 10 instances; nobody starts it again."""
    cluster = needed_cluster(call)
    given = call.items("containerInstances", _MOST_STARTED)
    definition = usable_task_definition(call, call.get("taskDefinition"))
    started_by, tags = call.get("startedBy"), read_tags(call)
    started, failures = [], []
    for name in given:
        instance = find_instance(call, cluster, name)
        if instance is None or instance.status == "INACTIVE":
            failures.append({"arn": arn_in(call, cluster, KIND, name), "reason": "MISSING"})
            continue
        obstacle = room_on(call, instance, definition)
        if obstacle is not None:
            failures.append({"arn": instance.arn, "reason": obstacle.reason})
            continue
        task = task_life.start_on(call, definition, instance, started_by=started_by, tags=tags)
        started.append(_describe(call, task, tags=True))
    return {"tasks": started, "failures": failures}


@operation("cluster task reason")
def stop_task(call: Call) -> Answer:
    """Stop a task; its service will start another one."""
    task = _find(call, needed_cluster(call), call.get("task"))
    if task is None:
        raise call.bad("The referenced task was not found.")
    reason = call.get("reason") or "Task stopped by user"
    task_life.stop(call, task, "UserInitiated", reason)
    service = call.state.service(task.service)
    if service is not None:
        call.world.work.reconcile(service)
    return {"task": _describe(call, task, tags=False)}


def _find(call: Call, cluster: ClusterEntity, given: str) -> TaskEntity | None:
    return find_in(call, cluster, "task", given, call.state.tasks_of.get(cluster.name, {}))


def _describe(call: Call, task: TaskEntity, *, tags: bool) -> Answer:
    connected, since = call.world.channels.connectivity(task.instance_arn, call.now)
    return wire(
        attachments=[],
        attributes=[],
        clusterArn=task.arn.partition(":task/")[0] + f":cluster/{task.cluster}",
        connectivity="CONNECTED" if connected else "DISCONNECTED",
        connectivityAt=since,
        containerInstanceArn=task.instance_arn,
        containers=task.containers,
        cpu=str(task.cpu),
        createdAt=task.created_at,
        desiredStatus=task.desired_status,
        enableExecuteCommand=False,
        group=task.group,
        healthStatus=task.health,
        lastStatus=task.last_status,
        launchType="EXTERNAL",
        memory=str(task.memory),
        overrides={"containerOverrides": [], "inferenceAcceleratorOverrides": []},
        startedBy=task.starter or None,
        stopCode=task.stop_code or None,
        stoppedReason=task.stopped_reason or None,
        tags=write_tags(task.tags) if tags else [],
        taskArn=task.arn,
        taskDefinitionArn=task.task_definition,
        version=task.version,
        **{name: task.times.get(name) for name in _TIMES},
    )
