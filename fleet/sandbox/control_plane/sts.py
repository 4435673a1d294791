"""Operations of STS: GetCallerIdentity and AssumeRole."""

import re
import secrets
from datetime import UTC, datetime

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.call import Answer, Call, Principal, operation
from fleet.sandbox.control_plane.entities import RoleSession

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/(?:[^/]+/)*([\w+=,.@-]{1,64})")
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
_DENIED = 403


@operation()
def get_caller_identity(call: Call) -> Answer:
    """Answer who calls; never refused to anybody with valid credentials."""
    caller = call.caller
    return {"Arn": caller.arn, "UserId": caller.user_id, "Account": caller.account}


@operation("DurationSeconds ExternalId", needed="RoleArn RoleSessionName")
def assume_role(call: Call) -> Answer:
    """Give credentials of a role in any account of the sandbox, whether or not the role exists.

    They live 15 minutes to 12 hours, an hour by default.
    """
    role, name = call.get("RoleArn"), call.get("RoleSessionName")
    match = _ROLE.fullmatch(role)
    if match is None:
        raise call.bad(f"{role} is invalid")
    if not _SESSION_NAME.fullmatch(name):
        raise call.bad(f"the role session name {name!r} is not valid")
    if match[1] not in call.world.accounts:
        raise AwsFault(
            "AccessDenied",
            f"User: {call.caller.arn} is not authorized to perform: sts:AssumeRole on"
            f" resource: {role}",
            _DENIED,
        )
    # The query protocol sends numbers as text.
    seconds = call.get("DurationSeconds", "3600")
    if not seconds.isdecimal() or not 900 <= int(seconds) <= 43_200:  # noqa: PLR2004 - 15 min to 12 h
        raise call.bad(f"DurationSeconds {seconds!r} is not between 900 and 43200")
    call.world.forget_expired("")
    session = RoleSession(
        match[1],
        call.state.region,
        f"ASIA{call.world.hex_id(16).upper()}",
        f"arn:aws:sts::{match[1]}:assumed-role/{match[2]}/{name}",
        call.now + int(seconds),
    )
    call.world.save(session)
    expires = datetime.fromtimestamp(session.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "Credentials": {
            "AccessKeyId": session.access_key,
            "SecretAccessKey": secrets.token_urlsafe(30),
            "SessionToken": secrets.token_urlsafe(96),
            "Expiration": expires,
        },
        "AssumedRoleUser": {
            "AssumedRoleId": Principal(session.account, session.arn).user_id,
            "Arn": session.arn,
        },
    }
