"""Computes what a store's view says of a change: its service, hosts, tasks and absences.

AWS keeps no time of the disconnection (DescribeContainerInstances has none), so an absence is as
long as it was seen. What is known of each host is carried from look to look in the change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from fleet.inventory.decide.power import PlannedOff, absent_from, planned_off
from fleet.model.changes import Change, HostContact
from fleet.model.identity import HOST_ATTRIBUTE
from fleet.model.observed import ContainerInstance, best_instance
from fleet.model.policy import Policy
from fleet.model.rollout import Place
from fleet.model.services import Deployment, ServiceState, StoreView, TaskState
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.attribution import ROUNDING
from fleet.rollout.decide.task_failures import FailureKind, TaskFailure, failures


@dataclass(frozen=True, slots=True)
class HostSeen:
    """Describes a host on which a task of the change shall run.

    Attributes:
        instance: None when it is not registered.
        away_since: first time it was seen away without having been back; None when it is here.
        tried_s: seconds that it has been connected since the change was sent, absences left out.
    """

    name: str
    instance: ContainerInstance | None
    away_since: datetime | None = None
    tried_s: float = 0.0

    @property
    def is_here(self) -> bool:
        """Return whether ECS can place a task on it and hear of the task."""
        seen = self.instance
        return seen is not None and seen.status == "ACTIVE" and seen.agent_connected

    @property
    def words(self) -> str:
        """Say what is wrong with it, as ``cam-1 is not connected``."""
        if self.instance is None:
            return f"{self.name} is not registered"
        if not self.instance.agent_connected:
            return f"{self.name} is not connected"
        if self.instance.status != "ACTIVE":
            return f"{self.name} is {self.instance.status}"
        return f"{self.name} is connected"


def away_since(change: Change, view: StoreView, place: Place) -> datetime | None:
    """Return since when a host of the change is away; None when all are there.

    A view whose instances were not read leaves it as it was.
    """
    if view.instances is None or view.problem:
        return change.away_since
    return first_away(hosts_seen(change, view, place))


def absence_counts_from(change: Change, place: Place, dark_after_s: float) -> datetime | None:
    """Return since when a host of the change is away that should be there; None without any.

    It may lie in the future: a host that is switched off is expected at the next opening.
    """
    known = {n: h.away_since for n, h in change.observed.hosts.items() if h.away_since is not None}
    if change.away_since is None:
        return None
    if not known:
        known = dict.fromkeys(place.off_when_closed[:1] or ("",), change.away_since)
    counted = (
        counts_from(place, name, since, dark_after_s) for name, since in sorted(known.items())
    )
    return min((at for at in counted if at is not None), default=None)


def counts_from(place: Place, name: str, since: datetime, dark_after_s: float) -> datetime | None:
    """Return the moment from which a host's absence counts; None if its store never opens."""
    return since if name not in place.off_when_closed else absent_from(place, since, dark_after_s)


def stores_back(
    changes: Iterable[Change], views: Mapping[str, StoreView], places: Mapping[str, Place]
) -> set[str]:
    """Return the stores of these changes whose hosts were all seen to be connected."""
    back = set()
    for change in changes:
        view = views.get(change.store)
        if view is None or view.problem or view.instances is None:
            continue
        if away_since(change, view, places[change.store]) is None:
            back.add(change.store)
    return back


def first_away(hosts: tuple[HostSeen, ...]) -> datetime | None:
    """Return the earliest moment since which one of these hosts is away."""
    return min((h.away_since for h in hosts if h.away_since is not None), default=None)


def hosts_seen(change: Change, view: StoreView, place: Place) -> tuple[HostSeen, ...]:
    """Return the hosts that matter to the change, in name order.

    One per task: all that are registered, or, when more are registered than the change counts
    tasks (a host that joined since), those that hold one.
    """
    by_host: dict[str, list[ContainerInstance]] = {}
    for instance in view.instances or ():
        by_host.setdefault(instance.attributes.get(HOST_ATTRIBUTE, ""), []).append(instance)
    names = place.hosts.get(change.service, ())
    seen = [
        _host(change, view, name, best_instance(tuple(by_host[name])) if name in by_host else None)
        for name in sorted(names)
    ]
    registered = [h for h in seen if h.instance is not None]
    service = service_of(change, view)
    if service is not None and service.scheduling == "DAEMON":
        return tuple(registered or seen)
    if len(registered) < change.desired_count:
        return tuple(seen)
    if len(registered) == change.desired_count:
        return tuple(registered)
    holding = {t.container_instance_arn for t in wanted_tasks(change, view)}
    registered.sort(key=lambda h: (_arn(h) not in holding, not h.is_here, h.name))
    chosen = registered[: change.desired_count]
    return tuple(sorted(chosen, key=lambda h: h.name))


def _arn(host: HostSeen) -> str:
    return host.instance.arn if host.instance else ""


def _host(
    change: Change, view: StoreView, name: str, instance: ContainerInstance | None
) -> HostSeen:
    now = HostSeen(name, instance)
    known = change.observed.hosts.get(name)
    was_away = _was_away(change, known)
    tried_s = known.tried_s if known is not None else 0.0
    if not now.is_here:
        return HostSeen(name, instance, was_away or view.at, tried_s)
    if change.sent_at is None:
        return now
    begin = max(change.observed.hosts_read_at or change.sent_at, change.sent_at)
    # It counts as connected and not ok between two looks when it was so at both.
    if was_away is None and change.verdict is not Verdict.OK:
        tried_s += max(0.0, (view.at - begin).total_seconds())
    return HostSeen(name, instance, None, tried_s)


def _was_away(change: Change, known: HostContact | None) -> datetime | None:
    """Return since when the host was away at the last look; the change wins over its hosts."""
    if change.away_since is None:
        return None
    if not any(host.away_since for host in change.observed.hosts.values()):
        return change.away_since
    return known.away_since if known is not None else None


def host_contacts(hosts: Iterable[HostSeen]) -> dict[str, HostContact]:
    """Return by name what ``hosts_seen`` has to know at the next look."""
    return {h.name: HostContact(h.is_here, h.away_since, round(h.tried_s, 3)) for h in hosts}


def service_of(change: Change, view: StoreView) -> ServiceState | None:
    """Return the change's service as the view shows it, or None."""
    return next((s for s in view.services or () if s.name == change.service), None)


def tasks_of(change: Change, view: StoreView) -> tuple[TaskState, ...]:
    """Return the tasks of the change's service, stopped ones included."""
    return tuple(t for t in view.tasks or () if t.service == change.service)


def wanted_tasks(change: Change, view: StoreView) -> tuple[TaskState, ...]:
    """Return the tasks of the change's service that ECS wants to run."""
    return tuple(t for t in tasks_of(change, view) if t.desired_status == "RUNNING")


@dataclass(frozen=True)
class ChangeFacts:
    """Holds a change and its store's view, and computes what verdicts use; ages are by AWS's times.

    Attributes:
        now: the run's time; only decides whether the view is fresh.
        health_check: whether the task definition has one.
        pull_s: seconds that pulling is expected to take, beside the deadline.
        rollout: id, or "".
    """

    change: Change
    view: StoreView
    place: Place
    policy: Policy
    now: datetime
    health_check: bool
    pull_s: float
    rollout: str

    @property
    def at(self) -> datetime:
        """Return AWS's time of the view."""
        return self.view.at

    @cached_property
    def service(self) -> ServiceState | None:
        """Return the change's service; None when the view does not show it."""
        return service_of(self.change, self.view)

    @cached_property
    def primary(self) -> Deployment | None:
        """Return the newest deployment when it is of what was sent."""
        newest = self.service.deployments[0] if self.service and self.service.deployments else None
        return newest if newest and newest.task_definition == self.change.target else None

    @cached_property
    def hosts(self) -> tuple[HostSeen, ...]:
        """Return the hosts that matter; none as long as the instances were not read."""
        if not self.knows_hosts:
            return ()
        return hosts_seen(self.change, self.view, self.place)

    @cached_property
    def away(self) -> tuple[HostSeen, ...]:
        """Return the hosts that are away, for however short."""
        return tuple(h for h in self.hosts if h.away_since is not None)

    @cached_property
    def dark(self) -> tuple[HostSeen, ...]:
        """Return the hosts that should be there and have been away for ``dark_after_s``."""
        limit = timedelta(seconds=self.policy.dark_after_s)
        counted = ((h, self.counts_from[h.name]) for h in self.away)
        return tuple(h for h, since in counted if since and self.at - since >= limit)

    @cached_property
    def counts_from(self) -> Mapping[str, datetime | None]:
        """Return by host from when on its absence counts; in the future while it is planned."""
        limit_s = self.policy.dark_after_s
        return {
            h.name: counts_from(self.place, h.name, h.away_since, limit_s)
            for h in self.away
            if h.away_since is not None
        }

    @cached_property
    def switched_off(self) -> Mapping[str, PlannedOff]:
        """Return by host what is planned of the absences that do not count yet."""
        limit_s, off = self.policy.dark_after_s, {}
        for host in self.away:
            if host.name in self.place.off_when_closed and host.away_since is not None:
                off[host.name] = planned_off(self.place, host.away_since, self.at, limit_s)
        return {name: planned for name, planned in off.items() if planned is not None}

    @cached_property
    def sent_at(self) -> datetime:
        """Return AWS's time of the call that sent it."""
        return self.change.sent_at or self.at

    @cached_property
    def began(self) -> datetime:
        """Return the time before which tasks are of an earlier try.

        A call that was repeated after a crash moved nothing, so the deployment that the first one
        made may be older than the reply that was recorded.
        """
        made = self.primary.created_at if self.primary else None
        return min(self.sent_at - ROUNDING, made) if made else self.sent_at - ROUNDING

    @cached_property
    def failed(self) -> tuple[TaskFailure, ...]:
        """Return the failed tasks of this try, newest first."""
        return failures(tasks_of(self.change, self.view), self.change.target, self.began)

    @cached_property
    def ran(self) -> tuple[TaskFailure, ...]:
        """Return the failed tasks whose image had arrived."""
        return tuple(f for f in self.failed if f.kind is FailureKind.RAN)

    @cached_property
    def by_host(self) -> Mapping[str, str]:
        """Return the host name by container instance ARN; a host may have several records."""
        return {i.arn: i.attributes.get(HOST_ATTRIBUTE, "") for i in self.view.instances or ()}

    @cached_property
    def best(self) -> Mapping[str, TaskState]:
        """Return by host name the task of this try that has been running longest."""
        best: dict[str, TaskState] = {}
        for task in tasks_of(self.change, self.view):
            name = self.by_host.get(task.container_instance_arn, "")
            if not self._runs(task):
                continue
            if name not in best or self.age(task) > self.age(best[name]):
                best[name] = task
        return best

    def _runs(self, task: TaskState) -> bool:
        started = task.started_at
        return (
            task.task_definition == self.change.target
            and task.last_status == "RUNNING"
            and task.desired_status == "RUNNING"
            and started is not None
            and started >= self.began
        )

    def age(self, task: TaskState) -> float:
        """Return the seconds that a task has been running."""
        return (self.at - task.started_at).total_seconds() if task.started_at else 0.0

    def is_good(self, host: HostSeen) -> bool:
        """Return whether a host is connected and runs what was sent, long enough and healthy."""
        task = self.best.get(host.name)
        return (
            task is not None
            and host.is_here
            and self.age(task) >= self.policy.settle_s
            and (task.health == "HEALTHY" or not self.health_check)
        )

    @property
    def knows_hosts(self) -> bool:
        """Return whether the container instances were read."""
        return self.view.instances is not None

    @property
    def knows_tasks(self) -> bool:
        """Return whether tasks and instances were read."""
        return self.view.tasks is not None and self.knows_hosts
