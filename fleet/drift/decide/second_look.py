"""Whose ECS agent is away for a reason that one look cannot tell, and what a second one proves.

Agents reconnect several times an hour (ECS developer guide, external instances), so one that is
not connected now is no finding. SSM's ping explains most of the others: where it is lost or old,
the host is dark. What is left is looked at twice, in both ledgers: a host that went dark just
before the first look has not pinged since, and one whose ECS agent is down has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.model.drift import StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from fleet.register.decide.ledgers import PING_STALE

Nodes = Mapping[str, ManagedInstance]


@dataclass(frozen=True, slots=True)
class Doubt:
    """A container instance that has to be looked at again.

    Attributes:
        arn: of it.
        managed_instance_id: its node's.
    """

    arn: str
    managed_instance_id: str


def doubts(store: StoreSeen, nodes: Nodes, read_at: datetime) -> tuple[Doubt, ...]:
    """Those of a store that are not connected while SSM says that their hosts are there.

    Args:
        nodes: by id, of the account and region.
        read_at: when they were read.
    """
    if isinstance(store.instances, NotRead):
        return ()
    seen = store.instances
    connected = {one.managed_instance_id for one in seen.value if one.agent_connected}
    return tuple(
        Doubt(one.arn, one.managed_instance_id)
        for one in seen.value
        if not one.agent_connected
        and one.status == "ACTIVE"
        and one.managed_instance_id not in connected
        and _answers(nodes.get(one.managed_instance_id), read_at)
    )


def _answers(node: ManagedInstance | None, read_at: datetime) -> bool:
    if node is None or node.ping is not Ping.ONLINE:
        return False
    return node.last_ping_at is None or read_at - node.last_ping_at <= PING_STALE


def vouched(before: Nodes, after: Nodes, asked: Iterable[Doubt]) -> frozenset[str]:
    """ARNs whose hosts have pinged SSM between two looks: what ECS says twice of them holds."""
    return frozenset(
        doubt.arn
        for doubt in asked
        if _pinged(before.get(doubt.managed_instance_id), after.get(doubt.managed_instance_id))
    )


def _pinged(before: ManagedInstance | None, after: ManagedInstance | None) -> bool:
    if before is None or after is None or after.ping is not Ping.ONLINE:
        return False
    if after.last_ping_at is None:
        return False
    return before.last_ping_at is None or after.last_ping_at > before.last_ping_at


def with_lost(before: Nodes, after: Nodes) -> tuple[ManagedInstance, ...]:
    """The nodes as first read, but for those that SSM has called lost since."""
    lost = {id_: node for id_, node in after.items() if node.ping is not Ping.ONLINE}
    return tuple(lost.get(id_, node) for id_, node in before.items())


def seen_again(
    again: Reading[tuple[ContainerInstance, ...]] | NotRead, sure: frozenset[str] | NotRead
) -> Reading[tuple[ContainerInstance, ...]] | NotRead | None:
    """The second look, as far as it proves something; None when it does so of nobody.

    Who is back is back; who is still away is told only when somebody vouches for its host. Where
    either ledger did not answer, that is what is said: such a host is neither well nor down.

    Args:
        sure: ARNs of ``vouched``; NotRead where SSM was not heard a second time.
    """
    if isinstance(again, NotRead):
        return again
    if isinstance(sure, NotRead):
        return again if all(one.agent_connected for one in again.value) else sure
    told = tuple(one for one in again.value if one.agent_connected or one.arn in sure)
    return Reading(told, again.at) if told else None
