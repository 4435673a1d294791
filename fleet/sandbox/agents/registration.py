"""Reads what the ECS agent needs to register, and describes its host.

Keys, resources and attributes are those seen from amazon-ecs-agent 1.105.1 on EXTERNAL
(agent-protocol.md §2.1).
"""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fleet.sandbox.agents.machine import Facts, Machine, text_of

#: The second one wins, as an env-file that is given later does.
CONFIG_FILES = ("/etc/ecs/ecs.config", "/var/lib/ecs/ecs.config")
STATE = "/var/lib/ecs/data/agent.db"
PULL_BEHAVIOURS = ("default", "always", "once", "prefer-cached")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_PIECE = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")

_ARCHITECTURES = {"x86_64": "x86_64", "aarch64": "arm64"}
_ECS_CAPABILITIES = (
    "external",
    "full-sync",
    "container-ordering",
    "container-restart-policy",
    "container-health-check",
    "task-cpu-mem-limit",
    "execution-role-ecr-pull",
    "execution-role-awslogs",
    "secrets.asm.environment-variables",
    "secrets.ssm.environment-variables",
    "secrets.asm.bootstrap.log-driver",
    "secrets.ssm.bootstrap.log-driver",
    "env-files.s3",
    "firelens.fluentd",
    "firelens.fluentbit",
    "firelens.options.config.file",
    "firelens.options.config.s3",
    "private-registry-authentication.secretsmanager",
    "aws-secrets-retry",
    "ipv4-only",
)
_CAPABILITIES = (
    "privileged-container",
    *(f"docker-remote-api.1.{minor}" for minor in (17, 18, 19, 20, 21, 22, 23, 24, 25, 29, 30, 32)),
    *(f"logging-driver.{name}" for name in ("json-file", "syslog", "awslogs", "fluentd", "none")),
    "task-iam-role",
    "task-iam-role-network-host",
    "ecr-auth",
)


class ConfigInvalid(Exception):
    """The configuration cannot be used; the message is what the agent logs."""


@dataclass(frozen=True, slots=True)
class SavedState:
    """What the agent keeps between starts: who it is, to which cluster it belongs, its tasks.

    Attributes:
        sequence: the highest timeline of a manifest that it took; -1 before the first.
        tasks: as ``task_state.Task.as_json`` gives them.
    """

    cluster: str
    container_instance_arn: str
    sequence: int = -1
    tasks: Sequence[Mapping[str, Any]] = ()


def read_config(machine: Machine) -> dict[str, str]:
    """Read both ecs.config files as one environment, without lines that are not ``NAME=value``."""
    settings: dict[str, str] = {}
    for name in CONFIG_FILES:
        try:
            text = machine.path(name).read_text(encoding="utf-8")
        except OSError:
            continue
        for line in text.splitlines():
            key, sign, value = line.strip().partition("=")
            if sign and key and not key.startswith("#"):
                settings[key] = value
    return settings


def read_state(machine: Machine) -> SavedState | None:
    """Return the saved state; None when there is none."""
    try:
        content = json.loads(machine.kept(STATE) or "")
        return SavedState(
            text_of(content["cluster"]),
            text_of(content["containerInstanceArn"]),
            int(content.get("sequence", -1)),
            tuple(content.get("tasks", ())),
        )
    except (ValueError, KeyError, TypeError):
        return None


def open_state(machine: Machine) -> SavedState | None:
    """Return the saved state; an empty one is made where there is none, and read as none.

    The agent opens its database before it registers (agent/app/agent.go, newAgent), so the file
    alone does not say that it ever did.
    """
    if machine.kept(STATE) is None:
        machine.keep(STATE, "{}")
    return read_state(machine)


def write_state(machine: Machine, state: SavedState) -> None:
    """Keep the state for the next start."""
    content = {
        "cluster": state.cluster,
        "containerInstanceArn": state.container_instance_arn,
        "sequence": state.sequence,
        "tasks": list(state.tasks),
    }
    machine.keep(STATE, json.dumps(content))


def register_body(
    facts: Facts, config: Mapping[str, str], saved: SavedState | None
) -> dict[str, Any]:
    """Return the body of RegisterContainerInstance.

    Custom attributes and tags are only sent the first time; the ARN only after it. Raises
    ConfigInvalid when a setting is not the JSON it must be.
    """
    attributes = _own_attributes(facts)
    body: dict[str, Any] = {
        "cluster": cluster_of(config),
        "clientToken": str(uuid.uuid4()),
        "totalResources": _resources(facts, config),
        "instanceIdentityDocument": "",
        "instanceIdentityDocumentSignature": "",
    }
    if saved is not None:
        body["containerInstanceArn"] = saved.container_instance_arn
    else:
        custom = _json_map(config, "ECS_INSTANCE_ATTRIBUTES")
        attributes += [{"name": name, "value": value} for name, value in custom.items()]
        tags = _json_map(config, "ECS_CONTAINER_INSTANCE_TAGS")
        if tags:
            body["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
    body["attributes"] = attributes
    return body


def cluster_of(config: Mapping[str, str]) -> str:
    """Return the cluster to join, exactly as configured."""
    return config.get("ECS_CLUSTER") or "default"


def _own_attributes(facts: Facts) -> list[dict[str, str]]:
    valued = {
        "ecs.os-type": "linux",
        "ecs.os-family": "LINUX",
        "ecs.os-type-detailed": "LINUX",
        "ecs.cpu-architecture": _ARCHITECTURES.get(facts.machine, facts.machine),
    }
    return [
        *({"name": name, "value": value} for name, value in valued.items()),
        *({"name": f"ecs.capability.{name}"} for name in _ECS_CAPABILITIES),
        *({"name": f"com.amazonaws.ecs.capability.{name}"} for name in _CAPABILITIES),
    ]


def _resources(facts: Facts, config: Mapping[str, str]) -> list[dict[str, Any]]:
    try:
        reserved = int(config.get("ECS_RESERVED_MEMORY") or 0)
    except ValueError as error:
        raise ConfigInvalid("invalid ECS_RESERVED_MEMORY, expected a number of MiB") from error
    ports = ["22", "2375", "2376", "51678", "51679"]
    return [
        {"name": "CPU", "type": "INTEGER", "integerValue": facts.cpus * 1024},
        {"name": "MEMORY", "type": "INTEGER", "integerValue": facts.memory_mb - reserved},
        {"name": "PORTS", "type": "STRINGSET", "stringSetValue": ports},
        {"name": "PORTS_UDP", "type": "STRINGSET", "stringSetValue": []},
    ]


def _json_map(config: Mapping[str, str], name: str) -> dict[str, str]:
    text = config.get(name)
    if not text:
        return {}
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigInvalid(f"invalid format for {name}, expected a json hash") from error
    if not isinstance(content, dict) or not all(isinstance(v, str) for v in content.values()):
        raise ConfigInvalid(f"invalid format for {name}, expected a json hash of strings")
    return content


@dataclass(frozen=True, slots=True)
class Settings:
    """What ecs.config says; times in seconds.

    Attributes:
        pull: ECS_IMAGE_PULL_BEHAVIOR. ``default`` pulls and falls back on what is cached,
            ``always`` pulls or fails, ``once`` and ``prefer-cached`` pull what is not there.
        stop_timeout_s: ECS_CONTAINER_STOP_TIMEOUT, between SIGTERM and SIGKILL.
        task_cleanup_s: ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION, until a stopped task's containers
            are removed.
    """

    pull: str = "default"
    stop_timeout_s: float = 30.0
    task_cleanup_s: float = 3 * 3600.0


def read_settings(config: Mapping[str, str]) -> Settings:
    """Read the agent's environment; ConfigInvalid for a time that is none.

    An unknown pull behaviour is the default one, as the agent has it.
    """
    pull = config.get("ECS_IMAGE_PULL_BEHAVIOR", "")
    return Settings(
        pull if pull in PULL_BEHAVIOURS else "default",
        _seconds(config, "ECS_CONTAINER_STOP_TIMEOUT", 30.0),
        _seconds(config, "ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION", 3 * 3600.0),
    )


def _seconds(config: Mapping[str, str], name: str, default: float) -> float:
    """Return a duration in Go's form, as ``1h30m``."""
    text = config.get(name, "").strip()
    if not text:
        return default
    pieces = _PIECE.findall(text)
    if "".join(f"{number}{unit}" for number, unit in pieces) != text:
        raise ConfigInvalid(f"invalid {name} {text!r}, expected a duration such as 3h or 30s")
    return sum(float(number) * _UNITS[unit] for number, unit in pieces)
