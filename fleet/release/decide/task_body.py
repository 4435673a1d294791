"""Completes rendered task definitions, reads their logs, and writes placement constraints."""

from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model.desired import LogGroup

#: Unsent log lines of a container before lines are dropped, for non-blocking logs.
LOG_BUFFER = "10m"
#: The shortest period that ECS accepts (ContainerRestartPolicy, API reference).
RESTART_PERIOD_S = 60


def finished(body: Mapping[str, Any], pins: Mapping[str, str]) -> dict[str, Any]:
    """Return a body as it is sent: images pinned, and settings that offline shops need.

    - ``requiresCompatibilities`` is EXTERNAL, so that ECS checks the body for it.
    - ``awslogs`` is non-blocking unless the template says otherwise: a blocked log stops the
      container and even keeps it from starting (AWS made this the default in 2025-06; older
      accounts still block).
    - An essential container is restarted on the host (``restartPolicy``, by the agent since 1.83),
      because ECS cannot restart it while the shop is offline.

    Args:
        pins: reference as rendered -> ``name@sha256:...``.
    """
    containers = [_container(one, pins) for one in body.get("containerDefinitions", ())]
    made = {"requiresCompatibilities": ["EXTERNAL"], **body}
    return {**made, "containerDefinitions": containers}


def _container(container: Mapping[str, Any], pins: Mapping[str, str]) -> dict[str, Any]:
    made = {**container, "image": pins[container["image"]]}
    if container.get("essential", True):
        made.setdefault(
            "restartPolicy", {"enabled": True, "restartAttemptPeriod": RESTART_PERIOD_S}
        )
    log = container.get("logConfiguration")
    if log and log.get("logDriver") == "awslogs":
        options = {"mode": "non-blocking", **(log.get("options") or {})}
        if options["mode"] == "non-blocking":
            options.setdefault("max-buffer-size", LOG_BUFFER)
        made["logConfiguration"] = {**log, "options": options}
    return made


def log_groups(body: Mapping[str, Any], retention_days: int) -> tuple[LogGroup, ...]:
    """Return the log groups that the containers of a body write to, in name order."""
    names = {options["awslogs-group"] for _, options in _logs(body) if "awslogs-group" in options}
    return tuple(LogGroup(name, retention_days) for name in sorted(names))


def log_regions(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the regions that the containers of a body send their logs to."""
    return frozenset(
        options["awslogs-region"] for _, options in _logs(body) if "awslogs-region" in options
    )


def blocking_logs(body: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the containers whose logging is blocking."""
    return tuple(name for name, options in _logs(body) if options.get("mode") == "blocking")


def _logs(body: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, str]]]:
    for container in body.get("containerDefinitions", ()):
        log = container.get("logConfiguration") or {}
        if log.get("logDriver") == "awslogs":
            yield str(container.get("name", "")), log.get("options") or {}
