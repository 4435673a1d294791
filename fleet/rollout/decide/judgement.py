"""Joins a verdict with its reason and with what the next look at the store has to know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.changes import Change, ObservedChange, TaskSummary
from fleet.model.copies import copied
from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.restarts import Restarts
from fleet.model.services import TaskState
from fleet.model.spans import moment, span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_facts import (
    ChangeFacts,
    HostSeen,
    first_away,
    host_contacts,
    tasks_of,
    wanted_tasks,
)
from fleet.rollout.decide.task_failures import common_cause, counted

#: Seconds until the first look at a store after sending, and between looks while nothing is due.
SOON_S = 15.0
SELDOM_S = 120.0
#: Seconds between looks at a store that has been dark for long.
DARK_LOOK_S = 300.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """Holds a change with the verdict of one look.

    Attributes:
        change: with what was seen; its times are AWS's, and an unread store keeps its own.
        next_look_s: seconds until looking again may tell more; None when it never will.
        deeper: nothing was concluded, because tasks or deployment records have to be read first.
    """

    change: Change
    next_look_s: float | None
    deeper: bool = False

    def changed(self, now: datetime) -> Change:
        """Return the change with the time of its next look; ``now`` is the run's."""
        wait = self.next_look_s
        return copied(self.change, look_at=None if wait is None else now + timedelta(seconds=wait))


def retry_at(change: Change, policy: Policy) -> datetime | None:
    """Return when an undelivered change may be sent again; None when its tries are used up."""
    if change.verdict is not Verdict.UNDELIVERED or change.since is None:
        return None
    if change.pulls_failed > policy.pulls:
        return None
    return change.since + timedelta(seconds=policy.pull_wait_s)


def judgement(
    facts: ChangeFacts,
    verdict: Verdict,
    reason: str,
    next_look_s: float | None,
    *,
    stage: Stage | None = None,
    **found: Any,
) -> Judgement:
    """Return a verdict of this look; one that the change has already keeps its time.

    Args:
        found: fields of ``ObservedChange`` that this look sets.
    """
    change = facts.change
    kept = change.since if verdict is change.verdict else None
    judged = copied(
        change,
        verdict=verdict,
        reason=reason,
        since=kept or facts.at,
        observed=_observed(facts, reason, **found),
        away_since=first_away(facts.hosts) if facts.knows_hosts else change.away_since,
        looked_at=facts.at,
        stage=stage or change.stage,
    )
    return Judgement(judged, next_look_s)


def ok_reason(reason: str, restarts: Restarts) -> str:
    """Return the reason of an ok change with what is known of its restarts."""
    return f"{reason}, {restarts.words}" if restarts.words else reason


def unchanged(facts: ChangeFacts, reason: str, next_look_s: float | None) -> Judgement:
    """Return what was known before, with a reason that says why nothing was learned."""
    change = facts.change
    kept = replace(change, reason=reason, since=change.since or facts.at)
    return Judgement(kept, next_look_s)


def deeper_look(facts: ChangeFacts) -> Judgement:
    """Ask for tasks and deployment records before anything is concluded."""
    return replace(unchanged(facts, facts.change.reason, 0.0), deeper=True)


def said(facts: ChangeFacts) -> str:
    """Return the reason of the latest verdict, without words about looks that failed."""
    return facts.change.observed.reason or facts.change.reason


def failed(facts: ChangeFacts, reason: str) -> Judgement:
    """Fail a change; if it was ok before, say how long after that."""
    ok_at = facts.change.ok_at
    if ok_at is not None:
        late = span((facts.at - ok_at).total_seconds())
        reason = f"{reason}; late, {late} after it was ok"
    return judgement(facts, Verdict.FAILED, reason, None)


def by_hand(facts: ChangeFacts, reason: str) -> Judgement:
    """Leave a service alone that somebody else has changed; only ``retry`` overwrites it."""
    return judgement(facts, Verdict.CHANGED_BY_HAND, reason, None, stage=Stage.HELD)


def undelivered(facts: ChangeFacts, reason: str) -> Judgement:
    """Judge an image that could not be pulled; each try is counted once."""
    change = facts.change
    tries = change.pulls_failed + (0 if change.observed.pull_counted else 1)
    restored = change.observed.restored
    if facts.service is not None and facts.primary is None:
        restored = facts.service.task_definition
    told = judgement(
        facts, Verdict.UNDELIVERED, reason, SELDOM_S, pull_counted=True, restored=restored
    )
    judged = replace(told.change, pulls_failed=tries)
    again = retry_at(judged, facts.policy)
    next_look_s = SELDOM_S
    if again is not None and again > facts.at:
        # It may have been due for long: a rollout that does not run sends nothing again.
        next_look_s = min(SELDOM_S, max(1.0, (again - facts.at).total_seconds()))
    return Judgement(judged, next_look_s)


def _observed(facts: ChangeFacts, reason: str, **found: Any) -> ObservedChange:
    """Return what was seen now, and what the next look has to know of earlier ones."""
    old = facts.change.observed
    now: dict[str, Any] = {
        "reason": reason,
        "task_definition": facts.service.task_definition if facts.service else "",
        "deployment": facts.primary.id if facts.primary else "",
    }
    if facts.knows_hosts:
        now |= {"hosts": host_contacts(facts.hosts), "hosts_read_at": facts.at}
    if facts.knows_tasks:
        now |= {
            "tasks": tuple(_summary(facts, task) for task in _worth_telling(facts)),
            "tasks_read_at": facts.at,
            "cause": common_cause(facts.ran or facts.failed) or old.cause,
        }
    return copied(old, **now | found)


def _worth_telling(facts: ChangeFacts) -> list[TaskState]:
    """Return the newest few tasks of what was sent."""
    own = [
        t for t in tasks_of(facts.change, facts.view) if t.task_definition == facts.change.target
    ]
    own.sort(key=lambda t: (t.created_at or facts.began, t.arn), reverse=True)
    return own[:4]


def _summary(facts: ChangeFacts, task: TaskState) -> TaskSummary:
    exits = tuple(c.exit_code for c in task.containers if c.exit_code is not None)
    words = next((c.reason for c in task.containers if c.reason), task.stopped_reason)
    return TaskSummary(
        id=task.id,
        host=facts.by_host.get(task.container_instance_arn, ""),
        status=task.last_status,
        health=task.health,
        started_at=task.started_at,
        stopped_at=task.stopped_at,
        stop_code=task.stop_code,
        exit_codes=exits,
        reason=printable(words, limit=300),
    )


def progress(facts: ChangeFacts) -> tuple[str, float, datetime | None]:
    """Return what a change waits for, seconds until the next look, and when it can settle."""
    idle = min(SELDOM_S, max(SOON_S, (facts.at - facts.sent_at).total_seconds() / 4))
    if not facts.knows_tasks:
        running = facts.primary.running if facts.primary else 0
        settles = facts.change.observed.settles_at
        if settles is not None:
            left = (settles - facts.at).total_seconds()
            ran = max(0.0, facts.policy.settle_s - left)
            return _settling(ran, facts.policy.settle_s), max(1.0, left), settles
        return f"{running} of {facts.change.desired_count} tasks RUNNING", idle, None
    before = f"{counted(facts.failed)}; " if facts.failed else ""
    lacking = [h for h in facts.hosts if h.name not in facts.best]
    if lacking:
        return before + _not_started(facts, lacking), idle, None
    youngest = min((facts.age(t) for t in facts.best.values()), default=0.0)
    left = facts.policy.settle_s - youngest
    if left > 0:
        words = _settling(youngest, facts.policy.settle_s)
        return before + words, max(1.0, left), facts.at + timedelta(seconds=left)
    words = f"RUNNING {span(youngest)}, but no health check has passed yet"
    return before + words, idle, None


def _settling(seconds: float, of: float) -> str:
    return f"RUNNING {span(seconds)} of {span(of)}"


def pending(facts: ChangeFacts) -> list[TaskState]:
    """Return the tasks of what was sent that do not run yet; mostly they pull."""
    return [
        task
        for task in wanted_tasks(facts.change, facts.view)
        if task.task_definition == facts.change.target and task.last_status != "RUNNING"
    ]


def _not_started(facts: ChangeFacts, lacking: Sequence[HostSeen]) -> str:
    coming = pending(facts)
    if coming:
        oldest = min(task.created_at or facts.at for task in coming)
        return f"pulling for {span((facts.at - oldest).total_seconds())}"
    stopping = [
        task
        for task in tasks_of(facts.change, facts.view)
        if task.desired_status == "STOPPED" and task.last_status != "STOPPED"
    ]
    if stopping:
        return f"the old task is still {stopping[0].last_status}, and told to stop"
    unplaced = _unplaced(facts)
    if unplaced:
        return unplaced
    names = ", ".join(h.name for h in lacking)
    sent = span((facts.at - facts.sent_at).total_seconds())
    return f"no task on {names} yet, {sent} after sending"


def _unplaced(facts: ChangeFacts) -> str:
    """Return ECS's latest words on why it places no task; "" for none."""
    for at, text in facts.service.events if facts.service else ():
        if at < facts.began or "has started" in text:
            break
        if "unable to place a task" in text:
            _, _, why = text.partition("because ")
            why = why.replace("no container instance met all of its requirements.", "")
            return f"no instance meets the placement: {printable(why.strip() or text, limit=200)}"
        if "encountered error" in text:
            return f"ECS cannot place a task: {printable(text, limit=200)}"
    return ""


def absent(facts: ChangeFacts, hosts: Sequence[HostSeen]) -> str:
    """Print which hosts are away, as ``cam-1 is not connected since 21 Nov 22:14Z (26h48m)``."""
    return ", ".join(_absence(facts, host) for host in hosts if host.away_since is not None)


def _absence(facts: ChangeFacts, host: HostSeen) -> str:
    planned, since = facts.switched_off.get(host.name), _away_since(facts, host)
    if planned is not None:
        return f"{host.name} is {planned.words}"
    return f"{host.words} since {moment(since)} ({span((facts.at - since).total_seconds())})"


def _away_since(facts: ChangeFacts, host: HostSeen) -> datetime:
    """Return since when a host is away that should be there: never before its store opened."""
    away, counts = host.away_since or facts.at, facts.counts_from.get(host.name)
    return counts if counts is not None and counts <= facts.at else away


def flapping(facts: ChangeFacts) -> str:
    """Print which hosts are away, for too short to be dark, and when they will be."""
    words, limit = absent(facts, facts.away), span(facts.policy.dark_after_s)
    if len(facts.switched_off) == len(facts.away):
        return words
    return f"{words}; dark after {limit}"


def until_dark_s(facts: ChangeFacts) -> float:
    """Return the seconds until the first absence counts as dark, at most a minute.

    Hosts that are switched off are looked at as rarely as dark ones, and when they are due.
    """
    off = facts.switched_off
    if off and len(off) == len(facts.away):
        due = [(one.back_at - facts.at).total_seconds() for one in off.values() if one.back_at]
        return max(1.0, min([DARK_LOOK_S, *due]))
    first = _first_away(facts)
    left = facts.policy.dark_after_s - (facts.at - first).total_seconds()
    return max(1.0, min(60.0, left))


def dark_look_s(facts: ChangeFacts) -> float:
    """Return the seconds until the next look at a dark store: more, the longer it is dark."""
    return min(DARK_LOOK_S, max(60.0, (facts.at - _first_away(facts)).total_seconds() / 4))


def _first_away(facts: ChangeFacts) -> datetime:
    away = (h for h in facts.away if h.name not in facts.switched_off)
    return min((_away_since(facts, host) for host in away), default=facts.at)


def ok_look_s(facts: ChangeFacts) -> float:
    """Return the seconds until the next look at an ok store, to see it go dark in time."""
    return min(SELDOM_S, max(SOON_S, facts.policy.dark_after_s / 2))
