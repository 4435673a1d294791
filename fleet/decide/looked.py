"""Where a scan looked: what it did not find there is gone, what may be elsewhere is not.

Rules say nothing of what they cannot see, as the tasks of a host that is away. A finding of the
night before that is missing for such a reason is not resolved.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from fleet.decide.reconcile import host_codes
from fleet.decide.reconcile import service_codes as codes
from fleet.model.drift import Connection, Finding, ShardSeen, Spell, Wanted
from fleet.model.observed import NotRead

#: Seen in tasks, which are read to compare digests.
OF_TASKS = frozenset(
    entry.code
    for entry in (
        codes.IMAGE_DRIFT,
        codes.TASK_OLD_REVISION,
        codes.TASK_ORPHAN,
        codes.TASK_STUCK_STOPPING,
    )
)
#: Said by the hosts themselves, when they are asked.
OF_PROBES = frozenset({codes.DISK_LOW.code, codes.HOT.code, codes.CLOCK_WRONG.code})
#: Seen where the word of a host that was asked stands beside ECS's.
OF_CONTAINERS = frozenset(
    entry.code
    for entry in (
        codes.CONTAINER_MISSING,
        codes.CONTAINER_UNKNOWN,
        codes.CONTAINER_OLD_IMAGE,
    )
)
#: Only told of hosts that are certainly connected: ECS's word on others is what it last heard.
OF_CONNECTED = (
    OF_TASKS | OF_CONTAINERS | frozenset({codes.TASKS_SHORT.code, codes.DEPLOYMENT_STUCK.code})
)
#: Of how hosts are connected, of which nothing is said while it has not held.
OF_CONNECTIONS = frozenset(
    entry.code
    for entry in (
        host_codes.SITE_DARK,
        host_codes.HOST_DARK,
        host_codes.ECS_AGENT_DOWN,
        host_codes.SSM_AGENT_DOWN,
        host_codes.UNSTEADY,
    )
)


@dataclass(frozen=True, slots=True)
class Looked:
    """Where a scan looked, beside what could not be read.

    Attributes:
        digests: whether tasks were read to compare image digests.
        deep: whether hosts were asked.
        connections: by (store, host), where that is certain.
        known: hosts that SSM and ECS both know, so that they are connected somehow.
        hosts: names of the hosts of each store in scope.
        wanted: by store id; what a rollout is at work on is told by nobody.
    """

    digests: bool
    deep: bool
    connections: Mapping[tuple[str, str], Spell] = field(default_factory=dict)
    known: Collection[tuple[str, str]] = frozenset()
    hosts: Mapping[str, Collection[str]] = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)

    def sees(self, finding: Finding) -> bool:
        """Whether it would have found this, were it still so; nothing unread is considered."""
        code = finding.code
        if code in OF_TASKS and not self.digests:
            return False
        if code in OF_PROBES | OF_CONTAINERS and not self.deep:
            return False
        wanted = self.wanted.get(finding.store)
        if wanted is not None and finding.subject in wanted.rolling:
            return False
        if code in OF_CONNECTED:
            return self._connections(finding) <= {Connection.CONNECTED}
        if code in OF_CONNECTIONS:
            hows = self._connections(finding)
            # One host that is there is enough to know that a site is not dark.
            return None not in hows or bool(hows - {None, Connection.DARK})
        return True

    def _connections(self, finding: Finding) -> set[Connection | None]:
        """How the finding's hosts are connected; None for one of which nobody can say it now."""
        hows: set[Connection | None] = set()
        for name in self.hosts.get(finding.store, ()):
            key = finding.store, name
            if finding.host not in {"", name}:
                continue
            if key in self.connections:
                hows.add(self.connections[key].connection)
            elif key in self.known:
                hows.add(None)
        return hows


def known_to_both(
    ids: Mapping[tuple[str, str], tuple[str, str]], shards: Iterable[ShardSeen]
) -> frozenset[tuple[str, str]]:
    """Hosts that SSM and ECS both know; one that only ECS knows is wrong in another way.

    Args:
        ids: ``mi-`` id and container instance ARN by (store, host), of hosts that ECS knows.
    """
    nodes = {
        node.id
        for shard in shards
        if not isinstance(shard.nodes, NotRead)
        for node in shard.nodes.value
    }
    return frozenset(host for host, (node, _arn) in ids.items() if node in nodes)
