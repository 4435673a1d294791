"""Tells what a scan covered: a finding that it did not find there again is gone.

Rules report nothing where they cannot see, as the tasks of a host that is disconnected. A finding
of an earlier scan that is missing for such a reason is not resolved.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.entries import Need, Subject
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


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a scan covered, beside what it could not read.

    Attributes:
        digests: whether tasks were read to compare image digests.
        deep: whether hosts were asked.
        connections: by (store, host), where that is certain.
        known: hosts that SSM and ECS both know, so that they are connected somehow.
        hosts: names of the hosts of each store in scope.
        wanted: by store id; what a rollout is at work on is not reported.
        answered: hosts that were asked and answered; None for all.
        whole: whether these are all stores of the inventory, so that a finding cannot be about
            another store as well.
    """

    digests: bool
    deep: bool
    connections: Mapping[tuple[str, str], Spell] = field(default_factory=dict)
    known: Collection[tuple[str, str]] = frozenset()
    hosts: Mapping[str, Collection[str]] = field(default_factory=dict)
    wanted: Mapping[str, Wanted] = field(default_factory=dict)
    answered: Collection[tuple[str, str]] | None = None
    whole: bool = True

    def covers(self, finding: Finding) -> bool:
        """Tell whether the scan would have found this again; nothing unread is considered."""
        kind = CATALOGUE.get(finding.code)
        needs = kind.needs if kind else frozenset()
        if (Need.TASKS in needs and not self.digests) or (Need.PROBE in needs and not self.deep):
            return False
        wanted = self.wanted.get(finding.store)
        if wanted is not None and wanted.store.lifecycle is not Lifecycle.OPEN:
            return True
        if wanted is not None and _is_in_rollout(finding, wanted):
            return False
        hows = self._connections(finding)
        unmet = {
            Need.NAMED_CLUSTER: not self._has_named_cluster(finding),
            Need.NAMED_HOSTS: not self._has_named_hosts(finding),
            Need.PROBE: self._is_silent(finding.store, finding.host),
            Need.CONNECTED: not hows <= {Connection.CONNECTED},
            # One host that is connected is enough to know that a site is not dark.
            Need.CONNECTION: None in hows and not hows - {None, Connection.DARK},
        }
        return not any(unmet.get(need) for need in needs)

    def _has_named_cluster(self, finding: Finding) -> bool:
        cluster = finding.data.get("cluster")
        return self.whole or any(one.store.cluster == cluster for one in self.wanted.values())

    def _has_named_hosts(self, finding: Finding) -> bool:
        """Hosts are copies only of each other; machine ids are not compared with dark hosts'."""
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
        """Tell whether a host that is registered somehow has not answered."""
        key = store, host
        if self.answered is None or key in self.answered or host not in self.hosts.get(store, ()):
            return False
        return key in self.connections or key in self.known

    def _connections(self, finding: Finding) -> set[Connection | None]:
        """Return how the finding's hosts are connected; None for one of which that is unknown."""
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


def _is_in_rollout(finding: Finding, wanted: Wanted) -> bool:
    """Tell whether it may be about what a rollout is at work on, which is not reported."""
    kind = CATALOGUE.get(finding.code)
    if kind is None:
        return finding.subject in wanted.rolling
    if kind.needs_release and finding.subject in wanted.stalled:
        return True
    match kind.subject:
        case Subject.TASK:
            return bool(wanted.rolling)
        case Subject.SERVICE_PART:
            return finding.subject.partition("/")[0] in wanted.rolling
        case Subject.NAME:
            return finding.subject in wanted.rolling


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
