"""Compares task definitions and service settings by what they mean to ECS, not by their spelling.

ECS does not return what it was given: it converts ``0.5 vCPU`` to ``512``, fills in defaults, and
returns some lists in another order. Two bodies mean the same when their normal forms are equal.

The rules are rows. A row is ``documented`` (ECS API reference, as in botocore's models) or
``inferred`` (from what is known of ECS's answers, or because order has no effect there); each has a
case in ``tests/cases/normal_forms``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class RuleKind(StrEnum):
    """What a rule says of the value at its path.

    DEFAULT: a missing value means this one. ZERO: 0 or false is not the same as a missing value;
    everywhere else it is. SAME_AS: a missing value is that of another key beside it. UNORDERED:
    the order of a list has no meaning; entries are known by a key, or as a whole. UNITS: text with
    a unit of 1024, as ``2 GB``, is a number.
    """

    DEFAULT = "default"
    ZERO = "zero"
    SAME_AS = "same-as"
    UNORDERED = "unordered"
    UNITS = "units"


@dataclass(frozen=True, slots=True)
class NormalRule:
    """One rule.

    Attributes:
        path: of the value, keys joined by dots; an entry of a list has the path of the list.
        value: the default, the other key, the key of an entry ("" for the whole), or the unit.
        documented: whether AWS says so; else it is inferred.
        network_mode: in which alone it holds; "" for all.
    """

    path: str
    kind: RuleKind
    value: Any = None
    documented: bool = True
    network_mode: str = ""


_CONTAINER = "containerDefinitions"
_LINUX = f"{_CONTAINER}.linuxParameters"
_BREAKER = "deploymentConfiguration.deploymentCircuitBreaker"


def _default(path: str, value: Any, *, documented: bool = True) -> NormalRule:
    return NormalRule(path, RuleKind.DEFAULT, value, documented)


def _unordered(path: str, key: str = "") -> NormalRule:
    """Return that a list has no order: nothing of AWS says it, but nothing there has an effect."""
    return NormalRule(path, RuleKind.UNORDERED, key, documented=False)


#: Of the input of RegisterTaskDefinition. Absent, null, empty, 0 and false are one and the same
#: unless a row says otherwise.
TASK_DEFINITION_RULES: tuple[NormalRule, ...] = (
    NormalRule("cpu", RuleKind.UNITS, "vcpu"),
    NormalRule("memory", RuleKind.UNITS, "gb"),
    _default("networkMode", "bridge"),
    _default("runtimePlatform.operatingSystemFamily", "LINUX", documented=False),
    _unordered("requiresCompatibilities"),
    _unordered("placementConstraints"),
    _unordered("volumes", "name"),
    _unordered(_CONTAINER, "name"),
    _default(f"{_CONTAINER}.essential", value=True),
    _default(f"{_CONTAINER}.versionConsistency", "enabled"),
    _default(f"{_CONTAINER}.portMappings.protocol", "tcp"),
    NormalRule(
        f"{_CONTAINER}.portMappings.hostPort",
        RuleKind.SAME_AS,
        "containerPort",
        network_mode="host",
    ),
    _unordered(f"{_CONTAINER}.portMappings"),
    _unordered(f"{_CONTAINER}.environment", "name"),
    _unordered(f"{_CONTAINER}.secrets", "name"),
    _unordered(f"{_CONTAINER}.mountPoints", "containerPath"),
    _unordered(f"{_CONTAINER}.volumesFrom", "sourceContainer"),
    _unordered(f"{_CONTAINER}.dependsOn", "containerName"),
    _unordered(f"{_CONTAINER}.links"),
    _unordered(f"{_CONTAINER}.extraHosts", "hostname"),
    _unordered(f"{_CONTAINER}.ulimits", "name"),
    _unordered(f"{_CONTAINER}.systemControls", "namespace"),
    _unordered(f"{_CONTAINER}.resourceRequirements", "type"),
    _unordered(f"{_CONTAINER}.dockerSecurityOptions"),
    _unordered(f"{_CONTAINER}.logConfiguration.secretOptions", "name"),
    _default(f"{_CONTAINER}.healthCheck.interval", 30),
    _default(f"{_CONTAINER}.healthCheck.timeout", 5),
    _default(f"{_CONTAINER}.healthCheck.retries", 3),
    _default(f"{_CONTAINER}.restartPolicy.restartAttemptPeriod", 300),
    _unordered(f"{_CONTAINER}.restartPolicy.ignoredExitCodes"),
    # Without it docker stops a container after 30 s; with 0 at once.
    NormalRule(f"{_CONTAINER}.stopTimeout", RuleKind.ZERO),
    # Without them a container swaps as the host does; with 0 it does not.
    NormalRule(f"{_LINUX}.maxSwap", RuleKind.ZERO),
    NormalRule(f"{_LINUX}.swappiness", RuleKind.ZERO),
    _unordered(f"{_LINUX}.capabilities.add"),
    _unordered(f"{_LINUX}.capabilities.drop"),
    _unordered(f"{_LINUX}.devices", "hostPath"),
    _default(f"{_LINUX}.devices.permissions", ["mknod", "read", "write"]),
    _unordered(f"{_LINUX}.devices.permissions"),
    _unordered(f"{_LINUX}.tmpfs", "containerPath"),
)

#: Of the input that CreateService and UpdateService share.
SERVICE_RULES: tuple[NormalRule, ...] = (
    _default("deploymentConfiguration.strategy", "ROLLING"),
    _default(f"{_BREAKER}.resetOnHealthyTask", value=True),
    # The defaults of these two depend on the scheduling strategy.
    NormalRule("deploymentConfiguration.minimumHealthyPercent", RuleKind.ZERO),
    NormalRule("desiredCount", RuleKind.ZERO),
    _default("deploymentController.type", "ECS"),
    _default("propagateTags", "NONE"),
    _unordered("placementConstraints"),
)


def normal_form(
    body: Mapping[str, Any], rules: Iterable[NormalRule] = TASK_DEFINITION_RULES
) -> dict[str, Any]:
    """Return a body without what ECS would fill in, units as numbers, lists in a fixed order."""
    mode = str(body.get("networkMode") or "bridge")
    held: dict[str, dict[RuleKind, Any]] = {}
    for rule in rules:
        if rule.network_mode in {"", mode}:
            held.setdefault(rule.path, {})[rule.kind] = rule.value
    made: dict[str, Any] = _mapping(body, "", held)
    return made


def meaning_of(body: Mapping[str, Any], rules: Iterable[NormalRule] = TASK_DEFINITION_RULES) -> str:
    """Return the canonical JSON of a body's normal form: equal for bodies that mean the same."""
    return _canonical(normal_form(body, rules))


def same_meaning(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    rules: Iterable[NormalRule] = TASK_DEFINITION_RULES,
) -> bool:
    """Say whether ECS would store two bodies alike."""
    held = tuple(rules)
    return meaning_of(one, held) == meaning_of(other, held)


def default_of(key: str) -> Any:
    """Return what a missing value of a task definition means by its last key; None for most."""
    return next(
        (
            rule.value
            for rule in TASK_DEFINITION_RULES
            if rule.kind is RuleKind.DEFAULT and rule.path.rpartition(".")[2] == key
        ),
        None,
    )


def units_of(text: Any, unit: str) -> int | None:
    """Return CPU units of ``0.5 vCPU`` or MiB of ``2 GB``; None for what is no such size.

    Args:
        unit: in small letters.
    """
    words = str(text).lower().replace(" ", "")
    number = words.removesuffix(unit)
    try:
        return round(float(number) * 1024) if number != words else int(number)
    except ValueError:
        return None


_Held = Mapping[str, Mapping[RuleKind, Any]]


def _mapping(body: Mapping[str, Any], path: str, held: _Held) -> dict[str, Any]:
    found = {}
    for key in sorted(body):
        where = f"{path}.{key}" if path else key
        rule = held.get(where, {})
        value = _value(body[key], where, held)
        if RuleKind.SAME_AS in rule and value == body.get(rule[RuleKind.SAME_AS]):
            continue
        if RuleKind.DEFAULT in rule:
            if _is_absent(value) or value == rule[RuleKind.DEFAULT]:
                continue
        elif _is_absent(value) or (RuleKind.ZERO not in rule and _is_zero(value)):
            continue
        found[key] = value
    return found


def _value(value: Any, path: str, held: _Held) -> Any:
    if isinstance(value, Mapping):
        return _mapping(value, path, held)
    rule = held.get(path, {})
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        entries = [_value(entry, path, held) for entry in value]
        if RuleKind.UNORDERED in rule:
            key = rule[RuleKind.UNORDERED]
            # Of two entries of one name the later counts, so that they stay in their order.
            entries.sort(
                key=lambda one: _canonical(one.get(key) if key and isinstance(one, dict) else one)
            )
        return entries
    if RuleKind.UNITS in rule and value:
        size = units_of(value, rule[RuleKind.UNITS])
        return value if size is None else size
    return value


def _is_absent(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _is_zero(value: Any) -> bool:
    return isinstance(value, int | float) and not value


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
