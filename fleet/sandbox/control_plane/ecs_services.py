"""Operations on ECS services of launch type EXTERNAL."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import cluster_query, deployments
from fleet.sandbox.control_plane.call import Answer, Call, find_each, operation, wire
from fleet.sandbox.control_plane.ecs_clusters import arn_in, find_in, needed_cluster
from fleet.sandbox.control_plane.ecs_task_definitions import usable_task_definition
from fleet.sandbox.control_plane.entities import (
    ClusterEntity,
    DeploymentEntity,
    ServiceEntity,
    TaskEntity,
)
from fleet.sandbox.control_plane.tags import read_tags, write_tags
from fleet.sandbox.control_plane.world import RegionState

#: Tasks of one service. (Service quotas; facts 4.3.)
MOST_DESIRED = 5000
_NAME = re.compile(r"[A-Za-z0-9_-]{1,255}")
_MOST_DESCRIBED = 10
_MOST_CONSTRAINTS = 10
_HUNDRED = 100
_PERCENTS = {"REPLICA": (100, 200), "DAEMON": (0, 100)}
_CONFIGURATION = {
    "deploymentCircuitBreaker",
    "maximumPercent",
    "minimumHealthyPercent",
    "strategy",
    "bakeTimeInMinutes",
    "alarms",
}
_SETTINGS = (
    "availabilityZoneRebalancing cluster deploymentConfiguration deploymentController desiredCount"
    " enableECSManagedTags enableExecuteCommand placementConstraints propagateTags taskDefinition"
)


@operation(f"{_SETTINGS} clientToken launchType schedulingStrategy serviceName tags")
def create_service(call: Call) -> Answer:
    """Create a service. The same request again is answered with the service that it made.

    The launch type has to be given: without it AWS would take EC2 or the cluster's default.
    """
    cluster = needed_cluster(call)
    name = call.get("serviceName")
    if not _NAME.fullmatch(name):
        raise call.bad(f"The service name {name[:300]!r} is not valid.")
    if call.get("launchType") != "EXTERNAL":
        raise call.bad("the fleet sandbox models services of launchType EXTERNAL only.")
    before = call.state.services_of.get(cluster.name, {}).get(name)
    if before is not None and before.status == "ACTIVE":
        if before.request != call.body:
            raise call.bad("Creation of service was not idempotent.")
        return {"service": _describe(call.state, before, tags=True)}
    if before is not None and before.status == "DRAINING":
        raise call.bad("Unable to Start a service that is still Draining.")
    service = _new(call, cluster, name)
    deployments.begin(call, service, service.task_definition)
    return {"service": _describe(call.state, service, tags=True)}


@operation(f"{_SETTINGS} service forceNewDeployment")
def update_service(call: Call) -> Answer:
    """Update a service: another task definition or ``forceNewDeployment`` begins a deployment.

    Nothing else does, as the API reference says of each parameter.
    """
    _check_controller(call)
    service = service_in(call, call.get("service"))
    if service.status != "ACTIVE":
        raise AwsFault("ServiceNotActiveException", "Service was not ACTIVE.")
    wanted = service.task_definition
    if given := call.get("taskDefinition"):
        wanted = usable_task_definition(call, given).arn
    if _change_settings(call, service):
        call.world.save(service)
        call.world.work.reconcile(service)
    if call.get("forceNewDeployment") or wanted != service.task_definition:
        deployments.begin(call, service, wanted)
    return {"service": _describe(call.state, service, tags=True)}


@operation("cluster service force")
def delete_service(call: Call) -> Answer:
    """Delete a service: DRAINING while its tasks stop, INACTIVE afterwards."""
    service = service_in(call, call.get("service"))
    if service.status == "INACTIVE":
        raise AwsFault("ServiceNotFoundException", "Service not found.")
    if service.strategy == "REPLICA" and service.desired_count and not call.get("force"):
        raise call.bad(
            "The service cannot be stopped while it is scaled above 0. To delete it anyway, use"
            " force."
        )
    if service.status == "ACTIVE":
        service.status = "DRAINING"
        service.desired_count = 0
        call.world.save(service)
        call.world.work.reconcile(service)
    return {"service": _describe(call.state, service, tags=False)}


@operation("cluster services include")
def describe_services(call: Call) -> Answer:
    """Describe at most 10 services; what is not there is a failure, not an error."""
    cluster = needed_cluster(call)
    found, failures = find_each(
        call.items("services", _MOST_DESCRIBED),
        lambda name: _find(call, cluster, name),
        lambda name: arn_in(call, cluster, "service", name),
    )
    tags = "TAGS" in call.get("include", ())
    return {
        "services": [_describe(call.state, service, tags=tags) for service in found],
        "failures": failures,
    }


@operation("cluster launchType schedulingStrategy maxResults nextToken")
def list_services(call: Call) -> Answer:
    """List the ACTIVE services; 10 a page unless up to 100 are asked for."""
    cluster = needed_cluster(call)
    strategy = call.get("schedulingStrategy")
    arns = sorted(
        service.arn
        for service in call.state.services_of.get(cluster.name, {}).values()
        if service.status == "ACTIVE"
        and call.get("launchType") in {"", "EXTERNAL"}
        and strategy in {"", service.strategy}
    )
    part, after = call.page(arns, most=100, default=10)
    return {"serviceArns": list(part), **after}


def service_in(call: Call, given: str) -> ServiceEntity:
    """Return the service of a name or ARN in the call's cluster, or raise what is missing."""
    service = _find(call, needed_cluster(call), given)
    if service is None:
        raise AwsFault("ServiceNotFoundException", "Service not found.")
    return service


def revisions_now(state: RegionState, service: ServiceEntity) -> list[Answer]:
    """Return ``currentServiceRevisions``: those of the present deployments, with their tasks."""
    tasks = list(state.live_tasks_of.get(service.key, {}).values())
    return [
        {
            "arn": state.revisions[deployment.revision].arn,
            **task_counts(service, deployment, tasks),
        }
        for deployment in deployments.deployments_of(state, service)
    ]


def task_counts(
    service: ServiceEntity, deployment: DeploymentEntity, tasks: list[TaskEntity]
) -> dict[str, int]:
    """Return requested, running and pending tasks of a deployment, as revisions show them."""
    own = [task for task in tasks if task.deployment == deployment.number]
    return {
        "requestedTaskCount": _desired(service, deployment, own),
        "runningTaskCount": _running(own),
        "pendingTaskCount": _pending(own),
    }


def _find(call: Call, cluster: ClusterEntity, given: str) -> ServiceEntity | None:
    return find_in(call, cluster, "service", given, call.state.services_of.get(cluster.name, {}))


def _check_controller(call: Call) -> None:
    kind = call.get("deploymentController", {}).get("type", "ECS")
    if kind != "ECS":
        raise call.bad(f"the fleet sandbox does not model the deployment controller {kind}")


def _new(call: Call, cluster: ClusterEntity, name: str) -> ServiceEntity:
    _check_controller(call)
    strategy = call.get("schedulingStrategy") or "REPLICA"
    if strategy == "REPLICA" and call.get("desiredCount", None) is None:
        raise call.bad("The replica scheduling strategy needs a desiredCount.")
    return ServiceEntity(
        call.state.account,
        call.state.region,
        cluster.name,
        name,
        call.now,
        call.caller.arn,
        usable_task_definition(call, call.get("taskDefinition")).arn,
        strategy,
        _read_desired(call, strategy, 0),
        _read_configuration(call, strategy, {}),
        _read_constraints(call),
        call.get("availabilityZoneRebalancing") or "ENABLED",
        call.get("enableECSManagedTags", default=False),
        call.get("propagateTags") or "NONE",
        call.get("enableExecuteCommand", default=False),
        dict(call.body),
        tags=read_tags(call),
    )


def _change_settings(call: Call, service: ServiceEntity) -> bool:
    """Take in what UpdateService changes without a deployment; say whether it changed anything.

    None of these triggers a service deployment. (API reference, UpdateService.)
    """
    after: dict[str, Any] = {
        "configuration": _read_configuration(call, service.strategy, service.configuration),
        "desired_count": _read_desired(call, service.strategy, service.desired_count),
        "zone_rebalancing": call.get("availabilityZoneRebalancing") or service.zone_rebalancing,
        "propagate_tags": call.get("propagateTags") or service.propagate_tags,
        "managed_tags": call.get("enableECSManagedTags", service.managed_tags),
        "execute_command": call.get("enableExecuteCommand", service.execute_command),
    }
    if "placementConstraints" in call.body:
        after["placement_constraints"] = _read_constraints(call)
    changed = {name: value for name, value in after.items() if getattr(service, name) != value}
    for name, value in changed.items():
        setattr(service, name, value)
    return bool(changed)


def _read_configuration(call: Call, strategy: str, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``deploymentConfiguration`` whole: what is not sent is as before, or AWS's default."""
    sent = {k: v for k, v in call.get("deploymentConfiguration", {}).items() if v is not None}
    if unknown := sorted(name for name in set(sent) - _CONFIGURATION if sent[name]):
        raise call.bad(f"the fleet sandbox does not model {', '.join(unknown)} of a deployment")
    if sent.get("strategy", "ROLLING") != "ROLLING" or sent.get("bakeTimeInMinutes"):
        raise call.bad("the fleet sandbox models the deployment strategy ROLLING only.")
    if sent.get("alarms", {}).get("enable"):
        raise call.bad("the fleet sandbox does not model deployment alarms.")
    lower, upper = _PERCENTS[strategy]
    found = {
        "deploymentCircuitBreaker": deployments.DEFAULT_BREAKER,
        "maximumPercent": upper,
        "minimumHealthyPercent": lower,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
        **before,
    }
    for name in ("maximumPercent", "minimumHealthyPercent"):
        found[name] = sent.get(name, found[name])
    if "deploymentCircuitBreaker" in sent:
        found["deploymentCircuitBreaker"] = _read_breaker(call, sent["deploymentCircuitBreaker"])
    _check_percents(call, strategy, found)
    return found


def _read_breaker(call: Call, sent: Mapping[str, Any]) -> dict[str, Any]:
    given = {name: value for name, value in sent.items() if value is not None}
    found: dict[str, Any] = {**deployments.DEFAULT_BREAKER, **given}
    limit = found["thresholdConfiguration"]
    if not limit.get("type") or limit.get("value", 0) < 1:
        raise call.bad("thresholdConfiguration needs a type, and a value that is at least 1.")
    return found


def _check_percents(call: Call, strategy: str, found: Mapping[str, Any]) -> None:
    lower, upper = found["minimumHealthyPercent"], found["maximumPercent"]
    if not 0 <= lower <= _HUNDRED:
        raise call.bad("minimumHealthyPercent must be between 0 and 100.")
    if upper < _HUNDRED or (strategy == "DAEMON" and upper != _HUNDRED):
        allowed = "100 for a DAEMON service" if strategy == "DAEMON" else "100 or more"
        raise call.bad(f"maximumPercent is {upper}; it must be {allowed}.")
    if lower == upper == _HUNDRED:
        raise call.bad(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block"
            " deployments."
        )


def _read_desired(call: Call, strategy: str, default: int) -> int:
    """Return ``desiredCount``; a DAEMON service has none of its own."""
    sent: int | None = call.get("desiredCount", None)
    if sent is None:
        return default
    if strategy == "DAEMON":
        raise call.bad("The daemon scheduling strategy does not support a desired count.")
    if not 0 <= sent <= MOST_DESIRED:
        raise call.bad(f"desiredCount is {sent}; it must be between 0 and {MOST_DESIRED}")
    return sent


def _read_constraints(call: Call) -> list[dict[str, Any]]:
    """Return ``placementConstraints``; an expression that cannot be parsed is refused here."""
    sent: Sequence[Mapping[str, Any]] = call.get("placementConstraints", [])
    if len(sent) > _MOST_CONSTRAINTS:
        raise call.bad(f"placementConstraints cannot have more than {_MOST_CONSTRAINTS} elements")
    found = []
    for item in sent:
        kind, expression = item.get("type"), item.get("expression")
        if not kind or (kind == "memberOf") != bool(expression):
            raise call.bad(f"the placement constraint {dict(item)} is not valid.")
        if expression:
            cluster_query.parse(expression)
        found.append(wire(type=kind, expression=expression or None))
    return found


def _describe(state: RegionState, service: ServiceEntity, *, tags: bool) -> Answer:
    tasks = list(state.live_tasks_of.get(service.key, {}).values())
    held = deployments.deployments_of(state, service)
    return wire(
        serviceArn=service.arn,
        serviceName=service.name,
        clusterArn=service.arn.partition(":service/")[0] + f":cluster/{service.cluster}",
        loadBalancers=[],
        serviceRegistries=[],
        status=service.status,
        desiredCount=service.desired_count,
        runningCount=_running(tasks),
        pendingCount=_pending(tasks),
        launchType="EXTERNAL",
        taskDefinition=service.task_definition,
        deploymentConfiguration=service.configuration,
        deployments=[_deployment(service, deployment, tasks) for deployment in held],
        events=service.events,
        createdAt=service.created_at,
        createdBy=service.created_by,
        placementConstraints=service.placement_constraints,
        placementStrategy=[],
        schedulingStrategy=service.strategy,
        deploymentController={"type": "ECS"},
        enableECSManagedTags=service.managed_tags,
        propagateTags=service.propagate_tags,
        enableExecuteCommand=service.execute_command,
        availabilityZoneRebalancing=service.zone_rebalancing,
        tags=write_tags(service.tags) if tags else [],
        currentServiceDeployment=(
            deployments.record_of(state, service, held[0]).arn if held else None
        ),
        currentServiceRevisions=revisions_now(state, service) if held else None,
    )


def _deployment(
    service: ServiceEntity, deployment: DeploymentEntity, tasks: list[TaskEntity]
) -> Answer:
    own = [task for task in tasks if task.deployment == deployment.number]
    return wire(
        id=deployment.id,
        status=deployment.status,
        taskDefinition=deployment.task_definition,
        desiredCount=_desired(service, deployment, own),
        pendingCount=_pending(own),
        runningCount=_running(own),
        failedTasks=deployment.failed_tasks,
        createdAt=deployment.created_at,
        updatedAt=deployment.updated_at,
        launchType="EXTERNAL",
        rolloutState=deployment.rollout_state,
        rolloutStateReason=deployment.rollout_reason,
    )


def _desired(service: ServiceEntity, deployment: DeploymentEntity, own: list[TaskEntity]) -> int:
    if deployment.status == "PRIMARY":
        return service.desired_count
    return sum(task.desired_status == "RUNNING" for task in own)


def _running(tasks: list[TaskEntity]) -> int:
    """Count by what was last heard: a task that is told to stop counts until it has."""
    return sum(task.last_status == "RUNNING" for task in tasks)


def _pending(tasks: list[TaskEntity]) -> int:
    return sum(task.last_status in {"PROVISIONING", "PENDING"} for task in tasks)
