"""ECS services: reads them, and creates, changes and deletes them.

Nothing here decides: that a service is to be changed, and that nobody else changed it meanwhile, is
for the caller to have read just before. Everything is repeated until AWS answers.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fleet.aws.interning import Interner
from fleet.aws.replies import clean, none_if_gone, part_of, read_batches, read_pages, utc
from fleet.aws.session import Shard
from fleet.aws.tags import ecs_tags, tag_resource, tags_of
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    CREATE_SERVICE,
    DELETE_SERVICE,
    DESCRIBE_SERVICES,
    LIST_SERVICES,
    UPDATE_SERVICE,
)
from fleet.model.observed import Cluster, Reading
from fleet.model.services import Deployment, ServiceState

#: Most services of one DescribeServices call (ECS API reference).
SERVICES_PER_CALL = 10
#: Largest page of ListServices.
PAGE = 100
#: Turns words of ours into client tokens; any fixed value will do.
TOKENS = uuid.UUID("6c1f6d0e-5a0e-4d5b-9a3b-0f0c6f1f7a11")
#: What AWS answers when the service to be deleted is not there, or its cluster.
GONE = frozenset({"ServiceNotFoundException", "ClusterNotFoundException"})
#: Events kept of a service; ECS shows the last 100, and the newest few say what goes on.
EVENTS_KEPT = 10
#: What of a service is a setting that fleet chooses, beside task definition and count.
SETTINGS = (
    "availabilityZoneRebalancing",
    "deploymentConfiguration",
    "deploymentController",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "launchType",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
)


def describe_services(
    shard: Shard, cluster: str, names: Iterable[str]
) -> Reading[tuple[ServiceState, ...]]:
    """Return the services of these names (or ARNs) that exist, INACTIVE (deleted) ones too.

    A call per ten. A cluster that is not there has no services.
    """
    read = none_if_gone(
        shard,
        lambda: read_batches(
            shard,
            DESCRIBE_SERVICES,
            "services",
            names,
            SERVICES_PER_CALL,
            cluster=cluster,
            include=["TAGS"],
        ),
    )
    return Reading(tuple(service_of(raw, cluster) for raw in read.value), read.at)


def list_services(shard: Shard, cluster: str) -> Reading[tuple[ServiceState, ...]]:
    """Return every service of a cluster that is ACTIVE or DRAINING; none without a cluster."""
    listed = none_if_gone(
        shard, lambda: read_pages(shard, LIST_SERVICES, cluster=cluster, maxResults=PAGE)
    )
    read = describe_services(shard, cluster, listed.value)
    alive = tuple(service for service in read.value if service.status != "INACTIVE")
    return Reading(alive, min(listed.at, read.at) if listed.value else listed.at)


def scan_services(
    shard: Shard, cluster: Cluster, names: Sequence[str] | None, interner: Interner
) -> Reading[tuple[ServiceState, ...]]:
    """Return the services of a cluster that are ACTIVE or DRAINING, with the fewest calls.

    One call per ten names where the cluster counts no other; else it is listed, which is two more.

    Args:
        cluster: as just read.
        names: of those that it should run; None when that is not known.
    """
    read = None
    if names is not None:
        read = describe_services(shard, cluster.name, names)
        if sum(one.status == "ACTIVE" for one in read.value) != cluster.services:
            read = None
    if read is None:
        read = list_services(shard, cluster.name)
    alive = (interner.service(one) for one in read.value if one.status != "INACTIVE")
    return Reading(tuple(alive), read.at)


def create_service(
    shard: Shard, request: Mapping[str, Any], tags: Mapping[str, str], *, token: str
) -> Reading[ServiceState]:
    """Create a service, or return the one that the same call created before.

    A lost reply means nothing: the call is repeated with its client token, and AWS returns the
    service that the first one made. A service of that name which was made otherwise is an
    ``AwsError`` with the code InvalidParameterException ("not idempotent"), and so is one that
    is still DRAINING after it was deleted.

    Args:
        request: of CreateService, ``cluster`` and ``serviceName`` among it, without tags.
        tags: of the service; they are there from its first moment.
        token: words that name this one intent, as ``ro-118/store-042/vision-arm64``.
    """
    reply = shard.call(
        CREATE_SERVICE,
        **{**request, "tags": ecs_tags(tags), "clientToken": str(uuid.uuid5(TOKENS, token))},
    )
    made = _created_service(reply.body, str(request["cluster"]))
    return Reading(made, reply.at)


def update_service(
    shard: Shard,
    service: ServiceState,
    *,
    task_definition: str,
    tags: Mapping[str, str],
    desired_count: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Reading[ServiceState]:
    """Set what a service shall run, after its tags say so; never forces a deployment.

    The tags come first, so that whoever lost the database finds on the service itself which
    rollout changed it and what ran before. Tags that name a revision which does not run yet mean
    that the run was cut off between the two calls.

    A lost reply means nothing: the same values again start no second deployment.

    Args:
        service: as it was read just before.
        task_definition: ARN of a revision.
        tags: ``fleet:rollout``, ``fleet:previous``, ``fleet:content``; others stay.
        desired_count: None leaves it, as it must be for DAEMON.
        settings: further keys of UpdateService, as ``placementConstraints``; None leaves all.

    Returns:
        The service as AWS showed it then (without tags), and AWS's time of that: what starts
        later than this started after the change.

    Raises:
        AwsError: with the code ServiceNotFoundException or ServiceNotActiveException when it was
            deleted meanwhile; nothing was changed then.
        ValueError: the settings ask for a forced deployment.
    """
    if "forceNewDeployment" in (settings or {}):
        raise ValueError("fleet forces no deployments: every change has its own revision")
    tag_resource(shard, service.arn, tags)
    count = {} if desired_count is None else {"desiredCount": desired_count}
    reply = shard.call(
        UPDATE_SERVICE,
        **{
            **(settings or {}),
            "cluster": service.cluster,
            "service": service.name,
            "taskDefinition": task_definition,
            **count,
        },
    )
    return Reading(_updated_service(reply.body, service.cluster), reply.at)


def delete_service(shard: Shard, cluster: str, service: str, *, force: bool) -> bool:
    """Delete a service; its tasks are stopped. False when it was not there (any more).

    Repeated until AWS answers, so after a lost reply it may be found gone, and False then only
    means that nobody has to delete it. A host that is away stops its task when it returns.

    Args:
        force: also with a desired count above 0, which AWS refuses otherwise.
    """
    try:
        shard.call(DELETE_SERVICE, cluster=cluster, service=service, force=force)
    except AwsError as error:
        if error.code not in GONE:
            raise
        return False
    return True


@part_of(DESCRIBE_SERVICES)
def service_of(raw: Mapping[str, Any], cluster: str) -> ServiceState:
    """Parse one of DescribeServices' ``services``."""
    return _service(raw, cluster)


@part_of(CREATE_SERVICE)
def _created_service(body: Mapping[str, Any], cluster: str) -> ServiceState:
    return _service(body["service"], cluster)


@part_of(UPDATE_SERVICE)
def _updated_service(body: Mapping[str, Any], cluster: str) -> ServiceState:
    """Parse the service after UpdateService; ECS leaves its tags out."""
    return _service(body["service"], cluster)


def _service(raw: Mapping[str, Any], cluster: str) -> ServiceState:
    return ServiceState(
        cluster=cluster,
        name=clean(raw["serviceName"]),
        arn=clean(raw["serviceArn"]),
        status=clean(raw["status"]),
        task_definition=clean(raw.get("taskDefinition")),
        scheduling=clean(raw.get("schedulingStrategy") or "REPLICA"),
        desired=int(raw.get("desiredCount", 0)),
        running=int(raw.get("runningCount", 0)),
        pending=int(raw.get("pendingCount", 0)),
        deployments=_newest_first(raw.get("deployments") or ()),
        tags={clean(k): clean(v) for k, v in tags_of(raw.get("tags")).items()},
        events=_events(raw.get("events") or ()),
        created_at=utc(raw.get("createdAt")),
        settings={name: raw[name] for name in SETTINGS if name in raw},
    )


def _newest_first(raw: Any) -> tuple[Deployment, ...]:
    """Sort PRIMARY before the others, whatever the times say; ECS calls the newest one so."""
    found = [_deployment(one) for one in raw]
    found.sort(key=lambda one: one.created_at.timestamp() if one.created_at else 0.0, reverse=True)
    found.sort(key=lambda one: one.status != "PRIMARY")
    return tuple(found)


def _deployment(raw: Mapping[str, Any]) -> Deployment:
    return Deployment(
        id=clean(raw["id"]),
        status=clean(raw["status"]),
        task_definition=clean(raw["taskDefinition"]),
        desired=int(raw.get("desiredCount", 0)),
        pending=int(raw.get("pendingCount", 0)),
        running=int(raw.get("runningCount", 0)),
        failed_tasks=int(raw.get("failedTasks", 0)),
        rollout_state=clean(raw.get("rolloutState")),
        rollout_reason=clean(raw.get("rolloutStateReason")),
        created_at=utc(raw.get("createdAt")),
        updated_at=utc(raw.get("updatedAt")),
    )


def _events(raw: Any) -> tuple[tuple[datetime, str], ...]:
    found = [(at, clean(one.get("message"))) for one in raw if (at := utc(one.get("createdAt")))]
    found.sort(key=lambda event: event[0], reverse=True)
    return tuple(found[:EVENTS_KEPT])
