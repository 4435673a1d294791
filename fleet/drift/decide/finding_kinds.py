"""Defines a row of the catalogue: everything about a kind of finding except its rule.

What a scan must have read, what a rollout hides, and how it is fixed are fields of the row, so that
a new finding is a row, a rule and a case file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from fleet.model.drift import Finding
from fleet.model.drift_settings import Severity
from fleet.model.fixing import Already, Deed, Fix, FixObservation, Left
from fleet.model.inventory import Fleet, Host, Store
from fleet.model.observed import ContainerInstance, ManagedInstance


class Need(Enum):
    """What a scan must have read before a finding is reported, or resolved because it is gone.

    Attributes:
        TASKS: the tasks of the store (``--digests`` and ``--deep``).
        PROBE: the answer of the host that was asked (``--deep``).
        CONNECTED: that its hosts are connected. Of other hosts, ECS shows what it last heard.
        CONNECTION: how its hosts are connected, which is known once a state has held.
        NAMED_CLUSTER: the cluster of another store, named in ``data["cluster"]``.
        NAMED_HOSTS: the other hosts that it is about, named in ``data["hosts"]``.
        COUNTED: what the findings need that it adds up, named in ``data["counted"]``.
    """

    TASKS = auto()
    PROBE = auto()
    CONNECTED = auto()
    CONNECTION = auto()
    NAMED_CLUSTER = auto()
    NAMED_HOSTS = auto()
    COUNTED = auto()


class Subject(Enum):
    """What ``Finding.subject`` names; tells which service a rollout would have to hold to hide it.

    Attributes:
        NAME: a service by its name, or something that is no service.
        SERVICE_PART: ``vision-arm64/app``, a part of a service.
        TASK: a task by its id, of any service.
    """

    NAME = auto()
    SERVICE_PART = auto()
    TASK = auto()


class Reread(Enum):
    """What AWS is asked again before a fix is planned, and once more before it is done.

    Attributes:
        DEAD_INSTANCES: the cluster's container instances, and the nodes and tasks of those in
            ``data["arns"]`` or ``data["arn"]``.
        NODE: the container instances, and the node in ``data["node"]``.
        INSTANCE: the container instances, and nodes where tags do not prove whose they are.
        CLUSTER: the store's cluster and its container instances.
        SERVICE: the service in ``data["arn"]``.
        ACTIVATION: the activation in ``data["activation"]``.
    """

    DEAD_INSTANCES = auto()
    NODE = auto()
    INSTANCE = auto()
    CLUSTER = auto()
    SERVICE = auto()
    ACTIVATION = auto()


#: What ``--fix`` decides about a finding.
Answer = Fix | Left | Already


@dataclass(frozen=True, slots=True)
class Question:
    """One finding to be fixed, with its store and host and what AWS says of them now.

    Attributes:
        store: None where the finding is of no store.
        host: None where it is of no host.
    """

    finding: Finding
    fleet: Fleet
    store: Store | None
    host: Host | None
    seen: FixObservation

    def fix(self, what: str, why: str, *deeds: Deed) -> Fix:
        """Answer that it may be done."""
        return Fix(self.finding, what, deeds, why)

    def left(self, why: str) -> Left:
        """Answer that it is not touched."""
        return Left(self.finding, why)

    def already(self, why: str) -> Already:
        """Answer that there is nothing to do any more."""
        return Already(self.finding, why)

    def instance(self, arn: str) -> ContainerInstance | None:
        """Return a container instance of the store's cluster."""
        return next((one for one in self.seen.instances if one.arn == arn), None)

    def node(self, node_id: str) -> ManagedInstance | None:
        """Return a node that SSM knows."""
        return next((one for one in self.seen.nodes if one.id == node_id), None)


@dataclass(frozen=True, slots=True)
class SafeFix:
    """How ``fleet drift --fix`` fixes a finding by itself.

    Attributes:
        rule: decides from what AWS says now whether it may be done, and which calls do it.
    """

    reread: Reread
    rule: Callable[[Question], Answer]


@dataclass(frozen=True, slots=True)
class FindingKind:
    """One kind of finding.

    Attributes:
        code: in capitals, as ``TWIN``.
        severity: unless the rule says another one.
        title: a few words, as ``two container instances of one host``.
        meaning: what is true when this is found, and its consequences; two or three sentences.
        remedy: what to do about it; one or two sentences.
        needs: what must have been read, besides what every finding of a store rests on.
        subject: what ``Finding.subject`` names.
        needs_release: whether only a release changes it. Then an idle rollout that holds the
            service is reported instead.
        comes_first: whether it is listed before all others, as it has to be decided first.
        from_records: whether it rests on the records alone, so that nothing that could not be read
            from AWS leaves it open.
        fails_release: whether the service does not do its work, so that it counts against the
            failure budget of the rollout that sent it.
        fix: how ``--fix`` fixes it; None where a person decides.
    """

    code: str
    severity: Severity
    title: str
    meaning: str
    remedy: str
    needs: frozenset[Need] = frozenset()
    subject: Subject = Subject.NAME
    needs_release: bool = False
    comes_first: bool = False
    from_records: bool = False
    fails_release: bool = False
    fix: SafeFix | None = None

    @property
    def safe(self) -> bool:
        """Return whether ``--fix`` may fix it."""
        return self.fix is not None
