"""Reads the identity of the credentials, and the IAM role of the nodes."""

from collections.abc import Mapping
from typing import Any

from fleet.aws.replies import clean, part_of
from fleet.aws.session import Shard
from fleet.errors import AwsError
from fleet.model.aws_actions import GET_CALLER_IDENTITY, GET_ROLE
from fleet.model.observed import Caller, Reading


def get_caller_identity(shard: Shard) -> Reading[Caller]:
    """Return who we are at AWS. The shard names it in its messages from then on."""
    reply = shard.call(GET_CALLER_IDENTITY)
    seen = _caller(reply.body)
    shard.caller_arn = seen.arn
    return Reading(seen, reply.at)


def instance_role_exists(shard: Shard, role: str) -> Reading[bool]:
    """Say whether the account has the IAM role that nodes are given."""
    try:
        reply = shard.call(GET_ROLE, RoleName=role)
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise
        return Reading(value=False, at=shard.clock.now())
    return Reading(value=True, at=reply.at)


@part_of(GET_CALLER_IDENTITY)
def _caller(body: Mapping[str, Any]) -> Caller:
    return Caller(clean(body["Account"]), clean(body["Arn"]))
