"""What proves that something in AWS was made by this fleet for one of its hosts."""

from collections.abc import Mapping

from fleet.model.identity import TAG_FLEET, is_ours
from fleet.model.inventory import Host
from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.printable import printable


def claims(tags: Mapping[str, str] | None, fleet_name: str, host: Host) -> bool:
    """Whether tags say that this fleet made it for this host."""
    return is_ours(tags, fleet_name, host)


def proof(
    instance: ContainerInstance,
    node: ManagedInstance | None,
    fleet_name: str,
    host: Host,
    *,
    tagged: bool = False,
) -> str:
    """What proves that a container instance is this host's, in words; "" when nothing does.

    Args:
        node: its node with its tags, as far as SSM knows it and its tags were read.
        tagged: only tags count: they name the fleet, which attributes do not.
    """
    if another_fleet(instance, node, fleet_name):
        return ""
    if is_ours(instance.tags, fleet_name, host):
        return f"its container instance carries the tags of {host.id}"
    if node is not None and is_ours(node.tags, fleet_name, host):
        return f"its node carries the tags of {host.id}"
    said = instance.attributes.get("fleet.store"), instance.attributes.get("fleet.host")
    if not tagged and said == (host.store, host.name):
        return f"its attributes say that it is {host.id}"
    return ""


def another_fleet(
    instance: ContainerInstance, node: ManagedInstance | None, fleet_name: str
) -> str:
    """Name of another fleet whose tag an instance or its node carries; ""."""
    for tags in (instance.tags, node.tags if node is not None else None):
        whose = (tags or {}).get(TAG_FLEET)
        if whose is not None and whose != fleet_name:
            return printable(whose, limit=80) or '""'
    return ""
