"""Reads what one finding is about once more: for the plan of its fix, and right before the deed."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from fleet.aws.activations import find_activation
from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import read_container_instances
from fleet.aws.managed_instances import describe_managed_instances, managed_instance_tags
from fleet.aws.services import describe_services
from fleet.aws.session import Shard
from fleet.aws.tasks import read_tasks
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.finding_kinds import Reread
from fleet.model.drift import Finding
from fleet.model.fixing import FixObservation
from fleet.model.identity import is_ours
from fleet.model.inventory import Fleet, Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance
from fleet.model.services import TaskState


def reread(
    shard: Shard, fleet: Fleet, finding: Finding, rollouts: Collection[str]
) -> FixObservation:
    """Read from AWS what a finding is about; what its rule does not need is not asked.

    Args:
        finding: of a kind that has a fix.
        rollouts: that hold its store.

    Raises:
        AwsError: something of it could not be read.
    """
    store = next((one for one in fleet.stores if one.id == finding.store), None)
    host = next((h for h in (store.hosts if store else ()) if h.name == finding.host), None)
    reading = _Reading(shard, fleet, store, host)
    fix = CATALOGUE[finding.code].fix
    seen = _READERS[fix.reread](reading, finding) if fix else FixObservation(_EVER)
    oldest = min(reading.times, default=shard.clock.now())
    return replace(seen, at=oldest, rollouts=frozenset(rollouts))


class _Reading:
    """Reads for one finding, and keeps AWS's times of it."""

    def __init__(self, shard: Shard, fleet: Fleet, store: Store | None, host: Host | None) -> None:
        self.shard, self.fleet, self.store, self.host = shard, fleet, store, host
        self.times: list[datetime] = []

    def instances(self) -> tuple[ContainerInstance, ...]:
        """Return those of the store's cluster."""
        if self.store is None:
            return ()
        reading = read_container_instances(self.shard, self.store.cluster)
        self.times.append(reading.at)
        return reading.value

    def nodes(self, ids: Iterable[str]) -> tuple[ManagedInstance, ...]:
        """Return those that SSM knows, each with its tags, which cost a call a node."""
        asked = sorted(set(ids) - {""})
        if not asked:
            return ()
        reading = describe_managed_instances(self.shard, asked)
        self.times.append(reading.at)
        return tuple(map(self._with_tags, reading.value.known))

    def _with_tags(self, node: ManagedInstance) -> ManagedInstance:
        reading = managed_instance_tags(self.shard, node.id)
        self.times.append(reading.at)
        return replace(node, tags=reading.value)

    def unproved(self, instances: Iterable[ContainerInstance]) -> set[str]:
        """Return nodes of container instances whose own tags do not say whose they are."""
        name, host = self.fleet.name, self.host
        return {
            one.managed_instance_id
            for one in instances
            if host is None or not is_ours(one.tags, name, host)
        }

    def tasks(self) -> tuple[TaskState, ...]:
        """Return those of the store's cluster that are wanted."""
        if self.store is None:
            return ()
        reading = read_tasks(self.shard, self.store.cluster, None, stopped=False)
        self.times.append(reading.at)
        return reading.value


def _dead_instances(look: _Reading, finding: Finding) -> FixObservation:
    """Read tasks only where ECS counts some on instances that are dead."""
    instances = look.instances()
    arns = set(finding.resources.arns)
    dead = [one for one in instances if one.arn in arns]
    wanted = look.unproved(instances) | {one.managed_instance_id for one in dead}
    nodes = look.nodes(wanted) if dead else ()
    seen = FixObservation(_EVER, instances=instances, nodes=nodes)
    if not any(one.running_tasks or one.pending_tasks for one in dead):
        return seen
    found = look.tasks()
    names = sorted({t.service for t in found if t.container_instance_arn in arns and t.service})
    if not names or look.store is None:
        return replace(seen, tasks=found)
    reading = describe_services(look.shard, look.store.cluster, names)
    look.times.append(reading.at)
    alive = tuple(one for one in reading.value if one.status != "INACTIVE")
    return replace(seen, tasks=found, services=alive)


def _node(look: _Reading, finding: Finding) -> FixObservation:
    instances = look.instances()
    return FixObservation(_EVER, instances=instances, nodes=look.nodes([finding.resources.node]))


def _attributes(look: _Reading, finding: Finding) -> FixObservation:
    instances = look.instances()
    mine = [one for one in instances if one.arn == finding.resources.arn]
    return FixObservation(_EVER, instances=instances, nodes=look.nodes(look.unproved(mine)))


def _cluster(look: _Reading, _finding: Finding) -> FixObservation:
    if look.store is None:
        return FixObservation(_EVER)
    reading = describe_clusters(look.shard, [look.store.cluster])
    look.times.append(reading.at)
    cluster = reading.value.get(look.store.cluster)
    return FixObservation(_EVER, cluster=cluster, instances=look.instances() if cluster else ())


def _service(look: _Reading, finding: Finding) -> FixObservation:
    if look.store is None:
        return FixObservation(_EVER)
    reading = describe_services(look.shard, look.store.cluster, [finding.resources.arn])
    look.times.append(reading.at)
    return FixObservation(_EVER, services=reading.value)


def _activation(look: _Reading, finding: Finding) -> FixObservation:
    reading = find_activation(look.shard, finding.resources.activation)
    look.times.append(reading.at)
    return FixObservation(_EVER, activation=reading.value)


#: Stands in for the time until all of it has been read.
_EVER = datetime.min.replace(tzinfo=UTC)
_READERS: Mapping[Reread, Callable[[_Reading, Finding], FixObservation]] = {
    Reread.DEAD_INSTANCES: _dead_instances,
    Reread.NODE: _node,
    Reread.INSTANCE: _attributes,
    Reread.CLUSTER: _cluster,
    Reread.SERVICE: _service,
    Reread.ACTIVATION: _activation,
}
