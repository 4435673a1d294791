"""How is a host connected, for certain? SSM's ping and two looks at the ECS agent, and memory.

Agents reconnect several times an hour (ECS developer guide, external instances), so nothing is said
that has not held: a lost ping for ``hold_s``, a missing ECS agent over two looks without a
reconnect between them. What has not held is not said at all, neither as an outage nor as its end.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

from fleet.model.drift import Background, Connection, HostMemory, Spell, StoreSeen
from fleet.model.observed import ContainerInstance, ManagedInstance, NotRead, Ping, Reading
from fleet.register.decide.ledgers import PING_DUE, PING_STALE

#: Hosts of one store that go at once are heard of last at most so far apart: two pings.
TOGETHER = timedelta(minutes=10)
#: AWS's ``Date`` has whole seconds, so two looks may seem closer than they were.
ROUNDING = timedelta(seconds=2)


class Pinged(Enum):
    """What SSM's last ping says: here, lost for long enough, or neither."""

    HERE = auto()
    LOST = auto()
    UNCLEAR = auto()


@dataclass(frozen=True, slots=True)
class Sight:
    """A host's node and container instance, as read.

    Attributes:
        instance: of the current node.
    """

    node: ManagedInstance
    instance: ContainerInstance
    memory: HostMemory

    @property
    def last(self) -> Spell | None:
        """How it was when it was last known."""
        return self.memory.spells[-1] if self.memory.spells else None


def pinged(node: ManagedInstance, at: datetime, hold_s: float) -> Pinged:
    """What a node's ping says at the time it was read; "Online" that is old is no news."""
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
    sights: Mapping[str, Sight], seen: StoreSeen, nodes_at: datetime, background: Background
) -> dict[str, Spell]:
    """By host name, how the hosts of a store are connected; without those that are uncertain."""
    hold_s = background.settings.hold_s
    found = {
        name: spell
        for name, sight in sights.items()
        if (spell := _spell(sight, seen, nodes_at, background)) is not None
    }
    dark = [s.node.last_ping_at for name, s in sights.items() if _is_dark(found.get(name))]
    for name, sight in sights.items():
        if name not in found and _goes_along(sight, dark, nodes_at, seen, hold_s):
            found[name] = _since(sight, Connection.DARK, nodes_at, background.now)
    return found


def _is_dark(spell: Spell | None) -> bool:
    return spell is not None and spell.connection is Connection.DARK


def _goes_along(
    sight: Sight,
    dark: list[datetime | None],
    at: datetime,
    seen: StoreSeen,
    hold_s: float,
) -> bool:
    """Whether a host that has not been lost for long enough is vouched for by one that has.

    Pings of two hosts are up to five minutes apart, so that the hold time ends for one of them
    before the other: with its ECS agent away and its ping overdue, it went with its neighbour.
    """
    heard = sight.node.last_ping_at
    if heard is None or _is_connected(sight.instance, seen) or at - heard <= PING_DUE:
        return False
    if pinged(sight.node, at, hold_s) is Pinged.HERE:
        return False
    return any(one is not None and abs(one - heard) <= TOGETHER for one in dark)


def _spell(
    sight: Sight, seen: StoreSeen, nodes_at: datetime, background: Background
) -> Spell | None:
    if isinstance(seen.instances, NotRead):
        return None
    said = pinged(sight.node, nodes_at, background.settings.hold_s)
    connected = _is_connected(sight.instance, seen)
    if said is Pinged.UNCLEAR:
        return None
    if said is Pinged.LOST:
        connection = Connection.SSM_DOWN if connected else Connection.DARK
        at = nodes_at if not connected else seen.instances.at
    elif connected:
        connection, at = Connection.CONNECTED, seen.instances.at
    elif _agent_stays_away(sight, seen, background.settings.look_again_s):
        connection, at = Connection.ECS_DOWN, seen.instances.at
    else:
        return None
    return _since(sight, connection, at, background.now)


def _is_connected(instance: ContainerInstance, seen: StoreSeen) -> bool:
    """In either look: one that came back between the two is here."""
    if instance.agent_connected or not isinstance(seen.again, Reading):
        return instance.agent_connected
    return any(one.agent_connected for one in seen.again.value if one.arn == instance.arn)


def _agent_stays_away(sight: Sight, seen: StoreSeen, look_again_s: float) -> bool:
    """Whether the ECS agent was away in both looks, and not back in between.

    ECS counts a container instance's ``version`` up whenever its agent connects or drops (ECS API
    reference, ContainerInstance), so that two flaps are told from one outage.
    That it was away last night proves nothing of tonight: it may be up, and reconnect just now.
    """
    if not isinstance(seen.again, Reading) or isinstance(seen.instances, NotRead):
        return False
    if seen.again.at - seen.instances.at < timedelta(seconds=look_again_s) - ROUNDING:
        return False
    then = next((i for i in seen.again.value if i.arn == sight.instance.arn), None)
    return then is not None and then.version == sight.instance.version


def _since(sight: Sight, connection: Connection, at: datetime, now: datetime) -> Spell:
    """The spell with its beginning: that of the last one where it goes on, else what is known.

    A ping after a dark host was last seen dark means that it had come back in between.
    """
    last, heard = sight.last, sight.node.last_ping_at
    lost = connection in {Connection.DARK, Connection.SSM_DOWN}
    if (
        last is not None
        and last.connection is connection
        and (not lost or heard is None or heard <= last.last_seen)
    ):
        return Spell(connection, last.since, now)
    came_back = last is not None and last.connection is Connection.DARK
    if not lost or (connection is Connection.SSM_DOWN and came_back):
        return Spell(connection, at, now)
    since = heard or sight.node.registered_at or at
    if last is not None and last.connection is not connection:
        since = max(since, last.last_seen)
    return Spell(connection, min(since, now), now)
