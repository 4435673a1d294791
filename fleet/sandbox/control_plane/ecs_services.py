"""ECS services: create, update, delete, describe, list."""

import re
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import deployments, service_input
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.ecs_clusters import (
    find_cluster,
    missing,
    needed_cluster,
    own_resource,
)
from fleet.sandbox.control_plane.ecs_task_definitions import usable_task_definition
from fleet.sandbox.control_plane.region_state import Cluster, RegionState
from fleet.sandbox.control_plane.tags import read_tags, write_tags
from fleet.sandbox.control_plane.workloads import Deployment, Service, Task

_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MOST_DESCRIBED = 10
_STRATEGIES = ("REPLICA", "DAEMON")
_LAUNCH_TYPES = ("EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES")


def create_service(call: Call) -> dict[str, Any]:
    """CreateService. The same request again is answered with the service that it made.

    The launch type has to be said: without it AWS would take EC2 or the cluster's default.
    """
    fields = call.fields
    fields.only(
        *service_input.BOTH,
        "clientToken",
        "launchType",
        "schedulingStrategy",
        "serviceName",
        "tags",
    )
    cluster = needed_cluster(call)
    name = fields.needed_text("serviceName")
    if not _NAME.fullmatch(name):
        raise fields.bad(f"The service name {name[:300]!r} is not valid.")
    if fields.choice("launchType", _LAUNCH_TYPES) != "EXTERNAL":
        raise fields.bad("the fleet sandbox models services of launchType EXTERNAL only.")
    service_input.check_controller(fields)
    request = fields.question()
    before = call.state.services_of.get(cluster.name, {}).get(name)
    if before is not None and before.status == "ACTIVE":
        if before.request != request:
            raise fields.bad("Creation of service was not idempotent.")
        return {"service": _describe(call.state, before, frozenset({"TAGS"}))}
    if before is not None and before.status == "DRAINING":
        raise fields.bad("Unable to Start a service that is still Draining.")
    service = _new(call, cluster, name, request)
    context = Context(call.world, call.state, call.now)
    deployments.begin(context, service, service.task_definition)
    return {"service": _describe(call.state, service, frozenset({"TAGS"}))}


def update_service(call: Call) -> dict[str, Any]:
    """UpdateService: another task definition or ``forceNewDeployment`` begins a deployment.

    Nothing else does, as the API reference says of each parameter.
    """
    fields = call.fields
    fields.only(*service_input.BOTH, "service", "forceNewDeployment")
    service = _needed_service(call, needed_cluster(call))
    if service.status != "ACTIVE":
        raise AwsFault("ServiceNotActiveException", "Service was not ACTIVE.")
    service_input.check_controller(fields)
    force = fields.flag("forceNewDeployment")
    given = fields.text("taskDefinition")
    wanted = service.task_definition
    if given:
        definition = usable_task_definition(call, given)
        wanted = definition.arn
    if service_input.update_settings(fields, service):
        call.world.save(service)
        call.world.work.look_at(service)
    if force or wanted != service.task_definition:
        deployments.begin(Context(call.world, call.state, call.now), service, wanted)
    return {"service": _describe(call.state, service, frozenset({"TAGS"}))}


def delete_service(call: Call) -> dict[str, Any]:
    """DeleteService: DRAINING while its tasks stop, INACTIVE afterwards."""
    fields = call.fields
    fields.only("cluster", "service", "force")
    service = _needed_service(call, needed_cluster(call))
    force = fields.flag("force")
    if service.status == "INACTIVE":
        raise AwsFault("ServiceNotFoundException", "Service not found.")
    if service.strategy == "REPLICA" and service.desired_count and not force:
        raise fields.bad(
            "The service cannot be stopped while it is scaled above 0. To delete it anyway, use"
            " force."
        )
    if service.status == "ACTIVE":
        service.status = "DRAINING"
        service.desired_count = 0
        call.world.save(service)
        call.world.work.look_at(service)
    return {"service": _describe(call.state, service, frozenset())}


def describe_services(call: Call) -> dict[str, Any]:
    """DescribeServices: at most 10; what is not there is a failure, not an error."""
    fields = call.fields
    fields.only("cluster", "services", "include")
    cluster = needed_cluster(call)
    include = fields.includes(("TAGS",))
    given = fields.texts("services", most=_MOST_DESCRIBED)
    if not given:
        raise fields.bad("Services cannot be empty.")
    found, gone = [], []
    for name in given:
        service = find_service(call, cluster, name)
        if service is None:
            gone.append(name)
        else:
            found.append(_describe(call.state, service, include))
    return {"services": found, "failures": missing(call, "service", cluster, gone)}


def list_services(call: Call) -> dict[str, Any]:
    """ListServices: the ACTIVE ones; 10 a page unless up to 100 are asked for."""
    fields = call.fields
    fields.only("cluster", "launchType", "schedulingStrategy", "maxResults", "nextToken")
    cluster = needed_cluster(call)
    launch_type = fields.choice("launchType", _LAUNCH_TYPES, "EXTERNAL")
    strategy = fields.choice("schedulingStrategy", _STRATEGIES)
    arns = sorted(
        service.arn
        for service in call.state.services_of.get(cluster.name, {}).values()
        if service.status == "ACTIVE"
        and launch_type == "EXTERNAL"
        and strategy in {"", service.strategy}
    )
    part, after = call.page(arns, most=100, default=10)
    return {"serviceArns": list(part), **after}


def find_service(call: Call, cluster: Cluster, given: str) -> Service | None:
    """The service of a name or ARN in this cluster, INACTIVE ones included."""
    if given.startswith("arn:"):
        named, _, given = own_resource(call, given, "service").rpartition("/")
        if named and named != cluster.name:
            return None
    return call.state.services_of.get(cluster.name, {}).get(given)


def service_in(call: Call, cluster_given: str, given: str) -> Service:
    """The service of a name or ARN, or the exception that says what is missing."""
    cluster = find_cluster(call, cluster_given)
    if cluster is None:
        raise AwsFault("ClusterNotFoundException", "Cluster not found.")
    service = find_service(call, cluster, given)
    if service is None:
        raise AwsFault("ServiceNotFoundException", "Service not found.")
    return service


def _needed_service(call: Call, cluster: Cluster) -> Service:
    service = find_service(call, cluster, call.fields.needed_text("service"))
    if service is None:
        raise AwsFault("ServiceNotFoundException", "Service not found.")
    return service


def _new(call: Call, cluster: Cluster, name: str, request: dict[str, Any]) -> Service:
    fields = call.fields
    strategy = fields.choice("schedulingStrategy", _STRATEGIES, "REPLICA")
    placement = service_input.read_strategy(fields)
    service_input.check_strategy(fields, strategy, placement)
    if strategy == "REPLICA" and request.get("desiredCount") is None:
        raise fields.bad("The replica scheduling strategy needs a desiredCount.")
    definition = usable_task_definition(call, fields.needed_text("taskDefinition"))
    return Service(
        call.state.account,
        call.state.region,
        cluster.name,
        name,
        call.now,
        call.caller.arn,
        definition.arn,
        strategy,
        service_input.read_desired(fields, strategy, 0),
        service_input.read_configuration(fields, strategy),
        service_input.read_constraints(fields),
        placement,
        service_input.read_rebalancing(fields, "ENABLED"),
        fields.flag("enableECSManagedTags"),
        service_input.read_propagation(fields, "NONE"),
        fields.flag("enableExecuteCommand"),
        request,
        tags=read_tags(fields, "tags"),
    )


def _describe(state: RegionState, service: Service, include: frozenset[str]) -> dict[str, Any]:
    tasks = list(state.live_tasks_of.get(service.key, {}).values())
    held = deployments.deployments_of(state, service)
    shown: dict[str, Any] = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.arn.partition(":service/")[0] + f":cluster/{service.cluster}",
        "loadBalancers": [],
        "serviceRegistries": [],
        "status": service.status,
        "desiredCount": service.desired_count,
        "runningCount": _running(tasks),
        "pendingCount": _pending(tasks),
        "launchType": "EXTERNAL",
        "taskDefinition": service.task_definition,
        "deploymentConfiguration": service.configuration,
        "deployments": [_deployment(service, deployment, tasks) for deployment in held],
        "events": service.events,
        "createdAt": round(service.created_at, 3),
        "createdBy": service.created_by,
        "placementConstraints": service.placement_constraints,
        "placementStrategy": service.placement_strategy,
        "schedulingStrategy": service.strategy,
        "deploymentController": {"type": "ECS"},
        "enableECSManagedTags": service.managed_tags,
        "propagateTags": service.propagate_tags,
        "enableExecuteCommand": service.execute_command,
        "availabilityZoneRebalancing": service.zone_rebalancing,
        "tags": write_tags(service.tags) if "TAGS" in include else [],
    }
    if held:
        record = deployments.record_of(state, service, held[0])
        shown["currentServiceDeployment"] = record.arn
        shown["currentServiceRevisions"] = revisions_now(state, service)
    return shown


def revisions_now(state: RegionState, service: Service) -> list[dict[str, Any]]:
    """``currentServiceRevisions``: those of the deployments there are, with their tasks."""
    tasks = list(state.live_tasks_of.get(service.key, {}).values())
    return [
        {
            "arn": state.revisions[deployment.revision].arn,
            **task_counts(service, deployment, tasks),
        }
        for deployment in deployments.deployments_of(state, service)
    ]


def task_counts(service: Service, deployment: Deployment, tasks: list[Task]) -> dict[str, int]:
    """Requested, running and pending tasks of a deployment, as revisions show them."""
    own = [task for task in tasks if task.deployment == deployment.number]
    return {
        "requestedTaskCount": _desired(service, deployment, own),
        "runningTaskCount": _running(own),
        "pendingTaskCount": _pending(own),
    }


def _deployment(service: Service, deployment: Deployment, tasks: list[Task]) -> dict[str, Any]:
    own = [task for task in tasks if task.deployment == deployment.number]
    return {
        "id": deployment.id,
        "status": deployment.status,
        "taskDefinition": deployment.task_definition,
        "desiredCount": _desired(service, deployment, own),
        "pendingCount": _pending(own),
        "runningCount": _running(own),
        "failedTasks": deployment.failed_tasks,
        "createdAt": round(deployment.created_at, 3),
        "updatedAt": round(deployment.updated_at, 3),
        "launchType": "EXTERNAL",
        "rolloutState": deployment.rollout_state,
        "rolloutStateReason": deployment.rollout_reason,
    }


def _desired(service: Service, deployment: Deployment, own: list[Task]) -> int:
    if deployment.status == "PRIMARY":
        return service.desired_count
    return sum(task.desired_status == "RUNNING" for task in own)


def _running(tasks: list[Task]) -> int:
    """By what was last heard: a task that is told to stop counts until it has."""
    return sum(task.last_status == "RUNNING" for task in tasks)


def _pending(tasks: list[Task]) -> int:
    return sum(task.last_status in {"PROVISIONING", "PENDING"} for task in tasks)


OPERATIONS: Mapping[str, Operation] = {
    "CreateService": create_service,
    "UpdateService": update_service,
    "DeleteService": delete_service,
    "DescribeServices": describe_services,
    "ListServices": list_services,
}
