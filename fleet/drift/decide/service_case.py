"""One service of a store beside what ECS says of it: what the rules about services look at."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.drift.decide.case import HostCase, StoreCase
from fleet.model.desired import DesiredService, ServiceShape
from fleet.model.drift import Background, Connection, Evidence
from fleet.model.identity import TAG_FLEET
from fleet.model.inventory import Fleet, Lifecycle
from fleet.model.observed import NotRead
from fleet.model.policy import Policy
from fleet.model.services import Deployment, ServiceState
from fleet.rollout.decide.attribution import (
    TAG_CONTENT,
    TAG_ROLLOUT,
    Attribution,
    Mover,
    Sent,
    attribute,
)
from fleet.rollout.decide.standing import TAG_PREVIOUS, is_tagged_ours

#: Where the inventory says nothing of a workload's policy.
DEADLINE_S = Policy("standard").deadline_s


def deadlines(fleet: Fleet) -> dict[str, float]:
    """By workload, how long a store that stays connected may take to run what it was sent."""
    return {
        workload.name: fleet.policies[workload.policy].deadline_s
        for workload in fleet.workloads
        if workload.policy in fleet.policies
    }


@dataclass(frozen=True, slots=True)
class ServiceCase:
    """One wanted service.

    Attributes:
        service: as ECS shows it; None when the cluster has none of that name.
        at: when ECS said so.
    """

    case: StoreCase
    wanted: DesiredService
    service: ServiceState | None
    at: datetime

    @property
    def name(self) -> str:
        """Of the service."""
        return self.wanted.service

    @property
    def shape(self) -> ServiceShape | None:
        """What fleet would send; None when the release does not say."""
        release = self.case.background.release
        return None if isinstance(release, NotRead) else release.shapes.get(self.name)

    @property
    def workload(self) -> str:
        """Of the inventory."""
        return self.shape.workload if self.shape else self.name

    @property
    def in_work(self) -> bool:
        """Whether a rollout that is under way holds it, so that differences are no drift."""
        return self.name in self.case.wanted.rolling

    @property
    def is_awaited(self) -> bool:
        """Whether a rollout still brings it what is wanted: owed, or held by one that stands still.

        What only a release would change is told of that, and not of the service.
        """
        return self.name in self.case.wanted.owed or self.name in self.case.wanted.stalled

    @property
    def is_ours(self) -> bool:
        """Whether its tags say so, or, where they are lost, what it runs does."""
        return self.service is not None and is_ours(self.service, self.case.background)

    @property
    def runs(self) -> str | None:
        """Address of what it is set to; "" for none of fleet's making, None where it is unknown."""
        if self.service is None:
            return None
        return self.case.background.contents.get(self.service.task_definition)

    @property
    def primary(self) -> Deployment | None:
        """The newest deployment."""
        return self.service.deployments[0] if self.service and self.service.deployments else None

    @property
    def hosts(self) -> tuple[HostCase, ...]:
        """Hosts of the inventory that it runs on and ECS knows."""
        known = (self.case.hosts.get(name) for name in self.wanted.hosts)
        return tuple(one for one in known if one is not None and one.instance is not None)

    @property
    def here(self) -> tuple[HostCase, ...]:
        """Those of them on which a task can be placed and heard of."""
        return tuple(one for one in self.hosts if is_here(one))

    @property
    def deadline_s(self) -> float:
        """Of its workload's policy."""
        return self.case.background.deadlines.get(self.workload, DEADLINE_S)

    @property
    def roll_out(self) -> str:
        """What to type to send it what is wanted."""
        return f"fleet rollout {self.workload} --store {self.case.store.id}"

    def says(self, words: str) -> Evidence:
        """What ECS says of it."""
        return Evidence("ECS", words, self.at)

    def restored(self) -> Attribution | None:
        """That ECS itself took back what is wanted, as far as the service still tells; or None.

        Fleet's tags name what was sent and what ran before; the deployments and events of the
        service say whether the breaker went back.
        """
        service, primary = self.service, self.primary
        if service is None or primary is None or primary.created_at is None:
            return None
        sent, previous = service.tags.get(TAG_CONTENT, ""), service.tags.get(TAG_PREVIOUS, "")
        if sent != self.wanted.content or service.task_definition != previous:
            return None
        # The revision that was sent is not known by its ARN here: any that does not run will do.
        made = Sent("", sent, primary.created_at, previous, service.tags.get(TAG_ROLLOUT, ""))
        found = attribute(service, None, made, self.at)
        return found if found.mover is Mover.BREAKER else None


def is_ours(service: ServiceState, background: Background) -> bool:
    """Whether fleet made a service: its tags say so, or, where they are lost, what it runs does."""
    if is_tagged_ours(service, background.fleet):
        return True
    return not service.tags.get(TAG_FLEET) and bool(
        background.contents.get(service.task_definition)
    )


def is_here(host: HostCase) -> bool:
    """Whether it is connected, for certain, and takes tasks."""
    instance, connection = host.instance, host.connection
    return (
        instance is not None
        and instance.status == "ACTIVE"
        and connection is not None
        and connection.connection is Connection.CONNECTED
    )


def back_since(hosts: Iterable[HostCase]) -> datetime | None:
    """Since when all of these are connected; None where none was ever seen away."""
    known = []
    for host in hosts:
        spells = host.memory.spells
        was_away = any(spell.is_away for spell in spells)
        if was_away and host.connection is not None:
            known.append(host.connection.since)
    return max(known, default=None)


def by_instance(case: StoreCase) -> Mapping[str, HostCase]:
    """Hosts by the ARN of their current container instance; tasks of others prove nothing."""
    return {host.instance.arn: host for host in case.hosts.values() if host.instance is not None}


def wanted_services(case: StoreCase) -> list[ServiceCase]:
    """The services that an open store should run; none as long as ECS's were not read."""
    seen = case.seen.services
    if isinstance(seen, NotRead) or case.store.lifecycle is not Lifecycle.OPEN:
        return []
    by_name = {one.name: one for one in seen.value if one.status != "INACTIVE"}
    return [
        ServiceCase(case, one, by_name.get(one.service), seen.at) for one in case.wanted.services
    ]
