"""Updates the changes of a rollout by what became of their calls to AWS."""

from collections.abc import Iterable
from dataclasses import replace

from fleet.model.changes import Change
from fleet.model.rollout import ActionKind, EventKind
from fleet.model.services import revision
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.service_calls import CallOutcome, CallResult
from fleet.rollout.decide.tick_state import TickState, mark_sent

#: Seconds until a store is read after its change was sent.
FIRST_LOOK_S = 15.0
#: How often AWS may refuse a call for one service before a person has to see to it.
REFUSALS = 3
#: Seconds until a refused call is tried again.
REFUSED_WAIT_S = 60.0


def apply_results(state: TickState, written: Iterable[CallResult]) -> None:
    """Update changes by their calls' outcomes; one without an outcome is read at the next tick."""
    for one in written:
        change = state.change(one.store, one.service)
        if one.kind is ActionKind.SEND:
            _sent(state, change, one)
        else:
            _undone(state, change, one)


def _sent(state: TickState, change: Change, one: CallResult) -> None:
    if one.outcome is CallOutcome.DONE or (one.outcome is CallOutcome.ALREADY and change.sends):
        look_at = state.in_seconds(FIRST_LOOK_S)
        mark_sent(state, change, "sent", target=one.target, sent_at=one.at, look_at=look_at)
        again = " again" if change.sends else ""
        kept = f"; {one.words}" if one.words else ""
        state.say(
            EventKind.SENT,
            f"{change.service} sent{again}{kept}",
            change.store,
            {"service": change.service},
        )
    elif one.outcome is CallOutcome.ALREADY:
        state.move(
            change,
            stage=Stage.SKIPPED,
            verdict=Verdict.UNCHANGED,
            reason="runs it already",
            target=one.target,
        )
        state.say(EventKind.VERDICT, "runs it already", change.store, {"verdict": "unchanged"})
    elif one.outcome in {CallOutcome.BY_HAND, CallOutcome.GONE}:
        _by_hand(state, change, one)
    elif one.outcome is CallOutcome.LOST:
        # The change stays as it is; the next tick reads what the service runs.
        state.move(change, reason=f"no answer: {one.words}")
        state.say(EventKind.PROBLEM, f"no answer for {change.service}: {one.words}", change.store)
    elif one.outcome is CallOutcome.CALLED_OFF:
        if change.stage is Stage.SENDING:
            next_send = replace(change.next_send, is_tried=False)
            state.move(change, stage=Stage.PLANNED, reason=one.words, next_send=next_send)
    elif one.outcome is CallOutcome.REJECTED:
        _rejected(state, change, one)
    elif one.outcome is CallOutcome.REMOVED:
        state.say(EventKind.PROBLEM, f"{change.service} was deleted: {one.words}", change.store)
    else:
        _refused(state, change, one)


def _rejected(state: TickState, change: Change, one: CallResult) -> None:
    """Fail a task definition at once in every store that was to get it in this account and region.

    It is a failure of the release: no store would answer otherwise, and no time changes it.
    """
    where = change.account, change.region, change.content
    waiting = {Stage.PLANNED, Stage.SENDING}
    rows = [
        c for c in state.changes if (c.account, c.region, c.content) == where and c.stage in waiting
    ]
    reason = f"not sent, the task definition is refused: {one.words}"
    for row in rows:
        state.move(
            row,
            stage=Stage.HELD,
            verdict=Verdict.FAILED,
            reason=reason,
            look_at=None,
            next_send=replace(row.next_send, rejected=True),
        )
    if rows:
        variant = state.rollout.spec.variant_of(change)
        state.say(EventKind.PROBLEM, f"{variant}, {len(rows)} changes: {reason}")


def _refused(state: TickState, change: Change, one: CallResult) -> None:
    refusals = change.next_send.refusals + 1
    next_send = replace(change.next_send, refusals=refusals)
    state.say(EventKind.PROBLEM, f"AWS refused {change.service}: {one.words}", change.store)
    if refusals >= REFUSALS:
        reason = f"AWS refused it {refusals} times: {one.words}"
        state.move(
            change,
            stage=Stage.HELD,
            verdict=Verdict.UNDELIVERED,
            reason=reason,
            next_send=next_send,
        )
        return
    state.move(
        change,
        stage=Stage.PLANNED,
        reason=f"AWS refused: {one.words}",
        look_at=state.in_seconds(REFUSED_WAIT_S),
        next_send=next_send,
    )


def _by_hand(state: TickState, change: Change, one: CallResult) -> None:
    what = one.words
    if one.outcome is CallOutcome.BY_HAND and not what:
        what = f"it runs {revision(one.runs)}, which is neither the plan's nor ours"
    reason = f"changed by hand: {what}; left alone"
    state.move(change, stage=Stage.HELD, verdict=Verdict.CHANGED_BY_HAND, reason=reason)
    state.say(EventKind.VERDICT, reason, change.store, {"verdict": Verdict.CHANGED_BY_HAND.value})


def _undone(state: TickState, change: Change, one: CallResult) -> None:
    if one.outcome in {CallOutcome.DONE, CallOutcome.ALREADY}:
        back = f"back to {revision(change.previous)}" if change.previous else "removed again"
        # A dark or undelivered change would owe the release and be sent again.
        owing = Stage.UNDONE in change.verdict.traits.owes
        stays = owing and change.undo.stays_back
        state.move(
            change,
            stage=Stage.UNDONE,
            verdict=Verdict.WAITING if stays else change.verdict,
            reason=f"{back}: {change.reason}",
            look_at=state.in_seconds(FIRST_LOOK_S),
            undo=replace(change.undo, settled=False),
        )
        state.say(
            EventKind.SENT, f"{change.service} {back}", change.store, {"service": change.service}
        )
    elif one.outcome in {CallOutcome.BY_HAND, CallOutcome.GONE}:
        _by_hand(state, change, one)
    else:
        # It stays to be set back, and AWS is asked again after a while.
        lost = one.outcome is CallOutcome.LOST
        undo = replace(change.undo, refusals=change.undo.refusals + (0 if lost else 1))
        state.say(
            EventKind.PROBLEM, f"{change.service} is not set back yet: {one.words}", change.store
        )
        if undo.refusals >= REFUSALS:
            leave_not_set_back(state, change, f"AWS refused it {undo.refusals} times: {one.words}")
            return
        look_at = state.in_seconds(FIRST_LOOK_S if lost else REFUSED_WAIT_S)
        state.move(change, look_at=look_at, undo=undo)


def leave_not_set_back(state: TickState, change: Change, why: str) -> None:
    """Give up setting a change back; a person has to see to it, and may say `rollback` again."""
    reason = f"not set back: {why}"
    state.move(change, stage=Stage.HELD, verdict=Verdict.FAILED, reason=reason, look_at=None)
    data = {"verdict": Verdict.FAILED.value, "service": change.service}
    state.say(EventKind.VERDICT, reason, change.store, data)
