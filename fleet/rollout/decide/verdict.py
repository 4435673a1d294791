"""Judges what has become of a change, by an ordered table of rules; the first match wins.

Ages are by AWS's times in the view, never by ours. ``runningCount`` decides nothing: that of a host
which has been off for a week is still full (containers-roadmap #2040).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.model.changes import Change
from fleet.model.copies import copied
from fleet.model.desired import TaskDefinition
from fleet.model.policy import Policy
from fleet.model.printable import printable
from fleet.model.restarts import RestartSource
from fleet.model.rollout import Place
from fleet.model.services import ServiceState, StoreView
from fleet.model.spans import moment, span
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.attribution import Mover, Sent, attribute
from fleet.rollout.decide.change_facts import ChangeFacts, host_contacts, wanted_tasks
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
    ok_reason,
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
    facts = ChangeFacts(change, view, place, policy, now, health_check, pull_s, rollout)
    for rule in RULES:
        judgement = rule(facts)
        if judgement is not None:
            return _with_restarts(facts, judgement)
    return _waiting(facts)


def _with_restarts(facts: ChangeFacts, judged: Judgement) -> Judgement:
    """Add to the reason of an ok change what is known of its restarts."""
    change = judged.change
    if change.verdict is not Verdict.OK or change.looked_at != facts.at:
        return judged
    reason = ok_reason(change.observed.reason, change.observed.restarts)
    if facts.policy.restart_source is RestartSource.OFF and not facts.health_check:
        reason = f"{reason}, restarts not seen"
    if reason == change.reason:
        return judged
    return replace(judged, change=copied(change, reason=reason))


def has_health_check(definition: TaskDefinition) -> bool:
    """Return whether ECS reports the health of its tasks: an essential container has a check."""
    containers = definition.body.get("containerDefinitions", ())
    return any(c.get("healthCheck") and c.get("essential", True) for c in containers)


Rule = Callable[[ChangeFacts], Judgement | None]


def _unread(facts: ChangeFacts) -> Judgement | None:
    """Keep the verdict where the store was not read, or not lately."""
    change, view = facts.change, facts.view
    why = ""
    if view.problem:
        why = f"not read: {printable(view.problem, limit=200)}"
    elif view.services is None:
        why = "not read: its services were not in the answer"
    elif change.sent_at is not None and view.at < change.sent_at:
        why = "not read since it was sent"
    elif (facts.now - view.at).total_seconds() > facts.policy.fresh_s:
        why = "not read lately"
    if not why:
        return None
    last = change.looked_at
    known = change.observed.reason or change.verdict.value
    if last is None:
        return unchanged(facts, f"{why}; never seen since it was planned", SOON_S)
    age = span((facts.now - last).total_seconds())
    return unchanged(facts, f"{why}; {age} ago: {known}", SOON_S)


def _unsent(facts: ChangeFacts) -> Judgement | None:
    """Park a change that was not sent while its hosts are dark."""
    if facts.change.stage is not Stage.PLANNED:
        return None
    if not facts.knows_hosts:
        return unchanged(facts, facts.change.reason, SELDOM_S)
    if facts.dark:
        return judgement(
            facts,
            Verdict.PARKED,
            f"{absent(facts, facts.dark)}; owes the release",
            dark_look_s(facts),
        )
    if facts.change.verdict is Verdict.UNCHANGED:
        return judgement(facts, Verdict.UNCHANGED, facts.change.reason, None)
    if facts.away:
        return judgement(facts, Verdict.WAITING, flapping(facts), until_dark_s(facts))
    return judgement(
        facts, Verdict.WAITING, "its hosts are connected; waits for its turn", SELDOM_S
    )


def _final(facts: ChangeFacts) -> Judgement | None:
    """Keep what is failed until a person retries it, and what fleet leaves alone."""
    change = facts.change
    over = change.verdict in {Verdict.FAILED, Verdict.CHANGED_BY_HAND}
    if change.stage is Stage.SENT and not over:
        return None
    return judgement(facts, change.verdict, said(facts), None)


def _gone(facts: ChangeFacts) -> Judgement | None:
    """Judge a service that is not there or not ACTIVE."""
    service = facts.service
    if service is not None and service.status == "ACTIVE":
        return None
    what = f"is {service.status}" if service else "is gone"
    if service is None and (facts.at - facts.sent_at).total_seconds() < SETTLING_S:
        return judgement(facts, facts.change.verdict, "ECS does not show the service yet", SOON_S)
    return by_hand(facts, f"somebody deleted it: the service {what}")


def _moved(facts: ChangeFacts) -> Judgement | None:
    """Judge a service that is not set to what was sent, by who has set it."""
    change, service = facts.change, facts.service
    if service is None or service.task_definition == change.target:
        return None
    if change.verdict is Verdict.UNDELIVERED and _is_settled(facts, service):
        return undelivered(facts, said(facts))
    sent = Sent(change.target, change.content, facts.sent_at, change.previous, facts.rollout)
    records = (facts.view.deployments or {}).get(change.service)
    if facts.view.deployments is not None and records is None:
        records = ()
    found = attribute(service, records, sent, facts.at)
    if found.mover is Mover.LATE:
        return judgement(facts, change.verdict, found.words, SOON_S)
    if found.mover is Mover.ROLLOUT:
        return judgement(facts, change.verdict, found.words, None, stage=Stage.SKIPPED)
    if records is None or not facts.knows_tasks:
        # A deep view without records would tell no more the next time.
        if facts.knows_tasks:
            return judgement(facts, change.verdict, found.words, SELDOM_S)
        return deeper_look(facts)
    if found.mover is Mover.HAND:
        return by_hand(facts, found.words)
    return _broken(facts, found.words)


def _is_settled(facts: ChangeFacts, service: ServiceState) -> bool:
    return facts.change.observed.restored == service.task_definition


def _given_up(facts: ChangeFacts) -> Judgement | None:
    """Judge a deployment that ECS gave up with nothing to restore, as of a new service."""
    if facts.primary is None or facts.primary.rollout_state != "FAILED":
        return None
    if not facts.knows_tasks:
        return deeper_look(facts)
    words = printable(facts.primary.rollout_reason, limit=120)
    return _broken(facts, f"ECS gave up, nothing to restore{': ' + words if words else ''}")


def _broken(facts: ChangeFacts, words: str) -> Judgement:
    """Judge what the circuit breaker stopped: failed, or undelivered where only pulls failed."""
    why = counted(facts.ran or facts.failed)
    reason = f"{why}; {words}" if why else f"{words}; its stopped tasks are no longer visible"
    if facts.failed and not facts.ran:
        return undelivered(facts, reason)
    return failed(facts, reason)


def _recounted(facts: ChangeFacts) -> Judgement | None:
    """Judge a service that somebody else has scaled; a DAEMON has no count."""
    service, change = facts.service, facts.change
    if service is None or service.scheduling == "DAEMON" or service.desired == change.desired_count:
        return None
    return by_hand(
        facts, f"somebody set its count to {service.desired}, fleet sent {change.desired_count}"
    )


def _dark(facts: ChangeFacts) -> Judgement | None:
    """Judge a store with a dark host; its other hosts may still fail, but it is not ok."""
    if not facts.knows_hosts or not facts.dark:
        return None
    if len(facts.away) < len(facts.hosts):
        if not facts.knows_tasks and facts.primary is not None and facts.primary.failed_tasks:
            return deeper_look(facts)
        failed = _failing(facts) if facts.knows_tasks else None
        if failed is not None:
            return failed
    if facts.change.ok_at is not None:
        applied = f"it was ok at {moment(facts.change.ok_at)}, so nothing is left to apply"
    else:
        applied = "ECS applies the change when it returns"
    return judgement(
        facts, Verdict.DARK, f"{absent(facts, facts.dark)}; {applied}", dark_look_s(facts)
    )


def _ok(facts: ChangeFacts) -> Judgement | None:
    if facts.primary is None:
        return None
    if not facts.knows_tasks:
        return _still_ok(facts)
    if facts.change.ok_at is not None:
        again = [f for f in facts.ran if f.at is not None and f.at > facts.change.ok_at]
        if _loops(again):
            return failed(facts, counted(again))
    if facts.away:
        return _ok_but_away(facts)
    if not all(facts.is_good(host) for host in facts.hosts):
        return None
    if facts.change.desired_count == 0 and wanted_tasks(facts.change, facts.view):
        return None
    rested = host_contacts(replace(h, tried_s=0.0) for h in facts.hosts)
    found = judgement(facts, Verdict.OK, _good_words(facts), ok_look_s(facts), hosts=rested)
    return replace(found, change=replace(found.change, ok_at=facts.change.ok_at or facts.at))


def _good_words(facts: ChangeFacts) -> str:
    if not facts.hosts:
        return "no host of it is left, and no task runs"
    ages = [facts.age(facts.best[h.name]) for h in facts.hosts]
    healthy = ", healthy" if facts.health_check else ""
    sent = (facts.at - facts.sent_at).total_seconds()
    if facts.change.ok_at is not None or max(ages) > sent + SETTLING_S:
        # It is not new: it was seen before, or it ran before only settings were sent.
        since = moment(facts.at - timedelta(seconds=min(ages)))
        tasks = "task" if len(ages) == 1 else f"{len(ages)} tasks"
        return f"{tasks} RUNNING since {since}{healthy}, hosts connected"
    tasks = "new task" if len(ages) == 1 else f"{len(ages)} new tasks"
    return f"{tasks} RUNNING {span(min(ages))}{healthy}, hosts connected"


def _ok_but_away(facts: ChangeFacts) -> Judgement | None:
    """Keep a store ok while its host is away for too short to be dark."""
    if facts.change.verdict is not Verdict.OK or any(
        h.is_here and not facts.is_good(h) for h in facts.hosts
    ):
        return None
    return judgement(facts, Verdict.OK, flapping(facts), until_dark_s(facts))


def _still_ok(facts: ChangeFacts) -> Judgement | None:
    """Judge without tasks: still ok when nothing has moved since they were read."""
    service, primary = facts.service, facts.primary
    if service is None or primary is None:
        return None
    if facts.change.verdict is Verdict.OK and facts.change.ok_at is not None:
        if facts.away:
            return judgement(facts, Verdict.OK, flapping(facts), until_dark_s(facts))
        if _is_quiet(facts, service) and _knew_hosts(facts) and primary.running >= primary.desired:
            return judgement(facts, Verdict.OK, said(facts), ok_look_s(facts))
        return deeper_look(facts)
    settles = facts.change.observed.settles_at
    if settles is not None and facts.at < settles and _is_quiet(facts, service):
        return None
    # A count that somebody set above the number of hosts is never reached.
    least = min(primary.desired, len(facts.hosts)) if facts.hosts else primary.desired
    return deeper_look(facts) if primary.running >= least else None


def _knew_hosts(facts: ChangeFacts) -> bool:
    """Return whether its hosts were seen too lately for one of them to be dark now."""
    if facts.knows_hosts:
        return True
    known = facts.change.observed.hosts_read_at
    return known is not None and (facts.at - known).total_seconds() < facts.policy.dark_after_s


def _is_quiet(facts: ChangeFacts, service: ServiceState) -> bool:
    """Return whether, by its events, ECS started and stopped nothing since tasks were read."""
    read = facts.change.observed.tasks_read_at
    if read is None:
        return False
    told = [text for at, text in service.events if at > read]
    return all("steady state" in text or "completed" in text for text in told)


def _failing(facts: ChangeFacts) -> Judgement | None:
    """Judge crash loops, ill health and missed deadlines on the hosts that are connected."""
    for rule in (_crashing, _ill, _overdue):
        found = rule(facts)
        if found is not None:
            return found
    return None


def _crashing(facts: ChangeFacts) -> Judgement | None:
    counted_by_ecs = facts.primary.failed_tasks if facts.primary else 0
    if not facts.knows_tasks:
        return deeper_look(facts) if counted_by_ecs else None
    if _loops(facts.ran):
        return failed(facts, counted(facts.ran))
    if counted_by_ecs >= LOOP and (facts.ran or not facts.failed):
        words = counted(facts.ran) or "its stopped tasks are not visible"
        return failed(facts, f"ECS counts {counted_by_ecs} failed tasks: {words}")
    return None


def _loops(found: Sequence[TaskFailure]) -> bool:
    per_host = Counter(f.instance for f in found if f.kind is FailureKind.RAN)
    return max(per_host.values(), default=0) >= LOOP


def _ill(facts: ChangeFacts) -> Judgement | None:
    ill = [name for name, task in sorted(facts.best.items()) if task.health == "UNHEALTHY"]
    if not ill:
        return None
    task = facts.best[ill[0]]
    where = f" on {ill[0]}" if len(facts.hosts) > 1 else ""
    return failed(facts, f"UNHEALTHY{where} after {span(facts.age(task))}")


def _overdue(facts: ChangeFacts) -> Judgement | None:
    """Judge hosts that stayed connected past the deadline; time away does not count."""
    if not facts.knows_hosts:
        return None
    limit = facts.policy.deadline_s + facts.pull_s
    late = [h for h in facts.hosts if h.is_here and h.tried_s >= limit]
    if not late:
        return None
    if not facts.knows_tasks:
        return deeper_look(facts)
    late = [h for h in late if not facts.is_good(h)]
    if not late:
        return None
    names = ", ".join(h.name for h in late)
    words = f"not ok after {span(late[0].tried_s)} on {names}, which stayed connected"
    stuck = progress(facts)[0]
    if not facts.ran and not facts.best and (facts.failed or pending(facts)):
        return undelivered(facts, f"image not there: {words}; {stuck}")
    return failed(facts, f"{words}; {stuck}")


def _waiting(facts: ChangeFacts) -> Judgement:
    """Return the judgement of a change in progress: what it waits for, and when to look again."""
    if facts.knows_hosts and facts.away:
        return judgement(facts, Verdict.WAITING, flapping(facts), until_dark_s(facts))
    reason, next_s, settles = progress(facts)
    return judgement(facts, Verdict.WAITING, reason, next_s, settles_at=settles)


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
