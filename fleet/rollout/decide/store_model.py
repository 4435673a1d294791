"""Plays stores for a simulation: their links, their one host each, and what a release does there.

Every draw is a digest of the seed, the store and what is drawn, so that nothing depends on the
order in which stores are asked.
"""

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.identity import HOST_ATTRIBUTE, TAG_CONTENT
from fleet.model.observed import ContainerInstance
from fleet.model.rollout import ActionKind, Place, RolloutAction, RolloutSpec
from fleet.model.services import (
    ContainerState,
    Deployment,
    ServiceState,
    StoreView,
    TaskState,
)
from fleet.model.simulation import StoreModel
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.store_choice import StoreRead

#: How long before the rollout outages are drawn, so that some stores are away when it begins.
BEFORE = timedelta(days=1)
#: Longest time that is played; outages are drawn until then.
LONGEST = timedelta(days=14)


def draw(seed: int, store: str, what: str) -> float:
    """Return a number over 0 and at most 1, the same for ever for a seed."""
    text = f"{seed} {store} {what}".encode()
    number = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())
    return (number + 1) / 2**56


@dataclass(slots=True)
class _Service:
    """One service of a store.

    Attributes:
        arn: that it is set to; "" for none.
        content: address of the release; "" for what ran before.
        set_at: when it was set to that.
        started_at: when its task started; None while the store could not start it.
        failed_at: when its task ended and ECS gave the deployment up; None while it runs.
    """

    arn: str
    set_at: datetime
    content: str = ""
    started_at: datetime | None = None
    failed_at: datetime | None = None


@dataclass(slots=True)
class _Store:
    place: Place
    outages: tuple[tuple[datetime, datetime], ...]
    crashes: set[str] = field(default_factory=set)
    kills_link: bool = False
    services: dict[str, _Service] = field(default_factory=dict)
    lost_at: datetime | None = None

    def is_connected(self, at: datetime) -> bool:
        if self.lost_at is not None and self.lost_at <= at:
            return False
        return not any(begins <= at < ends for begins, ends in self.outages)

    def connected_from(self, at: datetime) -> datetime | None:
        """Return the first moment from ``at`` on at which it is connected; None for never."""
        for begins, ends in self.outages:
            if begins <= at < ends:
                at = ends
        return None if self.lost_at is not None and self.lost_at <= at else at


class SimulatedStores:
    """All stores of a simulated rollout.

    Args:
        began: when the rollout begins.
    """

    def __init__(
        self,
        spec: RolloutSpec,
        changes: Iterable[Change],
        model: StoreModel,
        seed: int,
        began: datetime,
    ) -> None:
        self._spec, self._model, self._seed = spec, model, seed
        self._stores: dict[str, _Store] = {}
        for change in changes:
            place = spec.places[change.store]
            store = self._stores.get(change.store)
            if store is None:
                store = _Store(place, self._outages(place.store, began))
                self._stores[change.store] = store
            self._harm(store, change)
            store.services[change.service] = _Service(change.previous, began - BEFORE)

    @property
    def bad(self) -> frozenset[str]:
        """Return the stores in which the release crashes or takes the link."""
        return frozenset(s for s, one in self._stores.items() if one.crashes or one.kills_link)

    def view(self, read: StoreRead, at: datetime) -> StoreView:
        """Return what AWS would say of a store."""
        store = self._stores[read.store]
        self._play(store, at)
        connected = store.is_connected(at)
        hosts = sorted({host for names in store.place.hosts.values() for host in names})
        instances = tuple(
            ContainerInstance(
                _arn(read.store, "container-instance", host),
                store.place.cluster,
                "",
                "ACTIVE",
                connected,
                None,
                attributes={HOST_ATTRIBUTE: host},
            )
            for host in hosts
        )
        if not read.services:
            return StoreView(read.store, at, instances=instances)
        services = [
            self._service(store, name, one) for name, one in store.services.items() if one.arn
        ]
        tasks = [task for name, one in store.services.items() for task in _tasks(store, name, one)]
        return StoreView(
            read.store,
            at,
            services=tuple(services),
            instances=instances,
            tasks=tuple(tasks) if read.tasks else None,
            deployments=dict.fromkeys(store.services, ()) if read.tasks else None,
        )

    def perform(self, action: RolloutAction, change: Change, at: datetime) -> CallResult:
        """Change a service as AWS would."""
        store = self._stores[action.store]
        self._play(store, at)
        one = store.services[action.service]
        sends = action.kind is ActionKind.SEND
        target = _target(change) if sends else change.previous
        outcome = CallOutcome.ALREADY
        if one.arn != target:
            outcome = CallOutcome.DONE
            content = change.content if sends else ""
            store.services[action.service] = _Service(target, at, content)
        sent = target if sends else ""
        return CallResult(action.kind, action.store, action.service, outcome, at, sent, runs=target)

    def _harm(self, store: _Store, change: Change) -> None:
        """Decide whether a release does harm in a store; all services of it share the draw."""
        model, place = self._model, store.place
        if model.stratum not in self._stratum(place, change):
            return
        if draw(self._seed, place.store, "fails") <= model.fails:
            store.crashes.add(change.service)
        if draw(self._seed, place.store, "kills link") <= model.kills_link:
            store.kills_link = True

    def _stratum(self, place: Place, change: Change) -> str:
        return f"{self._spec.variant_of(change)} {place.link} {place.carrier} {place.region}"

    def _outages(self, store: str, began: datetime) -> tuple[tuple[datetime, datetime], ...]:
        model = self._model
        if not model.darkness:
            return ()
        here_s = model.outage_s * (1 - model.darkness) / model.darkness
        found: list[tuple[datetime, datetime]] = []
        at, number = began - BEFORE, 0
        while True:
            at += timedelta(seconds=-here_s * math.log(draw(self._seed, store, f"from {number}")))
            if at > began + LONGEST:
                return tuple(found)
            ends = at + timedelta(
                seconds=-model.outage_s * math.log(draw(self._seed, store, f"until {number}"))
            )
            if ends > began:
                found.append((at, ends))
            at, number = ends, number + 1

    def _play(self, store: _Store, at: datetime) -> None:
        """Let a store live until ``at``: start what it was sent, and let that do its harm."""
        for name, one in store.services.items():
            if one.arn and one.started_at is None:
                self._start(store, name, one, at)
            if one.started_at is None or not one.content or one.failed_at is not None:
                continue
            harm_at = one.started_at + timedelta(seconds=self._model.after_s)
            if harm_at > at:
                continue
            if name in store.crashes and store.is_connected(at):
                one.failed_at = harm_at
            elif store.kills_link and store.lost_at is None:
                store.lost_at = harm_at

    def _start(self, store: _Store, name: str, one: _Service, at: datetime) -> None:
        begins = store.connected_from(one.set_at)
        if begins is None:
            return
        needs_s = self._model.start_s
        if one.content:
            needs_s += self._spec.pull_s.get(f"{store.place.store}/{name}", 0.0)
        started = begins + timedelta(seconds=needs_s)
        if started <= at:
            one.started_at = started

    def _service(self, store: _Store, name: str, one: _Service) -> ServiceState:
        count = len(store.place.hosts.get(name, ()))
        running = count if one.started_at is not None and one.failed_at is None else 0
        state = "FAILED" if one.failed_at else "COMPLETED" if running else "IN_PROGRESS"
        deployment = Deployment(
            f"ecs-svc/{one.arn}",
            "PRIMARY",
            one.arn,
            count,
            0,
            running,
            1 if one.failed_at else 0,
            state,
            created_at=one.set_at,
            updated_at=one.started_at,
        )
        return ServiceState(
            store.place.cluster,
            name,
            _arn(store.place.store, "service", name),
            "ACTIVE",
            one.arn,
            "REPLICA",
            count,
            running,
            0,
            (deployment,),
            {TAG_CONTENT: one.content} if one.content else {},
            created_at=one.set_at,
        )


def _target(change: Change) -> str:
    return f"arn:simulated:task-definition/{change.service}:{change.content[:8]}"


def _arn(store: str, kind: str, name: str) -> str:
    return f"arn:simulated:{kind}/{store}/{name}"


def _tasks(store: _Store, name: str, one: _Service) -> Iterable[TaskState]:
    if one.started_at is None:
        return
    status = "RUNNING" if one.failed_at is None else "STOPPED"
    for host in store.place.hosts.get(name, ()):
        yield TaskState(
            _arn(store.place.store, "task", f"{name}-{host}"),
            name,
            _arn(store.place.store, "container-instance", host),
            one.arn,
            status,
            status,
            "HEALTHY",
            created_at=one.started_at,
            started_at=one.started_at,
            stopped_at=one.failed_at,
            stop_code="EssentialContainerExited" if one.failed_at else "",
            containers=(ContainerState(name, status, 1 if one.failed_at else None),),
        )
