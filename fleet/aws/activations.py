"""Creates, reads and deletes SSM activations, with which hosts register."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.aws.replies import clean, in_batches, part_of, read_pages, utc
from fleet.aws.session import Shard
from fleet.aws.tags import ssm_tags, tags_of
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.aws_actions import CREATE_ACTIVATION, DELETE_ACTIVATION, DESCRIBE_ACTIVATIONS
from fleet.model.observed import Activation, Reading
from fleet.model.secret import Secret

#: Largest page of DescribeActivations (SSM API reference).
PAGE = 50
#: What AWS answers when the activation to be deleted is not there.
GONE = frozenset({"InvalidActivation", "InvalidActivationId"})


def list_activations(shard: Shard) -> Reading[tuple[Activation, ...]]:
    """Return every activation that SSM lists, used up and expired ones too; a call per 50."""
    return _read(shard)


def activations_named(shard: Shard, names: Iterable[str]) -> Reading[tuple[Activation, ...]]:
    """Return the activations with one of these DefaultInstanceNames, used and expired ones too.

    Whether AWS's filter matches whole names is not documented, so the names are compared here too.
    """
    wanted = dict.fromkeys(names)
    reads = [_read(shard, "DefaultInstanceName", *batch) for batch in in_batches(wanted, PAGE)]
    found = (one for read in reads for one in read.value if one.name in wanted)
    return Reading(tuple(found), shard.oldest([read.at for read in reads]))


def find_activation(shard: Shard, activation_id: str) -> Reading[Activation | None]:
    """Return the activation of this id; None where this account and region does not know it.

    What is no id is refused by AWS. Whether its filter matches whole ids is not documented, so they
    are compared here too.
    """
    read = _read(shard, "ActivationIds", activation_id)
    return Reading(next((one for one in read.value if one.id == activation_id), None), read.at)


def create_activation(
    shard: Shard,
    *,
    role: str,
    name: str,
    expires_in_s: float,
    tags: Mapping[str, str],
    now: datetime,
) -> tuple[Activation, Secret]:
    """Create an activation for one host: one registration, a short life; its code is shown once.

    Sent again only when it is certain that AWS did nothing (a throttle, no connection). After a
    lost reply there may be an activation whose code nobody has. ``activations_named`` finds it, and
    ``delete_activation`` removes it.

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
        Tags=ssm_tags(tags),
    )
    id_, code = _activation_code(reply.body)
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
        if error.code not in GONE:
            raise
        return False
    return True


def _read(shard: Shard, key: str = "", *values: str) -> Reading[tuple[Activation, ...]]:
    """Return the activations for which ``key`` has one of these values; all without a key."""
    filters = {"Filters": [{"FilterKey": key, "FilterValues": list(values)}]} if key else {}
    read = read_pages(shard, DESCRIBE_ACTIVATIONS, MaxResults=PAGE, **filters)
    return Reading(tuple(map(activation_of, read.value)), read.at)


@part_of(DESCRIBE_ACTIVATIONS)
def activation_of(raw: Mapping[str, Any]) -> Activation:
    """Parse one of DescribeActivations' ``ActivationList``."""
    expires_at = utc(raw["ExpirationDate"])
    if expires_at is None:
        raise KeyError("ExpirationDate")
    return Activation(
        id=clean(raw["ActivationId"]),
        name=clean(raw.get("DefaultInstanceName")),
        limit=int(raw.get("RegistrationLimit", 1)),
        count=int(raw.get("RegistrationsCount", 0)),
        expires_at=expires_at,
        tags=tags_of(raw.get("Tags")),
        created_at=utc(raw.get("CreatedDate")),
    )


def _activation_code(body: Mapping[str, Any]) -> tuple[str, Secret]:
    """Return id and code of a new activation.

    Raises:
        AwsUnreachable: the answer lacks them, so that an activation may exist whose code is lost.
    """
    id_, code = body.get("ActivationId"), body.get("ActivationCode")
    if not (isinstance(id_, str) and isinstance(code, str) and id_ and code):
        raise AwsUnreachable(
            f"{CREATE_ACTIVATION.id}: AWS's answer makes no sense; whether AWS acted is unknown",
            operation=CREATE_ACTIVATION.id,
            hint="it was not sent again; run the same command, which looks first",
        )
    return clean(id_), Secret(code)
