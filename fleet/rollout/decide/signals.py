"""Decides what alarms and checks say of a rollout: a row of the gate each.

An alarm that fires halts, whatever wave it concerns; one that cannot be read asks. What a person
knew of when they let the rollout go on is accepted.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.gate import Check, GateAnswer, Mark, Signal
from fleet.model.policy import PolicyCheck
from fleet.model.printable import some
from fleet.model.rollout import Phase
from fleet.model.signals import Alert, SignalReading
from fleet.model.spans import moment, span
from fleet.rollout.decide.signal_reads import (
    every,
    first_period_read_at,
    has_signals,
    is_stale,
    stores_to_ask,
)
from fleet.rollout.decide.tick_state import TickState, is_sent

#: Alarms and stores that are named in a row.
NAMED = 3


def signals(state: TickState) -> tuple[Signal, ...]:
    """Return a row for every alarm and check of the policy, by what was read of them last."""
    if not has_signals(state):
        return ()
    policy, read = state.rollout.spec.policy, state.rollout.signals
    alarms = {reading.name: reading for reading in read.alarms}
    checks = {reading.name: reading for reading in read.checks}
    return (
        *(_of_alarm(state, name, alarms.get(name, SignalReading(name))) for name in policy.alarms),
        *(
            _of_check(state, check, checks.get(check.name, SignalReading(check.name)))
            for check in policy.checks
        ),
    )


def _is_accepted(state: TickState, seen_at: datetime | None) -> bool:
    """Return whether a person knew of something when they last let the rollout go on."""
    answered_at = state.rollout.answered_at
    return answered_at is not None and seen_at is not None and seen_at < answered_at


def _of_alarm(state: TickState, name: str, reading: SignalReading) -> Signal:
    title, needed = f"alarm {name}", "none firing"
    firing = [a for a in reading.alerts if not _is_accepted(state, a.seen_at)]
    after, before, to_come = _by_send(state, firing)
    seen = f"{len(reading.alerts)}/{reading.of} firing"
    notes = [
        f"{len(reading.alerts) - len(firing)} accepted"
        if len(reading.alerts) > len(firing)
        else "",
        f"{len(before)} fired before the release was sent there" if before else "",
        f"{len(to_come)} at stores that are still to be sent it" if to_come else "",
        f"{reading.no_data} with too little data, which is neither" if reading.no_data else "",
        f"{reading.missing} without an alarm of that name" if reading.missing else "",
        _age(state, reading),
    ]
    if after:
        what = _named(after)
        check = Check(title, seen, needed, Mark.OVER, _joined(what, *notes))
        return Signal(check, GateAnswer.HALT, f"alarm {what} fires")
    unread = _unread(state, reading, title, needed)
    if unread is not None:
        return unread
    if before and not any(map(is_sent, state.changes)):
        what = _named(before)
        check = Check(title, seen, needed, Mark.UNCLEAR, _joined(what, *notes))
        reason = (
            f"alarm {what} fires already, before anything was sent: what the release does could "
            "not be told from it"
        )
        return Signal(check, GateAnswer.ASK, reason)
    if before and state.rollout.baking_since is not None:
        what = _named(before)
        check = Check(title, seen, needed, Mark.UNCLEAR, _joined(what, *notes))
        reason = f"alarm {what} fired before the release was sent there, and still does"
        return Signal(check, GateAnswer.ASK, reason)
    if reading.at is None:
        return _awaited(state, reading, Check(title, "not read yet", needed, Mark.WAIT))
    mark = Mark.UNCLEAR if before else Mark.OK
    return _awaited(state, reading, Check(title, seen, needed, mark, _joined(*notes)))


def _by_send(
    state: TickState, firing: Sequence[Alert]
) -> tuple[list[Alert], list[Alert], list[Alert]]:
    """Return what began after the release was sent there, before that, and where it was not sent.

    An alarm of all stores counts from the first send of the rollout on. Before that, every alarm
    began too early.
    """
    if not firing:
        return [], [], []
    sent: dict[str, datetime] = {}
    for change in state.changes:
        if is_sent(change) and change.sent_at is not None:
            known = sent.get(change.store, change.sent_at)
            sent[change.store] = min(known, change.sent_at)
    first = min(sent.values(), default=None)
    after: list[Alert] = []
    before: list[Alert] = []
    to_come: list[Alert] = []
    for alert in firing:
        began = sent.get(alert.store) if alert.store else first
        if began is None:
            (to_come if first else before).append(alert)
        else:
            (before if alert.since < began else after).append(alert)
    return after, before, to_come


def _of_check(state: TickState, check: PolicyCheck, reading: SignalReading) -> Signal:
    limit = check.max_stores.of(reading.of)
    needed = f"limit {limit}"
    stores = stores_to_ask(state, check)
    if not stores and not reading.of:
        words = "no store to ask yet"
        return _until_asked(state, check, reading, Check(check.name, words, needed, Mark.WAIT))
    out = [a for a in reading.alerts if not _is_accepted(state, a.seen_at)]
    seen = f"{len(reading.alerts)}/{reading.of} {_how_out(check)}"
    notes = (
        f"{len(reading.alerts) - len(out)} accepted" if len(reading.alerts) > len(out) else "",
        f"{reading.no_data} {_no_data(check)}" if reading.no_data else "",
        _age(state, reading),
    )
    if len(out) > limit:
        what = some([_words(alert) for alert in out], NAMED)
        row = Check(check.name, seen, needed, Mark.OVER, _joined(what, *notes))
        return Signal(row, GateAnswer.HALT, f"{check.name} {seen}, limit {limit}: {what}")
    unread = _unread(state, reading, check.name, needed)
    if unread is not None:
        return unread
    named = some([_words(alert) for alert in out], NAMED)
    row = Check(check.name, seen, needed, Mark.OK, _joined(named, *notes))
    return _until_asked(state, check, reading, row)


def _how_out(check: PolicyCheck) -> str:
    if check.http is not None:
        return f"without HTTP {check.http.status}"
    if check.metric is None:
        return "out of their limit"
    limits = (
        f"over {check.metric.at_most}x" if check.metric.at_most is not None else "",
        f"under {check.metric.at_least}x" if check.metric.at_least is not None else "",
    )
    return f"stores {' or '.join(filter(None, limits))} of their usual"


def _no_data(check: PolicyCheck) -> str:
    return "not asked in time" if check.http is not None else "without a value or a usual one"


def _until_asked(
    state: TickState, check: PolicyCheck, reading: SignalReading, row: Check
) -> Signal:
    """Hold back a complete wave until its stores could be measured, and were."""
    if state.rollout.baking_since is None:
        return Signal(row)
    if check.metric is None:
        return _awaited(state, reading, row)
    due = [
        first_period_read_at(check.metric, change.ok_at)
        for change in state.current
        if change.ok_at is not None and _is_good(change)
    ]
    until = max(due, default=None)
    if until is None or (reading.at is not None and reading.at >= until):
        return Signal(row)
    reason = f"{check.name}: the first whole period is read at {moment(until, state.now)}"
    return _held(state, row, reason, until)


def _awaited(state: TickState, reading: SignalReading, row: Check) -> Signal:
    """Hold back a complete wave until it was read after its last verdict came in."""
    since = state.rollout.baking_since
    if since is None or (reading.at is not None and reading.at >= since):
        return Signal(row)
    return _held(state, row, f"{row.name} is read once more before it goes on", since)


def _held(state: TickState, row: Check, reason: str, until: datetime) -> Signal:
    """Hold back a wave until something was read at a time or after it.

    A reading that fails is repeated, until it is too old and a person is asked.
    """
    tried_at = state.rollout.signals.tried_at
    again = max(until, state.now)
    if tried_at is not None and tried_at >= until:
        again = tried_at + every(state.rollout.spec.policy)
    return Signal(replace(row, mark=Mark.WAIT), GateAnswer.WAIT, reason, again)


def _is_good(change: Change) -> bool:
    return is_sent(change) and change.away_since is None


def _unread(state: TickState, reading: SignalReading, title: str, needed: str) -> Signal | None:
    """Return a row that asks, where there is no reading that is recent enough."""
    if not is_stale(state, reading):
        return None
    why = reading.unread or "nobody has read it since"
    last = f"last read {moment(reading.at, state.now)}" if reading.at else "never read"
    if _is_accepted(state, reading.unread_since):
        row = Check(title, "not read", needed, Mark.UNCLEAR, f"accepted; {why}; {last}")
        return Signal(row)
    row = Check(title, "not read", needed, Mark.UNCLEAR, f"{why}; {last}")
    return Signal(row, GateAnswer.ASK, f"{title} could not be read: {why}")


def _age(state: TickState, reading: SignalReading) -> str:
    if reading.at is None:
        return ""
    if state.rollout.phase is not Phase.RUNNING:
        return f"read {moment(reading.at, state.now)}"
    seconds = max(timedelta(0), state.now - reading.at).total_seconds()
    return f"read {span(seconds)} ago" if seconds else "read now"


def _words(alert: Alert) -> str:
    return " ".join(filter(None, (alert.store, alert.words)))


def _named(alerts: Sequence[Alert]) -> str:
    return some([f"{a.name} ({a.words})" if a.words else a.name for a in alerts], NAMED)


def _joined(*parts: str) -> str:
    return "; ".join(filter(None, parts))
