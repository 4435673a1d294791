"""What CreateService and UpdateService may be sent, checked and with AWS's defaults filled in."""

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.sandbox.control_plane import cluster_query
from fleet.sandbox.control_plane.breaker import DEFAULT
from fleet.sandbox.control_plane.fields import Fields
from fleet.sandbox.control_plane.workloads import Service

BOTH = (
    "availabilityZoneRebalancing",
    "cluster",
    "deploymentConfiguration",
    "deploymentController",
    "desiredCount",
    "enableECSManagedTags",
    "enableExecuteCommand",
    "placementConstraints",
    "placementStrategy",
    "propagateTags",
    "taskDefinition",
)
"""Parameters of both calls that are modelled; others are refused by name."""
MOST_DESIRED = 5000
"""Tasks of one service. (Service quotas; facts 4.3.)"""
_MOST_CONSTRAINTS = 10
_MOST_STRATEGIES = 5
_HUNDRED = 100
_PERCENTS = {"REPLICA": (100, 200), "DAEMON": (0, 100)}
_CONFIGURATION = {
    "deploymentCircuitBreaker",
    "maximumPercent",
    "minimumHealthyPercent",
    "strategy",
    "bakeTimeInMinutes",
    "alarms",
}
_BREAKER = {"enable", "rollback", "resetOnHealthyTask", "thresholdConfiguration"}
_THRESHOLDS = ("COUNT", "BOUNDED_PERCENT", "UNBOUNDED_PERCENT")
_PROPAGATE = ("TASK_DEFINITION", "SERVICE", "NONE")
_REBALANCING = ("ENABLED", "DISABLED")


def check_controller(fields: Fields) -> None:
    """The deployment controller: rolling updates by ECS, or nothing said."""
    kind = fields.mapping("deploymentController").get("type", "ECS")
    if kind != "ECS":
        raise fields.bad(f"the fleet sandbox does not model the deployment controller {kind}")


def read_configuration(
    fields: Fields, strategy: str, before: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """``deploymentConfiguration``, whole.

    Args:
        fields: of the call.
        strategy: REPLICA or DAEMON, which have defaults of their own.
        before: of the service that is updated; what is not sent stays as it is there.
    """
    sent = fields.mapping("deploymentConfiguration")
    _refuse_unknown(fields, "deploymentConfiguration", sent, _CONFIGURATION)
    lower, upper = _PERCENTS[strategy]
    found = {
        "deploymentCircuitBreaker": DEFAULT,
        "maximumPercent": upper,
        "minimumHealthyPercent": lower,
        "strategy": "ROLLING",
        "bakeTimeInMinutes": 0,
        **(before or {}),
    }
    if (sent.get("strategy") or "ROLLING") != "ROLLING" or sent.get("bakeTimeInMinutes"):
        raise fields.bad("the fleet sandbox models the deployment strategy ROLLING only.")
    if (sent.get("alarms") or {}).get("enable"):
        raise fields.bad("the fleet sandbox does not model deployment alarms.")
    for name in ("maximumPercent", "minimumHealthyPercent"):
        if sent.get(name) is not None:
            found[name] = _whole(fields, name, sent[name], 0)
    if sent.get("deploymentCircuitBreaker") is not None:
        found["deploymentCircuitBreaker"] = _breaker(fields, sent["deploymentCircuitBreaker"])
    _check_percents(fields, strategy, found)
    return found


def read_constraints(fields: Fields) -> list[dict[str, Any]]:
    """``placementConstraints``; an expression is parsed here, so that a bad one is told now."""
    found = []
    for item in fields.maps("placementConstraints", most=_MOST_CONSTRAINTS):
        kind, expression = item.get("type"), item.get("expression")
        if kind == "distinctInstance" and not expression:
            found.append({"type": kind})
        elif kind == "memberOf" and isinstance(expression, str) and expression:
            cluster_query.parse(expression)
            found.append({"type": kind, "expression": expression})
        else:
            raise fields.bad(f"the placement constraint {dict(item)} is not valid.")
    return found


def read_strategy(fields: Fields) -> list[dict[str, Any]]:
    """``placementStrategy``."""
    found = []
    for item in fields.maps("placementStrategy", most=_MOST_STRATEGIES):
        kind, field = item.get("type"), item.get("field", "")
        right = {
            "random": field == "",
            "binpack": str(field).lower() in {"cpu", "memory"},
            "spread": field in {"instanceId", "host"} or str(field).startswith("attribute:"),
        }
        if kind not in right or not right[kind]:
            raise fields.bad(f"the placement strategy {dict(item)} is not valid.")
        found.append({"type": kind, "field": field} if field else {"type": kind})
    return found


def read_desired(fields: Fields, strategy: str, default: int) -> int:
    """``desiredCount``; a DAEMON service has none of its own."""
    sent = fields.question().get("desiredCount")
    if strategy == "DAEMON":
        if sent is not None:
            raise fields.bad("The daemon scheduling strategy does not support a desired count.")
        return default
    return fields.integer("desiredCount", 0, MOST_DESIRED, default)


def read_rebalancing(fields: Fields, default: str) -> str:
    """``availabilityZoneRebalancing``."""
    return fields.choice("availabilityZoneRebalancing", _REBALANCING, default)


def read_propagation(fields: Fields, default: str) -> str:
    """``propagateTags``."""
    return fields.choice("propagateTags", _PROPAGATE, default)


def update_settings(fields: Fields, service: Service) -> bool:
    """Take in what UpdateService changes without a deployment; whether it changed anything.

    None of these triggers a service deployment. (API reference, UpdateService.)
    """
    sent = fields.question()
    after: dict[str, Any] = {
        "configuration": read_configuration(fields, service.strategy, service.configuration),
        "desired_count": read_desired(fields, service.strategy, service.desired_count),
        "zone_rebalancing": read_rebalancing(fields, service.zone_rebalancing),
        "propagate_tags": read_propagation(fields, service.propagate_tags),
    }
    if sent.get("placementConstraints") is not None:
        after["placement_constraints"] = read_constraints(fields)
    if sent.get("placementStrategy") is not None:
        after["placement_strategy"] = read_strategy(fields)
        check_strategy(fields, service.strategy, after["placement_strategy"])
    for name, attribute in (
        ("enableECSManagedTags", "managed_tags"),
        ("enableExecuteCommand", "execute_command"),
    ):
        if sent.get(name) is not None:
            after[attribute] = fields.flag(name)
    changed = False
    for attribute, value in after.items():
        if getattr(service, attribute) != value:
            setattr(service, attribute, value)
            changed = True
    return changed


def check_strategy(fields: Fields, strategy: str, placement: Sequence[Mapping[str, Any]]) -> None:
    """DAEMON services go everywhere and take no placement strategy."""
    if strategy == "DAEMON" and placement:
        raise fields.bad("The daemon scheduling strategy does not support placement strategies.")


def _check_percents(fields: Fields, strategy: str, found: Mapping[str, Any]) -> None:
    lower, upper = found["minimumHealthyPercent"], found["maximumPercent"]
    if lower > _HUNDRED:
        raise fields.bad("minimumHealthyPercent must be between 0 and 100.")
    if upper < _HUNDRED or (strategy == "DAEMON" and upper != _HUNDRED):
        allowed = "100 for a DAEMON service" if strategy == "DAEMON" else "100 or more"
        raise fields.bad(f"maximumPercent is {upper}; it must be {allowed}.")
    if lower == upper == _HUNDRED:
        raise fields.bad(
            "Both maximumPercent and minimumHealthyPercent cannot be 100 as this will block"
            " deployments."
        )


def _breaker(fields: Fields, sent: Any) -> dict[str, Any]:
    if not isinstance(sent, Mapping):
        raise fields.bad("deploymentCircuitBreaker must be an object.")
    _refuse_unknown(fields, "deploymentCircuitBreaker", sent, _BREAKER)
    found = {**DEFAULT, **{name: value for name, value in sent.items() if value is not None}}
    for name in ("enable", "rollback", "resetOnHealthyTask"):
        if not isinstance(found[name], bool):
            raise fields.bad(f"{name} of deploymentCircuitBreaker must be true or false.")
    limit = found["thresholdConfiguration"]
    if not isinstance(limit, Mapping) or limit.get("type") not in _THRESHOLDS:
        raise fields.bad(f"thresholdConfiguration needs a type of {', '.join(_THRESHOLDS)}.")
    value = _whole(fields, "value of thresholdConfiguration", limit.get("value"), 1)
    found["thresholdConfiguration"] = {"type": limit["type"], "value": value}
    return found


def _whole(fields: Fields, name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise fields.bad(f"{name} must be a whole number from {least}, not {value!r}")
    return value


def _refuse_unknown(fields: Fields, where: str, sent: Mapping[str, Any], known: set[str]) -> None:
    unknown = sorted(name for name in set(sent) - known if sent[name] not in (None, [], {}))
    if unknown:
        raise fields.bad(f"the fleet sandbox does not model {', '.join(unknown)} of {where}")
