"""In whatever state a rollout is and whatever AWS answers, it ends or asks, within bounded time.

The pure functions of a tick are played on a clock of their own. Windows are left out here: a store
that waits for its window names the time at which it opens.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.changes import CONVOY, Change, NextSend, Undo
from fleet.model.policy import Amount, OnHalt, Policy, Window
from fleet.model.rollout import ActionKind, Phase, RolloutAction, VerbName
from fleet.model.services import StoreView
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.store_choice import StoreRead
from tests.rollout.decide.rollout_shop import NEW, START, Fate, revision
from tests.rollout.decide.rollout_world import World

POLICY = Policy("quick", bake_s=300.0, patience_s=1800.0, window=Window.ALWAYS)
#: Seconds between two ticks, at least: a foreground run, a cron line, a controller that stopped.
GAPS = [1.0, 900.0, 2 * 3600.0, 9 * 3600.0]


@dataclass(frozen=True)
class Answers:
    """What AWS answers about one store, from a minute on; before that all is well.

    Attributes:
        calls: the outcome of every call, or None for those of the shop.
        reads: ``ok``, ``unread``, ``gone`` (the service) or ``hand`` (it runs something else).
    """

    calls: CallOutcome | None = None
    reads: str = "ok"
    begins: int = 0


@dataclass
class HarshWorld(World):
    """A world in which AWS has its own mind, and ticks come when they come."""

    answers: Mapping[str, Answers] = field(default_factory=dict)
    gap_s: float = 1.0

    def _says(self, store: str) -> Answers:
        said = self.answers.get(store, Answers())
        minute = (self.now - START).total_seconds() / 60
        return said if minute >= said.begins else Answers()

    def _view(self, look: StoreRead) -> StoreView:
        said, view = self._says(look.store), super()._view(look)
        if said.reads == "unread":
            return StoreView(look.store, self.now, problem="the cluster was not found")
        if said.reads == "gone":
            return replace(view, services=())
        if said.reads == "hand":
            other = [replace(s, task_definition=revision(7)) for s in view.services or ()]
            return replace(view, services=tuple(other))
        return view

    def _perform(self, action: RolloutAction, in_flight: int) -> CallResult:
        outcome = self._says(action.store).calls
        if outcome is None:
            return super()._perform(action, in_flight)
        target = NEW if action.kind is ActionKind.SEND else ""
        return CallResult(
            action.kind, action.store, "vision", outcome, self.now, target, words="AWS says no"
        )

    def advance(self) -> None:
        before = self.now
        super().advance()
        self.now = max(self.now, before + timedelta(seconds=self.gap_s))


NO = [CallOutcome.REFUSED, CallOutcome.REJECTED, CallOutcome.LOST, CallOutcome.GONE]
answers = st.builds(
    Answers,
    calls=st.none() | st.sampled_from(NO),
    reads=st.sampled_from(["ok", "ok", "unread", "gone", "hand"]),
    begins=st.sampled_from([0, 0, 3, 20, 60]),
)
fates = st.builds(
    Fate,
    run=st.sampled_from(["ok", "ok", "crash", "late", "kills-link"]),
    pulls=st.sampled_from([0, 0, 2, 9]),
    outages=st.sampled_from([(), (), ((-60, 99999),), ((2, 9), (11, 18), (20, 27)), ((4, 300),)]),
    old=st.sampled_from([5, 5, 0]),
)
policies = st.builds(
    lambda places, halt, success: replace(
        POLICY, concurrency=places, on_halt=halt, success=success
    ),
    st.sampled_from([Amount(count=1), Amount(count=3)]),
    st.sampled_from(list(OnHalt)),
    st.sampled_from([0.5, 0.95]),
)


#: Verdicts that a change has in a stage; in the others it may have any.
BY_STAGE: Mapping[Stage, list[Verdict]] = {
    Stage.PLANNED: [Verdict.WAITING, Verdict.WAITING, Verdict.PARKED, Verdict.UNDELIVERED],
    Stage.HELD: [Verdict.CHANGED_BY_HAND, Verdict.UNDELIVERED, Verdict.FAILED],
    Stage.SENT: [v for v in Verdict if v not in {Verdict.PARKED, Verdict.UNCHANGED}],
}


def some_change(draw: st.DrawFn, change: Change, waves: int) -> Change:
    """A change in any state at all, whether or not it is known how it would come there."""
    stage = draw(st.sampled_from([Stage.PLANNED, Stage.PLANNED, *Stage]))
    sends = 0 if stage is Stage.PLANNED else draw(st.integers(0, 2))
    ago = START - timedelta(minutes=draw(st.sampled_from([0, 5, 90, 2000])))
    parts: dict[str, Any] = {
        "stage": stage,
        "verdict": draw(st.sampled_from(BY_STAGE.get(stage, list(Verdict)))),
        "wave": draw(st.sampled_from([change.wave, change.wave, CONVOY, waves - 1])),
        "sends": sends,
        "sent_at": ago if sends else None,
        "since": ago,
        "target": NEW if sends else "",
        "pulls_failed": draw(st.sampled_from([0, 1, 9])),
        "look_at": draw(st.none() | st.just(START + timedelta(minutes=3))),
        "ok_at": draw(st.none() | st.just(ago)) if sends else None,
        "next_send": NextSend(refusals=draw(st.integers(0, 2)), postponed=draw(st.booleans())),
        "undo": Undo(settled=draw(st.sampled_from([None, False, True])), since=ago),
    }
    return replace(change, **parts)


@st.composite
def worlds(draw: st.DrawFn) -> HarshWorld:
    shops = draw(st.lists(fates, min_size=1, max_size=6))
    said = draw(st.lists(answers, min_size=len(shops), max_size=len(shops)))
    stores = [f"s{n}" for n in range(len(shops))]
    world = HarshWorld(
        draw(policies),
        dict(zip(stores, shops, strict=True)),
        seed=draw(st.integers(0, 1000)),
        chance=draw(st.sampled_from([0.0, 0.1])),
        answers=dict(zip(stores, said, strict=True)),
        gap_s=draw(st.sampled_from(GAPS)),
    )
    waves = len(world.rollout.spec.waves)
    if draw(st.booleans()):
        world.changes = tuple(some_change(draw, change, waves) for change in world.changes)
        phase = draw(st.sampled_from([Phase.RUNNING, Phase.ROLLING_BACK, Phase.ABORTED]))
        world.rollout = replace(
            world.rollout,
            phase=phase,
            wave=draw(st.integers(0, waves)),
            wave_at=START - timedelta(minutes=draw(st.sampled_from([0, 300]))),
            baking_since=draw(st.none() | st.just(START)),
            updated_at=START,
        )
    return world


def has_ended_or_asks(world: World) -> bool:
    rollout = world.rollout
    return rollout.finished_at is not None or rollout.phase.awaits_person


def longest_s(world: HarshWorld) -> float:
    """The longest that a rollout may go without sending or asking."""
    policy = world.policy
    waits = 2 * policy.deadline_s + policy.bake_s + policy.patience_s + policy.pull_wait_s
    # When nobody ticked it for longer than its patience, one tick tries the stores before it asks.
    return waits + 3 * world.gap_s + 600


def play(world: HarshWorld) -> None:
    """Tick until it ends or asks; fails where nothing takes it further for too long."""
    step, since = None, world.now
    for _ in range(5000):
        if has_ended_or_asks(world):
            return
        now = (
            world.rollout.phase,
            world.rollout.wave,
            sum(change.sends for change in world.changes),
            sum(change.undo.since is not None for change in world.changes),
        )
        if now != step:
            step, since = now, world.now
        waited = (world.now - since).total_seconds()
        assert waited <= longest_s(world), f"{waited:.0f} s in {now}: {world.settled}"
        world.tick()
        world.rollout = replace(world.rollout, updated_at=world.now)
        world.advance()
    raise AssertionError(f"it still goes on after {world.now - START}")


some_worlds = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@some_worlds
@given(worlds())
def test_a_rollout_ends_or_asks_whatever_aws_answers(world: HarshWorld) -> None:
    play(world)


@some_worlds
@given(worlds(), st.sampled_from([VerbName.ABORT, VerbName.ROLLBACK]))
def test_it_ends_after_a_person_has_ended_it_too(world: HarshWorld, verb: VerbName) -> None:
    for _ in range(4):
        world.tick()
        world.advance()
    world.say(verb)

    play(world)

    assert world.rollout.finished_at is not None or world.rollout.phase.awaits_person


@pytest.mark.long
@settings(some_worlds, max_examples=3000)
@given(worlds())
def test_thousands_of_rollouts_end_or_ask(world: HarshWorld) -> None:
    play(world)


@pytest.mark.parametrize("gap_s", GAPS)
@pytest.mark.parametrize(
    "said",
    [
        Answers(CallOutcome.REJECTED),
        Answers(CallOutcome.REFUSED),
        Answers(CallOutcome.LOST),
        Answers(reads="unread"),
        Answers(reads="unread", begins=3),
        Answers(reads="gone", begins=3),
        Answers(reads="hand", begins=3),
    ],
    ids=str,
)
def test_the_same_answer_for_every_store_stops_it(said: Answers, gap_s: float) -> None:
    stores = [f"s{n}" for n in range(6)]
    world = HarshWorld(
        POLICY,
        {store: Fate() for store in stores},
        answers=dict.fromkeys(stores, said),
        gap_s=gap_s,
    )

    play(world)

    assert world.rollout.phase in {Phase.PAUSED, Phase.HALTED}


def test_stores_that_are_all_parked_ask() -> None:
    world = HarshWorld(POLICY, {f"s{n}": Fate(outages=((-60, 99999),)) for n in range(6)})

    play(world)

    assert world.rollout.phase is Phase.PAUSED
    assert "no store has judged arm64: those of canary are parked" in world.rollout.why
