"""A wait ends: a person is asked at a time that is known from the beginning and does not move."""

from dataclasses import replace
from typing import Any

from fleet.model.changes import Change, NextSend
from fleet.model.gate import GateAnswer
from fleet.model.policy import Amount
from fleet.model.rollout import Phase
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.patience import ask_when_stuck
from tests.rollout.decide.tick_states import POLICY, after, planned, seconds, sent, state
from tests.rollout.decide.ticks import settled

PATIENCE = POLICY.patience_s
SETTLED = 2 * POLICY.deadline_s + POLICY.bake_s


def unread(store: str = "store-001", **fields: Any) -> Change:
    """A store that was sent the release and cannot be read any more."""
    return sent(store, Verdict.WAITING, look_at=after(99999), reason="not read: no", **fields)


def phase(*rows: Change, at: float) -> Phase:
    some = state(*rows, at=at)
    settled(some, seen=())
    return some.rollout.phase


def test_a_store_that_cannot_be_read_any_more_is_asked_about() -> None:
    asks = SETTLED + PATIENCE

    assert phase(unread(), at=asks - 1) is Phase.RUNNING
    assert phase(unread(), at=asks) is Phase.PAUSED


def test_the_time_is_told_beforehand() -> None:
    done = settled(state(unread(), at=60), seen=())

    assert done.gate is not None
    assert seconds(done.gate.again_at) == SETTLED + PATIENCE


def test_a_store_that_cannot_be_read_at_its_turn_is_asked_about_after_the_patience() -> None:
    row = planned("store-001", next_send=NextSend(postponed=True), look_at=after(99999))

    assert phase(row, at=PATIENCE - 1) is Phase.RUNNING
    assert phase(row, at=PATIENCE) is Phase.PAUSED


def test_a_call_of_which_nobody_knows_whether_it_was_made_is_asked_about() -> None:
    row = planned("store-001", stage=Stage.SENDING, look_at=after(99999), reason="no answer: no")
    some = state(row, at=PATIENCE)

    settled(some, seen=())

    assert some.rollout.phase is Phase.PAUSED
    assert "1 store, as store-001: no answer: no; nothing was sent for 1h" in some.rollout.why


def test_dark_stores_that_hold_every_place_are_asked_about() -> None:
    dark = sent("store-001", Verdict.DARK, look_at=after(99999))
    rows = (dark, planned("store-002"))
    some = state(*rows, at=PATIENCE)
    policy = replace(POLICY, concurrency=Amount(count=1))
    some.rollout = replace(some.rollout, spec=replace(some.rollout.spec, policy=policy))

    gate = ask_when_stuck(some, rows, rows[1:], None, to_send=())

    assert gate is not None
    assert gate.answer is GateAnswer.ASK
    assert "not sent yet; 1 dark store in the way" in gate.reason


def test_a_store_is_tried_after_hours_without_a_tick_before_a_person_is_asked() -> None:
    """A freeze ended, or the controller was away: the stores could not be sent to before."""
    some = state(planned("store-001"), at=9 * PATIENCE)

    done = settled(some)

    assert some.rollout.phase is Phase.RUNNING
    assert [action.store for action in done.actions] == ["store-001"]


def test_a_store_that_was_refused_is_asked_about_though_it_is_tried_again() -> None:
    row = planned("store-001", next_send=NextSend(is_tried=True), reason="refused: no")

    assert phase_after_a_look(row, at=PATIENCE - 1) is Phase.RUNNING
    assert phase_after_a_look(row, at=PATIENCE) is Phase.PAUSED


def phase_after_a_look(*rows: Change, at: float) -> Phase:
    some = state(*rows, at=at)
    settled(some)
    return some.rollout.phase


def test_a_store_whose_call_was_lost_is_asked_about_though_others_are_tried_first() -> None:
    lost = planned("store-001", next_send=NextSend(is_tried=True), reason="no answer: no")

    assert phase_after_a_look(lost, planned("store-002"), at=PATIENCE) is Phase.PAUSED
