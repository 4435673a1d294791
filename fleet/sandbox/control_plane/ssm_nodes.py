"""SSM managed instances: pings, listings, deregistration, tags."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.sandbox.agents.session import AwsFault
from fleet.sandbox.control_plane.assumptions import PING_LOST_AFTER_S
from fleet.sandbox.control_plane.call import Call, Operation
from fleet.sandbox.control_plane.region_state import Activation, ManagedInstance
from fleet.sandbox.control_plane.tags import MOST, read_tags, without, write_tags

_REPORTED = (
    "AgentVersion",
    "ComputerName",
    "IPAddress",
    "PlatformName",
    "PlatformType",
    "PlatformVersion",
)
NATIVE_TAG_TYPES = ("ManagedInstance", "Activation")
"""Resource types whose tags are kept here; the others are moto's."""


def ping_status(node: ManagedInstance, now: float) -> str:
    """Online while pings come; ConnectionLost later, and before the first."""
    heard = node.last_ping_at
    lost = heard is None or now - heard > PING_LOST_AFTER_S
    return "ConnectionLost" if lost else "Online"


_FILTERS: Mapping[str, Callable[[ManagedInstance, float], str]] = {
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


def update_instance_information(call: Call) -> dict[str, Any]:
    """UpdateInstanceInformation, the agent's ping; the first one after a start says less."""
    fields = call.fields
    given = fields.text("InstanceId") or call.caller.managed_instance_id
    node = call.state.nodes.get(given)
    if node is None:
        raise _unknown(given)
    if given != call.caller.managed_instance_id:
        raise AwsFault("AccessDeniedException", f"{call.caller.arn} may not speak for {given}.")
    node.last_ping_at = call.now
    said = {name: fields.text(name) for name in _REPORTED}
    node.information = {**node.information, **{k: text for k, text in said.items() if text}}
    call.world.save(node)
    return {}


def describe_instance_information(call: Call) -> dict[str, Any]:
    """DescribeInstanceInformation: pages of 5 to 50, 10 without being told.

    An unknown id among the ``InstanceIds`` fails the whole call, and a filter on tags goes with
    no other.
    """
    fields = call.fields
    fields.only("Filters", "InstanceInformationFilterList", "MaxResults", "NextToken")
    wanted = [(item.get("Key"), item.get("Values")) for item in fields.maps("Filters")]
    older = fields.maps("InstanceInformationFilterList")
    if wanted and older:
        raise fields.bad("Filters and InstanceInformationFilterList can not be used together.")
    wanted += [(item.get("key"), item.get("valueSet")) for item in older]
    nodes = _matching(call, wanted)
    part, after = call.page(sorted(nodes), most=50, least=5, default=10, style="MaxResults")
    shown = [{**_describe(nodes[key], call.now), "Name": nodes[key].name} for key in part]
    return {"InstanceInformationList": shown, **after}


def describe_instance_properties(call: Call) -> dict[str, Any]:
    """DescribeInstanceProperties: pages of 5 to 1000; filters compare for equality only."""
    fields = call.fields
    fields.only("FiltersWithOperator", "InstancePropertyFilterList", "MaxResults", "NextToken")
    wanted = [
        (item.get("key"), item.get("valueSet"))
        for item in fields.maps("InstancePropertyFilterList")
    ]
    for item in fields.maps("FiltersWithOperator"):
        if item.get("Operator", "Equal") != "Equal":
            raise fields.bad("the fleet sandbox compares instance properties by Equal only.")
        wanted.append((item.get("Key"), item.get("Values")))
    nodes = _matching(call, wanted)
    part, after = call.page(sorted(nodes), most=1000, least=5, default=50, style="MaxResults")
    return {"InstanceProperties": [_property(nodes[key], call.now) for key in part], **after}


def get_connection_status(call: Call) -> dict[str, Any]:
    """GetConnectionStatus: whether a node's agent is there."""
    call.fields.only("Target")
    target = call.fields.needed_text("Target")
    node = call.state.nodes.get(target)
    online = node is not None and ping_status(node, call.now) == "Online"
    return {"Target": target, "Status": "connected" if online else "notconnected"}


def deregister_managed_instance(call: Call) -> dict[str, Any]:
    """DeregisterManagedInstance: the node and its tags are gone; ECS is not told."""
    call.fields.only("InstanceId")
    call.world.forget(_needed_node(call, call.fields.needed_text("InstanceId")))
    return {}


def update_managed_instance_role(call: Call) -> dict[str, Any]:
    """UpdateManagedInstanceRole: counts for the next token."""
    call.fields.only("InstanceId", "IamRole")
    node = _needed_node(call, call.fields.needed_text("InstanceId"))
    node.iam_role = call.fields.needed_text("IamRole", most=64)
    call.world.save(node)
    return {}


def add_tags_to_resource(call: Call) -> dict[str, Any]:
    """AddTagsToResource: adds or replaces; at most 50."""
    call.fields.only("ResourceType", "ResourceId", "Tags")
    resource = _tagged(call)
    tags = {**resource.tags, **read_tags(call.fields, "Tags", "Key", "Value")}
    if len(tags) > MOST:
        raise AwsFault("TooManyTagsError", f"A resource can have at most {MOST} tags.")
    resource.tags = tags
    call.world.save(resource)
    return {}


def remove_tags_from_resource(call: Call) -> dict[str, Any]:
    """RemoveTagsFromResource."""
    call.fields.only("ResourceType", "ResourceId", "TagKeys")
    resource = _tagged(call)
    resource.tags = without(resource.tags, call.fields.texts("TagKeys"))
    call.world.save(resource)
    return {}


def list_tags_for_resource(call: Call) -> dict[str, Any]:
    """ListTagsForResource."""
    call.fields.only("ResourceType", "ResourceId")
    return {"TagList": write_tags(_tagged(call).tags, "Key", "Value")}


def _unknown(given: str) -> AwsFault:
    return AwsFault("InvalidInstanceId", f"Instance {given} is not registered as managed instance.")


def _needed_node(call: Call, given: str) -> ManagedInstance:
    node = call.state.nodes.get(given)
    if node is None:
        raise _unknown(given)
    return node


def _tagged(call: Call) -> ManagedInstance | Activation:
    kind = call.fields.needed_text("ResourceType")
    key = call.fields.needed_text("ResourceId")
    held: ManagedInstance | Activation | None = None
    if kind == "ManagedInstance":
        held = call.state.nodes.get(key)
    elif kind == "Activation":
        held = call.state.activations.get(key)
    else:
        raise AwsFault("InvalidResourceType", f"{kind!r} is not a type the fleet sandbox tags.")
    if held is None:
        raise AwsFault("InvalidResourceId", f"The resource ID {key!r} is not valid.")
    return held


def _matching(call: Call, wanted: list[tuple[Any, Any]]) -> dict[str, ManagedInstance]:
    by_tag = [key for key, _ in wanted if isinstance(key, str) and key.startswith("tag")]
    if by_tag and len(wanted) > 1:
        raise AwsFault(
            "InvalidInstanceInformationFilterValue",
            "A filter on tags can not be combined with another filter.",
        )
    nodes = dict(call.state.nodes)
    for key, values in wanted:
        if not isinstance(values, list) or not values or not all(map(_is_text, values)):
            raise AwsFault(
                "InvalidInstanceInformationFilterValue",
                f"The filter {key!r} needs a list of strings.",
            )
        test = _filter(call, key, set(values))
        nodes = {name: node for name, node in nodes.items() if test(node)}
    return nodes


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _filter(call: Call, key: Any, values: set[str]) -> Callable[[ManagedInstance], bool]:
    if isinstance(key, str) and key.startswith("tag:"):
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


def _describe(node: ManagedInstance, now: float) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "InstanceId": node.id,
        "PingStatus": ping_status(node, now),
        **node.information,
        "ActivationId": node.activation_id,
        "IamRole": node.iam_role,
        "RegistrationDate": round(node.registered_at, 3),
        "ResourceType": "ManagedInstance",
    }
    if node.last_ping_at is not None:
        shown["LastPingDateTime"] = round(node.last_ping_at, 3)
    return shown


def _property(node: ManagedInstance, now: float) -> dict[str, Any]:
    return {**_describe(node, now), "Name": node.name}


OPERATIONS: Mapping[str, Operation] = {
    "UpdateInstanceInformation": update_instance_information,
    "DescribeInstanceInformation": describe_instance_information,
    "DescribeInstanceProperties": describe_instance_properties,
    "GetConnectionStatus": get_connection_status,
    "DeregisterManagedInstance": deregister_managed_instance,
    "UpdateManagedInstanceRole": update_managed_instance_role,
    "AddTagsToResource": add_tags_to_resource,
    "RemoveTagsFromResource": remove_tags_from_resource,
    "ListTagsForResource": list_tags_for_resource,
}
