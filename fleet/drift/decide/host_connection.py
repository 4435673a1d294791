"""Decides how a host is connected, from SSM's ping, two looks at the ECS agent, and memory.

Agents reconnect several times an hour (ECS developer guide, external instances), so a state counts
only once it has held: a lost ping for ``hold_s``, a missing ECS agent over two looks without a
reconnect between them. What has not held is reported neither as an outage nor as its end.

SSM's ping explains most agents that are not connected: where it is lost or old, the host is dark.
The others are looked at twice, in SSM and ECS: a host that went dark just before the first look
has not pinged since, and one whose ECS agent is down has.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from fleet.drift.decide.store_status import PING_DUE, PING_STALE
from fleet.inventory.decide.opening_hours import KeepsHours
from fleet.inventory.decide.power import absent_from, planned_off
from fleet.model.drift import Background, HostConnection, HostMemory, Spell, StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading

Instances = tuple[ContainerInstance, ...]
#: SSM's nodes of an account and region, by id.
Nodes = Mapping[str, ManagedInstance]

#: Last pings of hosts of one store that went dark at once are at most so far apart: two pings.
TOGETHER = timedelta(minutes=10)
#: AWS's ``Date`` has whole seconds, so two looks may seem closer than they were.
ROUNDING = timedelta(seconds=2)


_SILENT = {HostConnection.DARK, HostConnection.SSM_DOWN, HostConnection.POWERED_OFF}


class Pinged(Enum):
    """What SSM's last ping tells: the host is there, lost for long enough, or neither."""

    HERE = auto()
    LOST = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class SeenHost:
    """A host's node and container instance, as read.

    Attributes:
        instance: of the current node.
        off_with: the store with which it is switched off; None where it always has power.
    """

    node: ManagedInstance
    instance: ContainerInstance
    memory: HostMemory
    off_with: KeepsHours | None = None

    @property
    def last(self) -> Spell | None:
        """Return the latest spell that is recorded of it."""
        return self.memory.spells[-1] if self.memory.spells else None


def pinged(node: ManagedInstance, at: datetime, hold_s: float) -> Pinged:
    """Judge a node's ping at the time it was read; an old "Online" is not trusted."""
    heard = node.last_ping_at
    if heard is None:
        if node.ping is Ping.ONLINE:
            return Pinged.HERE
        begun = node.registered_at
        held = begun is None or (at - begun).total_seconds() >= hold_s
        return Pinged.LOST if held else Pinged.UNCLEAR
    if node.ping is Ping.ONLINE and at - heard <= PING_STALE:
        return Pinged.HERE
    return Pinged.LOST if (at - heard).total_seconds() >= hold_s else Pinged.UNCLEAR


def spells_of(
    hosts: Mapping[str, SeenHost], seen: StoreSeen, nodes_at: datetime, background: Background
) -> dict[str, Spell]:
    """Return by host name how a store's hosts are connected, where that is certain."""
    hold_s = background.settings.hold_s
    found = {
        name: spell
        for name, host in hosts.items()
        if (spell := _spell(host, seen, nodes_at, background)) is not None
    }
    dark = [
        hosts[name].node.last_ping_at
        for name, spell in found.items()
        if spell.connection is HostConnection.DARK
    ]
    for name, host in hosts.items():
        if name not in found and _is_dark_with_another(host, dark, nodes_at, seen, hold_s):
            found[name] = _since(host, HostConnection.DARK, nodes_at, background.now)
    return found


def _is_dark_with_another(
    host: SeenHost,
    dark: list[datetime | None],
    at: datetime,
    seen: StoreSeen,
    hold_s: float,
) -> bool:
    """Tell whether a host went dark together with one that has been lost for long enough.

    Pings of two hosts are up to five minutes apart, so the hold time ends for one of them first.
    With its ECS agent disconnected and its ping overdue, the other went with it.
    """
    heard = host.node.last_ping_at
    if heard is None or _is_connected(host.instance, seen) or at - heard <= PING_DUE:
        return False
    if host.off_with is not None:
        return False  # it counts from the opening of its store, whatever the other one does
    if pinged(host.node, at, hold_s) is Pinged.HERE:
        return False
    return any(one is not None and abs(one - heard) <= TOGETHER for one in dark)


def _spell(
    host: SeenHost, seen: StoreSeen, nodes_at: datetime, background: Background
) -> Spell | None:
    if isinstance(seen.instances, NotRead):
        return None
    said = pinged(host.node, nodes_at, background.settings.hold_s)
    connected = _is_connected(host.instance, seen)
    if host.off_with is not None and not connected and said is not Pinged.HERE:
        return _switched_off(host, host.off_with, nodes_at, background)
    if said is Pinged.UNCLEAR:
        return None
    if said is Pinged.LOST:
        connection = HostConnection.SSM_DOWN if connected else HostConnection.DARK
        at = nodes_at if not connected else seen.instances.at
    elif connected:
        connection, at = HostConnection.CONNECTED, seen.instances.at
    elif _agent_stays_away(host, seen, background.settings.look_again_s):
        connection, at = HostConnection.ECS_DOWN, seen.instances.at
    else:
        return None
    return _since(host, connection, at, background.now)


def _switched_off(
    host: SeenHost, store: KeepsHours, at: datetime, background: Background
) -> Spell | None:
    """Return the spell of a host that may be switched off: planned, dark, or neither for certain.

    Once its store has opened again it counts as dark after the hold time, as from then on.
    """
    hold_s = background.settings.hold_s
    silent = host.node.last_ping_at or host.node.registered_at or at
    if planned_off(store, silent, at, hold_s) is not None:
        return _since(host, HostConnection.POWERED_OFF, at, background.now)
    counts = absent_from(store, silent, hold_s)
    if counts is None or (at - counts).total_seconds() < hold_s:
        return None
    spell = _since(host, HostConnection.DARK, at, background.now)
    return replace(spell, since=max(spell.since, counts))


def _is_connected(instance: ContainerInstance, seen: StoreSeen) -> bool:
    """Tell whether its agent was connected in either look."""
    if instance.agent_connected or not isinstance(seen.again, Reading):
        return instance.agent_connected
    return any(one.agent_connected for one in seen.again.value if one.arn == instance.arn)


def _agent_stays_away(host: SeenHost, seen: StoreSeen, look_again_s: float) -> bool:
    """Tell whether the ECS agent was disconnected in both looks, and all the time between them.

    ECS counts a container instance's ``version`` up whenever its agent connects or disconnects (ECS
    API reference, ContainerInstance), which tells two flaps from one outage. An outage of an
    earlier scan proves nothing: the agent may reconnect at this moment.
    """
    if not isinstance(seen.again, Reading) or isinstance(seen.instances, NotRead):
        return False
    if seen.again.at - seen.instances.at < timedelta(seconds=look_again_s) - ROUNDING:
        return False
    then = next((i for i in seen.again.value if i.arn == host.instance.arn), None)
    return then is not None and then.version == host.instance.version


def _since(host: SeenHost, connection: HostConnection, at: datetime, now: datetime) -> Spell:
    """Return the spell, which goes on from the last one or begins when it is known to.

    A ping later than the last scan that saw a host dark means that it had come back in between.
    """
    last, heard = host.last, host.node.last_ping_at
    lost = connection in _SILENT
    if (
        last is not None
        and last.connection is connection
        and (not lost or heard is None or heard <= last.last_seen)
    ):
        return Spell(connection, last.since, now)
    came_back = last is not None and last.connection is HostConnection.DARK
    if not lost or (connection is HostConnection.SSM_DOWN and came_back):
        return Spell(connection, at, now)
    since = heard or host.node.registered_at or at
    if last is not None and last.connection is not connection:
        since = max(since, last.last_seen)
    return Spell(connection, min(since, now), now)


def unexplained(store: StoreSeen, nodes: Nodes, read_at: datetime) -> Instances:
    """Return a store's instances that are not connected though SSM shows their hosts online.

    Args:
        read_at: when the nodes were read.
    """
    if isinstance(store.instances, NotRead):
        return ()
    seen = store.instances
    connected = {one.managed_instance_id for one in seen.value if one.agent_connected}
    return tuple(
        one
        for one in seen.value
        if not one.agent_connected
        and one.status == "ACTIVE"
        and one.managed_instance_id not in connected
        and _is_online(nodes.get(one.managed_instance_id), read_at)
    )


def _is_online(node: ManagedInstance | None, read_at: datetime) -> bool:
    if node is None or node.ping is not Ping.ONLINE:
        return False
    return node.last_ping_at is None or read_at - node.last_ping_at <= PING_STALE


def with_pings(before: Nodes, after: Nodes, asked: Iterable[ContainerInstance]) -> frozenset[str]:
    """Return the ARNs of the instances whose hosts have pinged SSM between two looks."""
    return frozenset(
        one.arn
        for one in asked
        if _has_pinged(before.get(one.managed_instance_id), after.get(one.managed_instance_id))
    )


def _has_pinged(before: ManagedInstance | None, after: ManagedInstance | None) -> bool:
    if before is None or after is None or after.ping is not Ping.ONLINE:
        return False
    if after.last_ping_at is None:
        return False
    return before.last_ping_at is None or after.last_ping_at > before.last_ping_at


def with_lost(before: Nodes, after: Nodes) -> tuple[ManagedInstance, ...]:
    """Return the nodes as first read, except those that SSM has called lost since."""
    lost = {id_: node for id_, node in after.items() if node.ping is not Ping.ONLINE}
    return tuple(lost.get(id_, node) for id_, node in before.items())


def proven(
    again: Reading[Instances] | NotRead, pinged_arns: frozenset[str] | NotRead
) -> Reading[Instances] | NotRead | None:
    """Return what the second look proves; None when it proves nothing of anybody.

    An agent that is back is back. One that is still disconnected counts only if its host has pinged
    SSM meanwhile. Where SSM or ECS did not answer, that is returned.

    Args:
        pinged_arns: of ``with_pings``; NotRead where SSM did not answer a second time.
    """
    if isinstance(again, NotRead):
        return again
    if isinstance(pinged_arns, NotRead):
        return again if all(one.agent_connected for one in again.value) else pinged_arns
    told = tuple(one for one in again.value if one.agent_connected or one.arn in pinged_arns)
    return Reading(told, again.at) if told else None
