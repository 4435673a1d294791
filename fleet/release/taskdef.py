"""Checks task definitions without a network.

``shape_problems`` checks against ECS's request model in botocore: unknown and missing keys, types,
enumerated values. ``external_problems`` checks the rules of launch type EXTERNAL, which are not in
that model (ECS developer guide, "Amazon ECS clusters for external instances"; agent
1.105.1's capabilities).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.validate import ParamValidator

from fleet.inventory.document import Path, nearest
from fleet.model.inventory import Architecture, Hardware
from fleet.model.printable import printable

_MODES = ("bridge", "host", "none")
#: Log drivers of the agent unless ECS_AVAILABLE_LOGGING_DRIVERS adds to them (ecs-init, docker.go).
_LOG_DRIVERS = frozenset({"json-file", "syslog", "awslogs", "fluentd", "none", "awsfirelens"})
_REFUSED = {
    "proxyConfiguration": "App Mesh needs awsvpc, which external instances do not have",
    "ephemeralStorage": "is for Fargate only",
    "inferenceAccelerators": "Elastic Inference is not there on external instances",
}
_REFUSED_VOLUMES = {
    "efsVolumeConfiguration": "EFS",
    "fsxWindowsFileServerVolumeConfiguration": "FSx",
    "s3filesVolumeConfiguration": "S3 Files",
    "configuredAtLaunch": "EBS",
}
_TYPES = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "Decimal": "a number",
    "bool": "true or false",
    "dict": "keys and values",
    "list": "a list",
    "tuple": "a list",
    "NoneType": "nothing",
}
_SCALARS = frozenset({"int", "float", "bool"})


@dataclass(frozen=True, slots=True)
class Complaint:
    """A part of a task definition that ECS or an external instance would refuse."""

    path: Path
    message: str
    hint: str | None = None


@lru_cache(maxsize=1)
def _ecs() -> Any:
    """Return botocore's model of ECS."""
    return ServiceModel(Loader().load_service_model("ecs", "service-2"), "ecs")


def shape_problems(
    body: Mapping[str, Any], operation: str = "RegisterTaskDefinition"
) -> list[Complaint]:
    """Return what ECS's request model refuses in the input of an operation."""
    shape = _ecs().operation_model(operation).input_shape
    errors = ParamValidator().validate(body, shape)
    # botocore offers its errors only as text; the values that it makes the text of are exact.
    return [
        *_enum_problems(body, shape, ()),
        *(_problem(operation, *error) for error in errors._errors),  # noqa: SLF001
    ]


def _problem(operation: str, reason: str, name: str, details: Mapping[str, Any]) -> Complaint:
    """Return an error of botocore as path and message."""
    path = _path(name)
    if reason == "missing required field":
        return Complaint(path, f'the key "{details["required_name"]}" is missing')
    if reason == "unknown field":
        key = str(details["unknown_param"])
        message = f'{operation} has no key "{key}" here'
        return Complaint((*path, key), message, nearest(key, details["valid_names"]))
    if reason == "invalid type":
        found = type(details["param"]).__name__
        valid = re.sub(r"<class '(.*)'>", r"\1", details["valid_types"][0])
        message = f"{_TYPES.get(valid, valid)} expected, found {_TYPES.get(found, found)}"
        quoted = valid == "str" and found in _SCALARS
        return Complaint(path, message, "quote it, or write {{ x | string }}" if quoted else None)
    least = f": at least {details['min_allowed']}" if "min_allowed" in details else ""
    return Complaint(path, f"{reason}{least}")


def _path(name: str) -> Path:
    """Return the steps of a path, as ``containerDefinitions[0].memory``."""
    steps: list[str | int] = []
    for word, index in re.findall(r"([^.\[\]]+)|\[([0-9]+)\]", name.partition(" (key")[0]):
        steps.append(int(index) if index else word)
    return tuple(steps)


def _enum_problems(value: Any, shape: Any, path: Path) -> Iterator[Complaint]:
    """Yield wrong enumerated values, which botocore does not check."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for key, item in value.items():
            if key in shape.members:
                yield from _enum_problems(item, shape.members[key], (*path, key))
    elif shape.type_name == "list" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _enum_problems(item, shape.member, (*path, index))
    elif (
        shape.type_name == "string"
        and isinstance(value, str)
        and value not in (shape.enum or [value])
    ):
        message = f'"{printable(value, limit=80)}" is not a word that ECS knows here'
        yield Complaint(path, message, nearest(value, shape.enum))


def external_problems(
    body: Mapping[str, Any], architecture: Architecture, hardware: Sequence[Hardware]
) -> list[Complaint]:
    """Return what an external instance of this architecture cannot run.

    Args:
        hardware: of the hosts that it is for.
    """
    found = list(_task_problems(body, architecture))
    for index, volume in enumerate(_dicts(body.get("volumes"))):
        found += [
            Complaint(("volumes", index, key), f"{name} volumes are not there on external hosts")
            for key, name in _REFUSED_VOLUMES.items()
            if volume.get(key)
        ]
    tegra = any(box.default_runtime == "nvidia" for box in hardware)
    more_drivers = all("ECS_AVAILABLE_LOGGING_DRIVERS" in box.agent_settings for box in hardware)
    names: set[Any] = set()
    for index, container in enumerate(_dicts(body.get("containerDefinitions"))):
        path: Path = ("containerDefinitions", index)
        if container.get("name") in names:
            found.append(Complaint((*path, "name"), f'"{container["name"]}" is used twice'))
        names.add(container.get("name"))
        found += _container_problems(body, container, path, tegra=tegra)
        found += _log_problems(body, container, path, any_driver=bool(hardware) and more_drivers)
    return found


def _task_problems(body: Mapping[str, Any], architecture: Architecture) -> Iterator[Complaint]:
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", str(body.get("family", "x"))):
        message = "a family has 1 to 255 letters, digits, underscores and hyphens"
        yield Complaint(("family",), message)
    mode = body.get("networkMode", "bridge")
    if mode not in _MODES:
        message = f'external instances have no network mode "{mode}"'
        yield Complaint(("networkMode",), message, f"one of: {', '.join(_MODES)}")
    compatibilities = body.get("requiresCompatibilities") or ["EXTERNAL"]
    if compatibilities != ["EXTERNAL"]:
        message = "must be [EXTERNAL], or be left out"
        yield Complaint(("requiresCompatibilities",), message)
    for key, why in _REFUSED.items():
        if body.get(key):
            yield Complaint((key,), why)
    if body.get("tags"):
        message = "fleet tags what it registers; cost tags come from the service"
        yield Complaint(("tags",), message, "leave them out")
    if body.get("enableFaultInjection"):
        message = "fault injection is not there on external instances"
        yield Complaint(("enableFaultInjection",), message)
    containers = [c for c in _dicts(body.get("containerDefinitions")) if c]
    if containers and not any(c.get("essential", True) for c in containers):
        message = "ECS refuses a task definition in which no container is essential"
        hint = "mark the one without which the task is of no use `essential: true`"
        yield Complaint(("containerDefinitions",), message, hint)
    platform = body.get("runtimePlatform")
    wanted = {"arm64": "ARM64", "amd64": "X86_64"}[architecture.value]
    if isinstance(platform, dict) and platform.get("cpuArchitecture", wanted) != wanted:
        message = f"must be {wanted} for the variant, or be left out"
        yield Complaint(("runtimePlatform", "cpuArchitecture"), message)


def _container_problems(
    body: Mapping[str, Any], container: Mapping[str, Any], path: Path, *, tegra: bool
) -> Iterator[Complaint]:
    if not (container.get("memory") or container.get("memoryReservation") or body.get("memory")):
        message = "a container on a host needs memory or memoryReservation, in MiB"
        yield Complaint(path, message)
    for index, resource in enumerate(_dicts(container.get("resourceRequirements"))):
        where = (*path, "resourceRequirements", index)
        if resource.get("type") == "InferenceAccelerator":
            yield Complaint(where, _REFUSED["inferenceAccelerators"])
        if resource.get("type") == "GPU" and tegra:
            message = "a Jetson registers no GPU resource with ECS, so this is placed nowhere"
            hint = "docker's default runtime gives the GPU; place by the hardware's accelerator"
            yield Complaint(where, message, hint)


def _log_problems(
    body: Mapping[str, Any], container: Mapping[str, Any], path: Path, *, any_driver: bool
) -> Iterator[Complaint]:
    log = container.get("logConfiguration")
    if not isinstance(log, dict):
        return
    driver, where = log.get("logDriver"), (*path, "logConfiguration", "logDriver")
    if driver not in _LOG_DRIVERS and not any_driver:
        message = f'the ECS agent does not offer the log driver "{driver}"'
        hint = "set ECS_AVAILABLE_LOGGING_DRIVERS in agent_settings of the hardware"
        yield Complaint(where, message, hint)
    if driver == "awslogs" and not body.get("executionRoleArn"):
        yield Complaint(where, "awslogs on an external instance needs an executionRoleArn")


def _dicts(value: Any) -> list[Mapping[str, Any]]:
    """Return the entries that are mappings; ``shape_problems`` reports the others."""
    if not isinstance(value, list):
        return []
    return [entry if isinstance(entry, dict) else {} for entry in value]
