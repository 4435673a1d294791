"""Plans what happens to each service of one store, and why, by ordered rules; the first match wins.

Nothing that is not provably fleet's is touched, and neither is what a person changed since.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from fleet.inventory.decide.power import absent_from, planned_off
from fleet.model.commands import aws_command
from fleet.model.desired import DesiredService, Scheduling, ServiceShape
from fleet.model.history import Observation
from fleet.model.hours import Powered
from fleet.model.identity import HOST_ATTRIBUTE, TAG_CONTENT, TAG_FLEET, TAG_PREVIOUS, TAG_ROLLOUT
from fleet.model.inventory import Lifecycle, Store
from fleet.model.observed import ContainerInstance, best_instance
from fleet.model.plan import Kind, PlannedChange
from fleet.model.rollout import Hold
from fleet.model.services import ServiceState, StoreView, revision
from fleet.model.spans import moment, span
from fleet.release.decide.sent_settings import COUNT, Difference, compare, told
from fleet.release.decide.service_input import service_settings

#: What is said of a setting that somebody set.
_KEPT = "left alone: set it back, or plan with --overwrite"


@dataclass(frozen=True, slots=True)
class PlanContext:
    """Holds what the rules need beside the store and its view.

    Attributes:
        fleet: name of the fleet, as tagged on what it made.
        contents: content address by ARN of task definition; "" or missing for one of nobody's.
        alike: by the content of an older release, the one of this release that means the same.
        held: who holds a store and workload.
        away: by host id, since when it is away as far as was recorded.
        dark_after_s: how long a host must be away to count as dark.
        overwrite: whether what a person changed may be changed back.
    """

    fleet: str
    now: datetime
    contents: Mapping[str, str] = field(default_factory=dict)
    alike: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[tuple[str, str], Hold] = field(default_factory=dict)
    away: Mapping[str, datetime] = field(default_factory=dict)
    dark_after_s: float = 300.0
    overwrite: bool = False


@dataclass(frozen=True)
class _Case:
    """Holds one service in question."""

    store: Store
    wanted: DesiredService
    shape: ServiceShape
    service: ServiceState | None
    hosts: Mapping[str, ContainerInstance]
    background: PlanContext

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name in self.wanted.hosts if name not in self.hosts)

    @property
    def runs(self) -> str:
        """Return the content address of what it runs; "" when fleet did not make it.

        A template that only spells it otherwise is no reason to restart a shop.
        """
        arn = self.service.task_definition if self.service else ""
        content = self.background.contents.get(arn, "")
        return self.background.alike.get(content, content)

    @cached_property
    def differences(self) -> tuple[Difference, ...]:
        """Return the settings of the service that are not as wanted."""
        if self.service is None:
            return ()
        wanted = service_settings(self.shape)
        if self.shape.scheduling is not Scheduling.DAEMON:
            wanted[COUNT] = len(self.hosts)
        # Fleet 0.1 sent one task per registered host, of those that the inventory names.
        return compare(wanted, self.service, counts=range(1, len(self.wanted.hosts) + 1))

    @cached_property
    def kept(self) -> tuple[Difference, ...]:
        """Return those that somebody set and that are left as they are."""
        if self.background.overwrite:
            return ()
        return tuple(one for one in self.differences if one.is_by_hand)

    @property
    def by_hand(self) -> tuple[str, ...]:
        """Return those in words."""
        return tuple(one.words for one in told(self.kept))


def why_unread(view: StoreView | None) -> str:
    """Return why nothing can be planned for a store; "" when enough of it was read."""
    if view is None:
        return "it was not read"
    if view.problem:
        return view.problem
    if view.services is None:
        return "its services were not read"
    if view.cluster is not None and view.instances is None:
        return "its container instances were not read"
    return ""


def plan_services(
    store: Store,
    wanted: Sequence[DesiredService],
    view: StoreView,
    shapes: Mapping[str, ServiceShape],
    background: PlanContext,
) -> list[PlannedChange]:
    """Return what happens to the services that a store should run; the view must have been read."""
    services = {s.name: s for s in view.services or () if s.status != "INACTIVE"}
    hosts = _hosts(view)
    found = []
    for one in wanted:
        service = services.get(one.service)
        shape = shapes[one.service]
        registered = {name: hosts[name] for name in one.hosts if name in hosts}
        case = _Case(store, one, shape, service, registered, background)
        found.append(_decided(case, view))
    return found


def unwanted_services(
    store: Store, wanted: Sequence[DesiredService], view: StoreView, fleet: str
) -> list[PlannedChange]:
    """Return fleet's services that no workload wants any more; they are named and not touched."""
    names = {one.service for one in wanted}
    return [
        PlannedChange(
            store=store.id,
            service=service.name,
            workload="",
            variant="",
            kind=Kind.LEFT,
            reason="no workload wants it here any more; delete it with "
            f"`aws ecs delete-service --cluster {store.cluster} --service {service.name} --force`",
            before=service.task_definition,
            before_content="",
            content="",
            before_count=service.desired,
            count=service.desired,
        )
        for service in view.services or ()
        if service.status == "ACTIVE"
        and service.name not in names
        and service.tags.get(TAG_FLEET) == fleet
    ]


def closed_store(store: Store) -> PlannedChange:
    """Return the one line of a store that is not open and so should run nothing new."""
    return PlannedChange(
        store=store.id,
        service="",
        workload="",
        variant="",
        kind=Kind.LEFT,
        reason=_lifecycle_words(store),
        before="",
        before_content="",
        content="",
        before_count=0,
        count=0,
    )


def away_of(
    recorded: Iterable[Observation], now: datetime, dark_after_s: float
) -> dict[str, datetime]:
    """Return by host id since when a host is away, by what was recorded of it.

    AWS keeps no such time. A host that was last seen connected is away for less than that; when
    that is longer ago than ``dark_after_s``, nobody knows.
    """
    away = {}
    for seen in recorded:
        lately = (now - seen.last_seen).total_seconds() < dark_after_s
        if seen.agent_connected is False:
            away[f"{seen.store}/{seen.host}"] = seen.first_seen
        elif seen.agent_connected and lately:
            away[f"{seen.store}/{seen.host}"] = seen.last_seen
    return away


def _hosts(view: StoreView) -> dict[str, ContainerInstance]:
    by_name: dict[str, list[ContainerInstance]] = {}
    for instance in view.instances or ():
        by_name.setdefault(instance.attributes.get(HOST_ATTRIBUTE, ""), []).append(instance)
    return {name: best_instance(tuple(same)) for name, same in by_name.items() if name}


def _decided(case: _Case, view: StoreView) -> PlannedChange:
    left = _left(case, view)
    if left:
        return _planned(case, Kind.LEFT, left)
    kind, reason = _difference(case)
    kept = "".join(f"; {words}" for words in (*case.by_hand, _KEPT)) if case.by_hand else ""
    reason += kept
    if not kind.is_change:
        return _planned(case, kind, reason)
    dark, flaps = _away(case)
    if dark:
        return _planned(case, Kind.OWED, f"{dark}{kept}")
    return _planned(case, kind, f"{reason}; {flaps}" if flaps else reason)


def _planned(case: _Case, kind: Kind, reason: str) -> PlannedChange:
    service = case.service
    keeps_count = any(one.is_count for one in case.kept)
    change = PlannedChange(
        store=case.store.id,
        service=case.wanted.service,
        workload=case.shape.workload,
        variant=case.shape.variant,
        kind=kind,
        reason=reason,
        before=service.task_definition if service else "",
        before_content=case.runs,
        content=case.wanted.content,
        before_count=service.desired if service else 0,
        count=service.desired if service and keeps_count else len(case.hosts),
        missing_hosts=case.missing,
        by_hand=case.by_hand,
        keeps_count=keeps_count,
    )
    if not case.missing or kind is Kind.LEFT:
        return change
    return replace(change, reason=f"{reason}; {_missing_words(case)}")


def _left(case: _Case, view: StoreView) -> str:
    """Return why a service is not touched, and what to do about it; "" when it may be."""
    store, service = case.store, case.service
    if store.lifecycle is not Lifecycle.OPEN:
        return _lifecycle_words(store)
    if view.cluster is None or view.cluster.status == "INACTIVE":
        return f"there is no cluster {store.cluster} yet; register it: `fleet register {store.id}`"
    if not case.hosts:
        return _missing_words(case)
    held = case.background.held.get((store.id, case.shape.workload))
    if held:
        since = f"{moment(held.since)} (started by {held.by})"
        return f"{held.rollout} holds it since {since}; see `fleet rollout status {held.rollout}`"
    if service is None:
        return ""
    if service.status == "DRAINING":
        return "it was deleted and still has tasks (DRAINING); plan again when it is gone"
    return (
        _foreign(case, service)
        or _other_scheduling(case, service)
        or _by_hand(case, service)
        or _stopped(case, service)
    )


def _lifecycle_words(store: Store) -> str:
    return f"the store is {store.lifecycle.value}; set `lifecycle: open` ({store.source})"


def _missing_words(case: _Case) -> str:
    names = case.missing
    words = f"{' and '.join(names)} {'is' if len(names) == 1 else 'are'} not registered"
    hosts = " ".join(f"--host {name}" for name in names)
    # ECS may have lost it; register would refuse such a host, and its plan says what to do.
    return f"{words}: `fleet register {case.store.id} {hosts} --plan`"


def is_tagged_ours(service: ServiceState, fleet: str) -> bool:
    """Return whether its tags say that this fleet made it."""
    whose = service.tags.get(TAG_FLEET, "")
    return whose == fleet or (not whose and bool(service.tags.get(TAG_ROLLOUT)))


def _foreign(case: _Case, service: ServiceState) -> str:
    if is_tagged_ours(service, case.background.fleet):
        return ""
    whose = service.tags.get(TAG_FLEET, "")
    of = f"of fleet {whose}" if whose else "of somebody else's making (no tag fleet:fleet)"
    return (
        f"a service of this name is {of}; delete it, or give it to fleet: tag it "
        f"{TAG_FLEET}={case.background.fleet}"
    )


def _other_scheduling(case: _Case, service: ServiceState) -> str:
    if service.scheduling == case.shape.scheduling.value:
        return ""
    delete = aws_command(
        f"ecs delete-service --cluster {service.cluster} --service {service.name} --force",
        case.store.region,
        case.store.account.profile,
    )
    return (
        f"it is {service.scheduling} and shall be {case.shape.scheduling.value}, which ECS cannot "
        f"change; delete it with `{delete}` and plan again"
    )


def is_moved_by_hand(service: ServiceState, contents: Mapping[str, str], wanted: str) -> bool:
    """Return whether somebody else moved it since fleet did, and not to what is wanted.

    Fleet's tags name what it sent and what ran before. Either may run: the first when all went
    well, the second when ECS's breaker restored it or a run was cut off before the call. When
    fleet set it back, the tags name what was sent as what ran before.

    Args:
        contents: content address by ARN, of what runs and of what ran before.
        wanted: address of what it should run.
    """
    sent, previous = service.tags.get(TAG_CONTENT, ""), service.tags.get(TAG_PREVIOUS, "")
    if not sent:
        return False
    runs = contents.get(service.task_definition, "")
    set_back = bool(previous) and contents.get(previous) == sent
    return not (runs in {sent, wanted} or service.task_definition == previous or set_back)


def _by_hand(case: _Case, service: ServiceState) -> str:
    """Return what to say of a service that somebody else moved; "" when nobody did."""
    background = case.background
    if background.overwrite or not is_moved_by_hand(
        service, background.contents, case.wanted.content
    ):
        return ""
    return (
        f"changed by hand since {service.tags.get(TAG_ROLLOUT) or 'fleet sent it'}: it runs "
        f"{revision(service.task_definition)}; set it back, or plan with --overwrite"
    )


def _difference(case: _Case) -> tuple[Kind, str]:
    service = case.service
    if service is None:
        return Kind.CREATE, f"no such service yet; {_tasks(case)}"
    now = revision(service.task_definition)
    if case.runs != case.wanted.content:
        retry = service.tags.get(TAG_CONTENT) == case.wanted.content
        before = f" (after {service.tags.get(TAG_ROLLOUT, 'an earlier try')})" if retry else ""
        return Kind.UPDATE, f"runs {now}{before}"
    ours = [one for one in case.differences if one not in case.kept]
    if any(one.is_count for one in ours):
        return Kind.ADJUST, f"runs {now}, set to {service.desired} tasks; {_tasks(case)}"
    if ours:
        return Kind.ADJUST, f"runs {now}; {' and '.join(one.step for one in told(ours))}"
    if case.by_hand:
        return Kind.LEFT, f"runs {now}, which is it"
    return Kind.UNCHANGED, f"runs {now}, which is it"


def _stopped(case: _Case, service: ServiceState) -> str:
    """Return what to say of a service that somebody set to no tasks; "" when nobody did.

    With no task nothing runs that could be judged, and the shop was switched off on purpose.
    """
    if service.desired:
        return ""
    kept = (one for one in case.kept if one.is_count)
    return "".join(f"{one.words}; {_KEPT}" for one in kept)


def _tasks(case: _Case) -> str:
    names = [name for name in case.wanted.hosts if name in case.hosts]
    return f"{len(names)} {'task' if len(names) == 1 else 'tasks'} on {', '.join(names)}"


def _away(case: _Case) -> tuple[str, str]:
    """Return what is said of hosts that are away: of dark ones, or of those that may only flap."""
    now, dark, flaps = case.background.now, [], []
    limit_s = case.background.dark_after_s
    off_when_closed = {h.name for h in case.store.hosts if h.powered is Powered.OPENING_HOURS}
    for name, instance in sorted(case.hosts.items()):
        if instance.agent_connected and instance.status == "ACTIVE":
            continue
        if instance.agent_connected:
            dark.append(f"{name} is {instance.status}")
            continue
        since = case.background.away.get(f"{case.store.id}/{name}")
        if name in off_when_closed:
            off = planned_off(case.store, since or now, now, limit_s)
            if off is not None:
                flaps.append(f"{name} is {off.words}")
                continue
            since = since and absent_from(case.store, since, limit_s)
        if since is None:
            dark.append(f"{name} is not connected")
            continue
        away_s = (now - since).total_seconds()
        if away_s >= limit_s:
            dark.append(f"{name} is dark since {moment(since)} ({span(away_s)})")
        else:
            flaps.append(f"{name} is away for {span(away_s)}, which may pass")
    return ", ".join(dark), ", ".join(flaps)
