"""What a change waits for, in words with numbers, and when looking again can tell more."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from fleet.model.printable import printable
from fleet.model.services import TaskState
from fleet.model.spans import moment, span
from fleet.rollout.decide.away import HostSeen, tasks_of, wanted_tasks
from fleet.rollout.decide.failures import counted
from fleet.rollout.decide.seen import Seen

#: Seconds until the first look at a store after sending, and between looks while nothing is due.
SOON_S = 15.0
SELDOM_S = 120.0
#: Seconds between looks at a store that has been dark for long.
DARK_LOOK_S = 300.0


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
