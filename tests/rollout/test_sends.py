"""What is said while a tick sends holds for what it has not sent yet."""

from typing import Any

import pytest

from fleet.model.rollout import Phase, VerbName, WavePlan
from fleet.model.verdicts import Stage
from fleet.rollout import tick as tick_module
from fleet.rollout.shard_jobs import run_shard_job
from tests.shops import STORES, Shops

FIRST, SECOND, THIRD = STORES


def say_after_the_first_send(
    shops: Shops, monkeypatch: pytest.MonkeyPatch, verb: VerbName, *stores: str
) -> None:
    """Somebody says it while the first of several parts of a wave is sent."""

    def job(open_access: Any, job: Any) -> Any:
        done = run_shard_job(open_access, job)
        if job.writes and not said:
            said.append(shops.say(verb, *stores))
        return done

    said: list[int] = []
    monkeypatch.setattr(tick_module, "SENDS_PER_QUESTION", 1)
    monkeypatch.setattr(tick_module, "run_shard_job", job)


def sent(shops: Shops) -> list[str]:
    return [store for store in STORES if shops.runs(store) != shops.old]


@pytest.mark.parametrize("verb", [VerbName.PAUSE, VerbName.ABORT, VerbName.ROLLBACK])
def test_nothing_more_of_the_same_tick_is_sent(
    shops: Shops, monkeypatch: pytest.MonkeyPatch, verb: VerbName
) -> None:
    shops.start(waves=(WavePlan("wave 1", STORES),))
    say_after_the_first_send(shops, monkeypatch, verb)

    shops.tick()

    assert sent(shops) == [FIRST]
    assert shops.row(SECOND).stage is Stage.PLANNED
    assert f"not sent: {verb.value} was said by" in shops.row(SECOND).reason
    shops.tick()
    assert shops.records.rollouts.load("ro-1").phase is not Phase.RUNNING
    assert SECOND not in sent(shops)


def test_a_skipped_store_is_left_out_and_the_others_are_sent_to(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start(waves=(WavePlan("wave 1", STORES),))
    say_after_the_first_send(shops, monkeypatch, VerbName.SKIP, SECOND)

    shops.tick()

    assert sent(shops) == [FIRST, THIRD]


def test_what_was_not_sent_is_not_in_the_audit(
    shops: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shops.start(waves=(WavePlan("wave 1", STORES),))
    say_after_the_first_send(shops, monkeypatch, VerbName.PAUSE)

    shops.tick()

    assert [entry.store for entry in shops.records.audit_of(shops.run_id)] == [FIRST]
