"""Tasks as the control plane sends them: what of a PayloadMessage the simulated agent acts on.

Field names and forms are those of agent-protocol.md §3.4: engine settings are JSON in strings,
the health check is Docker's ``Healthcheck`` with nanoseconds.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.sandbox.agents.health import INTERVAL_S, RETRIES, HealthCheck

_NANO = 1e9
RESTART_PERIOD_S = 300.0
#: From where Docker gives out host ports that nobody asked for by number.
_FIRST_DYNAMIC_PORT = 32768


class Unrecognised(Exception):
    """A task that the agent cannot make anything of; the message says why."""


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """``restartPolicy`` of a container that has it enabled.

    Attributes:
        ignored_exit_codes: ends that are not answered with a restart.
        attempt_period_s: it must have run so long before it is restarted.
    """

    ignored_exit_codes: tuple[int, ...] = ()
    attempt_period_s: float = RESTART_PERIOD_S


@dataclass(frozen=True, slots=True)
class ContainerPlan:
    """A container of a task, as asked for.

    Attributes:
        ports: ``{"containerPort", "hostPort", "protocol"}`` each; host port 0 is any.
        stop_timeout_s: between SIGTERM and SIGKILL; None is the agent's own.
    """

    name: str
    image: str
    essential: bool = True
    ports: tuple[Mapping[str, Any], ...] = ()
    stop_timeout_s: float | None = None
    restart: RestartPolicy | None = None
    check: HealthCheck | None = None


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task, as asked for."""

    arn: str
    family: str
    version: str
    cluster_arn: str = ""
    containers: tuple[ContainerPlan, ...] = field(default=())


def read_task(content: Mapping[str, Any]) -> TaskPlan:
    """A task of a payload with what it holds; Unrecognised when the agent would not take it."""
    arn = str(content.get("arn", ""))
    containers = content.get("containers")
    if not isinstance(containers, list) or not containers:
        raise Unrecognised("the task has no containers")
    try:
        plans = tuple(_container(each) for each in containers)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise Unrecognised(f"{type(error).__name__}: {error}") from error
    if len({plan.name for plan in plans}) < len(plans):
        raise Unrecognised("two containers have one name")
    return TaskPlan(
        arn,
        str(content.get("family", "")),
        str(content.get("version", "")),
        str(content.get("taskClusterArn", "")),
        plans,
    )


def plan_from_json(content: Mapping[str, Any]) -> TaskPlan:
    """What ``dataclasses.asdict`` made of a plan and JSON kept."""
    containers = []
    for each in content["containers"]:
        restart, check = each["restart"], each["check"]
        containers.append(
            ContainerPlan(
                **{
                    **each,
                    "ports": tuple(each["ports"]),
                    "restart": RestartPolicy(
                        tuple(restart["ignored_exit_codes"]), restart["attempt_period_s"]
                    )
                    if restart
                    else None,
                    "check": HealthCheck(**check) if check else None,
                }
            )
        )
    return TaskPlan(**{**content, "containers": tuple(containers)})


def bindings(plan: ContainerPlan, taken: int) -> list[dict[str, Any]]:
    """``networkBindings`` of a container that starts as the ``taken``-th with free ports."""
    return [
        {
            "bindIP": "0.0.0.0",  # noqa: S104 - what Docker reports; nothing is bound
            "containerPort": int(port["containerPort"]),
            "hostPort": int(port.get("hostPort") or 0) or _FIRST_DYNAMIC_PORT + taken + number,
            "protocol": str(port.get("protocol") or "tcp"),
        }
        for number, port in enumerate(plan.ports)
    ]


def _container(content: Mapping[str, Any]) -> ContainerPlan:
    policy = content.get("restartPolicy") or {}
    restart = None
    if policy.get("enabled"):
        restart = RestartPolicy(
            tuple(int(code) for code in policy.get("ignoredExitCodes") or ()),
            float(policy.get("restartAttemptPeriod") or RESTART_PERIOD_S),
        )
    timeout = content.get("stopTimeout")
    name, image = content["name"], content["image"]
    if not isinstance(name, str) or not isinstance(image, str) or not name or not image:
        message = "a container needs a name and an image"
        raise ValueError(message)
    return ContainerPlan(
        name,
        image,
        essential=bool(content.get("essential", True)),
        ports=tuple(dict(port) for port in content.get("portMappings") or ()),
        stop_timeout_s=float(timeout) if timeout else None,
        restart=restart,
        check=_check(content),
    )


def _check(content: Mapping[str, Any]) -> HealthCheck | None:
    """From ``dockerConfig.config``, where the agent hands it to Docker."""
    if content.get("healthCheckType") != "docker":
        return None
    config = json.loads((content.get("dockerConfig") or {}).get("config") or "{}")
    check = config.get("Healthcheck")
    if not check:
        return None
    return HealthCheck(
        float(check.get("Interval") or INTERVAL_S * _NANO) / _NANO,
        int(check.get("Retries") or RETRIES),
        float(check.get("StartPeriod") or 0) / _NANO,
    )
