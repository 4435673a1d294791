"""Where a scan looked: what it did not find there is gone, what may be elsewhere is not.

Rules say nothing of what they cannot see, as the tasks of a host that is away. A finding of the
night before that is missing for such a reason is not resolved.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fleet.decide.reconcile import service_codes as codes
from fleet.model.drift import Connection, Finding, Spell, Wanted

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


@dataclass(frozen=True, slots=True)
class Looked:
    """Where a scan looked, beside what could not be read.

    Attributes:
        digests: whether tasks were read to compare image digests.
        deep: whether hosts were asked.
        connections: by (store, host), where that is certain.
        hosts: names of the hosts of each store in scope.
        wanted: by store id; what a rollout is at work on is told by nobody.
    """

    digests: bool
    deep: bool
    connections: Mapping[tuple[str, str], Spell] = field(default_factory=dict)
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
        return code not in OF_CONNECTED or self._all_connected(finding)

    def _all_connected(self, finding: Finding) -> bool:
        names = [finding.host] if finding.host else self.hosts.get(finding.store, ())
        seen = [self.connections.get((finding.store, name)) for name in names]
        return all(spell is not None and spell.connection is Connection.CONNECTED for spell in seen)
