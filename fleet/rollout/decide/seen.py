"""A change beside what was seen of it, and what follows from both, computed once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from fleet.model.changes import Change
from fleet.model.policy import Policy
from fleet.model.rollout import Place
from fleet.model.services import Deployment, ServiceState, StoreView, TaskState
from fleet.rollout.decide.attribution import ROUNDING
from fleet.rollout.decide.away import (
    ATTRIBUTE,
    HostSeen,
    hosts_seen,
    service_of,
    tasks_of,
)
from fleet.rollout.decide.failures import Failure, FailureKind, failures


@dataclass(frozen=True)
class Seen:
    """What the rules of a verdict look at; ages are by AWS's times.

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
        """AWS's time of the view."""
        return self.view.at

    @cached_property
    def service(self) -> ServiceState | None:
        """As the view shows it; None when it does not."""
        return service_of(self.change, self.view)

    @cached_property
    def primary(self) -> Deployment | None:
        """The newest deployment, when it is of what was sent."""
        newest = self.service.deployments[0] if self.service and self.service.deployments else None
        return newest if newest and newest.task_definition == self.change.target else None

    @cached_property
    def hosts(self) -> tuple[HostSeen, ...]:
        """The hosts that matter; none as long as the instances were not read."""
        if not self.knows_hosts:
            return ()
        return hosts_seen(self.change, self.view, self.place)

    @cached_property
    def away(self) -> tuple[HostSeen, ...]:
        """Those that are away, for however short."""
        return tuple(h for h in self.hosts if h.away_since is not None)

    @cached_property
    def dark(self) -> tuple[HostSeen, ...]:
        """Those that have been away for so long that it is no flap."""
        limit = timedelta(seconds=self.policy.dark_after_s)
        return tuple(h for h in self.away if h.away_since and self.at - h.away_since >= limit)

    @cached_property
    def sent_at(self) -> datetime:
        """AWS's time of the call that sent it."""
        return self.change.sent_at or self.at

    @cached_property
    def began(self) -> datetime:
        """Tasks from before this are not this try's.

        A call that was repeated after a crash moved nothing, so the deployment that the first one
        made may be older than the reply that was recorded.
        """
        made = self.primary.created_at if self.primary else None
        return min(self.sent_at - ROUNDING, made) if made else self.sent_at - ROUNDING

    @cached_property
    def failed(self) -> tuple[Failure, ...]:
        """The failed tasks of this try, newest first."""
        return failures(tasks_of(self.change, self.view), self.change.target, self.began)

    @cached_property
    def ran(self) -> tuple[Failure, ...]:
        """Those of them whose image had arrived."""
        return tuple(f for f in self.failed if f.kind is FailureKind.RAN)

    @cached_property
    def by_host(self) -> Mapping[str, str]:
        """Host name by container instance ARN; a host may have several records."""
        return {i.arn: i.attributes.get(ATTRIBUTE, "") for i in self.view.instances or ()}

    @cached_property
    def best(self) -> Mapping[str, TaskState]:
        """By host name, the task of this try that has been running longest."""
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
        """Seconds that it has been running."""
        return (self.at - task.started_at).total_seconds() if task.started_at else 0.0

    def is_good(self, host: HostSeen) -> bool:
        """The host runs what was sent, for long enough and in good health, and is here."""
        task = self.best.get(host.name)
        return (
            task is not None
            and host.is_here
            and self.age(task) >= self.policy.settle_s
            and (task.health == "HEALTHY" or not self.health_check)
        )

    @property
    def knows_hosts(self) -> bool:
        """Whether the container instances were read."""
        return self.view.instances is not None

    @property
    def knows_tasks(self) -> bool:
        """Whether tasks and instances were read."""
        return self.view.tasks is not None and self.knows_hosts
