"""A verdict with what it rests on, and what the next look has to know of this one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.rollout import Change, Stage, Verdict
from fleet.model.services import TaskState
from fleet.model.spans import span, stamp
from fleet.rollout.decide.away import first_away, host_evidence, tasks_of
from fleet.rollout.decide.failures import common_cause
from fleet.rollout.decide.progress import SELDOM_S
from fleet.rollout.decide.seen import Seen

#: Keys of the evidence of one try that go on from look to look.
_KEPT = (
    "ok_at",
    "cause",
    "pull_counted",
    "restored",
    "settles_at",
    "deep_at",
    "tasks",
    "reason",
    "accepted",
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict with what it rests on.

    Attributes:
        since: of the verdict, by AWS's time; an old one keeps its time.
        evidence: replaces that of the change.
        looked_at: AWS's time of what it rests on; an unread store keeps its time.
        next_look_s: seconds until looking again may tell more; None when it never will.
        stage: where the change is to be put, or None to leave it there.
        deeper: nothing was concluded, because tasks or deployment records have to be read first.
        retry_at: for UNDELIVERED, when it may be sent again; None when its tries are used up.
    """

    verdict: Verdict
    reason: str
    since: datetime
    evidence: Mapping[str, Any]
    away_since: datetime | None
    pulls_failed: int
    looked_at: datetime | None
    next_look_s: float | None
    stage: Stage | None = None
    deeper: bool = False
    retry_at: datetime | None = None

    def onto(self, change: Change, now: datetime) -> Change:
        """The change with this judgement in it; ``now`` is the run's, for the next look."""
        wait = self.next_look_s
        return replace(
            change,
            verdict=self.verdict,
            reason=self.reason,
            since=self.since,
            evidence=self.evidence,
            away_since=self.away_since,
            pulls_failed=self.pulls_failed,
            looked_at=self.looked_at,
            look_at=None if wait is None else now + timedelta(seconds=wait),
            stage=self.stage or change.stage,
        )


def retry_at(change: Change, policy: Policy) -> datetime | None:
    """When a change that was not delivered may be sent again; None when it may not."""
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
    more: Mapping[str, Any] | None = None,
) -> Judgement:
    """A verdict of this look; one that the change has already keeps its time."""
    change = seen.change
    kept = change.since if verdict is change.verdict else None
    return Judgement(
        verdict,
        reason,
        kept or seen.at,
        {**_evidence(seen), "reason": reason, **(more or {})},
        first_away(seen.hosts) if seen.knows_hosts else change.away_since,
        change.pulls_failed,
        seen.at,
        next_look_s,
        stage,
    )


def unchanged(seen: Seen, reason: str, next_look_s: float | None) -> Judgement:
    """Nothing was learned: everything stays, but for what the reason says about that."""
    change = seen.change
    return Judgement(
        change.verdict,
        reason,
        change.since or seen.at,
        change.evidence,
        change.away_since,
        change.pulls_failed,
        change.looked_at,
        next_look_s,
        retry_at=retry_at(change, seen.policy),
    )


def deeper_look(seen: Seen) -> Judgement:
    """Nothing is concluded before tasks and deployment records were read."""
    return replace(unchanged(seen, seen.change.reason, 0.0), deeper=True)


def said(seen: Seen) -> str:
    """What was last concluded, without what was said about not being able to look."""
    kept = seen.change.evidence.get("reason")
    return kept if isinstance(kept, str) and seen.same_try else seen.change.reason


def failed(seen: Seen, reason: str) -> Judgement:
    """The release is bad here, or the store is; of one that was ok before it says how late."""
    if seen.ok_at is not None:
        late = span((seen.at - seen.ok_at).total_seconds())
        reason = f"{reason}; late, {late} after it was ok"
    return judgement(seen, Verdict.FAILED, reason, None)


def by_hand(seen: Seen, reason: str) -> Judgement:
    """Somebody else changed the service: fleet lets it go and never overwrites it unasked."""
    return judgement(seen, Verdict.CHANGED_BY_HAND, reason, None, stage=Stage.HELD)


def undelivered(seen: Seen, reason: str) -> Judgement:
    """The image did not arrive: counted once per try, however often it is looked at."""
    change = seen.change
    counted_already = seen.same_try and bool(change.evidence.get("pull_counted"))
    tries = change.pulls_failed + (0 if counted_already else 1)
    more: dict[str, object] = {"pull_counted": True}
    if seen.service is not None and seen.primary is None:
        more["restored"] = seen.service.task_definition
    told = judgement(seen, Verdict.UNDELIVERED, reason, SELDOM_S, more=more)
    after = replace(change, verdict=told.verdict, since=told.since, pulls_failed=tries)
    again = retry_at(after, seen.policy)
    if again is not None:
        # It may be due for long: a rollout that stands sends nothing again.
        left = (again - seen.at).total_seconds()
        if left > 0:
            told = replace(told, next_look_s=min(SELDOM_S, max(1.0, left)))
    return replace(told, pulls_failed=tries, retry_at=again)


def _evidence(seen: Seen) -> dict[str, Any]:
    """What was seen, and what the next look has to know of this one."""
    old = seen.change.evidence
    evidence: dict[str, Any] = {}
    if seen.change.stage is Stage.PLANNED:
        # What others noted for the sending of it is still to be read.
        evidence = {key: value for key, value in old.items() if key not in _KEPT}
    elif seen.same_try:
        evidence = {key: old[key] for key in _KEPT if key in old}
    evidence["try"] = stamp(seen.change.sent_at)
    if seen.knows_hosts:
        evidence["hosts"] = host_evidence(seen.hosts)
        evidence["looked_at"] = stamp(seen.at)
    elif seen.same_try:
        evidence.update({key: old[key] for key in ("hosts", "looked_at") if key in old})
    if seen.service is not None:
        evidence["runs"] = seen.service.task_definition
    if seen.primary is not None:
        evidence["deployment"] = seen.primary.id
    if seen.knows_tasks:
        evidence["deep_at"] = stamp(seen.at)
        evidence["tasks"] = [_task_evidence(seen, t) for t in _worth_telling(seen)]
        cause = common_cause(seen.ran or seen.failed)
        if cause:
            evidence["cause"] = cause
    return evidence


def _worth_telling(seen: Seen) -> list[TaskState]:
    """The newest few tasks of what was sent."""
    own = [t for t in tasks_of(seen.change, seen.view) if t.task_definition == seen.change.target]
    own.sort(key=lambda t: (t.created_at or seen.began, t.arn), reverse=True)
    return own[:4]


def _task_evidence(seen: Seen, task: TaskState) -> dict[str, Any]:
    exits = [c.exit_code for c in task.containers if c.exit_code is not None]
    words = next((c.reason for c in task.containers if c.reason), task.stopped_reason)
    return {
        "id": task.id,
        "host": seen.by_host.get(task.container_instance_arn, ""),
        "status": task.last_status,
        "health": task.health,
        "started_at": stamp(task.started_at),
        "stopped_at": stamp(task.stopped_at),
        "stop_code": task.stop_code,
        "exit_codes": exits,
        "reason": printable(words, limit=300),
    }
