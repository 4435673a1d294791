"""Operations on SSM managed instances: pings, lists, deregistration, tags and the node tier."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import PING_LOST_AFTER_S
from fleet.sandbox.control_plane.call import Answer, Call, operation, wire
from fleet.sandbox.control_plane.entities import (
    ManagedInstanceEntity,
    ServiceSetting,
    arn_prefix,
)
from fleet.sandbox.control_plane.tags import MOST, read_tags, without, write_tags

_REPORTED = (
    "AgentVersion",
    "ComputerName",
    "IPAddress",
    "PlatformName",
    "PlatformType",
    "PlatformVersion",
)
#: The resource type whose tags are stored here; the others are moto's.
NATIVE_TAG_TYPE = "ManagedInstance"
#: The only service setting that is modelled: standard or advanced.
TIER = "/ssm/managed-instance/activation-tier"
#: Nodes of the standard tier in one account and region. (Systems Manager quotas.)
STANDARD_LIMIT = 1000
_STANDARD = "standard"
_WRONG_FILTER = "InvalidInstanceInformationFilterValue"


def ping_status(node: ManagedInstanceEntity, now: float) -> str:
    """Return Online while pings come; ConnectionLost later, and before the first."""
    heard = node.last_ping_at
    lost = heard is None or now - heard > PING_LOST_AFTER_S
    return "ConnectionLost" if lost else "Online"


_FILTERS: Mapping[str, Callable[[ManagedInstanceEntity, float], str]] = {
    "ActivationIds": lambda node, _: node.activation_id,
    "AgentVersion": lambda node, _: node.information.get("AgentVersion", ""),
    "IamRole": lambda node, _: node.iam_role,
    "InstanceIds": lambda node, _: node.id,
    "PingStatus": ping_status,
    "PlatformTypes": lambda node, _: node.information.get("PlatformType", ""),
    "ResourceType": lambda _, __: "ManagedInstance",
    "SourceIds": lambda _, __: "",
    "SourceTypes": lambda _, __: "",
}


@operation(" ".join([*_REPORTED, "AgentName AgentStatus InstanceId SSMConnectionChannel"]))
def update_instance_information(call: Call) -> Answer:
    """Take the agent's ping; the first one after a start says less."""
    own = call.caller.managed_instance_id
    node = _needed_node(call, call.get("InstanceId") or own)
    if node.id != own:
        raise AwsFault("AccessDeniedException", f"{call.caller.arn} may not speak for {node.id}.")
    node.last_ping_at = call.now
    reported = {name: call.get(name) for name in _REPORTED if call.get(name)}
    node.information = {**node.information, **reported}
    call.world.save(node)
    return {}


@operation("Filters MaxResults NextToken")
def describe_instance_information(call: Call) -> Answer:
    """Describe pages of 5 to 50 nodes, 10 by default.

    An unknown id among the ``InstanceIds`` fails the whole call, and a filter on tags goes with
    no other.
    """
    nodes = _matching(call, [(item["Key"], item["Values"]) for item in call.get("Filters", [])])
    part, after = call.page(sorted(nodes), most=50, default=10)
    return {"InstanceInformationList": [_describe(nodes[key], call.now) for key in part], **after}


@operation("InstanceId")
def deregister_managed_instance(call: Call) -> Answer:
    """Remove a node and its tags; ECS is not told."""
    call.world.forget(_needed_node(call, call.get("InstanceId")))
    return {}


@operation("ResourceType ResourceId Tags")
def add_tags_to_resource(call: Call) -> Answer:
    """Add or replace tags; at most 50 on a resource."""
    resource = _tagged(call)
    tags = {**resource.tags, **read_tags(call)}
    if len(tags) > MOST:
        raise AwsFault("TooManyTagsError", f"A resource can have at most {MOST} tags.")
    resource.tags = tags
    call.world.save(resource)
    return {}


@operation("ResourceType ResourceId TagKeys")
def remove_tags_from_resource(call: Call) -> Answer:
    """Remove tags."""
    resource = _tagged(call)
    resource.tags = without(resource.tags, call.get("TagKeys"))
    call.world.save(resource)
    return {}


@operation("ResourceType ResourceId")
def list_tags_for_resource(call: Call) -> Answer:
    """List the tags of a resource."""
    return {"TagList": write_tags(_tagged(call).tags, "Key", "Value")}


@operation("SettingId")
def get_service_setting(call: Call) -> Answer:
    """Return the activation tier; other settings are not modelled."""
    _check_setting(call)
    setting = call.state.settings.get(TIER)
    prefix = arn_prefix("ssm", call.state.account, call.state.region)
    shown = wire(
        SettingId=TIER,
        SettingValue=_tier(call),
        LastModifiedDate=setting.changed_at if setting else 0.0,
        LastModifiedUser=setting.changed_by if setting else "System",
        ARN=f"{prefix}:servicesetting{TIER}",
        Status="Default" if _tier(call) == _STANDARD else "Customized",
    )
    return {"ServiceSetting": shown}


@operation("SettingId SettingValue")
def update_service_setting(call: Call) -> Answer:
    """Change the tier, at once; back to standard only with at most 1,000 nodes.

    At AWS the way back may take 30 minutes or more.
    """
    _check_setting(call)
    value, nodes = call.get("SettingValue"), len(call.state.nodes)
    if value not in {_STANDARD, "advanced"}:
        raise call.bad(f"SettingValue has the value {value!r}; it must be standard or advanced")
    if value == _STANDARD and nodes > STANDARD_LIMIT:
        raise call.bad(
            f"{nodes} managed instances are registered; the standard tier holds {STANDARD_LIMIT}."
        )
    account, region = call.state.account, call.state.region
    call.world.save(ServiceSetting(account, region, TIER, value, call.now, call.caller.arn))
    return {}


def require_room(call: Call) -> None:
    """Refuse one more node where the standard tier is full (the error code is an assumption)."""
    if _tier(call) == _STANDARD and len(call.state.nodes) >= STANDARD_LIMIT:
        raise AwsFault(
            "RegistrationLimitExceeded",
            f"The standard tier holds {STANDARD_LIMIT} managed instances in this account and"
            " region; the advanced tier holds more.",
        )


def _check_setting(call: Call) -> None:
    given = call.get("SettingId")
    if given.partition(":servicesetting")[2] != TIER and given != TIER:
        raise AwsFault("ServiceSettingNotFound", f"the fleet sandbox knows only {TIER}.")


def _tier(call: Call) -> str:
    setting = call.state.settings.get(TIER)
    return _STANDARD if setting is None else setting.value


def _needed_node(call: Call, given: str) -> ManagedInstanceEntity:
    node = call.state.nodes.get(given)
    if node is None:
        message = f"Instance {given} is not registered as managed instance."
        raise AwsFault("InvalidInstanceId", message)
    return node


def _tagged(call: Call) -> ManagedInstanceEntity:
    kind, key = call.get("ResourceType"), call.get("ResourceId")
    if kind != NATIVE_TAG_TYPE:
        raise AwsFault("InvalidResourceType", f"{kind!r} is not a type the fleet sandbox tags.")
    held = call.state.nodes.get(key)
    if held is None:
        raise AwsFault("InvalidResourceId", f"The resource ID {key!r} is not valid.")
    return held


def _matching(call: Call, wanted: list[tuple[str, list[str]]]) -> dict[str, ManagedInstanceEntity]:
    if len(wanted) > 1 and any(key.startswith("tag") for key, _ in wanted):
        raise AwsFault(_WRONG_FILTER, "A filter on tags can not be combined with another filter.")
    nodes = dict(call.state.nodes)
    for key, values in wanted:
        test = _filter(call, key, set(values))
        nodes = {name: node for name, node in nodes.items() if test(node)}
    return nodes


def _filter(call: Call, key: str, values: set[str]) -> Callable[[ManagedInstanceEntity], bool]:
    if key.startswith("tag:"):
        tag = key.removeprefix("tag:")
        return lambda node: node.tags.get(tag) in values
    if key == "tag-key":
        return lambda node: not values.isdisjoint(node.tags)
    get = _FILTERS.get(key)
    if get is None:
        raise AwsFault("InvalidFilterKey", f"The filter key {key!r} is not valid.")
    if key == "InstanceIds":
        for given in sorted(values):
            _needed_node(call, given)
    return lambda node: get(node, call.now) in values


def _describe(node: ManagedInstanceEntity, now: float) -> dict[str, Any]:
    return wire(
        InstanceId=node.id,
        PingStatus=ping_status(node, now),
        LastPingDateTime=node.last_ping_at,
        **node.information,
        ActivationId=node.activation_id,
        IamRole=node.iam_role,
        RegistrationDate=node.registered_at,
        ResourceType="ManagedInstance",
        Name=node.name,
    )
