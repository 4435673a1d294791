"""A miniature fleet that plays a rollout tick by tick: shops, links, ECS, and what goes wrong.

Nothing is shared with the product but the values it reads and writes: a shop has a life of its
own, is looked at through ``StoreView``, and is changed only by the actions that ``settle`` hands
out. The world keeps its own book of every call, by which the properties are judged.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.model.changes import Change
from fleet.model.desired import Scheduling, ServiceShape
from fleet.model.policy import Policy
from fleet.model.rollout import (
    ActionKind,
    Phase,
    Place,
    Rollout,
    RolloutAction,
    RolloutSpec,
    Verb,
    VerbName,
    WavePlan,
)
from fleet.model.services import (
    StoreView,
)
from fleet.model.verdicts import Stage
from fleet.rollout.decide.call_results import apply_results
from fleet.rollout.decide.observe import observe
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.store_choice import StoreRead, choose_stores, store_read, stores_in_flight
from fleet.rollout.decide.surveys import compare
from fleet.rollout.decide.tick import Settled, begin, settle
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests.rollout.decide.rollout_shop import BODY, NEW, OPEN, START, Fate, Shop


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
        self.retried: set[str] = set()

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
        if name is VerbName.RETRY:
            self.retried |= set(stores)
        verb = Verb(
            self._verbs, "ro-1", name, stores, "arn:aws:sts::1:assumed-role/op/me", self.now
        )
        return self.tick(verb)[verb.id]

    def tick(self, *verbs: Verb) -> dict[int, str]:
        """One tick as the engine makes it; it may be cut off after its rows were recorded."""
        state = TickState(self.rollout, self.changes, self.now)
        answers = obey(state, verbs)
        begin(state)
        choice = choose_stores(state)
        views = {look.store: self._view(look) for look in choice.reads}
        deeper = observe(state, views)
        deep = {s: self._view(store_read(state, s, tasks=True)) for s in deeper}
        observe(state, deep)
        views |= deep
        seen = frozenset(store for store, view in views.items() if not view.problem)
        compare(state, views)
        self.settled = settle(state, choice, seen)
        self.rollout, self.changes = state.rollout, state.changes
        if self._strikes():
            return answers
        in_flight = len(stores_in_flight(state))
        written = [self._perform(action, in_flight) for action in self.settled.actions]
        if self._strikes():
            return answers
        after = TickState(self.rollout, self.changes, self.now)
        apply_results(after, written)
        self.rollout, self.changes = after.rollout, after.changes
        return answers

    def _strikes(self) -> bool:
        return self.random.random() < self.chance

    def _view(self, look: StoreRead) -> StoreView:
        view = self.shops[look.store].view(look, self.now)
        if not self._strikes():
            return view
        return StoreView(look.store, self.now, problem="no answer")

    def _perform(self, action: RolloutAction, in_flight: int) -> CallResult:
        shop = self.shops[action.store]
        shop.run_to(self.now)
        send = action.kind is ActionKind.SEND
        row = next(c for c in self.changes if c.store == action.store)
        wanted = NEW if send else row.previous
        other = row.previous if send else NEW
        outcome = CallOutcome.DONE
        if shop.arn == wanted:
            outcome = CallOutcome.ALREADY
        elif shop.arn != other:
            outcome = CallOutcome.BY_HAND if shop.arn else CallOutcome.GONE
        else:
            if send:
                shop.tags = {"fleet:rollout": "ro-1", "fleet:content": BODY.content}
            shop.set_to(wanted, self.now)
        moved = outcome is CallOutcome.DONE
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
            outcome = CallOutcome.LOST
        target = NEW if send else ""
        return CallResult(
            action.kind, action.store, "vision", outcome, self.now, target, runs=shop.arn
        )

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
