"""Updates changes by the outcomes of the calls that a tick has made."""

from collections.abc import Iterable
from dataclasses import replace

from fleet.model.changes import Change
from fleet.model.rollout import ActionKind, EventKind
from fleet.model.services import revision
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.board import Board
from fleet.rollout.decide.sends import mark_sent
from fleet.rollout.decide.service_calls import Outcome, Written

#: Seconds until a store is looked at after its change was sent.
FIRST_LOOK_S = 15.0
#: How often AWS may refuse a call for one service before a person has to see to it.
REFUSALS = 3
#: Seconds until a refused call is tried again.
REFUSED_WAIT_S = 60.0


def apply_results(board: Board, written: Iterable[Written]) -> None:
    """Update changes by their calls' outcomes; one without an outcome is read at the next tick."""
    for one in written:
        change = board.change(one.store, one.service)
        if one.kind is ActionKind.SEND:
            _sent(board, change, one)
        else:
            _undone(board, change, one)


def _sent(board: Board, change: Change, one: Written) -> None:
    if one.outcome is Outcome.DONE or (one.outcome is Outcome.ALREADY and change.sends):
        look_at = board.in_seconds(FIRST_LOOK_S)
        mark_sent(board, change, "sent", target=one.target, sent_at=one.at, look_at=look_at)
        again = " again" if change.sends else ""
        board.say(
            EventKind.SENT,
            f"{change.service} sent{again}",
            change.store,
            {"service": change.service},
        )
    elif one.outcome is Outcome.ALREADY:
        board.move(
            change,
            stage=Stage.SKIPPED,
            verdict=Verdict.UNCHANGED,
            reason="runs it already",
            target=one.target,
        )
        board.say(EventKind.VERDICT, "runs it already", change.store, {"verdict": "unchanged"})
    elif one.outcome in {Outcome.BY_HAND, Outcome.GONE}:
        _by_hand(board, change, one)
    elif one.outcome is Outcome.LOST:
        # The row stays as it is: the next tick reads what the service runs.
        board.say(EventKind.PROBLEM, f"no answer for {change.service}: {one.words}", change.store)
    elif one.outcome is Outcome.REMOVED:
        board.say(EventKind.PROBLEM, f"{change.service} was deleted: {one.words}", change.store)
    else:
        _refused(board, change, one)


def _refused(board: Board, change: Change, one: Written) -> None:
    refusals = change.next_send.refusals + 1
    next_send = replace(change.next_send, refusals=refusals)
    board.say(EventKind.PROBLEM, f"AWS refused {change.service}: {one.words}", change.store)
    if refusals >= REFUSALS:
        reason = f"AWS refused it {refusals} times: {one.words}"
        board.move(
            change,
            stage=Stage.HELD,
            verdict=Verdict.UNDELIVERED,
            reason=reason,
            next_send=next_send,
        )
        return
    board.move(
        change,
        stage=Stage.PLANNED,
        reason=f"AWS refused: {one.words}",
        look_at=board.in_seconds(REFUSED_WAIT_S),
        next_send=next_send,
    )


def _by_hand(board: Board, change: Change, one: Written) -> None:
    what = one.words
    if one.outcome is Outcome.BY_HAND:
        what = f"it runs {revision(one.runs)}, which is neither the plan's nor ours"
    reason = f"changed by hand: {what}; left alone"
    board.move(change, stage=Stage.HELD, verdict=Verdict.CHANGED_BY_HAND, reason=reason)
    board.say(EventKind.VERDICT, reason, change.store, {"verdict": Verdict.CHANGED_BY_HAND.value})


def _undone(board: Board, change: Change, one: Written) -> None:
    if one.outcome in {Outcome.DONE, Outcome.ALREADY}:
        back = f"back to {revision(change.previous)}" if change.previous else "removed again"
        # Dark or not delivered it would owe the release, and be sent it again.
        owing = Stage.UNDONE in change.verdict.traits.owes
        stays = owing and change.undo.stays_back
        board.move(
            change,
            stage=Stage.UNDONE,
            verdict=Verdict.WAITING if stays else change.verdict,
            reason=f"{back}: {change.reason}",
            look_at=board.in_seconds(FIRST_LOOK_S),
            undo=replace(change.undo, settled=False),
        )
        board.say(
            EventKind.SENT, f"{change.service} {back}", change.store, {"service": change.service}
        )
    elif one.outcome in {Outcome.BY_HAND, Outcome.GONE}:
        _by_hand(board, change, one)
    else:
        # It stays to be undone, and AWS is asked again after a while.
        lost = one.outcome is Outcome.LOST
        board.move(change, look_at=board.in_seconds(FIRST_LOOK_S if lost else REFUSED_WAIT_S))
        board.say(
            EventKind.PROBLEM, f"{change.service} is not set back yet: {one.words}", change.store
        )
