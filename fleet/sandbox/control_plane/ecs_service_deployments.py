"""The records of service deployments and service revisions, and StopServiceDeployment."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane import deployments
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.context import Context
from fleet.sandbox.control_plane.ecs_clusters import own_resource
from fleet.sandbox.control_plane.ecs_services import service_in, task_counts
from fleet.sandbox.control_plane.workloads import Service, ServiceDeployment, ServiceRevision

_MOST = 20
_STATUSES = {
    "PENDING",
    "SUCCESSFUL",
    "STOPPED",
    "STOP_REQUESTED",
    "IN_PROGRESS",
    "ROLLBACK_REQUESTED",
    "ROLLBACK_IN_PROGRESS",
    "ROLLBACK_SUCCESSFUL",
    "ROLLBACK_FAILED",
}
_BY_USER = "Service deployment stopped by user: rollback requested."


def list_service_deployments(call: Call) -> dict[str, Any]:
    """ListServiceDeployments: newest first; 20 a page unless up to 100 are asked for."""
    fields = call.fields
    fields.only("cluster", "service", "status", "createdAt", "maxResults", "nextToken")
    service = service_in(call, fields.text("cluster"), fields.needed_text("service"))
    wanted = set(fields.texts("status"))
    if unknown := sorted(wanted - _STATUSES):
        raise fields.bad(f"status has {', '.join(unknown)}, which is no status.")
    after_s, before_s = _span(call)
    found = {
        f"{record.created_at:017.6f} {record.id}": record
        for record in call.state.records_of.get(service.key, {}).values()
        if (not wanted or record.status in wanted) and after_s <= record.created_at <= before_s
    }
    part, after = call.page(sorted(found, reverse=True), most=100, default=_MOST, falling=True)
    return {"serviceDeployments": [_brief(call, found[key]) for key in part], **after}


def describe_service_deployments(call: Call) -> dict[str, Any]:
    """DescribeServiceDeployments: at most 20 ARNs; what is not there is a failure."""
    call.fields.only("serviceDeploymentArns")
    arns = call.fields.texts("serviceDeploymentArns", most=_MOST)
    if not arns:
        raise call.fields.bad("Service deployments cannot be empty.")
    found = {arn: _record(call, arn) for arn in arns}
    return {
        "serviceDeployments": [_describe(call, record) for record in found.values() if record],
        "failures": [
            {"arn": arn, "reason": "MISSING"} for arn, record in found.items() if record is None
        ],
    }


def describe_service_revisions(call: Call) -> dict[str, Any]:
    """DescribeServiceRevisions: at most 20 ARNs; what is not there is a failure."""
    call.fields.only("serviceRevisionArns")
    arns = call.fields.texts("serviceRevisionArns", most=_MOST)
    if not arns:
        raise call.fields.bad("Service revisions cannot be empty.")
    found = {arn: _revision(call, arn) for arn in arns}
    return {
        "serviceRevisions": [_shown(call, revision) for revision in found.values() if revision],
        "failures": [
            {"arn": arn, "reason": "MISSING"} for arn, revision in found.items() if revision is None
        ],
    }


def stop_service_deployment(call: Call) -> dict[str, Any]:
    """StopServiceDeployment: back to the last completed revision; ABORT is not valid at AWS."""
    fields = call.fields
    fields.only("serviceDeploymentArn", "stopType")
    arn = fields.needed_text("serviceDeploymentArn")
    if fields.choice("stopType", ("ABORT", "ROLLBACK"), "ROLLBACK") != "ROLLBACK":
        raise fields.bad("The valid value of stopType is ROLLBACK.")
    record = _record(call, arn)
    if record is None:
        raise AwsFault(
            "ServiceDeploymentNotFoundException", "The service deployment was not found."
        )
    service = call.state.service(record.service)
    if record.status != "IN_PROGRESS" or service is None or service.status != "ACTIVE":
        raise AwsFault(
            "ConflictException",
            f"The service deployment is {record.status} and cannot be stopped.",
        )
    if not service.completed:
        raise AwsFault("ConflictException", "No rollback candidate was found to run the rollback.")
    context = Context(call.world, call.state, call.now)
    record.breaker = deployments.breaker_now(service, deployments.primary_of(call.state, service))
    deployments.roll_back(context, service, _BY_USER, f"ECS deployment rolled back: {_BY_USER}")
    return {"serviceDeploymentArn": arn}


def _span(call: Call) -> tuple[float, float]:
    asked = call.fields.mapping("createdAt")
    moments = []
    for name, default in (("after", 0.0), ("before", float("inf"))):
        moment = asked.get(name, default)
        if isinstance(moment, bool) or not isinstance(moment, int | float):
            raise call.fields.bad(f"createdAt.{name} must be a time, not {moment!r}")
        moments.append(float(moment))
    return moments[0], moments[1]


def _record(call: Call, arn: str) -> ServiceDeployment | None:
    name, _, record_id = own_resource(call, arn, "service-deployment").rpartition("/")
    return call.state.records_of.get(name, {}).get(record_id)


def _revision(call: Call, arn: str) -> ServiceRevision | None:
    number = own_resource(call, arn, "service-revision").rpartition("/")[2]
    revision = call.state.revisions.get(number)
    return revision if revision is not None and revision.arn == arn else None


def _brief(call: Call, record: ServiceDeployment) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "serviceDeploymentArn": record.arn,
        **_of_service(record.arn, ":service-deployment/", record.service),
        "startedAt": round(record.created_at, 3),
        "createdAt": round(record.created_at, 3),
        "targetServiceRevisionArn": call.state.revisions[record.target].arn,
        "status": record.status,
    }
    if record.finished_at is not None:
        shown["finishedAt"] = round(record.finished_at, 3)
    if record.status_reason:
        shown["statusReason"] = record.status_reason
    return shown


def _describe(call: Call, record: ServiceDeployment) -> dict[str, Any]:
    shown = _brief(call, record)
    del shown["targetServiceRevisionArn"]
    service = call.state.service(record.service)
    shown |= {
        "updatedAt": round(record.updated_at, 3),
        "sourceServiceRevisions": [_summary(call, service, number) for number in record.sources],
        "targetServiceRevision": _summary(call, service, record.target),
        "deploymentConfiguration": record.configuration,
        "deploymentCircuitBreaker": record.breaker or _breaker(call, record, service),
        "alarms": {"status": "DISABLED", "alarmNames": [], "triggeredAlarmNames": []},
    }
    if record.stopped_at is not None:
        shown["stoppedAt"] = round(record.stopped_at, 3)
    if record.rollback:
        shown["rollback"] = {
            "reason": record.rollback["reason"],
            "startedAt": round(record.rollback["startedAt"], 3),
            "serviceRevisionArn": call.state.revisions[record.rollback["revision"]].arn,
        }
    return shown


def _summary(call: Call, service: Service | None, number: str) -> dict[str, Any]:
    """A revision with the tasks it has now, if it is one of the service's present ones."""
    counts = Counter(requestedTaskCount=0, runningTaskCount=0, pendingTaskCount=0)
    if service is not None:
        tasks = list(call.state.live_tasks_of.get(service.key, {}).values())
        for deployment in deployments.deployments_of(call.state, service):
            if deployment.revision == number:
                counts.update(task_counts(service, deployment, tasks))
    return {"arn": call.state.revisions[number].arn, **counts}


def _breaker(call: Call, record: ServiceDeployment, service: Service | None) -> dict[str, Any]:
    """What it has counted so far, for a service deployment that is under way."""
    if service is not None:
        for deployment in deployments.deployments_of(call.state, service):
            if deployment.record == record.id:
                return deployments.breaker_now(service, deployment)
    return {"status": "DISABLED", "failureCount": 0, "threshold": 0}


def _shown(call: Call, revision: ServiceRevision) -> dict[str, Any]:
    found = call.state.task_definition(revision.task_definition)
    containers = found.content["containerDefinitions"] if found is not None else ()
    return {
        "serviceRevisionArn": revision.arn,
        **_of_service(revision.arn, ":service-revision/", revision.service),
        "taskDefinition": revision.task_definition,
        "launchType": "EXTERNAL",
        "loadBalancers": [],
        "serviceRegistries": [],
        "containerImages": [_image(container) for container in containers],
        "guardDutyEnabled": False,
        "createdAt": round(revision.created_at, 3),
    }


def _image(container: Mapping[str, Any]) -> dict[str, str]:
    shown = {"containerName": container["name"], "image": container["image"]}
    digest = container["image"].partition("@")[2]
    return {**shown, "imageDigest": digest} if digest else shown


def _of_service(arn: str, cut: str, service: str) -> dict[str, str]:
    stem = arn.partition(cut)[0]
    return {
        "serviceArn": f"{stem}:service/{service}",
        "clusterArn": f"{stem}:cluster/{service.partition('/')[0]}",
    }


OPERATIONS: Mapping[str, Operation] = {
    "ListServiceDeployments": list_service_deployments,
    "DescribeServiceDeployments": describe_service_deployments,
    "DescribeServiceRevisions": describe_service_revisions,
    "StopServiceDeployment": stop_service_deployment,
}
