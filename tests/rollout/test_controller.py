"""Rollouts from tick to tick, in the foreground and as a service; waiting lets time pass."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from fleet.errors import FleetError, Locked
from fleet.model.policy import AfterCanary
from fleet.model.rollout import EventKind, Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout import controller
from fleet.rollout.controller import CONTROLLER, run_controller, run_until_rest, say
from fleet.rollout.tick import rollout_lease, shard_lease
from fleet.runtime.lease import held
from tests.shops import ACCOUNT, CALLER, POLICY, REGION, STORES, Shops, place

CANARY, SECOND, THIRD = STORES


class Passing(threading.Event):
    """Nobody waits: what would be waited for is let pass, and things happen on the way."""

    def __init__(self, shops: Shops, then: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self._shops, self._then = shops, then
        self.waits = 0

    def wait(self, timeout: float | None = None) -> bool:
        self._shops.pass_by(5)
        self.waits += 1
        self._then(self.waits)
        assert self.waits < 2000
        return self.is_set()


def test_a_rollout_in_the_foreground_goes_on_until_it_is_finished(shops: Shops) -> None:
    shops.start(CANARY)
    rested = run_until_rest(shops.crew, "ro-1", Passing(shops))
    assert (rested.rollout.phase, rested.stopped) == (Phase.DONE, False)
    assert [c.verdict for c in rested.changes] == [Verdict.OK]
    assert shops.records.leases.holder(rollout_lease("ro-1")) is None


def test_it_rests_where_only_a_person_can_move_it(shops: Shops) -> None:
    shops.start(policy=replace(POLICY, after_canary=AfterCanary.PROMOTE))
    rested = run_until_rest(shops.crew, "ro-1", Passing(shops))
    assert rested.rollout.phase is Phase.AWAITING
    assert shops.runs(SECOND) == shops.old


def test_a_paused_rollout_rests_when_it_is_known_what_became_of_what_was_sent(
    shops: Shops,
) -> None:
    shops.start()
    shops.tick()
    shops.say(VerbName.PAUSE)
    rested = run_until_rest(shops.crew, "ro-1", Passing(shops))
    assert rested.rollout.phase is Phase.PAUSED
    assert rested.changes[0].verdict is Verdict.OK
    assert shops.row(SECOND).stage is Stage.PLANNED


def test_a_person_who_stops_it_stops_it_after_a_tick(shops: Shops) -> None:
    shops.start()
    stop = threading.Event()
    stop.set()
    rested = run_until_rest(shops.crew, "ro-1", stop)
    assert rested.stopped
    assert shops.row(CANARY).stage is Stage.SENT


def test_what_is_said_while_it_waits_is_obeyed_before_it_would_wake(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "VERBS_EVERY_S", 0.0)

    def pause(waits: int) -> None:
        if waits == 1:
            shops.say(VerbName.PAUSE)

    shops.start()
    rested = run_until_rest(shops.crew, "ro-1", Passing(shops, pause))
    assert rested.rollout.phase is Phase.PAUSED


def test_a_stop_that_is_lifted_is_noticed_at_once(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "VERBS_EVERY_S", 0.0)
    sent: list[int] = []

    def lift(waits: int) -> None:
        if waits == 3:
            sent.append(len(shops.actions("UpdateService")))
            shops.records.stops.lift(by="anna", at=shops.now())

    shops.start(CANARY)
    shops.records.stops.set(by="anna", at=shops.now(), why="bad image")
    rested = run_until_rest(shops.crew, "ro-1", Passing(shops, lift))
    assert (sent, rested.rollout.phase) == ([0], Phase.DONE)


def test_a_controller_says_that_it_is_stopped_and_resumes_nothing_that_is_owed(
    shops: Shops,
) -> None:
    said: list[str] = []
    crew = replace(shops.crew, warn=said.append)
    shops.start(CANARY)
    shops.records.stops.set(by="anna", at=shops.now(), why="bad image")

    def lift(waits: int) -> None:
        if waits == 30:
            assert shops.runs(CANARY) == shops.old
            shops.records.stops.lift(by="anna", at=shops.now())
        if waits == 200:
            stop.set()

    stop = Passing(shops, lift)
    run_controller(crew, stop)
    assert shops.runs(CANARY) != shops.old
    assert [line.split(":")[0][:25] for line in said] == [
        "all sending is stopped si",
        "sending goes on",
    ]


def test_trouble_ends_it_with_the_words_that_resume_it(shops: Shops) -> None:
    shops.start()
    shops.fail("DescribeServices", "ExpiredTokenException", count=99)
    with pytest.raises(FleetError, match="ro-1 goes no further: emea-prod/eu-west-1") as raised:
        run_until_rest(shops.crew, "ro-1", Passing(shops))
    assert raised.value.hint is not None
    assert raised.value.hint.endswith("then: fleet rollout resume ro-1")


def test_a_rollout_that_another_process_ticks_is_locked(shops: Shops) -> None:
    shops.start()
    with (
        held(shops.records, [rollout_lease("ro-1")], "somebody else"),
        pytest.raises(Locked, match="somebody else works on rollout ro-1"),
    ):
        run_until_rest(shops.crew, "ro-1", Passing(shops))


def test_an_account_in_which_another_rollout_ticks_is_waited_for(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controller, "SHARD_PATIENCE_S", 0.0)
    shops.start()
    shard = shard_lease(ACCOUNT.account_id, REGION)
    with held(shops.records, [shard], "another rollout"), pytest.raises(Locked, match="another"):
        run_until_rest(shops.crew, "ro-1", Passing(shops))


def test_what_is_said_is_a_row_with_who_said_it(shops: Shops) -> None:
    shops.start()
    number = say(shops.crew, "ro-1", VerbName.SKIP, (THIRD,), "refitting")
    (verb,) = shops.records.rollouts.verbs("ro-1")
    assert (verb.id, verb.by, verb.stores, verb.why) == (number, CALLER, (THIRD,), "refitting")


def once(shops: Shops) -> None:
    run_controller(shops.crew, Passing(shops), once=True)


def test_a_controller_ticks_every_rollout_that_is_not_finished(shops: Shops) -> None:
    shops.start(CANARY)
    shops.start(SECOND)
    once(shops)
    assert [shops.row(s, r).stage for s, r in ((CANARY, "ro-1"), (SECOND, "ro-2"))] == [
        Stage.SENT,
        Stage.SENT,
    ]


def test_a_controller_sees_a_rollout_through_and_ends_when_it_is_told_to(shops: Shops) -> None:
    def until_done(_: int) -> None:
        if not shops.records.rollouts.active():
            stop.set()

    shops.start(CANARY)
    stop = Passing(shops, until_done)
    run_controller(shops.crew, stop)
    assert shops.records.rollouts.load("ro-1").phase is Phase.DONE
    assert shops.warned == []


def test_a_controller_says_that_it_lives_and_when_it_does_no_more(shops: Shops) -> None:
    seen: list[str] = []

    def look(_: int) -> None:
        lease = shops.records.leases.holder(CONTROLLER)
        seen.append(lease.owner if lease else "")
        stop.set()

    stop = Passing(shops, look)
    run_controller(shops.crew, stop)
    assert seen == [shops.crew.owner]
    assert shops.records.leases.holder(CONTROLLER) is None


def test_a_controller_leaves_alone_what_somebody_else_ticks(shops: Shops) -> None:
    shops.start()
    with held(shops.records, [rollout_lease("ro-1")], "somebody else"):
        once(shops)
    assert shops.row(CANARY).stage is Stage.PLANNED
    assert shops.warned == []


def test_a_controller_tells_a_trouble_once_and_tries_again(shops: Shops) -> None:
    shops.start()
    shops.fail("DescribeServices", "ExpiredTokenException", count=99)

    def until(waits: int) -> None:
        if waits == 30:
            shops.chain.plane.faults.clear()
        if shops.row(CANARY).stage is Stage.SENT or waits > 100:
            stop.set()

    stop = Passing(shops, until)
    run_controller(shops.crew, stop)
    assert shops.row(CANARY).stage is Stage.SENT
    assert len(shops.warned) == 1
    assert shops.warned[0].startswith("ro-1: emea-prod/eu-west-1: ")


def test_one_rollout_in_trouble_keeps_no_other_one_waiting(shops: Shops) -> None:
    spec_places = {CANARY: replace(place(CANARY), account="sold", account_id="9" * 12)}
    shops.start(CANARY, places=spec_places)
    shops.start(SECOND)
    once(shops)
    assert shops.row(SECOND, "ro-2").stage is Stage.SENT
    assert any("ro-1" in line and "sold" in line for line in shops.warned)


def owed(shops: Shops) -> None:
    """A finished rollout that a shop owes, which was away at its turn."""
    shops.chain.cut(SECOND)
    shops.pass_by(300)
    shops.start(SECOND)
    assert shops.run().why == "1 owed"


def test_a_controller_takes_on_an_owed_store_that_is_back(shops: Shops) -> None:
    owed(shops)
    shops.chain.restore(SECOND)
    shops.pass_by(120)
    once(shops)
    assert shops.records.rollouts.load("ro-1").phase is Phase.RUNNING
    (verb,) = shops.records.rollouts.verbs("ro-1")
    assert (verb.name, verb.why) == (VerbName.RESUME, f"owed and back: {SECOND}")
    assert shops.run().why == "1 ok"
    assert shops.runs(SECOND) != shops.old


def test_a_controller_leaves_an_owed_store_that_is_away(shops: Shops) -> None:
    owed(shops)
    once(shops)
    assert shops.records.rollouts.load("ro-1").phase is Phase.DONE
    assert shops.records.rollouts.verbs("ro-1") == ()


def test_a_controller_that_cannot_ask_owed_stores_says_so(shops: Shops) -> None:
    owed(shops)
    shops.fail("ListContainerInstances", "ExpiredTokenException", count=9)
    shops.fail("DescribeContainerInstances", "ExpiredTokenException", count=9)
    once(shops)
    assert len(shops.warned) == 1
    assert shops.records.rollouts.load("ro-1").phase is Phase.DONE


def done(shops: Shops, watch_for_s: float = POLICY.watch_for_s) -> None:
    """A rollout that is done, to three stores."""
    shops.start(policy=replace(POLICY, watch_for_s=watch_for_s))
    assert shops.run().phase is Phase.DONE


def lose_all(shops: Shops) -> None:
    for store in STORES:
        shops.chain.cut(store)


def until_recalled(shops: Shops, waits: int = 600) -> None:
    """Run a controller until it recalls the release, or has watched for long."""

    def look(waited: int) -> None:
        if shops.records.rollouts.load("ro-1").recalled or waited >= waits:
            stop.set()

    stop = Passing(shops, look)
    run_controller(shops.crew, stop)


def test_a_controller_recalls_a_release_whose_stores_are_lost_after_it_was_done(
    shops: Shops,
) -> None:
    done(shops)
    lose_all(shops)
    until_recalled(shops)
    rollout = shops.records.rollouts.load("ro-1")
    assert rollout.phase is Phase.DONE
    assert rollout.why.startswith("recalled: ")
    (event,) = [e for e in shops.records.rollouts.events("ro-1") if e.kind is EventKind.RECALL]
    assert event.text.endswith("to take it back: fleet rollout rollback ro-1")


def test_a_release_that_was_recalled_can_be_rolled_back(shops: Shops) -> None:
    done(shops)
    lose_all(shops)
    until_recalled(shops)
    shops.say(VerbName.ROLLBACK)
    once(shops)
    assert shops.run().phase is Phase.ROLLED_BACK
    assert {shops.runs(store) for store in STORES} == {shops.old}


def test_a_controller_recalls_nothing_while_the_stores_are_well(shops: Shops) -> None:
    done(shops)
    before = shops.row(CANARY).looked_at
    until_recalled(shops, waits=300)
    assert shops.records.rollouts.load("ro-1").recalled == ""
    seen = shops.row(CANARY).looked_at
    assert seen is not None
    assert before is not None
    assert seen - before > timedelta(minutes=5)


def test_a_controller_watches_no_longer_than_the_policy_says(shops: Shops) -> None:
    done(shops, watch_for_s=60.0)
    shops.pass_by(61)
    before = shops.row(CANARY).looked_at
    once(shops)
    assert shops.row(CANARY).looked_at == before
