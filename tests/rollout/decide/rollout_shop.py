"""A shop of the miniature world: its link, its one service at ECS, and what becomes of releases."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

from fleet.model.desired import TaskDefinition
from fleet.model.hours import Hours, OpenSpan
from fleet.model.observed import ContainerInstance
from fleet.model.services import (
    ContainerState,
    Deployment,
    ServiceDeployment,
    ServiceState,
    StoreView,
    TaskState,
)
from fleet.rollout.decide.store_choice import StoreRead

#: A winter evening: shops in London and Moscow are closed, those in New York are open.
START = datetime(2026, 11, 23, 22, 0, tzinfo=UTC)
OPEN: Hours = dict.fromkeys(range(7), (OpenSpan(time(8), time(20)),))
STEP = timedelta(seconds=20)
BODY = TaskDefinition.of({"family": "vision", "containerDefinitions": [{"name": "vision"}]})
ARN = "arn:aws:ecs:eu-west-1:111122223333"
NEW = f"{ARN}:task-definition/vision:9"


@dataclass(frozen=True)
class Fate:
    """What a shop makes of the new revision, and when its link is down by itself.

    Attributes:
        run: ``ok``, ``crash``, ``late`` (crashes after it was ok) or ``kills-link``.
        pulls: tries of the image that fail first.
        outages: (from, until) in minutes since the start; the release has no part in them.
        old: revision that it ran before, or 0 for a new service.
        zone: where it is.
        hand: minute at which a person sets another revision, or None.
    """

    run: str = "ok"
    pulls: int = 0
    outages: tuple[tuple[int, int], ...] = ()
    old: int = 5
    zone: str = "Europe/London"
    hand: int | None = None


@dataclass
class Made:
    """One deployment of a shop's service, as its world knows it."""

    arn: str
    created: datetime
    state: str = "IN_PROGRESS"
    status: str = "IN_PROGRESS"
    breaker: str = "MONITORING"
    failed: int = 0


@dataclass
class Shop:
    """One shop with one host; its time passes in steps while something is under way."""

    store: str
    fate: Fate
    arn: str = ""
    at: datetime = START
    deployments: list[Made] = field(default_factory=list)
    tasks: list[TaskState] = field(default_factory=list)
    ran_before: frozenset[str] = frozenset()
    killed: bool = False
    pulls_left: int = 0
    busy_s: float = 0.0
    tags: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pulls_left = self.fate.pulls
        if self.fate.old:
            self.arn = revision(self.fate.old)
            made = START - timedelta(days=9)
            self.deployments = [Made(self.arn, made, "COMPLETED", "SUCCESSFUL", "")]
            self.tasks = [self._task(self.arn, made)]
            self.ran_before = frozenset({self.arn})

    def is_connected(self, at: datetime) -> bool:
        minute = (at - START).total_seconds() / 60
        return not self.killed and not any(a <= minute < b for a, b in self.fate.outages)

    def set_to(self, arn: str, at: datetime) -> None:
        """UpdateService or CreateService; "" deletes."""
        self.run_to(at)
        self.arn = arn
        if not arn:
            self.deployments, self.tasks = [], []
            return
        self.deployments.insert(0, Made(arn, at))
        self.busy_s = 0.0

    def run_to(self, at: datetime) -> None:
        """Let time pass."""
        hand = START + timedelta(minutes=self.fate.hand) if self.fate.hand is not None else None
        if hand is not None and self.at < hand <= at:
            self.fate = replace(self.fate, hand=None)
            self.set_to(revision(7), hand)
        while self.at < at:
            newest = self.deployments[0] if self.deployments else None
            if newest is None or (newest.state != "IN_PROGRESS" and not self._may_turn(newest)):
                self.at = at
                return
            self.at = min(at, self.at + STEP)
            if self.is_connected(self.at):
                self._live(newest)

    def _may_turn(self, newest: Made) -> bool:
        return newest.arn == NEW and self.fate.run in {"late", "kills-link"} and not self.killed

    def _live(self, newest: Made) -> None:
        """One step of a connected host."""
        self.busy_s += STEP.total_seconds()
        running = [t for t in self.tasks if t.last_status == "RUNNING"]
        mine = [t for t in running if t.task_definition == newest.arn]
        if not mine:
            # The old one makes room, the image is pulled, and the new one starts.
            self.tasks = [self._stopped(t, "ServiceSchedulerInitiated", "") for t in self.tasks]
            if self.busy_s < 60:
                return
            if newest.arn == NEW and self.pulls_left:
                self.pulls_left -= 1
                self._fail(newest, "TaskFailedToStart", "CannotPullContainerError: i/o timeout")
                return
            self.tasks.append(self._task(newest.arn, self.at))
            self.busy_s = 0.0
            return
        age = (self.at - (mine[0].started_at or self.at)).total_seconds()
        if newest.arn == NEW:
            self._new_lives(newest, age)
        elif newest.state == "IN_PROGRESS" and age >= 40:
            newest.state, newest.status = "COMPLETED", "SUCCESSFUL"

    def _new_lives(self, newest: Made, age: float) -> None:
        crashes = {"crash": 20.0, "late": 400.0}.get(self.fate.run)
        if crashes is not None and age >= crashes:
            self._fail(newest, "EssentialContainerExited", "no libnvinfer.so.8")
            return
        if self.fate.run == "kills-link" and age >= 40:
            self.killed = True
        if newest.state == "IN_PROGRESS" and age >= 40:
            newest.state, newest.status, newest.breaker = "COMPLETED", "SUCCESSFUL", "MONITORING"

    def _fail(self, newest: Made, code: str, said: str) -> None:
        """A task ended: the breaker of a one-task service gives up at once, once it is steady."""
        dead = replace(self._task(newest.arn, self.at), created_at=self.at - STEP)
        alive = [t for t in self.tasks if t.last_status != "RUNNING"]
        self.tasks = [*alive, self._stopped(dead, code, said)]
        self.busy_s = 0.0
        if newest.state == "COMPLETED":
            # The breaker only guards deployments in progress; the scheduler starts another task.
            return
        before = next((d.arn for d in self.deployments[1:] if d.state == "COMPLETED"), "")
        newest.state, newest.status, newest.breaker = "FAILED", "STOPPED", "TRIGGERED"
        newest.failed = 1
        if before:
            newest.status = "ROLLBACK_SUCCESSFUL"
            self.arn = before
            self.deployments.insert(0, Made(before, self.at))

    def _task(self, arn: str, at: datetime) -> TaskState:
        number = f"{self.store}-{int((at - START).total_seconds())}-{len(self.tasks)}"
        return TaskState(
            f"{ARN}:task/{self.store}/{number}",
            "vision",
            f"{ARN}:container-instance/{self.store}/cam-1",
            arn,
            "RUNNING",
            "RUNNING",
            created_at=at,
            started_at=at,
            containers=(ContainerState("vision", "RUNNING"),),
        )

    def _stopped(self, task: TaskState, code: str, said: str) -> TaskState:
        if task.last_status == "STOPPED":
            return task
        exit_code = 1 if code == "EssentialContainerExited" else None
        return replace(
            task,
            last_status="STOPPED",
            desired_status="STOPPED",
            stopped_at=self.at,
            stop_code=code,
            containers=(ContainerState("vision", "STOPPED", exit_code, said),),
        )

    def view(self, look: StoreRead, at: datetime) -> StoreView:
        """What AWS says of it."""
        self.run_to(at)
        host = ContainerInstance(
            f"{ARN}:container-instance/{self.store}/cam-1",
            self.store,
            "mi-1",
            "ACTIVE",
            self.is_connected(at),
            None,
            attributes={"fleet.host": "cam-1"},
        )
        visible = [
            t for t in self.tasks if t.stopped_at is None or at - t.stopped_at < timedelta(hours=1)
        ]
        records = tuple(
            ServiceDeployment(
                f"{ARN}:service-deployment/{n}", d.status, d.arn, d.breaker, created_at=d.created
            )
            for n, d in enumerate(self.deployments[:3])
        )
        return StoreView(
            self.store,
            at,
            services=self._services(),
            instances=(host,),
            tasks=tuple(visible) if look.tasks else None,
            deployments={"vision": records} if look.tasks else None,
        )

    def _services(self) -> tuple[ServiceState, ...]:
        if not self.deployments:
            return ()
        running = sum(t.last_status == "RUNNING" for t in self.tasks)
        shown = tuple(
            Deployment(
                f"ecs-svc/{len(self.deployments) - n}",
                "PRIMARY" if n == 0 else "ACTIVE",
                d.arn,
                1,
                0,
                running if n == 0 else 0,
                d.failed,
                d.state,
                created_at=d.created,
            )
            for n, d in enumerate(self.deployments[:2])
        )
        # Every start is told by an event, as ECS does.
        events = tuple(
            (t.created_at or START, f"(service vision) has started 1 tasks: (task {t.arn[-8:]}).")
            for t in reversed(self.tasks)
        )
        return (
            ServiceState(
                self.store,
                "vision",
                f"{ARN}:service/{self.store}/vision",
                "ACTIVE",
                self.arn,
                "REPLICA",
                1,
                running,
                0,
                shown,
                self.tags,
                events,
            ),
        )


def revision(number: int) -> str:
    return f"{ARN}:task-definition/vision:{number}"
