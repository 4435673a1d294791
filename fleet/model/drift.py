"""Findings: differences between the ledgers and the inventory, and how certain they are.

A scan reads the ledgers into ``ShardSeen`` and ``StoreSeen``; ``decide`` compares them with what is
wanted and what was recorded, and says what it found. What could not be read is ``Unread`` and comes
first everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.model.commands import Command
from fleet.model.desired import Release
from fleet.model.drift_settings import DriftSettings, Severity
from fleet.model.history import ActiveRollout, RejectedRelease
from fleet.model.observed import (
    Activation,
    Cluster,
    ContainerInstance,
    ManagedInstance,
    NodeTier,
    NotRead,
    Reading,
)
from fleet.model.services import ServiceState, TaskState
from fleet.model.stop import Stop
from fleet.model.wanted import IdleRollout, WatchedRollout


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a finding rests on.

    Attributes:
        ledger: who says so: ``inventory``, ``ECS``, ``SSM``, ``host`` or ``records``.
        words: what it says, as ``agentConnected false``.
        at: when that was true, aware UTC; None for what has no age, as the inventory.
    """

    ledger: str
    words: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NamedResources:
    """The AWS resources and hosts that a finding names, for rules and fixes.

    Attributes:
        arn: of the one resource that it is about; "" if there is none.
        arns: of all resources that it is about.
        keep: ARN of the container instance that stays, for leftovers beside it.
        cluster: name of the cluster that they are in.
        node: id of the one managed instance that it is about, or "".
        nodes: ids of all managed instances that it names.
        machine_id: the id that several hosts share, or "".
        hosts: names, or ids such as ``store-042/cam-1`` where they are of several stores.
        stores: ids of the stores that an outage has taken, or that a release has failed.
        activation: id of the activation, or "".
        runs: ARN of the revision that the service ran.
        tags: the tags that are missing.
        counted: code, store, host and subject of the findings that it adds up.
    """

    arn: str = ""
    arns: tuple[str, ...] = ()
    keep: str = ""
    cluster: str = ""
    node: str = ""
    nodes: tuple[str, ...] = ()
    machine_id: str = ""
    hosts: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    activation: str = ""
    runs: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    counted: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, with everything a person needs to act on it.

    Attributes:
        code: one of the catalogue, as ``TWIN``.
        store: id; "" for a finding of an account and region or of the whole fleet.
        host: name; "" for one of the store.
        subject: what of it, where there can be several: a service, an activation, a node; else "".
        account: name in the inventory; "" for the whole fleet.
        since: the earliest moment at which it is known to have been so.
        since_known: whether it began then; False when it may be older ("at least since").
        cause: one sentence.
        evidence: newest first.
        fix: what to do, with the commands; "" when nothing need be done.
        commands: those of ``fix``, in its order.
        safe: whether ``fleet drift --fix`` may do it by itself.
        data: exact values for JSON, as ARNs and attribute names; no secrets. Rules read
            ``resources``.
    """

    code: str
    severity: Severity
    store: str
    host: str
    subject: str
    account: str
    region: str
    since: datetime
    since_known: bool
    cause: str
    evidence: tuple[Evidence, ...] = ()
    fix: str = ""
    commands: tuple[Command, ...] = ()
    safe: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, str, str, str, str]:
        """Return what makes it the same finding in another night."""
        return self.code, self.account, self.region, self.store, self.host, self.subject

    @property
    def resources(self) -> NamedResources:
        """Return what ``data`` names; the only place that knows its keys."""
        one, node = self._text("arn"), self._text("node")
        return NamedResources(
            arn=one,
            arns=self._texts("arns") or ((one,) if one else ()),
            keep=self._text("keep"),
            cluster=self._text("cluster"),
            node=node,
            nodes=((node,) if node else ()) + self._texts("nodes"),
            machine_id=self._text("machine_id"),
            hosts=self._texts("hosts"),
            stores=self._texts("stores"),
            activation=self._text("activation"),
            runs=self._text("runs"),
            tags=self.data.get("tags", {}),
            counted=tuple(
                (str(code), str(store), str(host), str(subject))
                for code, store, host, subject in self.data.get("counted", ())
            ),
        )

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        return value if isinstance(value, str) else ""

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self.data.get(key)
        return tuple(map(str, value)) if isinstance(value, list | tuple) else ()

    @property
    def listed_by(self) -> tuple[str, ...]:
        """Return what lists of findings are sorted by: where it is, then what it is."""
        return self.store, self.host, self.code, self.subject, self.account, self.region


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read, so that nothing is concluded from its absence.

    Attributes:
        account: name in the inventory.
        store: id where it concerns one store; "" for all of the account and region.
        what: as ``SSM nodes`` or ``ECS services``.
        why: AWS's or the system's words.
        stores: how many open stores are not verified because of it.
        fix: what to type.
    """

    account: str
    region: str
    store: str
    what: str
    why: str
    stores: int = 1
    fix: str = ""


class HostConnection(StrEnum):
    """How a host is connected, from SSM's ping and ECS's agentConnected, once it has held.

    ``powered-off`` is a planned absence: it is switched off while its store is closed.
    """

    CONNECTED = "connected"
    ECS_DOWN = "ecs-down"
    SSM_DOWN = "ssm-down"
    DARK = "dark"
    POWERED_OFF = "powered-off"


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in which a host was connected in one way.

    Attributes:
        since: when it began, as far as is known.
        last_seen: when it was last seen to be so; it went on until the next spell began.
    """

    connection: HostConnection
    since: datetime
    last_seen: datetime

    @property
    def is_away(self) -> bool:
        """Return whether an agent of the host, or both, were out of AWS's sight, unplanned."""
        return self.connection not in {HostConnection.CONNECTED, HostConnection.POWERED_OFF}

    def goes_on_as(self, now: "Spell") -> bool:
        """Return whether what is seen later is still this spell, and no new one of the same kind.

        A host that has been away, was back unseen, and is away again is away for a new time.
        """
        if now.connection is not self.connection:
            return False
        if self.connection is HostConnection.CONNECTED:
            return True
        return now.since <= max(self.since, self.last_seen)


@dataclass(frozen=True, slots=True)
class Probe:
    """What a host said of itself when it was asked through Run Command or SSH (``--deep``).

    Attributes:
        containers: that run, in docker's words.
        disk_free_mb: on /, in MiB.
        disk_total_mb: likewise.
        temperature_c: of its hottest zone; None when it has none.
        clock_offset_s: host minus our clock, good to half the round trip.
        booted_at: None when it does not say.
        via: ``ssm`` or ``ssh``.
    """

    containers: tuple["ProbedContainer", ...]
    disk_free_mb: int
    disk_total_mb: int
    temperature_c: float | None
    clock_offset_s: float
    booted_at: datetime | None = None
    via: str = "ssm"
    machine_id: str = ""


@dataclass(frozen=True, slots=True)
class ProbedContainer:
    """A running container, as docker on the host says.

    Attributes:
        task_arn: label ``com.amazonaws.ecs.task-arn``; "" for one that ECS did not start.
        container: label ``com.amazonaws.ecs.container-name``; else docker's own name.
        image: reference it was started from.
        digest: ``sha256:...`` of the image's repo digest; "" when docker does not know one.
        name: docker's own, which differs from task to task.
        created_at: by the host's clock, as the other times.
        finished_at: end of its run before this one; None when it was started once.
        revision: family and number of its task definition; "" for one that ECS did not start.
        restarts: RestartCount of the ECS agent; None where the agent does not say.
        ends: how often it has ended in the last day, as far as docker remembers; None for no end.
        last_exit: exit code of the last of those ends.
    """

    task_arn: str
    container: str
    image: str
    digest: str = ""
    started_at: datetime | None = None
    name: str = ""
    created_at: datetime | None = None
    finished_at: datetime | None = None
    revision: str = ""
    restarts: int | None = None
    ends: int | None = None
    last_exit: int | None = None


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """What was read of one store in a scan; a part that was not asked for is None.

    Attributes:
        instances: container instances that are not INACTIVE.
        again: the same, read once more for hosts that were not connected, some minutes later; an
            agent reconnects several times an hour, and one look cannot tell that from an outage.
            NotRead where that was needed and failed.
        services: ACTIVE and DRAINING ones.
        tasks: running and, where the store was away, stopped ones.
        probes: by host name.
    """

    store: str
    instances: Reading[tuple[ContainerInstance, ...]] | NotRead
    services: Reading[tuple[ServiceState, ...]] | NotRead
    again: Reading[tuple[ContainerInstance, ...]] | NotRead | None = None
    tasks: Reading[tuple[TaskState, ...]] | NotRead | None = None
    probes: Mapping[str, Reading[Probe] | NotRead] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShardSeen:
    """What was read of one account and region in a scan.

    Attributes:
        account: name in the inventory.
        clusters: by name, INACTIVE ones among them.
        nodes: every managed instance of the account and region, ours or not; where a few stores
            are looked at, those that concern them.
        tagged: ids of those that carry the tag ``fleet:fleet`` with the fleet's name.
        activations: all that AWS lists.
        tier: None where not every node was counted.
        stores: by id, those in the scan's scope.
        cluster_count: ACTIVE clusters of the account and region, the fleet's and others; None
            where they were not counted.
    """

    account: str
    region: str
    clusters: Reading[Mapping[str, Cluster]] | NotRead
    nodes: Reading[tuple[ManagedInstance, ...]] | NotRead
    tagged: Reading[frozenset[str]] | NotRead
    activations: Reading[tuple[Activation, ...]] | NotRead
    tier: Reading[NodeTier] | NotRead | None
    stores: Mapping[str, StoreSeen]
    cluster_count: Reading[int] | NotRead | None = None


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs on a host, as ECS and SSM say; "" where they never did."""

    ecs_agent: str = ""
    ssm_agent: str = ""
    docker: str = ""


@dataclass(frozen=True, slots=True)
class HostMemory:
    """What is recorded of one host.

    Attributes:
        spells: how it was connected, oldest first, within the days that are kept.
        managed_instance_id: of the last scan that saw one; "" before.
        container_instance_arn: likewise.
        machine_id: of the last visit; "" when never.
        versions: of the last scan that saw any.
    """

    spells: tuple[Spell, ...] = ()
    managed_instance_id: str = ""
    container_instance_arn: str = ""
    machine_id: str = ""
    versions: Versions = Versions()


@dataclass(frozen=True, slots=True)
class Background:
    """What the rules need beside one shard or one store.

    Attributes:
        fleet: name of the fleet, as tagged on what it made.
        now: the scan's time, by AWS's clock.
        release: of the committed inventory; NotRead when templates or images could not be.
        contents: content address by ARN of what runs; "" for a revision that is none of fleet's.
        alike: by the content of an older release, the one of this release that means the same.
        revoked: ARNs of revisions that were deregistered.
        memory: by (store, host).
        first_seen: by ``Finding.key``, since when a finding of the last scan is known.
        deadlines: by workload, seconds that its policy gives a store that is connected.
        digests: whether tasks were read to compare image digests.
        deep: whether hosts were asked.
        last_full_scan_at: when the last scan of the whole fleet began that came to its end; None
            for a scan of a part of it, and without one.
        idle: rollouts that stand still, told in a scan of the whole fleet.
        waiting: rollouts that wait for a person and hold stores in scope.
        stop: of every send of every rollout, while it is in force.
        watched: rollouts that are done and whose stores are still watched.
        rejected: by content that is wanted, the rollout that sent it and was halted, taken back or
            recalled.
    """

    fleet: str
    now: datetime
    settings: DriftSettings
    release: Release | NotRead
    contents: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    revoked: frozenset[str] = frozenset()
    memory: Mapping[tuple[str, str], HostMemory] = field(default_factory=dict)
    first_seen: Mapping[tuple[str, ...], datetime] = field(default_factory=dict)
    deadlines: Mapping[str, float] = field(default_factory=dict)
    digests: bool = False
    deep: bool = False
    last_full_scan_at: datetime | None = None
    idle: tuple[IdleRollout, ...] = ()
    waiting: tuple[ActiveRollout, ...] = ()
    stop: Stop | None = None
    watched: tuple[WatchedRollout, ...] = ()
    rejected: Mapping[str, RejectedRelease] = field(default_factory=dict)

    def content_of(self, arn: str) -> str | None:
        """Return the address of a revision, by its meaning in this release; None if not known."""
        content = self.contents.get(arn)
        return None if content is None else self.alike.get(content, content)


@dataclass(frozen=True, slots=True)
class Returned:
    """A store that was away and is back: what it did meanwhile, as far as ECS remembers.

    Attributes:
        dark_since: when it went.
        back_at: when it was first seen back.
        words: what was lost, restarted, replaced, in one sentence.
        owes: what it still owes, in words; "" when nothing.
        at_most: whether it may have been back some time before ``back_at``.
    """

    store: str
    dark_since: datetime
    back_at: datetime
    words: str
    owes: str = ""
    at_most: bool = False


class StoreState(StrEnum):
    """One word for a store in a night, the worst that is true of it."""

    OK = "ok"
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    DARK = "dark"
    NOT_VERIFIED = "not-verified"
    NOT_COUNTED = "not-counted"


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What one scan found.

    Attributes:
        findings: by severity (worst first), store, host, code.
        connections: by (store, host), how each is connected, only where that is certain: a state
            that has not held yet is missing.
        states: by store id, of all stores in scope.
        returned: stores that were dark in the last spell and are connected now.
    """

    findings: tuple[Finding, ...]
    unread: tuple[Unread, ...]
    connections: Mapping[tuple[str, str], Spell]
    states: Mapping[str, StoreState]
    returned: tuple[Returned, ...] = ()
