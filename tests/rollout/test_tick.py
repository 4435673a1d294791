"""One tick of a rollout against AWS: what is recorded before and after it acts, and cut-offs."""

from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.errors import FleetError, LeaseLost, RecordsError
from fleet.model.rollout import EventKind, Phase, VerbName, WavePlan
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout import tick as tick_module
from fleet.rollout.sends import why_not_to_send
from fleet.rollout.shard_jobs import run_shard_job
from fleet.rollout.tick import rollout_lease, shard_lease, tick
from fleet.runtime.lease import held
from tests.shops import ACCOUNT, CALLER, NEW, POLICY, REGION, SERVICE, STORES, Shops

CANARY, SECOND, THIRD = STORES


class CutOffError(Exception):
    """The process ends here."""


def updates(shops: Shops) -> int:
    return len(shops.actions("UpdateService"))


def test_the_first_tick_sends_the_canary_and_nobody_else(shops: Shops) -> None:
    shops.start()
    ticked = shops.tick()
    assert shops.runs(CANARY) != shops.old
    assert [shops.runs(store) for store in (SECOND, THIRD)] == [shops.old] * 2
    assert ticked.settled.wake_at is not None
    assert shops.row(CANARY).stage is Stage.SENT


def test_a_good_release_reaches_every_shop_and_ends(shops: Shops) -> None:
    shops.start()
    ended = shops.run()
    assert (ended.phase, ended.why) == (Phase.DONE, "3 ok")
    assert len({shops.runs(store) for store in STORES} - {shops.old}) == 1
    assert updates(shops) == len(STORES)
    assert shops.records.rollouts.holds() == ()


def test_a_tick_that_is_repeated_at_once_sends_nothing_again(shops: Shops) -> None:
    shops.start()
    shops.tick()
    shops.tick()
    assert updates(shops) == 1


def test_what_is_about_to_be_done_is_recorded_before_it_is_done(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()
    found: list[Stage] = []

    def watched(open_access: Any, job: Any) -> Any:
        if job.writes:
            found.append(shops.row(CANARY).stage)
        return run(open_access, job)

    run = run_shard_job
    monkeypatch.setattr(tick_module, "run_shard_job", watched)
    shops.tick()
    assert found == [Stage.SENDING]


def stop_before(shops: Shops, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let somebody stop every send right before so many batches of sends were asked about."""
    asked: list[str] = []

    def ask(records: Any, rollout_id: str, stores: Any) -> Any:
        asked.append(rollout_id)
        if len(asked) == number:
            shops.records.stops.set(by="anna on laptop", at=shops.now(), why="bad image")
        return why_not_to_send(records, rollout_id, stores)

    monkeypatch.setattr(tick_module, "why_not_to_send", ask)


def test_a_stop_after_the_tick_has_decided_is_in_time_for_its_calls(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()
    stop_before(shops, monkeypatch, 1)
    shops.tick()
    row = shops.row(CANARY)
    assert (updates(shops), row.stage, row.sends) == (0, Stage.PLANNED, 0)
    assert "bad image" in row.reason
    shops.tick()
    assert updates(shops) == 0
    shops.records.stops.lift(by="anna on laptop", at=shops.now())
    assert shops.run().phase is Phase.DONE
    assert updates(shops) == len(STORES)


def test_a_stop_between_two_batches_lets_the_second_one_be(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tick_module, "SENDS_PER_QUESTION", 1)
    shops.start(waves=(WavePlan("wave 1", STORES),))
    stop_before(shops, monkeypatch, 2)
    shops.tick()
    stages = [shops.row(store).stage for store in STORES]
    assert updates(shops) == 1
    assert stages == [Stage.SENT, Stage.PLANNED, Stage.PLANNED]


def test_a_rollout_tells_once_of_a_stop_and_once_of_its_end(shops: Shops) -> None:
    shops.start()
    shops.records.stops.set(by="anna on laptop", at=shops.now(), why="bad image")
    for _ in range(3):
        shops.tick()
        shops.pass_by(30)
    shops.records.stops.lift(by="ben on desk", at=shops.now())
    for _ in range(3):
        shops.tick()
        shops.pass_by(30)
    texts = [e.text for e in shops.records.rollouts.events("ro-1") if e.kind is EventKind.WAIT]
    assert ["bad image" in text for text in texts] == [True, False]
    assert "ben on desk has lifted the stop" in texts[1]


def test_stores_are_set_back_while_every_send_is_stopped(shops: Shops) -> None:
    shops.start()
    shops.tick()
    shops.records.stops.set(by="anna on laptop", at=shops.now(), why="bad image")
    shops.say(VerbName.ROLLBACK)
    assert shops.run().phase is Phase.ROLLED_BACK
    assert shops.runs(CANARY) == shops.old


def cut_off(shops: Shops, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    """A tick whose process ends ``before`` its writes, or ``after`` them."""

    def ended(self: Any, actions: Any) -> None:
        if at == "after":
            # What the calls came to is never recorded.
            patched.setattr(tick_module, "apply_results", die)
            act(self, actions)
        raise CutOffError

    def die(*_: Any) -> None:
        raise CutOffError

    act = tick_module._Tick._act
    with monkeypatch.context() as patched:
        patched.setattr(tick_module._Tick, "_act", ended)
        with pytest.raises(CutOffError):
            shops.tick()


def test_a_run_that_is_cut_off_before_its_call_sends_once_in_the_end(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()
    cut_off(shops, monkeypatch, "before")
    assert (shops.row(CANARY).stage, updates(shops)) == (Stage.SENDING, 0)
    shops.tick()
    shops.tick()
    assert updates(shops) == 1
    assert shops.row(CANARY).stage is Stage.SENT


def test_a_run_that_is_cut_off_after_its_call_does_not_repeat_it(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()
    cut_off(shops, monkeypatch, "after")
    assert (shops.row(CANARY).stage, updates(shops)) == (Stage.SENDING, 1)
    shops.pass_by(5)
    shops.tick()
    assert updates(shops) == 1
    row = shops.row(CANARY)
    assert (row.stage, row.sends, row.target) == (Stage.SENT, 1, shops.runs(CANARY))


@pytest.mark.parametrize("at", ["before", "after"])
def test_a_cut_off_run_comes_to_the_same_end(
    shops: Shops, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    shops.start(CANARY)
    cut_off(shops, monkeypatch, at)
    assert shops.run().why == "1 ok"
    assert updates(shops) == 1


def test_a_tick_whose_lease_is_lost_records_and_sends_nothing(shops: Shops) -> None:
    shops.start()
    before = shops.records.rollouts.load("ro-1")
    lease = rollout_lease("ro-1")
    shard = shard_lease(ACCOUNT.account_id, REGION)
    with (
        held(shops.records, [lease], "first") as own,
        held(shops.records, [shard], "first") as shards,
    ):
        assert shops.records.leases.release(own.lease(lease))
        assert shops.records.leases.take(lease, "second", 30.0)
        with pytest.raises(LeaseLost):
            tick(shops.crew, "ro-1", own, shards)
    assert updates(shops) == 0
    assert shops.records.rollouts.load("ro-1") == before
    assert shops.row(CANARY).stage is Stage.PLANNED


def test_nothing_is_sent_when_the_records_cannot_be_written(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start()

    def away(*_: Any, **__: Any) -> None:
        raise RecordsError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(shops.records.rollouts, "write_tick", away)
        with pytest.raises(RecordsError):
            shops.tick()
    assert updates(shops) == 0


def test_a_verb_is_obeyed_and_answered_by_the_next_tick(shops: Shops) -> None:
    shops.start()
    verb = shops.say(VerbName.PAUSE)
    assert shops.tick().rollout.phase is Phase.PAUSED
    assert shops.answer(verb).startswith("paused; ")
    assert updates(shops) == 0


def test_a_verb_is_obeyed_once(shops: Shops) -> None:
    shops.start()
    shops.say(VerbName.PAUSE)
    shops.tick()
    shops.say(VerbName.RESUME)
    assert shops.tick().rollout.phase is Phase.RUNNING
    assert shops.tick().rollout.phase is Phase.RUNNING


def test_a_finished_rollout_takes_back_nothing_that_another_one_holds(shops: Shops) -> None:
    shops.start(CANARY)
    shops.run()
    newer = shops.start(CANARY)
    verb = shops.say(VerbName.ROLLBACK)
    ticked = shops.tick()
    assert (ticked.rollout.phase, ticked.settled.wake_at) == (Phase.DONE, None)
    assert shops.answer(verb).startswith("not done: ")
    assert newer.id in shops.answer(verb)
    assert shops.row(CANARY).stage is Stage.SENT


def test_what_is_told_has_been_recorded(shops: Shops) -> None:
    shops.start()
    shops.tick()
    kept = [event.text for event in shops.records.rollouts.events("ro-1")]
    assert [event.text for event in shops.told] == kept
    assert f"{SERVICE} sent" in kept


def test_every_call_that_changes_a_shop_is_audited(shops: Shops) -> None:
    shops.start()
    shops.tick()
    (row,) = shops.records.audit_of(shops.run_id)
    assert (row.caller_arn, row.action, row.store) == (CALLER, "send service", CANARY)
    assert row.why == "ro-1: done"


def test_a_revision_is_remembered_for_the_next_wave(shops: Shops) -> None:
    shops.start()
    for _ in range(8):
        shops.tick()
        shops.pass_by(30)
    assert updates(shops) == len(STORES)
    assert shops.actions("RegisterTaskDefinition") == ["RegisterTaskDefinition"]
    known = shops.records.task_definitions.find(ACCOUNT.account_id, REGION, NEW.content)
    assert known == shops.runs(CANARY)


def test_expired_credentials_are_trouble_and_leave_everything_as_it_was(shops: Shops) -> None:
    shops.start()
    shops.fail("DescribeServices", "ExpiredTokenException", count=99)
    ticked = shops.tick()
    ((where, why, hint),) = ticked.troubles
    assert where == f"{ACCOUNT.name}/{REGION}"
    assert "expired" in why.lower()
    assert hint
    assert shops.row(CANARY).stage is Stage.PLANNED


def test_credentials_that_expire_between_looking_and_sending_leave_the_row_in_doubt(
    shops: Shops,
) -> None:
    shops.start()
    shops.fail("TagResource", "ExpiredTokenException", count=9)
    assert shops.tick().troubles
    assert shops.row(CANARY).stage is Stage.SENDING
    shops.chain.plane.faults.clear()
    shops.tick()
    shops.tick()
    assert shops.row(CANARY).stage is Stage.SENT
    assert updates(shops) == 1


class Broken(Executor):
    """Jobs end as somebody else says."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_exception(self._error)
        return future


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RuntimeError("KilledWorker"), "the executor lost the job: RuntimeError"),
        (CancelledError(), "the executor gave the job up"),
        (FleetError("no such profile"), "no such profile"),
    ],
)
def test_a_job_that_the_executor_loses_is_trouble(
    shops: Shops, error: BaseException, words: str
) -> None:
    shops.start()
    ticked = shops.tick(crew=replace(shops.crew, executor=Broken(error)))
    assert [why for _, why, _ in ticked.troubles] == [words]
    assert shops.row(CANARY).stage is Stage.PLANNED


def test_an_account_that_the_inventory_has_lost_is_said_so(shops: Shops) -> None:
    shops.start()
    fleet = replace(shops.wiring.fleet, accounts={})
    crew = replace(shops.crew, wiring=replace(shops.wiring, fleet=fleet))
    [(_, why, hint)] = shops.tick(crew=crew).troubles
    assert "which the inventory does not have any more" in why
    assert "abort" in hint


def test_the_budget_of_an_account_is_left_with_its_lease(shops: Shops) -> None:
    shops.start()
    shops.tick()
    assert shops.records.leases.state(shard_lease(ACCOUNT.account_id, REGION)) == {"spent": 1}


def test_a_dark_shop_is_parked_and_owed_in_the_end(shops: Shops) -> None:
    shops.chain.cut(SECOND)
    shops.pass_by(300)
    shops.start(SECOND)
    ended = shops.run()
    assert (ended.phase, ended.why) == (Phase.DONE, "1 owed")
    assert shops.row(SECOND).verdict is Verdict.PARKED
    assert shops.runs(SECOND) == shops.old


def test_a_release_that_crashes_everywhere_halts_and_rolls_back_by_word(shops: Shops) -> None:
    shops.chain.images.tell({"shops.example/vision:2": {"run": "crash", "after_s": 5}})
    shops.start(policy=replace(POLICY, min_sample=1))
    assert shops.run().phase is Phase.HALTED
    assert [shops.runs(store) for store in (SECOND, THIRD)] == [shops.old] * 2
    shops.say(VerbName.ROLLBACK)
    assert shops.run().phase is Phase.ROLLED_BACK
    assert shops.runs(CANARY) == shops.old


def test_a_wave_waits_for_its_bake_and_not_longer(shops: Shops) -> None:
    shops.start(CANARY, policy=replace(POLICY, bake_s=500.0))
    ended = shops.run()
    assert ended.finished_at is not None
    row = shops.row(CANARY)
    assert row.since is not None
    assert timedelta(seconds=500) <= ended.finished_at - row.since < timedelta(seconds=560)


def test_a_rollback_by_word_sets_every_shop_back(shops: Shops) -> None:
    shops.start()
    for _ in range(8):
        shops.tick()
        shops.pass_by(30)
    assert updates(shops) == len(STORES)
    shops.say(VerbName.ROLLBACK)
    ended = shops.run()
    assert ended.phase is Phase.ROLLED_BACK
    assert {shops.runs(store) for store in STORES} == {shops.old}
