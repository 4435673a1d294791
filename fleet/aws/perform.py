"""What fleet changes at AWS. Each function says what a lost reply means for it.

All but one are idempotent and are repeated until AWS answers. ``create_activation`` is not; after
``AwsUnreachable`` from it the caller observes again and deletes what it does not know the code of.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from fleet.aws.session import Shard
from fleet.aws.shapes import activation_code_of, created_cluster_of, ecs_tags, in_batches
from fleet.errors import AwsError
from fleet.model.aws_actions import (
    ADD_TAGS,
    CREATE_ACTIVATION,
    CREATE_CLUSTER,
    DELETE_ACTIVATION,
    DELETE_ATTRIBUTES,
    DEREGISTER_CONTAINER_INSTANCE,
    DEREGISTER_MANAGED_INSTANCE,
    PUT_ATTRIBUTES,
    TAG_RESOURCE,
)
from fleet.model.observed import Activation, Cluster
from fleet.model.secret import Secret

#: Most attributes of one PutAttributes or DeleteAttributes call (ECS API reference).
ATTRIBUTES_PER_CALL = 10
#: What AWS answers when the thing to be removed is not there.
GONE = {
    DELETE_ACTIVATION: frozenset({"InvalidActivation", "InvalidActivationId"}),
    DEREGISTER_MANAGED_INSTANCE: frozenset({"InvalidInstanceId"}),
}


def create_cluster(shard: Shard, name: str, tags: Mapping[str, str]) -> Cluster:
    """Make the cluster, or return the one of that name that is there.

    Repeated until AWS answers: the name is the identity. A cluster that was there keeps its own
    tags, so the returned ones are to be compared with the wanted ones.
    """
    reply = shard.call(CREATE_CLUSTER, clusterName=name, tags=ecs_tags(tags))
    return created_cluster_of(reply.body)


def create_activation(
    shard: Shard,
    *,
    role: str,
    name: str,
    expires_in_s: float,
    tags: Mapping[str, str],
    now: datetime,
) -> tuple[Activation, Secret]:
    """Make an activation for one host: one registration, a short life; its code is shown once.

    Sent again only when it is certain that AWS did nothing (a throttle, no connection). After a
    lost reply there may be an activation whose code nobody has. ``observe.activations`` finds
    it by its name, and ``delete_activation`` removes it.

    Args:
        role: name of the IAM role that the node gets.
        name: DefaultInstanceName; the node's name in SSM and what the activation is found by.
        expires_in_s: seconds from ``now``; AWS allows 30 days at most.
        tags: flow to the node.

    Raises:
        AwsUnreachable: the outcome is unknown.
    """
    expires_at = (now + timedelta(seconds=expires_in_s)).astimezone(UTC)
    reply = shard.call(
        CREATE_ACTIVATION,
        IamRole=role,
        DefaultInstanceName=name,
        RegistrationLimit=1,
        ExpirationDate=expires_at,
        Tags=_ssm_tags(tags),
    )
    id_, code = activation_code_of(reply.body)
    made = Activation(id_, name, limit=1, count=0, expires_at=expires_at, tags=dict(tags))
    return made, code


def delete_activation(shard: Shard, activation_id: str) -> bool:
    """Delete an activation; nodes that registered with it stay. False when it was gone already.

    Repeated until AWS answers; after a lost reply it may be found gone, and False then only
    means that nobody has to delete it any more.
    """
    try:
        shard.call(DELETE_ACTIVATION, ActivationId=activation_id)
    except AwsError as error:
        if error.code not in GONE[DELETE_ACTIVATION]:
            raise
        return False
    return True


def deregister_managed_instance(shard: Shard, managed_instance_id: str) -> bool:
    """Deregister a node from SSM. False when SSM did not know it (any more).

    Repeated until AWS answers, as for ``delete_activation``. The host itself is not touched; its
    agent is refused from then on.
    """
    try:
        shard.call(DEREGISTER_MANAGED_INSTANCE, InstanceId=managed_instance_id)
    except AwsError as error:
        if error.code not in GONE[DEREGISTER_MANAGED_INSTANCE]:
            raise
        return False
    return True


def put_attributes(
    shard: Shard, cluster: str, container_instance_arn: str, attributes: Mapping[str, str]
) -> None:
    """Set custom attributes of a container instance; others stay.

    Repeated until AWS answers: the same values again change nothing. More than ten go in several
    calls, of which the first may have been done when a later one fails.
    """
    for batch in in_batches(attributes.items(), ATTRIBUTES_PER_CALL):
        shard.call(
            PUT_ATTRIBUTES,
            cluster=cluster,
            attributes=[
                {
                    "name": name,
                    **({"value": value} if value else {}),
                    "targetType": "container-instance",
                    "targetId": container_instance_arn,
                }
                for name, value in batch
            ],
        )


def delete_attributes(
    shard: Shard, cluster: str, container_instance_arn: str, names: Iterable[str]
) -> None:
    """Remove custom attributes of a container instance; others stay.

    Repeated until AWS answers: what is not there need not be removed. More than ten go in several
    calls, of which the first may have been done when a later one fails.
    """
    for batch in in_batches(names, ATTRIBUTES_PER_CALL):
        shard.call(
            DELETE_ATTRIBUTES,
            cluster=cluster,
            attributes=[
                {
                    "name": name,
                    "targetType": "container-instance",
                    "targetId": container_instance_arn,
                }
                for name in batch
            ],
        )


def deregister_container_instance(
    shard: Shard, cluster: str, container_instance_arn: str, *, force: bool = False
) -> None:
    """Deregister a container instance, which is INACTIVE from then on. The host is not touched.

    Repeated until AWS answers. After a lost reply AWS may refuse the second call because the first
    was done; its error then does not tell that from other refusals, so that the caller has to look
    again.

    Args:
        force: also with tasks, which ECS then counts as stopped though they may run on, and
            replaces where their service wants them; without it AWS refuses.
    """
    shard.call(
        DEREGISTER_CONTAINER_INSTANCE,
        cluster=cluster,
        containerInstance=container_instance_arn,
        force=force,
    )


def tag_resource(shard: Shard, arn: str, tags: Mapping[str, str]) -> None:
    """Set tags of what ECS knows by this ARN; others stay. Repeated until AWS answers."""
    if tags:
        shard.call(TAG_RESOURCE, resourceArn=arn, tags=ecs_tags(tags))


def tag_managed_instance(shard: Shard, managed_instance_id: str, tags: Mapping[str, str]) -> None:
    """Set tags of a node in SSM; others stay. Repeated until AWS answers."""
    if tags:
        shard.call(
            ADD_TAGS,
            ResourceType="ManagedInstance",
            ResourceId=managed_instance_id,
            Tags=_ssm_tags(tags),
        )


def _ssm_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
