"""Stores a task definition as ECS does: not as it was given.

Documented (API reference): sizes with units become numbers, and the defaults of ``essential``,
``protocol``, health checks and restart policies. Assumed: which empty lists are filled in, that
absent numbers and flags of these are 0 and false, and that lists of names come back sorted.
"""

import re
from collections.abc import Mapping
from typing import Any

_SIZE = re.compile(r"([0-9]*\.?[0-9]+) ?(vcpu|gb)", re.IGNORECASE)
_CONTAINER: dict[str, Any] = {
    "cpu": 0,
    "portMappings": [],
    "essential": True,
    "environment": [],
    "mountPoints": [],
    "volumesFrom": [],
    "systemControls": [],
}
#: What is filled in beside what was given, by the key of a container that holds it.
_INNER: dict[str, dict[str, Any]] = {
    "portMappings": {"hostPort": 0, "protocol": "tcp"},
    "mountPoints": {"readOnly": False},
    "volumesFrom": {"readOnly": False},
    "healthCheck": {"interval": 30, "timeout": 5, "retries": 3},
    "restartPolicy": {"restartAttemptPeriod": 300},
}
#: Lists that come back in another order, and what they are sorted by.
_SORTED = {"environment": "name", "secrets": "name", "ulimits": "name"}


def stored_form(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a task definition as DescribeTaskDefinition shows it."""
    made = dict(content)
    for key in ("cpu", "memory"):
        found = _SIZE.fullmatch(str(made.get(key) or ""))
        if found:
            made[key] = str(round(float(found[1]) * 1024))
    host = made["networkMode"] == "host"
    made["containerDefinitions"] = [
        _container(one, host=host) for one in content["containerDefinitions"]
    ]
    made["volumes"] = [{"host": {}, **one} if len(one) == 1 else one for one in content["volumes"]]
    return made


def _container(given: Mapping[str, Any], *, host: bool) -> dict[str, Any]:
    made = {**_CONTAINER, **given}
    for key, defaults in _INNER.items():
        value = made.get(key)
        if isinstance(value, list):
            made[key] = [{**defaults, **one} for one in value]
        elif value is not None:
            made[key] = {**defaults, **value}
    if host:
        for mapping in made["portMappings"]:
            mapping["hostPort"] = mapping["hostPort"] or mapping.get("containerPort", 0)
    for key, name in _SORTED.items():
        if key in made:
            made[key] = sorted(made[key], key=lambda one: str(one.get(name, "")))
    return made
