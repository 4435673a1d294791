"""Operations on SSM activations, and the registration of a host with one."""

import hashlib
import hmac
import secrets
import string
import unicodedata
import uuid
from collections.abc import Callable, Mapping

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import NODE_TOKEN_LIFE_S
from fleet.sandbox.control_plane.call import Answer, Call, operation, wire
from fleet.sandbox.control_plane.entities import (
    ActivationEntity,
    ManagedInstanceEntity,
    RoleSession,
)
from fleet.sandbox.control_plane.ssm_nodes import require_room
from fleet.sandbox.control_plane.tags import read_tags, write_tags

_DAY_S = 86_400.0
_LONGEST_EXPIRY_S = 30 * _DAY_S
_CODE_LETTERS = string.ascii_letters + string.digits
_CODE_LENGTH = 20
_FILTERS: Mapping[str, Callable[[ActivationEntity], str]] = {
    "ActivationIds": lambda activation: activation.id,
    "DefaultInstanceName": lambda activation: activation.name,
    "IamRole": lambda activation: activation.iam_role,
}


@operation("DefaultInstanceName Description ExpirationDate IamRole RegistrationLimit Tags")
def create_activation(call: Call) -> Answer:
    """Create an activation; this is the only answer that holds the code.

    Limit 1 to 1000 (default 1), expiry at most 30 days ahead (default 24 hours). The code is
    random, not drawn from the sandbox's seed, and only its salted hash is stored.
    """
    name = call.get("DefaultInstanceName")
    if not all(map(_allowed_in_name, name)):
        raise call.bad(
            f"Value {name!r} at 'defaultInstanceName' failed to satisfy constraint:"
            r" Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
        )
    expires_at = float(call.get("ExpirationDate", call.now + _DAY_S))
    if not call.now < expires_at <= call.now + _LONGEST_EXPIRY_S:
        raise AwsFault(
            "InvalidParameters",
            "ExpirationDate must be in the future and at most 30 days ahead.",
        )
    code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
    salt = secrets.token_hex(16)
    activation = ActivationEntity(
        call.state.account,
        call.state.region,
        str(uuid.UUID(call.world.hex_id(32), version=4)),
        salt,
        _hash(salt, code),
        call.get("IamRole"),
        call.get("RegistrationLimit", 1),
        call.now,
        expires_at,
        name=name,
        description=call.get("Description"),
        tags=read_tags(call),
    )
    call.world.save(activation)
    return {"ActivationId": activation.id, "ActivationCode": code}


@operation("Filters MaxResults NextToken")
def describe_activations(call: Call) -> Answer:
    """Describe at most 50 a page, never the code; filters must all hold."""
    wanted = [
        (_FILTERS[item["FilterKey"]], item.get("FilterValues") or [])
        for item in call.get("Filters", [])
        if item.get("FilterKey")
    ]
    held = call.state.activations
    keys = sorted(
        key for key, one in held.items() if all(get(one) in values for get, values in wanted)
    )
    part, after = call.page(keys, most=50, default=50)
    return {"ActivationList": [_describe(held[key], call.now) for key in part], **after}


@operation("ActivationId")
def delete_activation(call: Call) -> Answer:
    """Delete an activation: nobody can register with it any more; registered nodes stay."""
    given = call.get("ActivationId")
    activation = call.state.activations.get(given)
    if activation is None:
        raise AwsFault("InvalidActivation", f"Activation {given} does not exist.")
    call.world.forget(activation)
    return {}


@operation("PublicKey PublicKeyType IamRole", needed="ActivationId ActivationCode Fingerprint")
def register_managed_instance(call: Call) -> Answer:
    """Spend one use of an activation; the call is unsigned.

    Its error codes are assumptions; AWS does not publish this call.
    """
    activation = call.state.activations.get(call.get("ActivationId"))
    if activation is None or not hmac.compare_digest(
        activation.code_hash, _hash(activation.code_salt, str(call.get("ActivationCode")))
    ):
        raise AwsFault("InvalidActivation", "The activation is not valid: no such id and code.")
    if call.now >= activation.expires_at:
        raise AwsFault("InvalidActivation", "The activation has expired.")
    if activation.count >= activation.limit:
        raise AwsFault(
            "RegistrationLimitExceeded",
            f"The activation was used for all of its {activation.limit} registrations.",
        )
    require_room(call)
    activation.count += 1
    call.world.save(activation)
    node = ManagedInstanceEntity(
        call.state.account,
        call.state.region,
        f"mi-{call.world.hex_id(17)}",
        activation.id,
        activation.iam_role,
        call.now,
        call.get("Fingerprint"),
        call.get("PublicKey"),
        name=activation.name,
        tags=dict(activation.tags),
    )
    call.world.save(node)
    return {"InstanceId": node.id}


@operation("CurrentKeyHash", needed="Fingerprint")
def request_managed_instance_role_token(call: Call) -> Answer:
    """Give an hour's credentials to the machine that registered.

    The key of the caller is the ``mi-`` id itself. Its RSA signature is not checked.
    """
    node = call.state.nodes[call.caller.managed_instance_id]
    if node.fingerprint != call.get("Fingerprint"):
        raise AwsFault(
            "MachineFingerprintDoesNotMatch",
            f"The machine's fingerprint is not the one that {node.id} registered with.",
        )
    call.world.forget_expired(node.id)
    session = RoleSession(
        node.account,
        node.region,
        f"ASIA{call.world.hex_id(16).upper()}",
        f"arn:aws:sts::{node.account}:assumed-role/{node.iam_role}/{node.id}",
        call.now + NODE_TOKEN_LIFE_S,
        node.id,
    )
    call.world.save(session)
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": secrets.token_urlsafe(30),
        "SessionToken": secrets.token_urlsafe(96),
        "TokenExpirationDate": session.expires_at,
        "UpdateKeyPair": False,
    }


def _hash(salt: str, code: str) -> str:
    """Return plain SHA-256; it is enough, because the code is 119 random bits."""
    return hashlib.sha256(f"{salt}:{code}".encode()).hexdigest()


def _allowed_in_name(letter: str) -> bool:
    return letter in "_.:/=+-@" or unicodedata.category(letter)[0] in "LZN"


def _describe(activation: ActivationEntity, now: float) -> Answer:
    return wire(
        ActivationId=activation.id,
        Description=activation.description,
        DefaultInstanceName=activation.name,
        IamRole=activation.iam_role,
        RegistrationLimit=activation.limit,
        RegistrationsCount=activation.count,
        ExpirationDate=activation.expires_at,
        Expired=now >= activation.expires_at,
        CreatedDate=activation.created_at,
        Tags=write_tags(activation.tags, "Key", "Value"),
    )
