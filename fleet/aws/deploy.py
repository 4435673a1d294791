"""What fleet changes of services. Each function does one thing and says what a lost reply means.

None of them decides: that a service is to be changed, and that nobody else changed it meanwhile,
is for the caller to have read just before. All of them are repeated until AWS answers.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from fleet.aws.service_shapes import created_service_of, updated_service_of
from fleet.aws.session import Shard
from fleet.aws.shapes import ecs_tags
from fleet.errors import AwsError
from fleet.model.aws_actions import CREATE_SERVICE, DELETE_SERVICE, TAG_RESOURCE, UPDATE_SERVICE
from fleet.model.observed import Reading
from fleet.model.services import ServiceState

#: Turns words of ours into client tokens; any fixed value will do.
TOKENS = uuid.UUID("6c1f6d0e-5a0e-4d5b-9a3b-0f0c6f1f7a11")
#: What AWS answers when the service to be deleted is not there, or its cluster.
GONE = frozenset({"ServiceNotFoundException", "ClusterNotFoundException"})


def create_service(
    shard: Shard, request: Mapping[str, Any], tags: Mapping[str, str], *, token: str
) -> Reading[ServiceState]:
    """Make a service, or return the one that the same call made before.

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
    made = created_service_of(reply.body, str(request["cluster"]))
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
    tag_service(shard, service.arn, tags)
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
    return Reading(updated_service_of(reply.body, service.cluster), reply.at)


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


def tag_service(shard: Shard, arn: str, tags: Mapping[str, str]) -> None:
    """Set tags of a service; others stay. Repeated until AWS answers: the same again is nothing."""
    if tags:
        shard.call(TAG_RESOURCE, resourceArn=arn, tags=ecs_tags(tags))
