"""Gives the rules about services each wanted service with what ECS and the release say of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from fleet.drift.decide.store_case import HostCase, StoreCase
from fleet.model.commands import Command
from fleet.model.desired import DesiredService, Release, ServiceShape
from fleet.model.drift import Background, Evidence, HostConnection
from fleet.model.drift_settings import Severity
from fleet.model.history import RejectedRelease
from fleet.model.identity import TAG_CONTENT, TAG_FLEET, TAG_PREVIOUS, TAG_ROLLOUT
from fleet.model.images import is_by_digest
from fleet.model.inventory import Fleet
from fleet.model.observed import NotRead
from fleet.model.policy import Policy
from fleet.model.services import Deployment, ServiceState
from fleet.rollout.decide.attribution import Attribution, Mover, Sent, attribute
from fleet.rollout.decide.service_plan import is_tagged_ours

#: Where the inventory says nothing of a workload's policy.
DEADLINE_S = Policy("standard").deadline_s


def deadlines(fleet: Fleet) -> dict[str, float]:
    """Return by workload how long a connected store may take to run what it was sent."""
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
        """Name of the service."""
        return self.wanted.service

    @property
    def shape(self) -> ServiceShape | None:
        """Return what fleet would send; None when the release does not say."""
        release = self.case.background.release
        return None if isinstance(release, NotRead) else release.shapes.get(self.name)

    @property
    def workload(self) -> str:
        """Workload of the inventory."""
        return self.shape.workload if self.shape else self.name

    @property
    def in_work(self) -> bool:
        """Return whether a rollout that is at work holds it, so that differences are no drift."""
        return self.name in self.case.wanted.rolling

    @property
    def is_awaited(self) -> bool:
        """Return whether it is owed by a rollout, or held by an idle one.

        What only a release would change is then reported of the rollout, not of the service.
        """
        return self.name in self.case.wanted.owed or self.name in self.case.wanted.idle

    @property
    def is_ours(self) -> bool:
        """Return whether fleet made it."""
        return self.service is not None and is_ours(self.service, self.case.background)

    @property
    def runs(self) -> str | None:
        """Address of what it is set to; "" for none of fleet's making, None where it is unknown."""
        if self.service is None:
            return None
        return self.case.background.content_of(self.service.task_definition)

    @property
    def primary(self) -> Deployment | None:
        """Return the newest deployment."""
        return self.service.deployments[0] if self.service and self.service.deployments else None

    @property
    def hosts(self) -> tuple[HostCase, ...]:
        """Hosts of the inventory that it runs on and ECS knows."""
        known = (self.case.hosts.get(name) for name in self.wanted.hosts)
        return tuple(one for one in known if one is not None and one.instance is not None)

    @property
    def here(self) -> tuple[HostCase, ...]:
        """Return those of them on which a task can be placed, and reported by the agent."""
        return tuple(one for one in self.hosts if one.takes_tasks)

    @property
    def deadline_s(self) -> float:
        """Of its workload's policy."""
        return self.case.background.deadlines.get(self.workload, DEADLINE_S)

    @property
    def rejected(self) -> RejectedRelease | None:
        """Return the rollout that sent what is wanted and was halted, taken back or recalled."""
        return self.case.background.rejected.get(self.wanted.content)

    @property
    def roll_out(self) -> Command:
        """Return the command that sends it what is wanted.

        Of what was rejected, the one that says why; while every send is stopped, the plan.
        """
        if self.rejected is not None:
            return Command(f"fleet rollout status {self.rejected.rollout}", sends=False)
        words = f"{self.workload} --store {self.case.store.id}"
        if self.case.background.stop is not None:
            return Command(f"fleet plan {words}", sends=False)
        return Command(f"fleet rollout {words}")

    @property
    def overwrite(self) -> Command:
        """Return the command that shows what would be sent over what somebody set."""
        return Command(
            f"fleet plan {self.workload} --store {self.case.store.id} --overwrite",
            sends=False,
            accepts="the change by hand is overwritten",
        )

    def says(self, words: str) -> Evidence:
        """Return what ECS says of it."""
        return Evidence("ECS", words, self.at)

    def restored(self) -> Attribution | None:
        """Return that the circuit breaker took back what is wanted, where the service shows it.

        Fleet's tags name what was sent and what ran before; the service's deployments and events
        show whether the breaker went back.
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
    """Tell whether fleet made a service, by its tags or, where they are lost, by what it runs."""
    if is_tagged_ours(service, background.fleet):
        return True
    return not service.tags.get(TAG_FLEET) and bool(
        background.contents.get(service.task_definition)
    )


def back_since(hosts: Iterable[HostCase]) -> datetime | None:
    """Return since when all of these are connected; None where none was ever disconnected."""
    known = [
        host.connection.since
        for host in hosts
        if host.connection is not None
        and any(spell.connection is not HostConnection.CONNECTED for spell in host.memory.spells)
    ]
    return max(known, default=None)


def by_instance(case: StoreCase) -> Mapping[str, HostCase]:
    """Return hosts by the ARN of their current container instance."""
    return {host.instance.arn: host for host in case.hosts.values() if host.instance is not None}


def wanted_services(case: StoreCase) -> list[ServiceCase]:
    """Return the services that an open store should run; none where ECS's were not read."""
    seen = case.seen.services
    if isinstance(seen, NotRead) or not case.is_open:
        return []
    by_name = {one.name: one for one in seen.value if one.status != "INACTIVE"}
    return [
        ServiceCase(case, one, by_name.get(one.service), seen.at) for one in case.wanted.services
    ]


#: How much of a digest is shown.
_SHOWN = len("sha256:") + 8


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A container that runs another image than is pinned.

    Attributes:
        pinned: ``name@sha256:...``.
        digest: the one that runs.
        severity: info where the digest may be another name of the same image.
        words: why it is, or may be, another image.
    """

    pinned: str
    digest: str
    severity: Severity
    words: str

    def __str__(self) -> str:
        return f"{_short(self.digest)} and not {_short(self.pinned)}: {self.words}"


@dataclass(frozen=True, slots=True)
class Images:
    """The images of a release, by their digests.

    Attributes:
        same: by a pinned digest, the digests of its platforms; empty where they were not read.
        pins: by service and container, the reference that the release pins; only of services that
            are set to it: of the others, the wrong revision is reported.
        names: by a digest of the release, the image that it is.
    """

    same: Mapping[str, frozenset[str]]
    pins: Mapping[tuple[str, str], str]
    names: Mapping[str, str]

    def mismatch(self, service: str, container: str, image: str, digest: str) -> Mismatch | None:
        """Return how a running container differs from its pinned image; None if it does not.

        Docker reports the digest that was pulled, which is the index's; with containerd's image
        store it may be that of the platform's own manifest, which the index names. Nobody knows
        those of a registry that was not read, so that an unknown digest is no proof.

        Args:
            image: reference that its task definition names; "" where that is unknown.
            digest: ``sha256:...`` of what runs; "" where that is unknown.
        """
        own = is_by_digest(image)
        pinned = image if own else self.pins.get((service, container), "")
        wanted = pinned.rpartition("@")[2]
        if not digest or not is_by_digest(pinned) or digest == wanted:
            return None
        platforms = self.same.get(wanted, frozenset())
        if digest in platforms:
            return None
        if digest in self.names:
            words, severity = f"that is {_short(self.names[digest])}", Severity.MEDIUM
        elif not own:
            words = f"its task definition names {image or 'no digest'}"
            severity = Severity.MEDIUM
        elif platforms:
            words, severity = "its index holds no such image", Severity.MEDIUM
        else:
            words = "no digest of this release; docker may report the platform's own"
            severity = Severity.INFO
        return Mismatch(pinned, digest, severity, words)


def images_of(case: StoreCase) -> Images:
    """Return what the release says of the images of one store's services."""
    release = case.background.release
    if isinstance(release, NotRead):
        return Images({}, {}, {})
    same: dict[str, frozenset[str]] = {}
    names: dict[str, str] = {}
    for fact in release.images.values():
        digest = fact.pinned.rpartition("@")[2]
        same[digest] = frozenset(fact.manifests)
        names |= dict.fromkeys((digest, *fact.manifests), fact.pinned)
    return Images(same, _pins(case, release), names)


def _pins(case: StoreCase, release: Release) -> dict[tuple[str, str], str]:
    current = {one.name for one in wanted_services(case) if one.runs == one.wanted.content}
    return {
        (one.service, str(container.get("name", ""))): str(container.get("image", ""))
        for one in case.wanted.services
        if one.content in release.task_definitions and one.service in current
        for container in release.task_definitions[one.content].body.get("containerDefinitions", ())
    }


def _short(reference: str) -> str:
    """Shorten to ``images.shops.example/vision@sha256:9b1c5a3e`` or ``sha256:9b1c5a3e``."""
    name, at, digest = reference.rpartition("@")
    return f"{name}{at}{digest[:_SHOWN]}"
