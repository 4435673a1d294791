"""ECS service deployments: ECS's own records of what it rolled out, and whether it turned back."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from fleet.aws.replies import clean, in_batches, items, none_if_gone, part_of, read_batches, utc
from fleet.aws.session import Shard
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    DESCRIBE_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_REVISIONS,
    LIST_SERVICE_DEPLOYMENTS,
)
from fleet.model.observed import Reading
from fleet.model.services import ServiceDeployment

#: Most ARNs of one call, and largest page, for service deployments and revisions.
PAGE = 20
#: Records that are read per service: this one, the one it turned back to, one before.
NEWEST = 3


def read_service_deployments(
    shard: Shard, cluster: str, service: str, newest: int = NEWEST
) -> Reading[tuple[ServiceDeployment, ...]]:
    """Return ECS's records of the newest deployments of a service, newest first; three calls.

    That ECS keeps them for services on external instances is not documented, so where it refuses
    the feature there are none. Records from before October 2024 have no target.
    """
    times: list[datetime] = []
    try:
        listed = none_if_gone(shard, lambda: _list(shard, cluster, service, newest))
        times.append(listed.at)
        described = read_batches(
            shard, DESCRIBE_SERVICE_DEPLOYMENTS, "serviceDeploymentArns", listed.value, PAGE
        )
        times.append(described.at)
        targets = _task_definitions(shard, [_target(one) for one in described.value])
    except AwsError as error:
        if error.code != "UnsupportedFeatureException":
            raise
        return Reading((), shard.oldest(times))
    found = [_service_deployment(one, targets) for one in described.value]
    found.sort(key=lambda one: one.created_at.timestamp() if one.created_at else 0.0, reverse=True)
    return Reading(tuple(found), min(times))


def _list(shard: Shard, cluster: str, service: str, newest: int) -> Reading[list[str]]:
    """Return the ARNs of the newest deployments; ECS lists them newest first, 20 a page at most."""
    reply = shard.call(
        LIST_SERVICE_DEPLOYMENTS,
        cluster=cluster,
        service=service,
        maxResults=min(newest, PAGE),
    )
    listed = items(reply, LIST_SERVICE_DEPLOYMENTS)
    arns = [clean(one.get("serviceDeploymentArn")) for one in islice(listed, newest)]
    return Reading([arn for arn in arns if arn], reply.at)


def _task_definitions(shard: Shard, revisions: Iterable[str]) -> dict[str, str]:
    """Return task definition ARNs by ARN of service revision, as far as ECS still has it."""
    found: dict[str, str] = {}
    for batch in in_batches(dict.fromkeys(filter(None, revisions)), PAGE):
        reply = shard.call(DESCRIBE_SERVICE_REVISIONS, serviceRevisionArns=list(batch))
        for raw in items(reply, DESCRIBE_SERVICE_REVISIONS):
            arn, task_definition = _revision(raw)
            found[arn] = task_definition
    return found


@part_of(DESCRIBE_SERVICE_REVISIONS)
def _revision(raw: Mapping[str, Any]) -> tuple[str, str]:
    """Return the ARNs of a service revision and of the task definition in it."""
    return clean(raw["serviceRevisionArn"]), clean(raw.get("taskDefinition"))


@part_of(DESCRIBE_SERVICE_DEPLOYMENTS)
def _target(raw: Mapping[str, Any]) -> str:
    """Return the ARN of the service revision that a deployment brings; "" when AWS does not say."""
    return clean((raw.get("targetServiceRevision") or {}).get("arn"))


@part_of(DESCRIBE_SERVICE_DEPLOYMENTS)
def _service_deployment(
    raw: Mapping[str, Any], task_definitions: Mapping[str, str]
) -> ServiceDeployment:
    """Parse one of DescribeServiceDeployments' ``serviceDeployments``.

    Args:
        task_definitions: by ARN of service revision, as far as they are known.
    """
    breaker = raw.get("deploymentCircuitBreaker") or {}
    reason = raw.get("statusReason") or (raw.get("rollback") or {}).get("reason")
    return ServiceDeployment(
        arn=clean(raw["serviceDeploymentArn"]),
        status=clean(raw["status"]),
        task_definition=task_definitions.get(_target(raw), ""),
        breaker=clean(breaker.get("status")),
        failures=int(breaker.get("failureCount", 0)),
        reason=clean(reason),
        created_at=utc(raw.get("createdAt")),
        finished_at=utc(raw.get("finishedAt") or raw.get("stoppedAt")),
    )
