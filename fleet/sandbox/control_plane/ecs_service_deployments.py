"""Operations on service deployments and service revisions."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fleet.sandbox.control_plane import deployments
from fleet.sandbox.control_plane.call import Answer, Call, find_each, operation, wire
from fleet.sandbox.control_plane.ecs_clusters import own_resource
from fleet.sandbox.control_plane.ecs_services import service_in, task_counts
from fleet.sandbox.control_plane.entities import (
    ServiceDeploymentEntity,
    ServiceEntity,
    ServiceRevision,
)

_MOST = 20


@operation("cluster service status maxResults nextToken")
def list_service_deployments(call: Call) -> Answer:
    """List the newest first; 20 a page unless up to 100 are asked for."""
    service = service_in(call, call.get("service"))
    wanted = call.get("status", [])
    found = {
        f"{record.created_at:017.6f} {record.id}": record
        for record in call.state.records_of.get(service.key, {}).values()
        if not wanted or record.status in wanted
    }
    part, after = call.page(sorted(found, reverse=True), most=100, default=_MOST, falling=True)
    target = call.state.revisions
    return {
        "serviceDeployments": [
            _brief(found[key]) | {"targetServiceRevisionArn": target[found[key].target].arn}
            for key in part
        ],
        **after,
    }


@operation("serviceDeploymentArns")
def describe_service_deployments(call: Call) -> Answer:
    """Describe at most 20 ARNs; what is not there is a failure."""
    arns = call.items("serviceDeploymentArns", _MOST)
    found, failures = find_each(arns, lambda arn: _record(call, arn), lambda arn: arn)
    return {"serviceDeployments": [_describe(call, one) for one in found], "failures": failures}


@operation("serviceRevisionArns")
def describe_service_revisions(call: Call) -> Answer:
    """Describe at most 20 ARNs; what is not there is a failure."""
    arns = call.items("serviceRevisionArns", _MOST)
    found, failures = find_each(arns, lambda arn: _revision(call, arn), lambda arn: arn)
    return {"serviceRevisions": [_shown(call, one) for one in found], "failures": failures}


def _record(call: Call, arn: str) -> ServiceDeploymentEntity | None:
    name, _, record_id = own_resource(call, arn, "service-deployment").rpartition("/")
    return call.state.records_of.get(name, {}).get(record_id)


def _revision(call: Call, arn: str) -> ServiceRevision | None:
    number = own_resource(call, arn, "service-revision").rpartition("/")[2]
    revision = call.state.revisions.get(number)
    return revision if revision is not None and revision.arn == arn else None


def _brief(record: ServiceDeploymentEntity) -> Answer:
    return wire(
        serviceDeploymentArn=record.arn,
        **_of_service(record.arn, ":service-deployment/", record.service),
        startedAt=record.created_at,
        createdAt=record.created_at,
        status=record.status,
        finishedAt=record.finished_at,
        statusReason=record.status_reason or None,
    )


def _describe(call: Call, record: ServiceDeploymentEntity) -> Answer:
    service = call.state.service(record.service)
    rollback = None
    if record.rollback:
        revision = call.state.revisions[record.rollback["revision"]]
        rollback = wire(
            reason=record.rollback["reason"],
            startedAt=record.rollback["startedAt"],
            serviceRevisionArn=revision.arn,
        )
    return _brief(record) | wire(
        updatedAt=record.updated_at,
        sourceServiceRevisions=[_summary(call, service, number) for number in record.sources],
        targetServiceRevision=_summary(call, service, record.target),
        deploymentConfiguration=record.configuration,
        deploymentCircuitBreaker=record.breaker or _breaker(call, record, service),
        alarms={"status": "DISABLED", "alarmNames": [], "triggeredAlarmNames": []},
        stoppedAt=record.stopped_at,
        rollback=rollback,
    )


def _summary(call: Call, service: ServiceEntity | None, number: str) -> Answer:
    """Return a revision with the tasks it has now, if it is one of the service's present ones."""
    counts = Counter(requestedTaskCount=0, runningTaskCount=0, pendingTaskCount=0)
    if service is not None:
        tasks = list(call.state.live_tasks_of.get(service.key, {}).values())
        for deployment in deployments.deployments_of(call.state, service):
            if deployment.revision == number:
                counts.update(task_counts(service, deployment, tasks))
    return {"arn": call.state.revisions[number].arn, **counts}


def _breaker(call: Call, record: ServiceDeploymentEntity, service: ServiceEntity | None) -> Answer:
    """Return what it has counted so far, for a service deployment that is in progress."""
    if service is not None:
        for deployment in deployments.deployments_of(call.state, service):
            if deployment.record == record.id:
                return deployments.breaker_now(service, deployment)
    return {"status": "DISABLED", "failureCount": 0, "threshold": 0}


def _shown(call: Call, revision: ServiceRevision) -> Answer:
    found = call.state.task_definition(revision.task_definition)
    containers = found.content["containerDefinitions"] if found is not None else ()
    return wire(
        serviceRevisionArn=revision.arn,
        **_of_service(revision.arn, ":service-revision/", revision.service),
        taskDefinition=revision.task_definition,
        launchType="EXTERNAL",
        loadBalancers=[],
        serviceRegistries=[],
        containerImages=[_image(container) for container in containers],
        guardDutyEnabled=False,
        createdAt=revision.created_at,
    )


def _image(container: Mapping[str, Any]) -> Answer:
    digest = container["image"].partition("@")[2] or None
    return wire(containerName=container["name"], image=container["image"], imageDigest=digest)


def _of_service(arn: str, cut: str, service: str) -> dict[str, str]:
    stem = arn.partition(cut)[0]
    return {
        "serviceArn": f"{stem}:service/{service}",
        "clusterArn": f"{stem}:cluster/{service.partition('/')[0]}",
    }
