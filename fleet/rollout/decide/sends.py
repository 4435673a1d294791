"""Updates a change when it is sent, when it is to be sent again, and when that is called off."""

from dataclasses import replace
from datetime import datetime

from fleet.model.changes import Change, NextSend, PastTry, Undo
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.board import Board


def mark_sent(
    board: Board, change: Change, reason: str, *, target: str, sent_at: datetime, look_at: datetime
) -> Change:
    """Mark a change as sent, and forget what was observed of an earlier try.

    Args:
        sent_at: AWS's time of the call.
    """
    return board.move(
        change,
        stage=Stage.SENT,
        verdict=Verdict.WAITING,
        reason=reason,
        target=target,
        sends=change.sends + 1,
        sent_at=sent_at,
        look_at=look_at,
        ok_at=None,
        observed=change.observed.before_a_send(),
        next_send=NextSend(),
        undo=Undo(),
        failure_accepted=False,
    )


def to_be_sent_again(change: Change) -> NextSend:
    """Return what the next send has to know: how the last try ended, if there was one."""
    if not change.sends:
        return change.next_send
    ended = PastTry(change.stage, change.verdict, change.reason)
    return replace(change.next_send, last_try=ended)


def called_off(change: Change) -> Change:
    """Return a change as its last try ended, where it was to be sent again and will not be."""
    ended = change.next_send.last_try
    if change.stage is not Stage.PLANNED or ended is None:
        return change
    return replace(
        change,
        stage=ended.stage,
        verdict=ended.verdict,
        reason=ended.reason,
        observed=replace(change.observed, reason=ended.reason),
        next_send=replace(change.next_send, last_try=None),
    )
