"""Reads SSM for a scan: every node of an account and region, or those of a few stores alone."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from fleet.aws.interning import Interner
from fleet.aws.managed_instances import (
    STANDARD_TIER_NODES,
    activation_tier,
    describe_managed_instances,
    ids_tagged,
    ids_tagged_among,
    list_managed_instances,
    managed_instances_tagged,
)
from fleet.aws.session import Shard
from fleet.drift.decide.scan_calls import hosts_without_node, nodes_in_ecs
from fleet.model.drift import StoreSeen
from fleet.model.identity import TAG_FLEET, TAG_STORE
from fleet.model.inventory import Store
from fleet.model.observed import ManagedInstance, NodeTier, NotRead, Reading

T = TypeVar("T")

#: What may be denied as one.
NODES = "nodes"
_SSM = "ssm"


class Ask(Protocol):
    """Asks one question; an answer that does not come is ``NotRead``."""

    def __call__(
        self, part: str, service: str, read: Callable[[], Reading[T]], /
    ) -> Reading[T] | NotRead:
        """Return the answer, or why there is none."""


@dataclass(frozen=True, slots=True)
class NodesSeen:
    """What SSM said.

    Attributes:
        nodes: all of the account and region, or those that concern the stores in scope.
        tagged: ids of those of them that carry the fleet's tag.
        tier: with the room in it; None where not all nodes were counted.
    """

    nodes: Reading[tuple[ManagedInstance, ...]] | NotRead
    tagged: Reading[frozenset[str]] | NotRead
    tier: Reading[NodeTier] | NotRead | None


@dataclass(frozen=True, slots=True)
class NodeReader:
    """Reads the nodes of one account and region.

    Attributes:
        fleet: name, as tagged.
        pool: what does not depend on anything else is asked for side by side there.
    """

    shard: Shard
    fleet: str
    ask: Ask
    interner: Interner
    pool: ThreadPoolExecutor

    def start(self) -> Callable[[], NodesSeen]:
        """Begin to list every node, whosever it is; return a function that waits for the end."""
        shard, ask, interner = self.shard, self.ask, self.interner
        nodes = self.pool.submit(ask, NODES, _SSM, lambda: list_managed_instances(shard, interner))
        tagged = self.pool.submit(
            ask, NODES, _SSM, lambda: ids_tagged(shard, TAG_FLEET, self.fleet)
        )
        tier = self.pool.submit(ask, "tier", _SSM, lambda: activation_tier(shard))

        def result() -> NodesSeen:
            return NodesSeen(nodes.result(), tagged.result(), _tier(tier.result(), nodes.result()))

        return result

    def of_stores(
        self, stores: Sequence[Store], seen: Mapping[str, StoreSeen], known: Iterable[str]
    ) -> NodesSeen:
        """Read nodes with the tags of these stores, those that ECS names, and those known before.

        Where that finds no node of a host, every node is listed after all.

        Args:
            seen: by store id, with the container instances.
            known: ids.
        """
        shard, ids = self.shard, [store.id for store in stores]
        first = self.ask(NODES, _SSM, lambda: managed_instances_tagged(shard, TAG_STORE, *ids))
        if isinstance(first, NotRead):
            return NodesSeen(first, first, None)
        found = {node.id: node for node in first.value}
        at = first.at
        wanted = sorted({*known, *nodes_in_ecs(seen.values())} - found.keys())
        if wanted:
            more = self.ask(NODES, _SSM, lambda: describe_managed_instances(shard, wanted))
            if isinstance(more, NotRead):
                return NodesSeen(more, more, None)
            found |= {node.id: node for node in more.value.known}
            at = min(at, more.at)
        if hosts_without_node(stores, found.values()):
            return self.start()()
        tagged = self.ask(
            NODES, _SSM, lambda: ids_tagged_among(shard, TAG_FLEET, self.fleet, tuple(found))
        )
        return NodesSeen(Reading(tuple(found.values()), at), tagged, None)


def _tier(
    tier: Reading[str] | NotRead, nodes: Reading[tuple[ManagedInstance, ...]] | NotRead
) -> Reading[NodeTier] | NotRead:
    """Return the room for nodes, from the tier's name and the nodes that were read anyway."""
    if isinstance(tier, NotRead):
        return tier
    if isinstance(nodes, NotRead):
        return nodes
    limit = STANDARD_TIER_NODES if tier.value == "standard" else None
    return Reading(NodeTier(tier.value, len(nodes.value), limit), min(tier.at, nodes.at))
