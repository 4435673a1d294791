"""A miniature fleet that plays a rollout tick by tick: shops, links, ECS, and what goes wrong.

Nothing is shared with the product but the values it reads and writes: a shop has a life of its
own, is looked at through ``StoreView``, and is changed only by the actions that ``settle`` hands
out. The world keeps its own book of every call, by which the properties are judged.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from fleet.decide.board import Board
from fleet.decide.noting import note
from fleet.decide.rollout import Settled, begin, settle
from fleet.decide.sight import see
from fleet.decide.turns import Look, flying, take_turn
from fleet.decide.verbs import obey
from fleet.model.desired import Scheduling, ServiceShape, TaskDefinition
from fleet.model.hours import Hours, OpenSpan
from fleet.model.observed import ContainerInstance
from fleet.model.policy import Policy
from fleet.model.rollout import (
    Action,
    ActionKind,
    Change,
    Phase,
    Place,
    Rollout,
    RolloutSpec,
    Stage,
    Verb,
    VerbName,
    WavePlan,
)
from fleet.model.services import (
    ContainerState,
    Deployment,
    ServiceDeployment,
    ServiceState,
    StoreView,
    TaskState,
)
from fleet.model.written import Outcome, Written

#: 23:00 in London, where every shop is closed by then.
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
    variant: str = "arm64"


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

    def view(self, look: Look, at: datetime) -> StoreView:
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
                f"ecs-svc/{n}",
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

    tags: dict[str, str] = field(default_factory=dict)


def revision(number: int) -> str:
    return f"{ARN}:task-definition/vision:{number}"


@dataclass(frozen=True)
class Call:
    """One call that changed a shop.

    Attributes:
        flying: stores in flight in the rows that were recorded before it.
        moved: whether it moved the service at all.
        ran_before: whether the shop ran this revision before the rollout.
    """

    at: datetime
    kind: ActionKind
    store: str
    phase: Phase
    flying: int
    moved: bool
    ran_before: bool


@dataclass
class World:
    """A rollout over shops with their fates.

    Args:
        policy: of the rollout.
        fates: by store id.
        chance: of a read that fails, of a reply that is lost, and of a run that is cut off.
    """

    policy: Policy
    fates: dict[str, Fate]
    seed: int = 0
    chance: float = 0.0
    canary: bool = True
    calls: list[Call] = field(default_factory=list)
    now: datetime = START

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.shops = {store: Shop(store, fate) for store, fate in self.fates.items()}
        self.rollout = self._rollout()
        self.changes = tuple(self._change(store) for store in self.fates)
        self.settled: Settled | None = None
        self._verbs = 0

    def _rollout(self) -> Rollout:
        stores = tuple(self.fates)
        cut = min(len(stores), 4)
        waves = tuple(
            WavePlan(name, part)
            for name, part in (("canary", stores[:cut]), ("wave 1", stores[cut:]))
            if part
        )
        shape = ServiceShape("vision", "vision", "arm64", "arm64", Scheduling.REPLICA, ())
        spec = RolloutSpec(
            release="abc",
            title="vision",
            workloads=("vision",),
            selection="--all",
            inventory="d",
            policy=self.policy,
            waves=waves,
            shapes={"vision": shape},
            task_definitions={BODY.content: BODY},
            canary=self.canary,
            seed=self.seed,
            places={store: self._place(store) for store in stores},
        )
        return Rollout("ro-1", spec, "arn:aws:sts::1:assumed-role/op/me", self.now)

    def _place(self, store: str) -> Place:
        return Place(
            store,
            store,
            "emea",
            "111122223333",
            "eu-west-1",
            store,
            self.fates[store].zone,
            OPEN,
            "lte",
            hosts={"vision": ("cam-1",)},
        )

    def _change(self, store: str) -> Change:
        return Change(
            store,
            "vision",
            "emea",
            "eu-west-1",
            store,
            wave=next(n for n, wave in enumerate(self.rollout.spec.waves) if store in wave.stores),
            content=BODY.content,
            previous=self.shops[store].arn,
            desired_count=1,
            previous_count=1 if self.shops[store].arn else 0,
        )

    def say(self, name: VerbName, *stores: str) -> str:
        """Tell the rollout something, in a tick of its own."""
        self._verbs += 1
        verb = Verb(
            self._verbs, "ro-1", name, stores, "arn:aws:sts::1:assumed-role/op/me", self.now
        )
        return self.tick(verb)[verb.id]

    def tick(self, *verbs: Verb) -> dict[int, str]:
        """One tick as the engine makes it; it may be cut off after its rows were recorded."""
        board = Board(self.rollout, self.changes, self.now)
        answers = obey(board, verbs)
        begin(board)
        turn = take_turn(board)
        views = {look.store: self._view(look) for look in turn.looks}
        deeper = see(board, views)
        deep = {s: self._view(Look(s, ("vision",), tasks=True)) for s in deeper}
        see(board, deep)
        views |= deep
        seen = frozenset(store for store, view in views.items() if not view.problem)
        self.settled = settle(board, turn, seen, None)
        self.rollout, self.changes = board.rollout, board.changes
        if self._strikes():
            return answers
        in_flight = len(flying(board))
        written = [self._perform(action, in_flight) for action in self.settled.actions]
        if self._strikes():
            return answers
        after = Board(self.rollout, self.changes, self.now)
        note(after, written)
        self.rollout, self.changes = after.rollout, after.changes
        return answers

    def _strikes(self) -> bool:
        return self.random.random() < self.chance

    def _view(self, look: Look) -> StoreView:
        view = self.shops[look.store].view(look, self.now)
        if not self._strikes():
            return view
        return StoreView(look.store, self.now, problem="no answer")

    def _perform(self, action: Action, in_flight: int) -> Written:
        shop = self.shops[action.store]
        shop.run_to(self.now)
        send = action.kind is ActionKind.SEND
        row = next(c for c in self.changes if c.store == action.store)
        wanted = NEW if send else row.previous
        other = row.previous if send else NEW
        outcome = Outcome.DONE
        if shop.arn == wanted:
            outcome = Outcome.ALREADY
        elif shop.arn != other:
            outcome = Outcome.BY_HAND if shop.arn else Outcome.GONE
        else:
            if send:
                shop.tags = {"fleet:rollout": "ro-1", "fleet:content": BODY.content}
            shop.set_to(wanted, self.now)
        moved = outcome is Outcome.DONE
        self.calls.append(
            Call(
                self.now,
                action.kind,
                action.store,
                self.rollout.phase,
                in_flight,
                moved,
                not wanted or wanted in shop.ran_before,
            )
        )
        if self._strikes():
            outcome = Outcome.LOST
        target = NEW if send else ""
        return Written(action.kind, action.store, "vision", outcome, self.now, target, shop.arn)

    def run(
        self,
        hours: float,
        until: Callable[["World"], bool] = lambda world: world.rests,
    ) -> None:
        """Tick as the engine would, waking when the decision says so."""
        end = self.now + timedelta(hours=hours)
        while self.now < end and not until(self):
            self.tick()
            self.advance()

    def advance(self) -> None:
        """To the moment that the decision asked for."""
        wake = self.settled.wake_at if self.settled else None
        least = self.now + timedelta(seconds=1)
        self.now = max(least, wake) if wake is not None else self.now + timedelta(minutes=5)

    @property
    def rests(self) -> bool:
        """Finished, or waiting for a person with nothing under way."""
        if self.rollout.finished_at is not None:
            return True
        if self.rollout.phase not in {Phase.PAUSED, Phase.HALTED, Phase.AWAITING}:
            return False
        busy = {Stage.SENDING, Stage.UNDOING}
        return not any(
            c.stage in busy or (c.stage is Stage.SENT and c.verdict.value == "waiting")
            for c in self.changes
        )

    def is_open(self, store: str, at: datetime) -> bool:
        """Whether the shop serves customers then, by a clock on its own wall."""
        return 8 <= at.astimezone(ZoneInfo(self.fates[store].zone)).hour < 20
