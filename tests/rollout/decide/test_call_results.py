"""What becomes of a row by what became of its call."""

import pytest

from fleet.model.changes import Change
from fleet.model.rollout import ActionKind
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.board import Board
from fleet.rollout.decide.call_results import FIRST_LOOK_S, REFUSALS, REFUSED_WAIT_S, apply_results
from fleet.rollout.decide.service_calls import Outcome, Written
from tests.rollout.decide.boards import NEW, OTHER, SERVICE, after, board, planned, seconds, sent

SENDING = planned(stage=Stage.SENDING)
UNDOING = sent(verdict=Verdict.FAILED, stage=Stage.UNDOING, reason="rollback by me")


def noted(row: Change, outcome: Outcome, words: str = "", runs: str = "") -> tuple[Change, Board]:
    kind = ActionKind.UNDO if row.stage is Stage.UNDOING else ActionKind.SEND
    rows = board(row)
    apply_results(rows, [Written(kind, "store-042", SERVICE, outcome, after(59), NEW, words, runs)])
    return rows.changes[0], rows


def test_what_was_accepted_is_sent_at_the_time_of_aws() -> None:
    row, rows = noted(SENDING, Outcome.DONE)
    assert (row.stage, row.verdict, row.target, row.sends) == (
        Stage.SENT,
        Verdict.WAITING,
        NEW,
        1,
    )
    assert row.sent_at == after(59)
    assert seconds(row.look_at) == 60 + FIRST_LOOK_S
    assert [e.text for e in rows.events] == [f"{SERVICE} sent"]


def test_what_is_sent_again_counts_and_says_so() -> None:
    row, rows = noted(planned(stage=Stage.SENDING, sends=1), Outcome.DONE)
    assert row.sends == 2
    assert [e.text for e in rows.events] == [f"{SERVICE} sent again"]


def test_a_store_that_runs_it_already_has_nothing_to_do() -> None:
    row, _ = noted(SENDING, Outcome.ALREADY)
    assert (row.stage, row.verdict, row.sends) == (Stage.SKIPPED, Verdict.UNCHANGED, 0)


def test_what_this_rollout_sent_before_and_still_runs_is_judged_anew() -> None:
    row, _ = noted(planned(stage=Stage.SENDING, sends=1), Outcome.ALREADY)
    assert (row.stage, row.verdict) == (Stage.SENT, Verdict.WAITING)


def test_a_lost_reply_leaves_the_row_for_the_next_look() -> None:
    row, rows = noted(SENDING, Outcome.LOST, "timed out")
    assert row == SENDING
    assert [e.kind for e in rows.events] == ["problem"]


def test_a_call_without_an_outcome_leaves_the_row_for_the_next_look() -> None:
    rows = board(SENDING)
    apply_results(rows, [])
    assert rows.moved == ()


def test_a_service_that_was_deleted_to_be_made_anew_stays_in_doubt() -> None:
    row, rows = noted(SENDING, Outcome.REMOVED, "its first deployment failed")
    assert row == SENDING
    assert [e.text for e in rows.events] == [f"{SERVICE} was deleted: its first deployment failed"]


def test_a_refused_call_is_put_off() -> None:
    row, _ = noted(SENDING, Outcome.REFUSED, "ServerException")
    assert (row.stage, row.verdict) == (Stage.PLANNED, Verdict.WAITING)
    assert seconds(row.look_at) == 60 + REFUSED_WAIT_S
    assert row.reason == "AWS refused: ServerException"


def test_what_aws_refuses_again_and_again_is_held_for_a_person() -> None:
    row = SENDING
    for _ in range(REFUSALS - 1):
        row, _ = noted(row, Outcome.REFUSED, "no")
        assert row.stage is Stage.PLANNED
        row = planned(stage=Stage.SENDING, next_send=row.next_send)
    row, _ = noted(row, Outcome.REFUSED, "no")
    assert (row.stage, row.verdict) == (Stage.HELD, Verdict.UNDELIVERED)
    assert row.reason == f"AWS refused it {REFUSALS} times: no"


@pytest.mark.parametrize("row", [SENDING, UNDOING])
def test_what_a_hand_changed_is_left_alone(row: Change) -> None:
    moved, rows = noted(row, Outcome.BY_HAND, runs=OTHER)
    assert (moved.stage, moved.verdict) == (Stage.HELD, Verdict.CHANGED_BY_HAND)
    assert "it runs vision-arm64:14, which is neither the plan's nor ours" in moved.reason
    assert rows.events[0].data == {"verdict": "changed-by-hand"}


@pytest.mark.parametrize("row", [SENDING, UNDOING])
def test_a_service_that_is_gone_was_changed_by_hand(row: Change) -> None:
    moved, _ = noted(row, Outcome.GONE, "there is no such service any more")
    assert moved.verdict is Verdict.CHANGED_BY_HAND
    assert moved.reason == "changed by hand: there is no such service any more; left alone"


@pytest.mark.parametrize("outcome", [Outcome.DONE, Outcome.ALREADY])
def test_what_was_set_back_keeps_its_verdict_and_why(outcome: Outcome) -> None:
    row, _ = noted(UNDOING, outcome)
    assert (row.stage, row.verdict) == (Stage.UNDONE, Verdict.FAILED)
    assert row.reason == "back to vision-arm64:12: rollback by me"
    assert row.undo.settled is False


def test_a_service_that_the_rollout_made_is_removed_again() -> None:
    row, _ = noted(sent(stage=Stage.UNDOING, previous=""), Outcome.DONE)
    assert row.reason.startswith("removed again")


@pytest.mark.parametrize(
    ("outcome", "wait_s"), [(Outcome.REFUSED, REFUSED_WAIT_S), (Outcome.LOST, FIRST_LOOK_S)]
)
def test_what_could_not_be_set_back_is_tried_again_after_a_while(
    outcome: Outcome, wait_s: float
) -> None:
    row, rows = noted(UNDOING, outcome, "no")
    assert row.stage is Stage.UNDOING
    assert seconds(row.look_at) == 60 + wait_s
    assert [e.text for e in rows.events] == [f"{SERVICE} is not set back yet: no"]
