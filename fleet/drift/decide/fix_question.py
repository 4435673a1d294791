"""One finding that may be fixed by itself, and what its rule has to go by."""

from collections.abc import Mapping
from dataclasses import dataclass

from fleet.model.drift import Finding
from fleet.model.fixing import Already, Deed, Fix, Left, Seen
from fleet.model.identity import TAG_FLEET, is_ours
from fleet.model.inventory import Fleet, Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.printable import printable

#: What becomes of a finding.
Answer = Fix | Left | Already
#: Why something is left whose host is none (any more).
NOBODY = "the inventory does not name its host"


@dataclass(frozen=True, slots=True)
class Question:
    """One finding, what it is about in the inventory, and what AWS says of it now.

    Attributes:
        store: None where the finding is of no store.
        host: None where it is of no host.
    """

    finding: Finding
    fleet: Fleet
    store: Store | None
    host: Host | None
    seen: Seen

    def fix(self, what: str, why: str, *deeds: Deed) -> Fix:
        """That it may be done."""
        return Fix(self.finding, what, deeds, why)

    def left(self, why: str) -> Left:
        """That it is not touched."""
        return Left(self.finding, why)

    def already(self, why: str) -> Already:
        """That there is nothing to do any more."""
        return Already(self.finding, why)

    def instance(self, arn: str) -> ContainerInstance | None:
        """One of the store's cluster."""
        return next((one for one in self.seen.instances if one.arn == arn), None)

    def node(self, node_id: str) -> ManagedInstance | None:
        """One that SSM knows."""
        return next((one for one in self.seen.nodes if one.id == node_id), None)


def short(arn: str) -> str:
    """The last part of an ARN."""
    return arn.rsplit("/", 1)[-1]


def pairs(tags: Mapping[str, str]) -> str:
    """Tags in words."""
    return printable(", ".join(f"{key}={text}" for key, text in sorted(tags.items())), limit=300)


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
