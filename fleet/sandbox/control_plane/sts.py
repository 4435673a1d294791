"""STS: who am I, and become somebody in another account."""

import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Call, Caller, Operation
from fleet.sandbox.control_plane.region_state import RoleSession

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[^/]+/)*([\w+=,.@-]{1,64})")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_DENIED = 403


def get_caller_identity(call: Call) -> dict[str, Any]:
    """GetCallerIdentity: never refused to anybody with valid credentials."""
    caller = call.caller
    return {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account}


def assume_role(call: Call) -> dict[str, Any]:
    """AssumeRole into any account of the sandbox; whether the role exists is not asked.

    Credentials live 15 minutes to 12 hours, an hour without being told.
    """
    fields = call.fields
    fields.only("DurationSeconds", "ExternalId", "RoleArn", "RoleSessionName")
    role = fields.needed_text("RoleArn")
    match = _ROLE.fullmatch(role)
    if match is None:
        raise fields.bad(f"{role} is invalid")
    name = fields.needed_text("RoleSessionName")
    if not _SESSION_NAME.fullmatch(name):
        raise fields.bad(f"the role session name {name!r} is not valid")
    if match[1] not in call.world.accounts:
        raise AwsFault(
            "AccessDenied",
            f"User: {call.caller.arn} is not authorized to perform: sts:AssumeRole on"
            f" resource: {role}",
            _DENIED,
        )
    seconds = _duration(call)
    call.world.forget_expired("")
    session = RoleSession(
        match[1],
        call.state.region,
        f"ASIA{call.world.hex_id(16).upper()}",
        f"arn:aws:sts::{match[1]}:assumed-role/{match[2]}/{name}",
        call.now + seconds,
    )
    call.world.save(session)
    return {
        "Credentials": {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": secrets.token_urlsafe(96),
            "Expiration": datetime.fromtimestamp(session.expires_at, UTC).strftime(
                "%Y-%m-%dT%H:%M:%SZ"
            ),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": Caller(session.account, session.arn).user_id,
            "Arn": session.arn,
        },
    }


def _duration(call: Call) -> int:
    """The query protocol sends numbers as text."""
    text = call.fields.text("DurationSeconds") or "3600"
    if not text.isdecimal() or not 900 <= int(text) <= 43_200:  # noqa: PLR2004 - 15 min to 12 h
        raise call.fields.bad(f"DurationSeconds {text!r} is not between 900 and 43200")
    return int(text)


OPERATIONS: Mapping[str, Operation] = {
    "GetCallerIdentity": get_caller_identity,
    "AssumeRole": assume_role,
}
