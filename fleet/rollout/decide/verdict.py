"""What has become of a change? An ordered table of rules over what AWS says; the first match wins.

Ages are by AWS's times in the view, never by ours. ``runningCount`` decides nothing: that of a host
which has been off for a week is still full (containers-roadmap #2040).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from fleet.model.changes import Change
from fleet.model.desired import TaskDefinition
from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.rollout import Place
from fleet.model.services import ServiceState, StoreView
from fleet.model.spans import moment, span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.away import away_since, host_contacts, wanted_tasks
from fleet.rollout.decide.failures import Failure, FailureKind, counted
from fleet.rollout.decide.judgement import (
    Judgement,
    deeper_look,
    failed,
    judgement,
    retry_at,
    said,
    unchanged,
    undelivered,
)
from fleet.rollout.decide.moved import given_up, gone, moved, recounted
from fleet.rollout.decide.progress import (
    SELDOM_S,
    SOON_S,
    absent,
    dark_look_s,
    flapping,
    ok_look_s,
    pending,
    progress,
    until_dark_s,
)
from fleet.rollout.decide.seen import Seen

__all__ = [
    "Judgement",
    "away_since",
    "has_health_check",
    "judge",
    "retry_at",
]

#: Essential exits of one host after which its revision is said to crash in a loop.
LOOP = 2


def judge(
    change: Change,
    view: StoreView,
    place: Place,
    policy: Policy,
    now: datetime,
    *,
    health_check: bool,
    pull_s: float = 0.0,
    rollout: str = "",
) -> Judgement:
    """What has become of one service of one store.

    Of a view without tasks or deployment records it tells what it can, and else says ``deeper``.

    Args:
        change: one that was sent, or is waiting for its turn (then only PARKED is decided).
        now: the run's time; decides whether the view is fresh enough to conclude anything.
        health_check: whether its task definition has one (``has_health_check``).
        pull_s: seconds that pulling its image is expected to take, beside the deadline.
        rollout: id of the rollout, to tell its own tags from another's.
    """
    seen = Seen(change, view, place, policy, now, health_check, pull_s, rollout)
    for rule in RULES:
        judgement = rule(seen)
        if judgement is not None:
            return judgement
    return _waiting(seen)


def has_health_check(definition: TaskDefinition) -> bool:
    """Whether ECS will say HEALTHY of its tasks: an essential container has a health check."""
    containers = definition.body.get("containerDefinitions", ())
    return any(c.get("healthCheck") and c.get("essential", True) for c in containers)


Rule = Callable[[Seen], Judgement | None]


def _unread(seen: Seen) -> Judgement | None:
    """Unknown comes first: what was not read, or is old, changes nothing."""
    change, view = seen.change, seen.view
    why = ""
    if view.problem:
        why = f"not read: {printable(view.problem, limit=200)}"
    elif view.services is None:
        why = "not read: its services were not in the answer"
    elif change.sent_at is not None and view.at < change.sent_at:
        why = "not looked at since it was sent"
    elif (seen.now - view.at).total_seconds() > seen.policy.fresh_s:
        why = "not read lately"
    if not why:
        return None
    last = change.looked_at
    known = change.observed.reason or change.verdict.value
    if last is None:
        return unchanged(seen, f"{why}; never seen since it was planned", SOON_S)
    age = span((seen.now - last).total_seconds())
    return unchanged(seen, f"{why}; {age} ago: {known}", SOON_S)


def _unsent(seen: Seen) -> Judgement | None:
    """Nothing was sent: the only question is whether its hosts are there."""
    if seen.change.stage is not Stage.PLANNED:
        return None
    if not seen.knows_hosts:
        return unchanged(seen, seen.change.reason, SELDOM_S)
    if seen.dark:
        return judgement(
            seen,
            Verdict.PARKED,
            f"{absent(seen, seen.dark)}; owes the release",
            dark_look_s(seen),
        )
    if seen.change.verdict is Verdict.UNCHANGED:
        return judgement(seen, Verdict.UNCHANGED, seen.change.reason, None)
    if seen.away:
        return judgement(seen, Verdict.WAITING, flapping(seen), until_dark_s(seen))
    return judgement(seen, Verdict.WAITING, "its hosts are connected; waits for its turn", SELDOM_S)


def _final(seen: Seen) -> Judgement | None:
    """Failed until a person or a newer release says otherwise; and what fleet has let go."""
    change = seen.change
    over = change.verdict in {Verdict.FAILED, Verdict.CHANGED_BY_HAND}
    if change.stage is Stage.SENT and not over:
        return None
    return judgement(seen, change.verdict, said(seen), None)


def _dark(seen: Seen) -> Judgement | None:
    """A host is lost. Its store's other host may still fail, but nothing is ok."""
    if not seen.knows_hosts or not seen.dark:
        return None
    if len(seen.away) < len(seen.hosts):
        if not seen.knows_tasks and seen.primary is not None and seen.primary.failed_tasks:
            return deeper_look(seen)
        failed = _failing(seen) if seen.knows_tasks else None
        if failed is not None:
            return failed
    if seen.change.ok_at is not None:
        applied = f"it was ok at {moment(seen.change.ok_at)}, so nothing is left to apply"
    else:
        applied = "ECS applies the change when it returns"
    return judgement(seen, Verdict.DARK, f"{absent(seen, seen.dark)}; {applied}", dark_look_s(seen))


def _ok(seen: Seen) -> Judgement | None:
    if seen.primary is None:
        return None
    if not seen.knows_tasks:
        return _still_ok(seen)
    if seen.change.ok_at is not None:
        again = [f for f in seen.ran if f.at is not None and f.at > seen.change.ok_at]
        if _loops(again):
            return failed(seen, counted(again))
    if seen.away:
        return _ok_but_away(seen)
    if not all(seen.is_good(host) for host in seen.hosts):
        return None
    if seen.change.desired_count == 0 and wanted_tasks(seen.change, seen.view):
        return None
    rested = host_contacts(replace(h, tried_s=0.0) for h in seen.hosts)
    found = judgement(seen, Verdict.OK, _good_words(seen), ok_look_s(seen), hosts=rested)
    return replace(found, ok_at=found.ok_at or seen.at)


def _good_words(seen: Seen) -> str:
    if not seen.hosts:
        return "no host of it is left, and no task runs"
    ages = [seen.age(seen.best[h.name]) for h in seen.hosts]
    tasks = "new task" if len(ages) == 1 else f"{len(ages)} new tasks"
    healthy = ", healthy" if seen.health_check else ""
    return f"{tasks} RUNNING {span(min(ages))}{healthy}, hosts connected"


def _ok_but_away(seen: Seen) -> Judgement | None:
    """A good store whose host flaps stays good until the host counts as dark."""
    if seen.change.verdict is not Verdict.OK or any(
        h.is_here and not seen.is_good(h) for h in seen.hosts
    ):
        return None
    return judgement(seen, Verdict.OK, flapping(seen), until_dark_s(seen))


def _still_ok(seen: Seen) -> Judgement | None:
    """Without tasks: nothing has moved since they were last read, or they must be read."""
    service, primary = seen.service, seen.primary
    if service is None or primary is None:
        return None
    if seen.change.verdict is Verdict.OK and seen.change.ok_at is not None:
        if seen.away:
            return judgement(seen, Verdict.OK, flapping(seen), until_dark_s(seen))
        if _is_quiet(seen, service) and _knew_hosts(seen) and primary.running >= primary.desired:
            return judgement(seen, Verdict.OK, said(seen), ok_look_s(seen))
        return deeper_look(seen)
    settles = seen.change.observed.settles_at
    if settles is not None and seen.at < settles and _is_quiet(seen, service):
        return None
    return deeper_look(seen) if primary.running >= primary.desired else None


def _knew_hosts(seen: Seen) -> bool:
    """Whether its hosts were seen lately enough for none of them to have gone dark since."""
    if seen.knows_hosts:
        return True
    known = seen.change.observed.hosts_read_at
    return known is not None and (seen.at - known).total_seconds() < seen.policy.dark_after_s


def _is_quiet(seen: Seen, service: ServiceState) -> bool:
    """Whether ECS started or stopped nothing since the tasks were last read; its events say so."""
    read = seen.change.observed.tasks_read_at
    if read is None:
        return False
    told = [text for at, text in service.events if at > read]
    return all("steady state" in text or "completed" in text for text in told)


def _failing(seen: Seen) -> Judgement | None:
    """Crash loop, ill health, or out of time, on the hosts that are here."""
    for rule in (_crashing, _ill, _overdue):
        found = rule(seen)
        if found is not None:
            return found
    return None


def _crashing(seen: Seen) -> Judgement | None:
    counted_by_ecs = seen.primary.failed_tasks if seen.primary else 0
    if not seen.knows_tasks:
        return deeper_look(seen) if counted_by_ecs else None
    if _loops(seen.ran):
        return failed(seen, counted(seen.ran))
    if counted_by_ecs >= LOOP and (seen.ran or not seen.failed):
        words = counted(seen.ran) or "its stopped tasks are not visible"
        return failed(seen, f"ECS counts {counted_by_ecs} failed tasks: {words}")
    return None


def _loops(found: Sequence[Failure]) -> bool:
    per_host = Counter(f.instance for f in found if f.kind is FailureKind.RAN)
    return max(per_host.values(), default=0) >= LOOP


def _ill(seen: Seen) -> Judgement | None:
    ill = [name for name, task in sorted(seen.best.items()) if task.health == "UNHEALTHY"]
    if not ill:
        return None
    task = seen.best[ill[0]]
    where = f" on {ill[0]}" if len(seen.hosts) > 1 else ""
    return failed(seen, f"UNHEALTHY{where} after {span(seen.age(task))}")


def _overdue(seen: Seen) -> Judgement | None:
    """A host that stayed connected had its time; time in the dark does not count."""
    if not seen.knows_hosts:
        return None
    limit = seen.policy.deadline_s + seen.pull_s
    late = [h for h in seen.hosts if h.is_here and h.tried_s >= limit]
    if not late:
        return None
    if not seen.knows_tasks:
        return deeper_look(seen)
    late = [h for h in late if not seen.is_good(h)]
    if not late:
        return None
    names = ", ".join(h.name for h in late)
    words = f"not ok after {span(late[0].tried_s)} on {names}, which stayed connected"
    stuck = progress(seen)[0]
    if not seen.ran and not seen.best and (seen.failed or pending(seen)):
        return undelivered(seen, f"image not there: {words}; {stuck}")
    return failed(seen, f"{words}; {stuck}")


def _waiting(seen: Seen) -> Judgement:
    """In progress: what it waits for, and when that can have come."""
    if seen.knows_hosts and seen.away:
        return judgement(seen, Verdict.WAITING, flapping(seen), until_dark_s(seen))
    reason, next_s, settles = progress(seen)
    return judgement(seen, Verdict.WAITING, reason, next_s, settles_at=settles)


#: Unknown, what is not ours to judge, who moved it, then what the tasks say.
RULES: tuple[Rule, ...] = (
    _unread,
    _unsent,
    _final,
    gone,
    moved,
    given_up,
    recounted,
    _dark,
    _ok,
    _failing,
)
