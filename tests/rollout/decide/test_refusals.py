"""What AWS refuses for a whole variant halts a rollout at once, with AWS's words."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.model.changes import Change, NextSend
from fleet.model.policy import OnHalt
from fleet.model.rollout import ActionKind, Phase, VerbName
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.call_results import apply_results
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.tick_state import TickState
from fleet.rollout.decide.verbs import obey
from tests import rollouts
from tests.rollout.decide.tick_states import POLICY, SERVICE, after, planned, said, sent, state
from tests.rollout.decide.ticks import of, settled

WORDS = "ClientException: at least one container must be essential"
STORES = [f"store-{n:03}" for n in range(1, 9)]


def rejected(rows: TickState, store: str = STORES[0]) -> None:
    result = CallResult(ActionKind.SEND, store, SERVICE, CallOutcome.REJECTED, after(60))
    apply_results(rows, [replace(result, words=WORDS)])


def wave_of(*others: Change, **fields: Any) -> TickState:
    """A canary of eight of which one is being sent, and a later wave."""
    first = planned(STORES[0], stage=Stage.SENDING)
    more = [planned(store, wave=int(n > 4)) for n, store in enumerate(STORES)][1:]
    return state(first, *more, *others, **fields)


def test_a_task_definition_that_is_refused_fails_in_every_store_of_its_variant() -> None:
    rows = wave_of()

    rejected(rows)

    assert {(c.stage, c.verdict) for c in rows.changes} == {(Stage.HELD, Verdict.FAILED)}
    assert WORDS in of(rows, "store-007").reason
    assert [event.text.count(WORDS) for event in rows.events] == [1], "told once"


def test_it_halts_the_rollout_at_the_next_look_with_the_words_of_aws() -> None:
    rows = wave_of()
    rejected(rows)

    done = settled(rows)

    assert rows.rollout.phase is Phase.HALTED
    assert WORDS in rows.rollout.why
    assert done.actions == ()


def test_its_words_come_before_the_arithmetic_of_a_small_wave() -> None:
    rows = state(planned(STORES[0], stage=Stage.SENDING), planned(STORES[1], wave=1))
    rejected(rows)

    settled(rows)

    assert WORDS in rows.rollout.why


def test_a_policy_that_rolls_back_takes_back_what_other_variants_got() -> None:
    other = sent("store-020", Verdict.OK, service="vision-amd64", content="d" * 64)
    rows = wave_of(other, policy=replace(POLICY, on_halt=OnHalt.ROLLBACK))
    shapes = {SERVICE: rollouts.shape(), "vision-amd64": rollouts.shape("amd64")}
    rows.rollout = replace(rows.rollout, spec=replace(rows.rollout.spec, shapes=shapes))
    rejected(rows)

    done = settled(rows)

    assert rows.rollout.phase is Phase.ROLLING_BACK
    assert [(a.kind, a.store) for a in done.actions] == [(ActionKind.UNDO, "store-020")]


def test_another_content_and_another_region_are_left_as_they_were() -> None:
    rows = wave_of(planned("store-020", content="d" * 64), planned("store-021", region="us-east-1"))

    rejected(rows)

    assert {of(rows, store).stage for store in ("store-020", "store-021")} == {Stage.PLANNED}


def test_after_a_resume_the_other_variants_go_on_and_it_does_not_halt_again() -> None:
    rows = wave_of()
    rejected(rows)
    settled(rows)

    obey(rows, [said(VerbName.RESUME)])
    settled(rows)

    assert rows.rollout.phase is Phase.RUNNING
    assert all(change.failure_accepted for change in rows.changes)


def test_a_retry_asks_aws_again() -> None:
    rows = wave_of()
    rejected(rows)
    settled(rows)

    obey(rows, [said(VerbName.RETRY)])

    assert {c.stage for c in rows.changes} == {Stage.PLANNED}
    assert not any(c.next_send.rejected for c in rows.changes)


def refused(store: str) -> Change:
    words = "AWS refused it 3 times: InvalidParameterException: the role is not there"
    return planned(
        store,
        stage=Stage.HELD,
        verdict=Verdict.UNDELIVERED,
        reason=words,
        next_send=NextSend(refusals=3),
    )


@pytest.mark.parametrize(("count", "phase"), [(4, Phase.RUNNING), (5, Phase.HALTED)])
def test_a_call_that_is_refused_in_as_many_stores_as_a_gate_needs_halts(
    count: int, phase: Phase
) -> None:
    rows = state(*map(refused, STORES[:count]), *map(planned, STORES[count:]))

    settled(rows)

    assert rows.rollout.phase is phase


def test_one_store_that_accepts_shows_that_it_is_not_the_release() -> None:
    rows = state(*map(refused, STORES[:6]), sent("store-020", Verdict.OK))

    settled(rows)

    assert rows.rollout.phase is Phase.RUNNING
