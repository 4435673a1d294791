"""The SSM identity of a host: its vault, its fingerprint and its credentials.

The files and their keys are those of amazon-ssm-agent 3.3 as far as others read them: the
installer and fleet look for ``instanceID`` and ``region`` in the vault, the ECS agent reads the
rotating credentials (ecs-anywhere.md §1.4 step 5, §1.6).
"""

import base64
import configparser
import hashlib
import json
from dataclasses import dataclass

from fleet.sandbox.agents.machine import Machine, text_of
from fleet.sandbox.agents.session import RoleToken

VAULT = "/var/lib/amazon/ssm/Vault/Store/RegistrationKey"
FINGERPRINT = "/var/lib/amazon/ssm/Vault/Store/InstanceFingerprint"
CREDENTIALS = "/root/.aws/credentials"


@dataclass(frozen=True, slots=True)
class Registration:
    """What the vault says: the node's ``mi-`` id and the region it was registered in."""

    instance_id: str
    region: str


def read_registration(machine: Machine) -> Registration | None:
    """Return what the vault holds; None when it is missing, empty or not readable as JSON."""
    try:
        content = json.loads(machine.kept(VAULT) or "")
    except ValueError:
        return None
    if not isinstance(content, dict) or not content.get("instanceID"):
        return None
    return Registration(text_of(content["instanceID"]), text_of(content.get("region")))


def write_registration(machine: Machine, registration: Registration) -> None:
    """Fill the vault. There is no private key: the sandbox checks the fingerprint instead."""
    content = {
        "instanceID": registration.instance_id,
        "region": registration.region,
        "instanceType": "",
        "publicKey": public_key(machine),
        "privateKeyType": "Rsa",
    }
    machine.keep(VAULT, json.dumps(content))


def fingerprint(machine: Machine) -> str:
    """Return the host's fingerprint: made once of its machine id, so that a clone shares it."""
    try:
        kept = text_of(json.loads(machine.kept(FINGERPRINT) or "").get("fingerprint"))
    except (ValueError, AttributeError):
        kept = ""
    if kept:
        return kept
    try:
        seed = machine.path("/etc/machine-id").read_text(encoding="utf-8").strip()
    except OSError:
        seed = machine.id
    digest = hashlib.sha256(f"fingerprint of {seed}".encode()).hexdigest()
    made = f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"
    machine.keep(FINGERPRINT, json.dumps({"fingerprint": made, "similarityThreshold": 40}))
    return made


def public_key(machine: Machine) -> str:
    """Return a stand-in for the RSA key of a real agent; base64, stable for a host."""
    return base64.b64encode(hashlib.sha512(fingerprint(machine).encode()).digest()).decode()


def write_credentials(machine: Machine, token: RoleToken) -> None:
    """Write the SSM agent's token where the ECS agent reads it: root's own default profile."""
    text = (
        "[default]\n"
        f"aws_access_key_id     = {token.access_key_id}\n"
        f"aws_secret_access_key = {token.secret_access_key}\n"
        f"aws_session_token     = {token.session_token}\n"
    )
    machine.keep(CREDENTIALS, text)


def read_credentials(machine: Machine, environment: dict[str, str]) -> RoleToken | None:
    """Return the credentials that the ECS agent uses: its environment first, then the file.

    Since agent 1.100.0 the environment still wins, which is how leftovers in ecs.config break a
    host (ecs-anywhere.md §1.6).
    """
    if environment.get("AWS_ACCESS_KEY_ID"):
        return RoleToken(
            environment["AWS_ACCESS_KEY_ID"],
            environment.get("AWS_SECRET_ACCESS_KEY", ""),
            environment.get("AWS_SESSION_TOKEN", ""),
            expires_at=float("inf"),
        )
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(machine.kept(CREDENTIALS) or "")
        profile = parser["default"]
        return RoleToken(
            profile["aws_access_key_id"],
            profile["aws_secret_access_key"],
            profile.get("aws_session_token", ""),
            expires_at=float("inf"),
        )
    except (KeyError, configparser.Error):
        return None
