"""Operations on ECS container instances: list, describe, drain, deregister."""

from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import cluster_query, task_life
from fleet.sandbox.control_plane.call import Answer, Call, Context, find_each, operation, wire
from fleet.sandbox.control_plane.ecs_clusters import arn_in, find_in, needed_cluster
from fleet.sandbox.control_plane.entities import ClusterEntity, ContainerInstanceEntity
from fleet.sandbox.control_plane.placement import remaining
from fleet.sandbox.control_plane.tags import write_tags

_MOST_DESCRIBED = 100
_MOST_UPDATED = 10
_ALL = ("TAGS", "CONTAINER_INSTANCE_HEALTH")
KIND = "container-instance"


def find_instance(call: Call, cluster: ClusterEntity, given: str) -> ContainerInstanceEntity | None:
    """Return the container instance of an id or ARN in this cluster, INACTIVE ones included."""
    return find_in(call, cluster, KIND, given, call.state.instances_of.get(cluster.name, {}))


def needed_instance(call: Call, cluster: ClusterEntity, given: str) -> ContainerInstanceEntity:
    """Return the container instance of an id or ARN, or raise that there is none."""
    instance = find_instance(call, cluster, given)
    if instance is None:
        raise call.bad(f"Referenced container instance {given} not found.")
    return instance


def save_changed(call: Call, instance: ContainerInstanceEntity) -> None:
    """Save a changed instance, and let the scheduler look at its cluster's services."""
    instance.version += 1
    call.world.save(instance)
    call.world.work.reconcile_cluster(call.state, instance.cluster)


@operation("cluster filter status maxResults nextToken")
def list_container_instances(call: Call) -> Answer:
    """List at most 100 a page; without ``status`` all but the INACTIVE ones."""
    cluster = needed_cluster(call)
    status, text = call.get("status"), call.get("filter")
    matches = cluster_query.parse(text) if text else None
    arns = sorted(
        instance.arn
        for instance in call.state.instances_of.get(cluster.name, {}).values()
        if (instance.status == status if status else instance.status != "INACTIVE")
        and (matches is None or matches(_subject(call, instance)))
    )
    part, after = call.page(arns, most=100, default=100)
    return {"containerInstanceArns": list(part), **after}


@operation("cluster containerInstances include")
def describe_container_instances(call: Call) -> Answer:
    """Describe at most 100; what is not there is a failure, not an error."""
    found, failures = _asked(call, needed_cluster(call), _MOST_DESCRIBED)
    include = call.get("include", ())
    return {
        "containerInstances": [describe(call, instance, include) for instance in found],
        "failures": failures,
    }


@operation("cluster containerInstances status")
def update_container_instances_state(call: Call) -> Answer:
    """Set at most 10 instances to ACTIVE or DRAINING."""
    status = call.get("status")
    if status not in {"ACTIVE", "DRAINING"}:
        raise call.bad(f"status has the value {status!r}; it must be ACTIVE or DRAINING")
    found, failures = _asked(call, needed_cluster(call), _MOST_UPDATED)
    changed = []
    for instance in found:
        if instance.status == "INACTIVE":
            failures.append({"arn": instance.arn, "reason": "INACTIVE"})
            continue
        if instance.status != status:
            instance.status = status
            save_changed(call, instance)
        changed.append(describe(call, instance, _ALL))
    return {"containerInstances": changed, "failures": failures}


@operation("cluster containerInstance force")
def deregister_container_instance(call: Call) -> Answer:
    """Deregister an instance: shown INACTIVE afterwards; its agent is disconnected.

    With ``force`` its tasks are orphaned: they run on, unknown to ECS, and the services they were
    of start others elsewhere.
    """
    given = call.get("containerInstance")
    instance = needed_instance(call, needed_cluster(call), given)
    if instance.status == "INACTIVE":
        raise AwsFault("ClientException", f"The container instance {given} is inactive.")
    tasks = tuple(call.state.tasks_on.get(instance.id, {}).values())
    if tasks and not call.get("force"):
        raise call.bad("Found running tasks on the instance.")
    for task in tasks:
        task.stop_code = task.stop_code or task_life.SCHEDULER
        task.stopped_reason = "Container instance deregistration forced by user"
        task_life.stopped(call, task)
    instance.status = "INACTIVE"
    save_changed(call, instance)
    call.world.channels.end(instance.arn)
    return {"containerInstance": describe(call, instance, ())}


def describe(
    context: Context, instance: ContainerInstanceEntity, include: tuple[str, ...]
) -> Answer:
    """Return a container instance in wire form; ``agentConnected`` is of this moment."""
    connected = context.world.channels.connected(instance.arn, context.now)
    versions = {"agentVersion": instance.agent_version, "dockerVersion": instance.docker_version}
    tasks = context.state.tasks_on.get(instance.id, {}).values()
    running = sum(task.last_status == "RUNNING" for task in tasks)
    health = "CONTAINER_INSTANCE_HEALTH" in include
    return wire(
        containerInstanceArn=instance.arn,
        ec2InstanceId=instance.managed_instance_id,
        version=instance.version,
        versionInfo={name: text for name, text in versions.items() if text},
        remainingResources=remaining(context.state, instance),
        registeredResources=instance.resources,
        status=instance.status,
        agentConnected=connected,
        runningTasksCount=running,
        pendingTasksCount=len(tasks) - running,
        attributes=[wire(name=name, value=value) for name, value in instance.attributes.items()],
        registeredAt=instance.registered_at,
        attachments=[],
        tags=write_tags(instance.tags) if "TAGS" in include else [],
        healthStatus=_health(context, instance, connected=connected) if health else None,
    )


def _health(
    context: Context, instance: ContainerInstanceEntity, *, connected: bool
) -> dict[str, Any]:
    """Return the runtime check as the agent would report it (an assumption)."""
    if connected:
        status = "OK"
    else:
        status = "INSUFFICIENT_DATA" if instance.ever_connected else "INITIALIZING"
    channel = context.world.channels.of(instance.arn)
    check = wire(
        type="CONTAINER_RUNTIME",
        status=status,
        lastUpdated=channel.heard_at if channel is not None else instance.registered_at,
        lastStatusChange=instance.registered_at,
    )
    return {"overallStatus": status, "details": [check]}


def _asked(
    call: Call, cluster: ClusterEntity, most: int
) -> tuple[list[ContainerInstanceEntity], list[dict[str, str]]]:
    return find_each(
        call.items("containerInstances", most),
        lambda name: find_instance(call, cluster, name),
        lambda name: arn_in(call, cluster, KIND, name),
    )


def _subject(call: Call, instance: ContainerInstanceEntity) -> cluster_query.QuerySubject:
    connected = call.world.channels.connected(instance.arn, call.now)
    return cluster_query.QuerySubject(connected, instance.attributes, instance.managed_instance_id)
