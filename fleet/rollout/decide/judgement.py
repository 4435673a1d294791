"""A verdict with what it rests on, and what the next look has to know of this one."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.changes import Change, ObservedChange, TaskSummary
from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.services import TaskState
from fleet.model.spans import span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.away import first_away, host_contacts, tasks_of
from fleet.rollout.decide.failures import common_cause
from fleet.rollout.decide.progress import SELDOM_S
from fleet.rollout.decide.seen import Seen


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
