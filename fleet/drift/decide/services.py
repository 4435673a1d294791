"""Compares the services of a store with what the inventory wants, and reports those in trouble.

Nothing is reported of a service that a rollout is at work on, or of tasks on hosts that are
disconnected: their counts are what ECS last heard (containers-roadmap #2040).
"""

import shlex
from collections.abc import Iterator, Mapping
from datetime import datetime

from fleet.drift.decide import service_codes as codes
from fleet.drift.decide.capacity import blocked
from fleet.drift.decide.service_case import (
    ServiceCase,
    back_since,
    is_ours,
    wanted_services,
)
from fleet.drift.decide.store_case import StoreCase
from fleet.model.commands import Command
from fleet.model.desired import Scheduling
from fleet.model.drift import Evidence, Finding
from fleet.model.drift_settings import Severity
from fleet.model.identity import TAG_CONTENT, TAG_FLEET, TAG_ROLLOUT, TAG_STORE, TAG_WORKLOAD
from fleet.model.identity import differing as tags_differing
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from fleet.model.printable import listed, many, printable
from fleet.model.services import Deployment, ServiceState, revision
from fleet.model.spans import moment, span
from fleet.release.decide.sent_settings import COUNT, compare, told
from fleet.release.decide.service_input import service_settings

#: Settings that UpdateService cannot change: such a service is deleted and made anew.
FIXED = ("launchType", "schedulingStrategy")
_LONGEST = 160


def of_services(case: StoreCase) -> list[Finding]:
    """Report what is wrong with the services of one store; nothing where they were not read."""
    found: list[Finding] = []
    for one in wanted_services(case):
        if not one.in_work:
            found += _wanted(one)
    return found + _unwanted(case)


def _wanted(one: ServiceCase) -> Iterator[Finding]:
    service = one.service
    if service is None:
        yield from _missing(one)
    elif service.status == "DRAINING":
        yield _draining(one, service)
    elif one.is_ours:
        yield from _untagged(one, service)
        yield from _settings(one, service)
        yield from _count(one, service)
        yield from _at_work(one, service)
    elif service.tags.get(TAG_FLEET) or one.runs is not None:
        yield _foreign(one, service)


def _missing(one: ServiceCase) -> Iterator[Finding]:
    case = one.case
    if not one.hosts or one.is_awaited:
        return
    hosts = listed([host.host.name for host in one.hosts])
    yield case.found(
        codes.SERVICE_MISSING,
        f"the cluster has no service {one.name}, so nothing of {one.workload} runs on {hosts}",
        one.says(f"no service {one.name} in cluster {case.store.cluster}"),
        Evidence("inventory", f"{one.workload} runs on {hosts}"),
        subject=one.name,
        fix=one.roll_out,
    )


def _draining(one: ServiceCase, service: ServiceState) -> Finding:
    tasks = many(service.running, "task")
    return one.case.found(
        codes.SERVICE_DRAINING,
        f"{one.name} was deleted and still has {tasks} (DRAINING); once it is gone it can be made "
        "again",
        one.says(f"status DRAINING, {tasks} running"),
        subject=one.name,
        fix=one.roll_out,
        data={"service": service.arn},
    )


def _foreign(one: ServiceCase, service: ServiceState) -> Finding:
    whose = service.tags.get(TAG_FLEET, "")
    of = f"of fleet {whose}" if whose else "of somebody else's making"
    fleet = one.case.background.fleet
    return one.case.found(
        codes.SERVICE_UNMANAGED,
        f"{one.name} is {of} and runs {revision(service.task_definition)}: fleet does not touch "
        f"it, so {one.workload} cannot be rolled out; this tag gives it to fleet",
        one.says(f"tag {TAG_FLEET} {whose or 'missing'}"),
        subject=one.name,
        fix=_tag_command(one.case, service, {TAG_FLEET: fleet}),
        severity=Severity.MEDIUM,
        data={"service": service.arn},
    )


def _untagged(one: ServiceCase, service: ServiceState) -> Iterator[Finding]:
    case = one.case
    wanted = {TAG_FLEET: case.background.fleet, TAG_STORE: case.store.id}
    if one.shape:
        wanted[TAG_WORKLOAD] = one.workload
    missing = tags_differing(wanted, service.tags)
    if not service.tags.get(TAG_CONTENT) and one.runs:
        missing[TAG_CONTENT] = one.runs
    if not missing:
        return
    names = listed(sorted(missing))
    yield case.found(
        codes.SERVICE_UNTAGGED,
        f"{one.name} runs {revision(service.task_definition)}, which is fleet's, and lacks "
        f"{many(len(missing), 'tag')}: {names}",
        one.says(f"tags {', '.join(sorted(service.tags)) or 'none'}"),
        subject=one.name,
        fix=_tag_command(case, service, missing),
        data={"arn": service.arn, "tags": missing, "runs": service.task_definition},
    )


def _tag_command(case: StoreCase, service: ServiceState, tags: Mapping[str, str]) -> Command:
    pairs = " ".join(f"key={key},value={value}" for key, value in sorted(tags.items()))
    return case.aws(f"ecs tag-resource --resource-arn {service.arn} --tags {pairs}")


def _settings(one: ServiceCase, service: ServiceState) -> Iterator[Finding]:
    shape, case = one.shape, one.case
    # What a rollout still brings may have other settings, and brings them along.
    if shape is None or one.is_awaited:
        return
    sent = service_settings(shape)
    fixed = {"launchType": "EXTERNAL", "schedulingStrategy": shape.scheduling.value}
    seen = {**service.settings, "schedulingStrategy": service.scheduling}
    anew = {key: value for key, value in fixed.items() if seen.get(key, value) != value}
    # The policy of the rollout that sent it may be another than the workload's.
    differ = told(
        each for each in compare(sent, service) if not (each.field.by_policy and each.was_sent)
    )
    if not differ and not anew:
        return
    names = [each.field.words for each in differ] + list(anew)
    are = "is" if len(names) == 1 else "are"
    cause = f"{listed(names)} of {one.name} {are} not what fleet sends"
    if anew:
        cause += f"; ECS cannot change {' and '.join(anew)}: delete it, then {one.roll_out}"
    expected = [each.expected for each in differ] + [f"{key} {anew[key]}" for key in anew]
    by_hand = any(each.is_by_hand for each in differ)
    yield case.found(
        codes.SERVICE_SETTINGS,
        cause,
        *(one.says(each.words) for each in differ),
        *(one.says(f"{key} {printable(str(seen[key]))}, expected {anew[key]}") for key in anew),
        Evidence("inventory", "; ".join(expected)),
        subject=one.name,
        fix=_delete_command(case, service) if anew else _roll_out(one, by_hand=by_hand),
        severity=Severity.MEDIUM if anew else None,
        data={
            "service": service.arn,
            "settings": {**{(key := each.field.path[0]): sent[key] for each in differ}, **anew},
        },
    )


def _roll_out(one: ServiceCase, *, by_hand: bool) -> Command:
    """Return the command that sends what is wanted; what somebody set has to be asked about."""
    return one.overwrite if by_hand else one.roll_out


def _count(one: ServiceCase, service: ServiceState) -> Iterator[Finding]:
    """Report a count that is not one task per host; unregistered hosts are reported themselves."""
    shape, registered, all_hosts = one.shape, len(one.hosts), one.wanted.hosts
    if shape is None or shape.scheduling is Scheduling.DAEMON or service.scheduling == "DAEMON":
        return
    if isinstance(one.case.seen.instances, NotRead) or one.is_awaited:
        return
    if registered <= service.desired <= len(all_hosts):
        return
    hosts = f"{many(registered, 'host')} of it {'is' if registered == 1 else 'are'} registered"
    counts = range(1, len(all_hosts) + 1)
    differ = compare({COUNT: registered}, service, counts=counts)
    by_hand = any(each.is_by_hand for each in differ)
    yield one.case.found(
        codes.SERVICE_COUNT,
        f"{one.name} is set to {many(service.desired, 'task')}, and {hosts}",
        *(one.says(each.words) for each in differ),
        Evidence("inventory", f"runs on {', '.join(all_hosts)}"),
        subject=one.name,
        fix=_roll_out(one, by_hand=by_hand),
        severity=Severity.HIGH if service.desired == 0 else None,
        data={"service": service.arn, "desired": service.desired, "count": registered},
    )


def _at_work(one: ServiceCase, service: ServiceState) -> Iterator[Finding]:
    """Report a failed or stuck deployment or missing tasks: the first, which causes the next."""
    primary = one.primary
    if primary is not None and primary.rollout_state == "FAILED":
        yield _given_up(one, service, primary)
        return
    restored = None if one.name in one.case.wanted.owed else one.restored()
    if restored is not None:
        yield _restored(one, service, restored.words)
        return
    if isinstance(one.case.seen.instances, NotRead) or not one.here:
        return
    found = _stuck(one, primary) or _short(one, service)
    # A task that cannot be placed is reported as that.
    if found is not None and not (one.runs == one.wanted.content and blocked(one)):
        yield found


def _given_up(one: ServiceCase, service: ServiceState, primary: Deployment) -> Finding:
    said = printable(primary.rollout_reason, limit=_LONGEST)
    return _failed(
        one,
        service,
        f"ECS gave the deployment of {revision(primary.task_definition)} up with nothing to go "
        f"back to; {service.running} of {service.desired} tasks run",
        f"rolloutState FAILED{': ' + said if said else ''}",
        since=primary.updated_at or primary.created_at,
    )


def _restored(one: ServiceCase, service: ServiceState, words: str) -> Finding:
    sender = service.tags.get(TAG_ROLLOUT) or "a rollout"
    return _failed(
        one,
        service,
        f"{sender} sent {one.name} what is committed and it failed: {words}",
        f"runs {revision(service.task_definition)}, which ran before",
        since=one.primary.created_at if one.primary else None,
        severity=Severity.MEDIUM,
    )


def _failed(
    one: ServiceCase,
    service: ServiceState,
    cause: str,
    said: str,
    *,
    since: datetime | None,
    severity: Severity | None = None,
) -> Finding:
    rollout = service.tags.get(TAG_ROLLOUT, "")
    words = f"fleet rollout status {shlex.quote(rollout)} --store {one.case.store.id}"
    # A rollout of what it is set to already would send nothing.
    fix = _ended(one) if one.runs == one.wanted.content else one.roll_out
    return one.case.found(
        codes.DEPLOYMENT_FAILED,
        cause,
        one.says(said),
        *_events(service),
        subject=one.name,
        fix=Command(words, sends=False) if rollout else fix,
        since=since,
        severity=severity,
        data={"service": service.arn, "rollout": rollout},
    )


def _stuck(one: ServiceCase, primary: Deployment | None) -> Finding | None:
    if primary is None or primary.rollout_state != "IN_PROGRESS" or primary.created_at is None:
        return None
    service, hosts = one.service, len(one.hosts)
    if service is None or len(one.here) < hosts:
        return None
    if service.desired > hosts and primary.running >= hosts:
        return None  # More tasks than hosts can never all run; the count is reported.
    # A change of the count is progress too, and shows only as an update.
    moved = primary.created_at if primary.failed_tasks else primary.updated_at or primary.created_at
    lasted = _lasted(one, max(primary.created_at, moved))
    if lasted < one.deadline_s:
        return None
    failed = f", {many(primary.failed_tasks, 'task')} failed" if primary.failed_tasks else ""
    age = span((one.at - primary.created_at).total_seconds())
    return one.case.found(
        codes.DEPLOYMENT_STUCK,
        f"the deployment of {revision(primary.task_definition)} is in progress for {age} (deadline "
        f"{span(one.deadline_s)}): {primary.running} of {primary.desired} tasks run{failed}; "
        "its hosts are connected",
        one.says(f"rolloutState IN_PROGRESS since {moment(primary.created_at)}"),
        *_events(service),
        subject=one.name,
        fix=_look(one),
        since=primary.created_at,
        data={"service": service.arn, "deployment": primary.id},
    )


def _short(one: ServiceCase, service: ServiceState) -> Finding | None:
    """Report fewer tasks than connected hosts; ECS may count gone tasks of other hosts."""
    could = min(service.desired, len(one.here))
    began = _trouble_since(service)
    if service.running >= could or began is None:
        return None
    lasted = _lasted(one, began)
    if lasted < one.deadline_s:
        return None
    names = listed([host.host.name for host in one.here])
    return one.case.found(
        codes.TASKS_SHORT,
        f"{service.running} of {service.desired} tasks of {one.name} run for {span(lasted)}, "
        f"though {names} {'is' if len(one.here) == 1 else 'are'} connected",
        one.says(f"runningCount {service.running}, desiredCount {service.desired}"),
        *_events(service),
        subject=one.name,
        fix=_ended(one) if "has started" in service.events[0][1] else _look(one),
        since=began,
        data={"service": service.arn, "running": service.running, "desired": service.desired},
    )


def _trouble_since(service: ServiceState) -> datetime | None:
    """Return since when the service is not in a steady state, as far back as its events go.

    None: there was no event since the last steady state. A task that has just ended is started
    again within seconds and is no finding.
    """
    began = None
    for at, text in service.events:
        if "has reached a steady state" in text or "deployment completed" in text:
            break
        began = at
    return began


def _lasted(one: ServiceCase, began: datetime) -> float:
    """Return for how many seconds it has been so with its hosts connected and registered as now."""
    back = back_since(one.here)
    made = [host.instance.registered_at for host in one.here if host.instance is not None]
    since = [began, *filter(None, (back, *made))]
    return (one.at - max(since)).total_seconds()


def _events(service: ServiceState) -> tuple[Evidence, ...]:
    """Return the latest event."""
    return tuple(
        Evidence("ECS", printable(text, limit=_LONGEST), at) for at, text in service.events[:1]
    )


def _ended(one: ServiceCase) -> Command:
    """Return the command that shows why tasks ended; the events do not say it."""
    case, cluster = one.case, one.case.store.cluster
    which = case.aws(
        f"ecs list-tasks --cluster {cluster} --service-name {one.name} "
        "--desired-status STOPPED --query 'taskArns[:5]' --output text",
        sends=False,
    )
    return case.aws(
        f"ecs describe-tasks --cluster {cluster} --tasks $({which}) "
        "--query 'tasks[].[stoppedAt,stoppedReason,containers[].reason]'",
        sends=False,
    )


def _look(one: ServiceCase) -> Command:
    return one.case.aws(
        f"ecs describe-services --cluster {one.case.store.cluster} --services {one.name} "
        "--query 'services[0].events[:10].[createdAt,message]' --output text",
        sends=False,
    )


def _unwanted(case: StoreCase) -> list[Finding]:
    """Report services that nobody wants, where the release says what is wanted."""
    seen = case.seen.services
    unsure = isinstance(case.background.release, NotRead)
    if isinstance(seen, NotRead) or unsure or case.store.lifecycle is Lifecycle.PAUSED:
        return []
    is_open = case.is_open
    unread = isinstance(case.seen.instances, NotRead)
    if not is_open and (unread or any(host.instances for host in case.hosts.values())):
        return []  # Its registered hosts are reported, and the services go with them.
    wanted = {one.service for one in case.wanted.services}
    left = [s for s in seen.value if s.status == "ACTIVE" and s.name not in wanted]
    return [
        _left_over(case, service, seen.at)
        for service in left
        if service.name not in case.wanted.rolling
    ]


def _left_over(case: StoreCase, service: ServiceState, at: datetime) -> Finding:
    ours = is_ours(service, case.background)
    runs = f"{revision(service.task_definition)}, {many(service.running, 'task')}"
    if not ours:
        whose = service.tags.get(TAG_FLEET)
        of = f"fleet {whose}" if whose else "somebody else's making"
        cause = f"{service.name} is of {of} and runs {runs} beside what fleet wants"
    elif not case.is_open:
        cause = f"the store is {case.store.lifecycle.value}, and {service.name} still runs {runs}"
    else:
        cause = f"no workload wants {service.name} here any more, and it still runs {runs}"
    return case.found(
        codes.SERVICE_UNMANAGED,
        cause,
        Evidence("ECS", f"ACTIVE, desiredCount {service.desired}", at),
        subject=service.name,
        fix=_delete_command(case, service) if ours else (),
        severity=Severity.LOW if ours else None,
        data={"service": service.arn, "ours": ours},
    )


def _delete_command(case: StoreCase, service: ServiceState) -> Command:
    return case.aws(
        f"ecs delete-service --cluster {case.store.cluster} --service {service.name} --force"
    )
