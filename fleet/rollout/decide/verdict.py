"""Judges what has become of a change, by an ordered table of rules; the first match wins.

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
from fleet.rollout.decide.attribution import Mover, Sent, attribute
from fleet.rollout.decide.change_facts import Seen, host_contacts, wanted_tasks
from fleet.rollout.decide.judgement import (
    SELDOM_S,
    SOON_S,
    Judgement,
    absent,
    by_hand,
    dark_look_s,
    deeper_look,
    failed,
    flapping,
    judgement,
    ok_look_s,
    pending,
    progress,
    said,
    unchanged,
    undelivered,
    until_dark_s,
)
from fleet.rollout.decide.task_failures import FailureKind, TaskFailure, counted

#: Seconds for which a service that was just made may not be shown.
SETTLING_S = 60.0
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
    """Judge what has become of one service of one store.

    A view without tasks or deployment records may not be enough; the judgement is ``deeper`` then.

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
    """Return whether ECS reports the health of its tasks: an essential container has a check."""
    containers = definition.body.get("containerDefinitions", ())
    return any(c.get("healthCheck") and c.get("essential", True) for c in containers)


Rule = Callable[[Seen], Judgement | None]


def _unread(seen: Seen) -> Judgement | None:
    """Keep the verdict where the store was not read, or not lately."""
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
    """Park a change that was not sent while its hosts are dark."""
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
    """Keep what is failed until a person retries it, and what fleet leaves alone."""
    change = seen.change
    over = change.verdict in {Verdict.FAILED, Verdict.CHANGED_BY_HAND}
    if change.stage is Stage.SENT and not over:
        return None
    return judgement(seen, change.verdict, said(seen), None)


def _gone(seen: Seen) -> Judgement | None:
    """Judge a service that is not there or not ACTIVE."""
    service = seen.service
    if service is not None and service.status == "ACTIVE":
        return None
    what = f"is {service.status}" if service else "is gone"
    if service is None and (seen.at - seen.sent_at).total_seconds() < SETTLING_S:
        return judgement(seen, seen.change.verdict, "ECS does not show the service yet", SOON_S)
    return by_hand(seen, f"somebody deleted it: the service {what}")


def _moved(seen: Seen) -> Judgement | None:
    """Judge a service that is not set to what was sent, by who has set it."""
    change, service = seen.change, seen.service
    if service is None or service.task_definition == change.target:
        return None
    if change.verdict is Verdict.UNDELIVERED and _is_settled(seen, service):
        return undelivered(seen, said(seen))
    sent = Sent(change.target, change.content, seen.sent_at, change.previous, seen.rollout)
    records = (seen.view.deployments or {}).get(change.service)
    if seen.view.deployments is not None and records is None:
        records = ()
    found = attribute(service, records, sent, seen.at)
    if found.mover is Mover.LATE:
        return judgement(seen, change.verdict, found.words, SOON_S)
    if found.mover is Mover.ROLLOUT:
        return judgement(seen, change.verdict, found.words, None, stage=Stage.SKIPPED)
    if records is None or not seen.knows_tasks:
        # A view that was meant to be deep and has no records tells no more the next time.
        if seen.knows_tasks:
            return judgement(seen, change.verdict, found.words, SELDOM_S)
        return deeper_look(seen)
    if found.mover is Mover.HAND:
        return by_hand(seen, found.words)
    return _broken(seen, found.words)


def _is_settled(seen: Seen, service: ServiceState) -> bool:
    return seen.change.observed.restored == service.task_definition


def _given_up(seen: Seen) -> Judgement | None:
    """Judge a deployment that ECS gave up with nothing to restore, as of a new service."""
    if seen.primary is None or seen.primary.rollout_state != "FAILED":
        return None
    if not seen.knows_tasks:
        return deeper_look(seen)
    words = printable(seen.primary.rollout_reason, limit=120)
    return _broken(seen, f"ECS gave up, nothing to restore{': ' + words if words else ''}")


def _broken(seen: Seen, words: str) -> Judgement:
    """Judge what the circuit breaker stopped: failed, or undelivered where only pulls failed."""
    why = counted(seen.ran or seen.failed)
    reason = f"{why}; {words}" if why else f"{words}; its stopped tasks are no longer visible"
    if seen.failed and not seen.ran:
        return undelivered(seen, reason)
    return failed(seen, reason)


def _recounted(seen: Seen) -> Judgement | None:
    """Judge a service that somebody else has scaled; a DAEMON has no count."""
    service, change = seen.service, seen.change
    if service is None or service.scheduling == "DAEMON" or service.desired == change.desired_count:
        return None
    return by_hand(
        seen, f"somebody set its count to {service.desired}, fleet sent {change.desired_count}"
    )


def _dark(seen: Seen) -> Judgement | None:
    """Judge a store with a dark host; its other hosts may still fail, but it is not ok."""
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
    """Keep a store ok while its host is away for too short to be dark."""
    if seen.change.verdict is not Verdict.OK or any(
        h.is_here and not seen.is_good(h) for h in seen.hosts
    ):
        return None
    return judgement(seen, Verdict.OK, flapping(seen), until_dark_s(seen))


def _still_ok(seen: Seen) -> Judgement | None:
    """Judge without tasks: still ok when nothing has moved since they were read."""
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
    """Return whether its hosts were seen too lately for one of them to be dark now."""
    if seen.knows_hosts:
        return True
    known = seen.change.observed.hosts_read_at
    return known is not None and (seen.at - known).total_seconds() < seen.policy.dark_after_s


def _is_quiet(seen: Seen, service: ServiceState) -> bool:
    """Return whether, by its events, ECS started and stopped nothing since tasks were read."""
    read = seen.change.observed.tasks_read_at
    if read is None:
        return False
    told = [text for at, text in service.events if at > read]
    return all("steady state" in text or "completed" in text for text in told)


def _failing(seen: Seen) -> Judgement | None:
    """Judge crash loops, ill health and missed deadlines on the hosts that are connected."""
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


def _loops(found: Sequence[TaskFailure]) -> bool:
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
    """Judge hosts that stayed connected past the deadline; time away does not count."""
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
    """Return the judgement of a change in progress: what it waits for, and when to look again."""
    if seen.knows_hosts and seen.away:
        return judgement(seen, Verdict.WAITING, flapping(seen), until_dark_s(seen))
    reason, next_s, settles = progress(seen)
    return judgement(seen, Verdict.WAITING, reason, next_s, settles_at=settles)


#: Unknown, what is not ours to judge, who moved it, then what the tasks say.
RULES: tuple[Rule, ...] = (
    _unread,
    _unsent,
    _final,
    _gone,
    _moved,
    _given_up,
    _recounted,
    _dark,
    _ok,
    _failing,
)
