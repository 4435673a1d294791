"""Where a scan looked: what it did not find there is gone, what may be elsewhere is not.

Rules say nothing of what they cannot see, as the tasks of a host that is away. A finding of the
night before that is missing for such a reason is not resolved.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from fleet.decide.reconcile import host_codes
from fleet.decide.reconcile import service_codes as codes
from fleet.model.drift import (
    Connection,
    Finding,
    Reconciled,
    ShardSeen,
    Spell,
    StoreState,
)
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from fleet.model.printable import some
from fleet.model.wanted import Wanted

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
#: Told of hosts that are connected now, by how they were before: one that is away is no steadier.
OF_PAST = frozenset({host_codes.UNSTEADY.code})
#: Told of the rollout instead where one that holds the service stands still.
OF_RELEASES = frozenset(
    entry.code
    for entry in (
        codes.RELEASE_PENDING,
        codes.SERVICE_MISSING,
        codes.SERVICE_SETTINGS,
        codes.SERVICE_COUNT,
    )
)
#: Of tasks by their ids, which do not name the service that a rollout may be at work on.
BY_TASK = frozenset({codes.TASK_ORPHAN.code, codes.TASK_STUCK_STOPPING.code})
#: Of how hosts are connected, of which nothing is said while it has not held.
OF_CONNECTIONS = frozenset(
    entry.code
    for entry in (
        host_codes.SITE_DARK,
        host_codes.HOST_DARK,
        host_codes.ECS_AGENT_DOWN,
        host_codes.SSM_AGENT_DOWN,
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
        answered: hosts that were asked and said something of themselves; None for all.
        whole: whether these are all stores of the inventory, so that there is no other store of
            which a finding could be, too.
    """

    digests: bool
    deep: bool
    connections: Mapping[tuple[str, str], Spell] = field(default_factory=dict)
    known: Collection[tuple[str, str]] = frozenset()
    hosts: Mapping[str, Collection[str]] = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    answered: Collection[tuple[str, str]] | None = None
    whole: bool = True

    def sees(self, finding: Finding) -> bool:
        """Whether it would have found this, were it still so; nothing unread is considered."""
        code = finding.code
        if code in OF_TASKS and not self.digests:
            return False
        if code in OF_PROBES | OF_CONTAINERS and not self.deep:
            return False
        wanted = self.wanted.get(finding.store)
        if wanted is not None and wanted.store.lifecycle is not Lifecycle.OPEN:
            return True
        if self._is_in_work(finding) or not self._has_all_hosts(finding):
            return False
        if code in OF_PROBES | OF_CONTAINERS and self._is_silent(finding.store, finding.host):
            return False
        if code in OF_CONNECTED | OF_PAST:
            return self._connections(finding) <= {Connection.CONNECTED}
        if code in OF_CONNECTIONS:
            hows = self._connections(finding)
            # One host that is there is enough to know that a site is not dark.
            return None not in hows or bool(hows - {None, Connection.DARK})
        return True

    def _is_in_work(self, finding: Finding) -> bool:
        """Whether it may be about what a rollout is at work on, which is told by nobody."""
        wanted = self.wanted.get(finding.store)
        if wanted is None:
            return False
        if finding.code in OF_RELEASES and finding.subject in wanted.stalled:
            return True
        if not wanted.rolling:
            return False
        if finding.code in BY_TASK:
            return True
        service = finding.subject
        if finding.code in OF_TASKS | OF_CONTAINERS:
            service = service.partition("/")[0]
        return service in wanted.rolling

    def _has_all_hosts(self, finding: Finding) -> bool:
        """Whether the other hosts that it names were looked at as well.

        Hosts are copies of each other only beside each other, and machine ids are not compared with
        those of hosts that are dark; one that is in another store's cluster is found there.
        """
        if finding.code == host_codes.HOST_ELSEWHERE.code and not self.whole:
            cluster = finding.data.get("cluster")
            return any(one.store.cluster == cluster for one in self.wanted.values())
        if finding.code != host_codes.CLONE.code:
            return True
        of_machine = "machine_id" in finding.data
        return not any(
            (store not in self.hosts and not self.whole)
            or (of_machine and self._is_dark(store, host))
            for store, host in named_hosts(finding)
        )

    def _is_dark(self, store: str, host: str) -> bool:
        spell = self.connections.get((store, host))
        return spell is not None and spell.connection is Connection.DARK

    def _is_silent(self, store: str, host: str) -> bool:
        """Whether a host that is there somehow has said nothing of itself."""
        key = store, host
        if self.answered is None or key in self.answered or host not in self.hosts.get(store, ()):
            return False
        return key in self.connections or key in self.known

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


def named_hosts(finding: Finding) -> frozenset[tuple[str, str]]:
    """Store and name of the hosts that it names in full, as those of other stores."""
    ids = finding.data.get("hosts", ())
    pairs = (str(id_).partition("/") for id_ in ids)
    return frozenset((store, name) for store, slash, name in pairs if slash)


def answered(shards: Iterable[ShardSeen]) -> frozenset[tuple[str, str]]:
    """Hosts that were asked and said something of themselves, by (store, host)."""
    return frozenset(
        (store, host)
        for shard in shards
        for store, seen in shard.stores.items()
        for host, probe in seen.probes.items()
        if not isinstance(probe, NotRead)
    )


def unsettled(known: Iterable[tuple[str, str]], found: Reconciled) -> tuple[str, ...]:
    """That nobody can say how some hosts are connected: they are no finding, and not well either.

    Args:
        known: hosts that SSM and ECS both know.
    """
    silent = {StoreState.NOT_VERIFIED, StoreState.NOT_COUNTED}
    names = sorted(
        f"{store}/{host}"
        for store, host in known
        if (store, host) not in found.connections and found.states.get(store) not in silent
    )
    if not names:
        return ()
    verb = "is" if len(names) == 1 else "are"
    return (
        f"how {some(names, 3)} {verb} connected is not known: it has just changed, and a change "
        "counts when it has held",
    )


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
