"""SSM activations, and what a host does with one: become a managed instance."""

import hashlib
import hmac
import re
import secrets
import string
import unicodedata
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import NODE_TOKEN_LIFE_S
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.region_state import Activation, ManagedInstance, RoleSession
from fleet.sandbox.control_plane.ssm_settings import require_room
from fleet.sandbox.control_plane.tags import read_tags, write_tags

_DAY_S = 86_400.0
_LONGEST_EXPIRY_S = 30 * _DAY_S
_MOST_REGISTRATIONS = 1000
_CODE_LETTERS = string.ascii_letters + string.digits
_CODE_LENGTH = 20
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}")
_FILTERS: Mapping[str, Callable[[Activation], str]] = {
    "ActivationIds": lambda activation: activation.id,
    "DefaultInstanceName": lambda activation: activation.name,
    "IamRole": lambda activation: activation.iam_role,
}


def create_activation(call: Call) -> dict[str, Any]:
    """CreateActivation: the only answer that holds the code.

    Limit 1 to 1000 (default 1), expiry at most 30 days ahead (default 24 hours). The code is
    random, not drawn from the sandbox's seed, and only its salted hash stays.
    """
    fields = call.fields
    fields.only(
        "DefaultInstanceName",
        "Description",
        "ExpirationDate",
        "IamRole",
        "RegistrationLimit",
        "Tags",
    )
    role = fields.needed_text("IamRole", most=64)
    name = fields.text("DefaultInstanceName", most=256)
    if not all(map(_allowed_in_name, name)):
        raise fields.bad(
            f"Value {name!r} at 'defaultInstanceName' failed to satisfy constraint:"
            r" Member must satisfy regular expression pattern: ^([\p{L}\p{Z}\p{N}_.:/=+\-@]*)$"
        )
    expires_at = fields.moment("ExpirationDate")
    if expires_at is None:
        expires_at = call.now + _DAY_S
    if not call.now < expires_at <= call.now + _LONGEST_EXPIRY_S:
        raise AwsFault(
            "InvalidParameters",
            "ExpirationDate must be in the future and at most 30 days ahead.",
        )
    code = "".join(secrets.choice(_CODE_LETTERS) for _ in range(_CODE_LENGTH))
    salt = secrets.token_hex(16)
    activation = Activation(
        call.state.account,
        call.state.region,
        str(uuid.UUID(call.world.hex_id(32), version=4)),
        salt,
        _hash(salt, code),
        role,
        fields.integer("RegistrationLimit", 1, _MOST_REGISTRATIONS, 1),
        call.now,
        expires_at,
        name=name,
        description=fields.text("Description", most=256),
        tags=read_tags(fields, "Tags", "Key", "Value"),
    )
    call.world.save(activation)
    return {"ActivationId": activation.id, "ActivationCode": code}


def describe_activations(call: Call) -> dict[str, Any]:
    """DescribeActivations: at most 50 a page, never the code; filters must all hold."""
    call.fields.only("Filters", "MaxResults", "NextToken")
    wanted = []
    for item in call.fields.maps("Filters"):
        key, values = item.get("FilterKey"), item.get("FilterValues") or []
        get = _FILTERS.get(key) if isinstance(key, str) else None
        if get is None or not isinstance(values, list):
            raise AwsFault("InvalidFilter", f"{key!r} is none of {', '.join(_FILTERS)}.")
        wanted.append((get, list(values)))
    held = call.state.activations
    keys = sorted(
        key for key, held_one in held.items() if all(get(held_one) in v for get, v in wanted)
    )
    part, after = call.page(keys, most=50, default=50, style="MaxResults")
    return {"ActivationList": [_describe(held[key], call.now) for key in part], **after}


def delete_activation(call: Call) -> dict[str, Any]:
    """DeleteActivation: nobody can register with it any more; registered nodes stay."""
    call.fields.only("ActivationId")
    given = call.fields.needed_text("ActivationId")
    if not _UUID.fullmatch(given):
        raise AwsFault("InvalidActivationId", f"{given!r} is not the id of an activation.")
    activation = call.state.activations.get(given)
    if activation is None:
        raise AwsFault("InvalidActivation", f"Activation {given} does not exist.")
    call.world.forget(activation)
    return {}


def register_managed_instance(call: Call) -> dict[str, Any]:
    """RegisterManagedInstance, unsigned: spends one use of an activation.

    Its error codes are the simulator's choice; AWS does not publish this call.
    """
    fields = call.fields
    fields.only(
        "ActivationCode", "ActivationId", "Fingerprint", "PublicKey", "PublicKeyType", "IamRole"
    )
    activation = call.state.activations.get(fields.needed_text("ActivationId"))
    code = fields.needed_text("ActivationCode")
    if activation is None or not hmac.compare_digest(
        activation.code_hash, _hash(activation.code_salt, code)
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
    node = ManagedInstance(
        call.state.account,
        call.state.region,
        f"mi-{call.world.hex_id(17)}",
        activation.id,
        activation.iam_role,
        call.now,
        fields.needed_text("Fingerprint"),
        fields.text("PublicKey", most=16384),
        name=activation.name,
        tags=dict(activation.tags),
    )
    call.world.save(node)
    return {"InstanceId": node.id}


def request_managed_instance_role_token(call: Call) -> dict[str, Any]:
    """RequestManagedInstanceRoleToken: an hour's credentials for the machine that registered.

    The key of the caller is the ``mi-`` id itself. Its RSA signature is not checked.
    """
    call.fields.only("Fingerprint", "CurrentKeyHash")
    node = call.state.nodes.get(call.caller.managed_instance_id)
    if node is None:
        raise AwsFault(
            "AccessDeniedException",
            f"{call.caller.managed_instance_id} is not a registered managed instance.",
        )
    if node.fingerprint != call.fields.needed_text("Fingerprint"):
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
    """Plain SHA-256 is enough: the code is 119 random bits, not a password somebody chose."""
    return hashlib.sha256(f"{salt}:{code}".encode()).hexdigest()


def _allowed_in_name(letter: str) -> bool:
    return letter in "_.:/=+-@" or unicodedata.category(letter)[0] in "LZN"


def _describe(activation: Activation, now: float) -> dict[str, Any]:
    return {
        "ActivationId": activation.id,
        "Description": activation.description,
        "DefaultInstanceName": activation.name,
        "IamRole": activation.iam_role,
        "RegistrationLimit": activation.limit,
        "RegistrationsCount": activation.count,
        "ExpirationDate": round(activation.expires_at, 3),
        "Expired": now >= activation.expires_at,
        "CreatedDate": round(activation.created_at, 3),
        "Tags": write_tags(activation.tags, "Key", "Value"),
    }


OPERATIONS: Mapping[str, Operation] = {
    "CreateActivation": create_activation,
    "DescribeActivations": describe_activations,
    "DeleteActivation": delete_activation,
    "RegisterManagedInstance": register_managed_instance,
    "RequestManagedInstanceRoleToken": request_managed_instance_role_token,
}
