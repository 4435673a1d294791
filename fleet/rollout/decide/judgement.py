"""Joins a verdict with its reason and with what the next look at the store has to know."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.changes import Change, ObservedChange, TaskSummary
from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.services import TaskState
from fleet.model.spans import moment, span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.change_facts import (
    HostSeen,
    Seen,
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
    """A verdict with what it rests on.

    Attributes:
        since: of the verdict, by AWS's time; an old one keeps its time.
        observed: replaces that of the change.
        ok_at: likewise.
        looked_at: AWS's time of what it rests on; an unread store keeps its time.
        next_look_s: seconds until looking again may tell more; None when it never will.
        stage: where the change is to be put, or None to leave it there.
        deeper: nothing was concluded, because tasks or deployment records have to be read first.
        retry_at: for UNDELIVERED, when it may be sent again; None when its tries are used up.
    """

    verdict: Verdict
    reason: str
    since: datetime
    observed: ObservedChange
    ok_at: datetime | None
    away_since: datetime | None
    pulls_failed: int
    looked_at: datetime | None
    next_look_s: float | None
    stage: Stage | None = None
    deeper: bool = False
    retry_at: datetime | None = None

    def onto(self, change: Change, now: datetime) -> Change:
        """Return the change with this judgement in it; ``now`` is the run's, for the next look."""
        wait = self.next_look_s
        return replace(
            change,
            verdict=self.verdict,
            reason=self.reason,
            since=self.since,
            observed=self.observed,
            ok_at=self.ok_at,
            away_since=self.away_since,
            pulls_failed=self.pulls_failed,
            looked_at=self.looked_at,
            look_at=None if wait is None else now + timedelta(seconds=wait),
            stage=self.stage or change.stage,
        )


def retry_at(change: Change, policy: Policy) -> datetime | None:
    """Return when an undelivered change may be sent again; None when its tries are used up."""
    if change.verdict is not Verdict.UNDELIVERED or change.since is None:
        return None
    if change.pulls_failed > policy.pulls:
        return None
    return change.since + timedelta(seconds=policy.pull_wait_s)


def judgement(
    seen: Seen,
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
    change = seen.change
    kept = change.since if verdict is change.verdict else None
    return Judgement(
        verdict,
        reason,
        kept or seen.at,
        _observed(seen, reason, **found),
        change.ok_at,
        first_away(seen.hosts) if seen.knows_hosts else change.away_since,
        change.pulls_failed,
        seen.at,
        next_look_s,
        stage,
    )


def unchanged(seen: Seen, reason: str, next_look_s: float | None) -> Judgement:
    """Return what was known before, with a reason that says why nothing was learned."""
    change = seen.change
    return Judgement(
        change.verdict,
        reason,
        change.since or seen.at,
        change.observed,
        change.ok_at,
        change.away_since,
        change.pulls_failed,
        change.looked_at,
        next_look_s,
        retry_at=retry_at(change, seen.policy),
    )


def deeper_look(seen: Seen) -> Judgement:
    """Ask for tasks and deployment records before anything is concluded."""
    return replace(unchanged(seen, seen.change.reason, 0.0), deeper=True)


def said(seen: Seen) -> str:
    """Return the reason of the latest verdict, without words about looks that failed."""
    return seen.change.observed.reason or seen.change.reason


def failed(seen: Seen, reason: str) -> Judgement:
    """Fail a change; of one that was ok before say how late."""
    ok_at = seen.change.ok_at
    if ok_at is not None:
        late = span((seen.at - ok_at).total_seconds())
        reason = f"{reason}; late, {late} after it was ok"
    return judgement(seen, Verdict.FAILED, reason, None)


def by_hand(seen: Seen, reason: str) -> Judgement:
    """Leave a service alone that somebody else has changed; only ``retry`` overwrites it."""
    return judgement(seen, Verdict.CHANGED_BY_HAND, reason, None, stage=Stage.HELD)


def undelivered(seen: Seen, reason: str) -> Judgement:
    """Judge an image that could not be pulled; each try is counted once."""
    change = seen.change
    tries = change.pulls_failed + (0 if change.observed.pull_counted else 1)
    restored = change.observed.restored
    if seen.service is not None and seen.primary is None:
        restored = seen.service.task_definition
    told = judgement(
        seen, Verdict.UNDELIVERED, reason, SELDOM_S, pull_counted=True, restored=restored
    )
    after = replace(change, verdict=told.verdict, since=told.since, pulls_failed=tries)
    again = retry_at(after, seen.policy)
    if again is not None:
        # It may be due for long: a rollout that stands sends nothing again.
        left = (again - seen.at).total_seconds()
        if left > 0:
            told = replace(told, next_look_s=min(SELDOM_S, max(1.0, left)))
    return replace(told, pulls_failed=tries, retry_at=again)


def _observed(seen: Seen, reason: str, **found: Any) -> ObservedChange:
    """Return what was seen now, and of what was seen before what the next look has to know."""
    old = seen.change.observed
    now = replace(
        old,
        reason=reason,
        task_definition=seen.service.task_definition if seen.service else "",
        deployment=seen.primary.id if seen.primary else "",
    )
    if seen.knows_hosts:
        now = replace(now, hosts=host_contacts(seen.hosts), hosts_read_at=seen.at)
    if seen.knows_tasks:
        now = replace(
            now,
            tasks=tuple(_summary(seen, task) for task in _worth_telling(seen)),
            tasks_read_at=seen.at,
            cause=common_cause(seen.ran or seen.failed) or old.cause,
        )
    return replace(now, **found)


def _worth_telling(seen: Seen) -> list[TaskState]:
    """The newest few tasks of what was sent."""
    own = [t for t in tasks_of(seen.change, seen.view) if t.task_definition == seen.change.target]
    own.sort(key=lambda t: (t.created_at or seen.began, t.arn), reverse=True)
    return own[:4]


def _summary(seen: Seen, task: TaskState) -> TaskSummary:
    exits = tuple(c.exit_code for c in task.containers if c.exit_code is not None)
    words = next((c.reason for c in task.containers if c.reason), task.stopped_reason)
    return TaskSummary(
        id=task.id,
        host=seen.by_host.get(task.container_instance_arn, ""),
        status=task.last_status,
        health=task.health,
        started_at=task.started_at,
        stopped_at=task.stopped_at,
        stop_code=task.stop_code,
        exit_codes=exits,
        reason=printable(words, limit=300),
    )


def progress(seen: Seen) -> tuple[str, float, datetime | None]:
    """Return what a change waits for, seconds until the next look, and when it can settle."""
    idle = min(SELDOM_S, max(SOON_S, (seen.at - seen.sent_at).total_seconds() / 4))
    if not seen.knows_tasks:
        running = seen.primary.running if seen.primary else 0
        settles = seen.change.observed.settles_at
        if settles is not None:
            left = (settles - seen.at).total_seconds()
            ran = max(0.0, seen.policy.settle_s - left)
            return _settling(ran, seen.policy.settle_s), max(1.0, left), settles
        return f"{running} of {seen.change.desired_count} tasks RUNNING", idle, None
    before = f"{counted(seen.failed)}; " if seen.failed else ""
    lacking = [h for h in seen.hosts if h.name not in seen.best]
    if lacking:
        return before + _not_started(seen, lacking), idle, None
    youngest = min((seen.age(t) for t in seen.best.values()), default=0.0)
    left = seen.policy.settle_s - youngest
    if left > 0:
        words = _settling(youngest, seen.policy.settle_s)
        return before + words, max(1.0, left), seen.at + timedelta(seconds=left)
    words = f"RUNNING {span(youngest)}, but no health check has passed yet"
    return before + words, idle, None


def _settling(seconds: float, of: float) -> str:
    return f"RUNNING {span(seconds)} of {span(of)}"


def pending(seen: Seen) -> list[TaskState]:
    """Return the tasks of what was sent that do not run yet; mostly they pull."""
    return [
        task
        for task in wanted_tasks(seen.change, seen.view)
        if task.task_definition == seen.change.target and task.last_status != "RUNNING"
    ]


def _not_started(seen: Seen, lacking: Sequence[HostSeen]) -> str:
    coming = pending(seen)
    if coming:
        oldest = min(task.created_at or seen.at for task in coming)
        return f"pulling for {span((seen.at - oldest).total_seconds())}"
    stopping = [
        task
        for task in tasks_of(seen.change, seen.view)
        if task.desired_status == "STOPPED" and task.last_status != "STOPPED"
    ]
    if stopping:
        return f"the old task is still {stopping[0].last_status}, and told to stop"
    unplaced = _unplaced(seen)
    if unplaced:
        return unplaced
    names = ", ".join(h.name for h in lacking)
    sent = span((seen.at - seen.sent_at).total_seconds())
    return f"no task on {names} yet, {sent} after sending"


def _unplaced(seen: Seen) -> str:
    """Return ECS's latest words on why it places no task; "" for none."""
    for at, text in seen.service.events if seen.service else ():
        if at < seen.began or "has started" in text:
            break
        if "unable to place a task" in text:
            _, _, why = text.partition("because ")
            why = why.replace("no container instance met all of its requirements.", "")
            return f"no instance meets the placement: {printable(why.strip() or text, limit=200)}"
        if "encountered error" in text:
            return f"ECS cannot place a task: {printable(text, limit=200)}"
    return ""


def absent(seen: Seen, hosts: Sequence[HostSeen]) -> str:
    """Print which hosts are away, as ``cam-1 is not connected since 21 Nov 22:14Z (26h48m)``."""
    parts = [
        f"{h.words} since {moment(h.away_since)} ({span((seen.at - h.away_since).total_seconds())})"
        for h in hosts
        if h.away_since is not None
    ]
    return ", ".join(parts)


def flapping(seen: Seen) -> str:
    """Print which hosts are away, for too short to be dark, and when they will be."""
    limit = seen.policy.dark_after_s
    return f"{absent(seen, seen.away)}; dark after {span(limit)}"


def until_dark_s(seen: Seen) -> float:
    """Return the seconds until the first absence counts as dark, at most a minute."""
    first = min((h.away_since for h in seen.away if h.away_since), default=seen.at)
    left = seen.policy.dark_after_s - (seen.at - first).total_seconds()
    return max(1.0, min(60.0, left))


def dark_look_s(seen: Seen) -> float:
    """Return the seconds until the next look at a dark store: more, the longer it is dark."""
    first = min((h.away_since for h in seen.away if h.away_since), default=seen.at)
    return min(DARK_LOOK_S, max(60.0, (seen.at - first).total_seconds() / 4))


def ok_look_s(seen: Seen) -> float:
    """Return the seconds until the next look at an ok store, to see it go dark in time."""
    return min(SELDOM_S, max(SOON_S, seen.policy.dark_after_s / 2))
