"""What holds of every rollout, whatever becomes of its shops; played in a miniature world."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model.policy import AfterCanary, Amount, OnHalt, Policy
from fleet.model.rollout import ActionKind, Phase, RolloutAction, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from tests.rollout.decide.rollout_shop import NEW, START, Fate
from tests.rollout.decide.rollout_world import Call, World
from tests.rollout.endings import ending

QUICK = Policy("quick", bake_s=300.0, patience_s=1800.0)
ENDS = {"ok", "failed", "undelivered", "rolled back", "dark-and-reverted"}
ON_ONE_STORE = {VerbName.SKIP, VerbName.RETRY}

outages = st.lists(
    st.tuples(st.integers(-10, 700), st.sampled_from([2, 4, 20, 300, 5000])), max_size=3
).map(lambda pairs: tuple((begin, begin + length) for begin, length in pairs))
fates = st.builds(
    Fate,
    run=st.sampled_from(["ok", "ok", "ok", "ok", "crash", "late", "kills-link"]),
    pulls=st.sampled_from([0, 0, 0, 1, 2, 5]),
    outages=st.just(()) | outages,
    old=st.sampled_from([5, 5, 5, 0]),
    zone=st.sampled_from(["Europe/London", "Europe/Moscow", "America/New_York"]),
)
policies = st.builds(
    lambda places, budget, halt, after, success: replace(
        QUICK,
        concurrency=places,
        max_failures=budget,
        on_halt=halt,
        after_canary=after,
        success=success,
    ),
    st.sampled_from([Amount(count=1), Amount(count=3), Amount(percent=Decimal(50))]),
    st.sampled_from([Amount(count=0), Amount(percent=Decimal(30))]),
    st.sampled_from(list(OnHalt)),
    st.sampled_from(list(AfterCanary)),
    st.sampled_from([0.5, 0.95]),
)
#: What people say at some moment, and what they say in the end, when a rollout still rests.
words = st.tuples(st.sampled_from([0.2, 2.0, 30.0]), st.sampled_from(list(VerbName)))
LAST_WORDS = [VerbName.RESUME, VerbName.PROMOTE, VerbName.RESUME, VerbName.RESUME]


@st.composite
def stories(draw: st.DrawFn) -> World:
    """A rollout that was played to its end, with every kind of trouble and people's say in it."""
    shops = draw(st.lists(fates, min_size=1, max_size=9))
    world = World(
        draw(policies),
        {f"s{n}": fate for n, fate in enumerate(shops)},
        seed=draw(st.integers(0, 1000)),
        chance=draw(st.sampled_from([0.0, 0.05, 0.2])),
    )
    for hours, verb in draw(st.lists(words, max_size=3)):
        world.run(hours)
        world.say(verb, *(["s0"] if verb in ON_ONE_STORE else []))
    for verb in [*LAST_WORDS, draw(st.sampled_from([VerbName.ABORT, VerbName.ROLLBACK]))]:
        world.run(72)
        if world.rollout.finished_at is not None:
            break
        world.say(verb)
    world.run(72)
    return world


a_few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PROPERTIES: list[Callable[[World], None]] = []


def property_of_rollouts(check: Callable[[World], None]) -> Callable[[], None]:
    """Play a few stories and hold the check to each; the long test holds all of them to many."""
    PROPERTIES.append(check)
    return a_few(given(stories())(check))


def sends(world: World) -> list[Call]:
    return [call for call in world.calls if call.kind is ActionKind.SEND]


@property_of_rollouts
def test_never_more_stores_in_flight_than_the_policy_allows(world: World) -> None:
    allowed = world.policy.concurrency.of(len(world.fates))

    assert all(call.flying <= allowed for call in sends(world))


@property_of_rollouts
def test_a_rollout_that_does_not_run_sends_only_where_a_person_has_named_the_store(
    world: World,
) -> None:
    assert {c.store for c in sends(world) if c.phase is not Phase.RUNNING} <= world.retried
    assert {c.phase for c in sends(world)} <= {Phase.RUNNING, Phase.HALTED, Phase.PAUSED}


@property_of_rollouts
def test_every_store_that_was_sent_a_change_ends_ok_failed_undelivered_rolled_back_or_dark_and_reverted(  # noqa: E501 - the sentence is the promise
    world: World,
) -> None:
    assert world.rollout.finished_at is not None
    sent = {call.store for call in sends(world) if call.moved}
    ended = {c.store: ending(c) for c in world.changes if c.stage is not Stage.SKIPPED}

    assert {ended[store] for store in sent & ended.keys()} <= ENDS


@property_of_rollouts
def test_no_call_is_sent_outside_a_stores_window(world: World) -> None:
    assert not [call for call in sends(world) if world.is_open(call.store, call.at)]


@property_of_rollouts
def test_a_rollback_never_moves_a_store_to_a_revision_it_did_not_run_before(world: World) -> None:
    undone = [call for call in world.calls if call.kind is ActionKind.UNDO]

    assert all(call.ran_before for call in undone if call.moved)


@property_of_rollouts
def test_a_store_that_is_said_to_be_rolled_back_runs_what_it_ran_before(world: World) -> None:
    for change in world.changes:
        if change.stage is Stage.UNDONE:
            assert world.shops[change.store].arn == change.previous


@property_of_rollouts
def test_a_store_is_said_to_be_ok_only_if_it_has_run_what_was_sent(world: World) -> None:
    for change in world.changes:
        if change.verdict is Verdict.OK and change.stage is Stage.SENT:
            shop = world.shops[change.store]
            assert NEW in {made.arn for made in shop.deployments}
            assert shop.fate.run not in {"crash", "kills-link"}


@property_of_rollouts
def test_a_store_that_no_call_reached_runs_what_it_ran_before(world: World) -> None:
    reached = {call.store for call in world.calls}

    for change in world.changes:
        if change.store not in reached:
            assert world.shops[change.store].arn == change.previous
            assert change.sends == 0


@pytest.mark.long
@settings(a_few, max_examples=400)
@given(stories())
def test_every_property_holds_of_hundreds_of_rollouts(world: World) -> None:
    for check in PROPERTIES:
        check(world)


# the stories that people will ask about


def play(
    *fates: Fate, policy: Policy = QUICK, until: Callable[[World], bool] | None = None
) -> World:
    world = World(policy, {f"s{n}": fate for n, fate in enumerate(fates)})
    world.run(72) if until is None else world.run(72, until)
    return world


def endings(world: World) -> list[str]:
    return [ending(change) for change in world.changes]


def test_a_good_release_reaches_every_store() -> None:
    world = play(*[Fate()] * 10)

    assert world.rollout.phase is Phase.DONE
    assert endings(world) == ["ok"] * 10
    assert len(world.calls) == 10


def test_a_bad_release_stops_in_the_canary_and_the_shops_serve_on() -> None:
    world = play(*[Fate(run="crash")] * 10)

    assert world.rollout.phase is Phase.HALTED
    assert len({call.store for call in sends(world)}) < 4
    assert "one common reason: exit 1" in world.rollout.why


def test_a_bad_release_is_taken_back_where_the_policy_says_so() -> None:
    world = play(*[Fate(run="crash")] * 10, policy=replace(QUICK, on_halt=OnHalt.ROLLBACK))

    assert world.rollout.phase is Phase.ROLLED_BACK
    assert set(endings(world)) == {"rolled back", "not sent"}


def test_a_release_that_kills_links_asks_before_it_reaches_a_second_night() -> None:
    world = play(*[Fate(run="kills-link")] * 10)

    assert world.rollout.phase is Phase.PAUSED
    assert len({call.store for call in sends(world)}) <= 2


def test_a_lossy_pull_is_tried_again_until_it_arrives() -> None:
    world = play(*[Fate(pulls=2)] * 6)

    assert endings(world) == ["ok"] * 6
    assert all(change.pulls_failed == 2 for change in world.changes)


def test_a_store_that_is_dark_at_its_turn_owes_and_blocks_nobody() -> None:
    world = play(Fate(outages=((-60, 9000),)), *[Fate()] * 7)

    assert world.rollout.phase is Phase.DONE
    assert endings(world) == ["parked", *["ok"] * 7]
    assert world.changes[0].owes


def test_a_store_that_goes_dark_after_its_call_is_set_back_before_its_window_ends() -> None:
    policy = replace(QUICK, concurrency=Amount(count=4), min_control=1)
    world = World(policy, {"s0": Fate(outages=((1, 9000),)), "s1": Fate()})
    world.run(12, until=lambda _: False)

    assert endings(world) == ["dark-and-reverted", "ok"]
    assert world.shops["s0"].arn == world.changes[0].previous
    (undone,) = [call for call in world.calls if call.kind is ActionKind.UNDO]
    assert not world.is_open("s0", undone.at)
    assert undone.at - START > timedelta(hours=9), "it had all of its window to come back"


def test_a_dark_store_is_not_left_to_ecs_when_the_rollout_ends() -> None:
    policy = replace(QUICK, concurrency=Amount(count=4), min_control=1, coverage=0.7, min_sample=3)
    world = play(Fate(outages=((1, 9000),)), *[Fate()] * 7, policy=policy)

    assert world.rollout.phase is Phase.DONE
    assert endings(world) == ["dark-and-reverted", *["ok"] * 7]
    assert world.changes[0].owes


def test_a_store_that_comes_back_in_time_catches_up_in_the_convoy() -> None:
    world = play(Fate(outages=((-60, 12),)), *[Fate()] * 7)

    assert endings(world) == ["ok"] * 8


def test_a_hand_change_is_left_alone() -> None:
    world = play(Fate(hand=5), *[Fate()] * 7)

    assert endings(world)[0] == "changed-by-hand"
    assert world.shops["s0"].arn.endswith(":7")


class LosesReplies(World):
    """A world in which the reply of every call is lost."""

    def _perform(self, action: RolloutAction, in_flight: int) -> CallResult:
        return replace(super()._perform(action, in_flight), outcome=CallOutcome.LOST)


def test_a_call_whose_reply_was_lost_is_found_and_not_repeated() -> None:
    world = LosesReplies(QUICK, {"s0": Fate()})
    world.run(10)

    assert endings(world) == ["ok"]
    assert len(sends(world)) == 1


def test_a_call_whose_reply_was_lost_was_sent_though_the_breaker_has_restored_the_shop() -> None:
    world = LosesReplies(QUICK, {"s0": Fate(pulls=9)})
    world.tick()
    world.now += timedelta(minutes=5)
    world.tick()

    assert world.shops["s0"].arn == world.changes[0].previous
    assert (endings(world), world.changes[0].sends) == (["undelivered"], 1)


@pytest.mark.parametrize("verb", [VerbName.PAUSE, VerbName.ABORT])
def test_what_was_sent_is_watched_to_its_end_after_the_rest_was_called_off(verb: VerbName) -> None:
    world = World(QUICK, {f"s{n}": Fate() for n in range(8)})
    world.run(72, until=lambda world: bool(sends(world)))
    world.say(verb)
    world.run(72)

    assert endings(world) == ["ok", *["not sent"] * 7]


@pytest.mark.parametrize(
    ("last", "end"), [(VerbName.ABORT, "failed"), (VerbName.ROLLBACK, "rolled back")]
)
def test_a_retry_that_is_called_off_leaves_the_store_with_its_last_end(
    last: VerbName, end: str
) -> None:
    world = play(*[Fate(run="crash")] * 10)
    store = sends(world)[0].store
    world.say(VerbName.RETRY, store)
    world.say(last)
    world.run(2)

    assert [ending(c) for c in world.changes if c.store == store] == [end]
