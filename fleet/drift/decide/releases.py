"""Reports services that do not run what is committed: owed, pending, or changed by hand.

Nothing is reported of a service that a rollout is at work on, or of a revision that was not read.
"""

from collections.abc import Iterator

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.service_case import ServiceCase, wanted_services
from fleet.drift.decide.store_case import StoreCase, Where, make_finding
from fleet.model.commands import Command, Proposal, in_turn
from fleet.model.drift import Background, Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.history import ActiveRollout
from fleet.model.identity import TAG_CONTENT, TAG_ROLLOUT
from fleet.model.printable import many, printable, who
from fleet.model.rollout import Phase
from fleet.model.services import ServiceState, revision
from fleet.model.spans import moment, span
from fleet.model.wanted import IdleRollout, Owed
from fleet.rollout.decide.service_plan import is_moved_by_hand


def of_releases(case: StoreCase) -> list[Finding]:
    """Report what one store should run and does not; nothing where its services were not read."""
    found: list[Finding] = []
    for one in wanted_services(case):
        if not one.in_work:
            found += _of_service(one)
    return found


def _of_service(one: ServiceCase) -> Iterator[Finding]:
    service, owed = one.service, one.case.wanted.owed.get(one.name)
    if service is None:
        if owed is not None and one.hosts:
            yield _owed(one, owed)
        return
    if service.status == "DRAINING" or not one.is_ours:
        return
    revoked = service.task_definition in one.case.background.revoked
    if revoked:
        yield _gone(one, service)
    if one.runs is None or one.runs == one.wanted.content:
        return
    if owed is not None and owed.content == one.wanted.content:
        yield _owed(one, owed)
    elif _is_by_hand(one, service):
        # Of a revision that was deleted, nobody can read any more whose it was.
        if not (revoked and not one.runs):
            yield _by_hand(one, service)
    elif one.restored() is None and one.name not in one.case.wanted.idle:
        yield _pending(one, service, owed)


def _is_by_hand(one: ServiceCase, service: ServiceState) -> bool:
    """Judge it as a plan does; without the tag of what was sent, by who made what runs."""
    if not service.tags.get(TAG_CONTENT):
        return not one.runs
    return is_moved_by_hand(service, one.case.background.contents, one.wanted.content)


def _runs(one: ServiceCase, service: ServiceState) -> Evidence:
    return one.says(f"runs {revision(service.task_definition)}")


def _owed(one: ServiceCase, owed: Owed) -> Finding:
    """Report a release that is owed; while the store is disconnected there is nothing to do."""
    case, service = one.case, one.service
    is_back = len(one.here) == len(one.hosts)
    now = f"runs {revision(service.task_definition)}" if service else "does not have it yet"
    wait = "" if is_back else "; it is sent when the store is back"
    age = span((case.background.now - owed.since).total_seconds())
    fix: Command | Proposal = Command(f"fleet rollout resume {owed.rollout}")
    if one.rejected is not None:
        fix = one.roll_out
    elif not is_back or case.background.stop is not None:
        fix = ()
    return case.found(
        codes.RELEASE_OWED,
        f"owes {one.name} of {owed.rollout} since {moment(owed.since)} ({age}, {owed.words}) and "
        f"{now}{wait}",
        one.says(now if service else f"no service {one.name}"),
        Evidence("records", f"{owed.rollout}: {owed.words}", owed.since),
        subject=one.name,
        fix=fix,
        since=owed.since,
        severity=None if is_back else Severity.INFO,
        data={"rollout": owed.rollout, "content": owed.content},
    )


def _pending(one: ServiceCase, service: ServiceState, owed: Owed | None) -> Finding:
    now, sender = revision(service.task_definition), service.tags.get(TAG_ROLLOUT, "")
    cause = f"{one.name} runs {now}, and what is committed was not sent by any rollout"
    if service.tags.get(TAG_CONTENT) == one.wanted.content:
        cause = f"{one.name} runs {now} again: {sender or 'a rollout'} sent what is committed, "
        cause += "and it did not stay"
    elif owed is not None:
        cause += f"; it also owes an older release ({owed.rollout}, {owed.words})"
    if one.rejected is not None:
        cause = f"{one.name} runs {now}, and not what is committed: {one.rejected.words}"
    return one.case.found(
        codes.RELEASE_PENDING,
        cause,
        _runs(one, service),
        Evidence("inventory", f"wants content {one.wanted.content[:12]}"),
        subject=one.name,
        fix=one.roll_out,
        data={
            "service": service.arn,
            "runs": service.task_definition,
            "content": one.wanted.content,
            "rollout": sender,
        },
    )


def _by_hand(one: ServiceCase, service: ServiceState) -> Finding:
    """Report a change by hand, as old as the deployment that made it."""
    sender, sent = service.tags.get(TAG_ROLLOUT, ""), service.tags.get(TAG_CONTENT, "")
    tags = f"fleet's tags name content {sent[:12]}" if sent else f"no tag {TAG_CONTENT}"
    began = one.primary.created_at if one.primary else None
    is_new = one.primary is not None and one.primary.task_definition == service.task_definition
    return one.case.found(
        codes.CHANGED_BY_HAND,
        f"{one.name} runs {revision(service.task_definition)}, which is neither committed nor what "
        f"{sender or 'fleet'} sent: somebody set it",
        _runs(one, service),
        one.says(f"{tags}, rollout {sender or 'none'}"),
        subject=one.name,
        fix=one.overwrite,
        since=began if is_new else None,
        data={
            "service": service.arn,
            "runs": service.task_definition,
            "content": one.wanted.content,
            "rollout": sender,
        },
    )


def _gone(one: ServiceCase, service: ServiceState) -> Finding:
    name = revision(service.task_definition)
    is_wanted = one.runs == one.wanted.content
    next_ = "the next release replaces it" if is_wanted else "what is committed replaces it"
    words = f"ecs describe-task-definition --task-definition {name}"
    return one.case.found(
        codes.REVISION_GONE,
        f"{one.name} runs {name}, which was deregistered: nothing can be made anew from it or go "
        f"back to it; {next_}",
        one.says(f"{name} is INACTIVE"),
        subject=one.name,
        fix=one.case.aws(words, sends=False) if is_wanted else one.roll_out,
        data={"service": service.arn, "revision": service.task_definition},
    )


def of_stop(background: Background) -> list[Finding]:
    """Report that every send is stopped."""
    stop = background.stop
    if stop is None:
        return []
    by = printable(who(stop.by), limit=80)
    return [
        make_finding(
            background,
            Where(),
            codes.SENDING_STOPPED,
            f"{by} has stopped every send of every rollout: {printable(stop.why, limit=200)}",
            Evidence("records", "fleet stop --all", stop.at),
            since=stop.at,
            fix=Command("fleet start"),
        )
    ]


def of_waiting(background: Background) -> list[Finding]:
    """Report rollouts that wait for a person, from the moment they do."""
    return [_waiting(one, background) for one in background.waiting]


def _waiting(rollout: ActiveRollout, background: Background) -> Finding:
    phase, is_what = rollout.phase.value, _WAITS[rollout.phase]
    since = f"since {moment(rollout.phase_at)}"
    why = f": {printable(rollout.why, limit=160)}" if rollout.why else ""
    status = Command(f"fleet rollout status {rollout.id}", sends=False)
    promote = Command(f"fleet rollout promote {rollout.id}")
    return make_finding(
        background,
        Where(),
        codes.ROLLOUT_WAITS,
        f"{rollout.id} ({', '.join(rollout.workloads)}) {is_what} {since}{why}; it holds "
        f"{many(rollout.stores, 'store')}, which no other rollout can touch",
        Evidence("records", f"{rollout.id} {phase}", rollout.phase_at),
        subject=rollout.id,
        since=rollout.phase_at,
        fix=in_turn([status, promote] if rollout.phase is Phase.AWAITING else [status]),
        data={"rollout": rollout.id, "phase": phase, "stores": rollout.stores},
    )


#: What a rollout that waits for a person is, in words.
_WAITS = {
    Phase.HALTED: "is HALTED",
    Phase.PAUSED: "is PAUSED",
    Phase.AWAITING: "waits for promote",
}


def of_idle(background: Background) -> list[Finding]:
    """Report rollouts that nobody ticks; those that wait for a person are reported at once."""
    return [_idle(one, background) for one in background.idle if not one.waits]


def _idle(one: IdleRollout, background: Background) -> Finding:
    rollout, phase = one.rollout, one.rollout.phase.value
    since = f"since {moment(one.since)} ({span((background.now - one.since).total_seconds())})"
    state = f"is {phase}, and nobody has moved it {since}"
    why = f": {printable(rollout.why, limit=160)}" if rollout.why else ""
    return make_finding(
        background,
        Where(),
        codes.ROLLOUT_IDLE,
        f"{rollout.id} ({', '.join(rollout.workloads)}) {state}{why}; it holds "
        f"{many(rollout.stores, 'store')}, which no other rollout can touch",
        Evidence("records", f"{rollout.id} {phase}", one.since),
        subject=rollout.id,
        since=one.since,
        fix=Command(f"fleet rollout status {rollout.id}", sends=False),
        data={"rollout": rollout.id, "phase": phase, "stores": rollout.stores},
    )
