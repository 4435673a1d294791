"""Chooses the AWS call that sends a release to one service or sets it back.

A job may run twice, when a worker is lost. Every call is chosen from the service as it was read
just before, and none is made where the work is done already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from fleet.model.changes import Change
from fleet.model.desired import Scheduling
from fleet.model.identity import (
    TAG_CONTENT,
    TAG_FLEET,
    TAG_ROLLOUT,
    TAG_STORE,
    TAG_WORKLOAD,
)
from fleet.model.rollout import ActionKind, RolloutAction, RolloutSpec
from fleet.model.services import ServiceState
from fleet.release.decide.sent_settings import (
    COUNT,
    COUNT_KEY,
    Difference,
    compare,
    last_sent,
    recounted,
    sent_tag,
    told,
    with_kept,
)
from fleet.release.decide.service_input import service_input, service_settings


@dataclass(frozen=True, slots=True)
class ServiceWrite:
    """Describes one service to be sent a release, or set back.

    Attributes:
        content: of the task definition that is (or was) sent.
        target: its ARN; "" when it was not sent here yet.
        previous: ARN that the service ran before the rollout; "" when there was no service.
        request: the input of CreateService, without tags.
        settings: what UpdateService sets besides the task definition and the count.
        count: tasks it shall run; None for DAEMON.
        tags: of the service.
        token: names this one intent.
        overwrite: whether a person has said that it may run anything now.
        send: names this send in the tag ``fleet:sent``.
        count_before: tasks that it was to run when the rollout was planned.
        keeps_count: whether the count was set by somebody and is left as it is.
        overwrites_settings: whether settings that somebody set are set back.
    """

    kind: ActionKind
    store: str
    service: str
    cluster: str
    content: str
    target: str
    previous: str
    request: Mapping[str, Any]
    settings: Mapping[str, Any]
    count: int | None
    tags: Mapping[str, str]
    token: str
    overwrite: bool = False
    send: str = ""
    count_before: int = 0
    keeps_count: bool = False
    overwrites_settings: bool = False

    @property
    def wanted(self) -> dict[str, Any]:
        """Return the settings and the count, as UpdateService takes them."""
        count = {} if self.count is None else {COUNT: self.count}
        return {**self.settings, **count}


def service_write(
    action: RolloutAction, change: Change, spec: RolloutSpec, *, fleet: str, rollout: str
) -> ServiceWrite:
    """Return what an action asks of the change's service.

    Args:
        fleet: its name.
        rollout: its id.
    """
    shape = spec.shapes[change.service]
    count = change.previous_count if action.kind is ActionKind.UNDO else change.desired_count
    return ServiceWrite(
        kind=action.kind,
        store=change.store,
        service=change.service,
        cluster=change.cluster,
        content=change.content,
        target=change.target,
        previous=change.previous,
        request=service_input(
            shape,
            cluster=change.cluster,
            task_definition=change.target or change.content,
            desired_count=change.desired_count,
        ),
        settings=service_settings(shape),
        count=None if shape.scheduling is Scheduling.DAEMON else count,
        tags={
            TAG_FLEET: fleet,
            TAG_STORE: change.store,
            TAG_WORKLOAD: shape.workload,
            TAG_ROLLOUT: rollout,
            TAG_CONTENT: change.content,
        },
        token=f"{rollout}/{change.store}/{change.service}/{change.sends}",
        overwrite=change.next_send.overwrite,
        send=f"{rollout}.{change.sends}",
        count_before=change.previous_count,
        keeps_count=f"{change.store}/{change.service}" in spec.kept_counts,
        overwrites_settings=spec.overwrite or change.next_send.overwrite,
    )


class CallOutcome(StrEnum):
    """Says what became of a write.

    DONE: AWS accepted it. ALREADY: the service was as it shall be. BY_HAND: it runs something that
    neither this rollout nor the plan knows. GONE: there is no such service any more. REMOVED: it
    was deleted, and the next tick makes it anew. REFUSED: AWS said no. REJECTED: AWS will not have
    the task definition itself, in whichever store. CALLED_OFF: a person stopped it before it was
    made. LOST: nobody can tell; the next look will.
    """

    DONE = "done"
    ALREADY = "already"
    BY_HAND = "by-hand"
    GONE = "gone"
    REMOVED = "removed"
    REFUSED = "refused"
    REJECTED = "rejected"
    CALLED_OFF = "called-off"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class CallResult:
    """Holds what became of one write.

    Attributes:
        at: AWS's time of it.
        target: ARN that the service was told to run.
        words: why, for a person; what AWS said, for REFUSED, REJECTED and LOST.
        runs: ARN that the service runs, for BY_HAND.
    """

    kind: ActionKind
    store: str
    service: str
    outcome: CallOutcome
    at: datetime
    target: str = ""
    words: str = ""
    runs: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """Calls for CreateService, with the write's request and tags.

    Attributes:
        sent: the tag that names what is sent.
    """

    sent: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """Calls for UpdateService.

    Attributes:
        previous: ARN that the tag of that name is to hold.
        settings: those that are not as wanted.
        count: tasks; None when it stays as it is.
        sent: the tag that names what fleet sends; "" leaves it.
    """

    service: ServiceState
    task_definition: str
    previous: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    count: int | None = None
    sent: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Calls for DeleteService, by force."""


@dataclass(frozen=True, slots=True)
class CallChoice:
    """Names the call that a write comes to, and why.

    Attributes:
        call: None where nothing is to be done.
        outcome: of the write, once AWS has accepted the call.
        reason: for a person; "" where the outcome says it all.
        at: AWS's time of what was done before; None for the time of the read or of the call.
        runs: ARN that the service runs, for BY_HAND.
    """

    call: Create | Update | Delete | None
    outcome: CallOutcome
    reason: str = ""
    at: datetime | None = None
    runs: str = ""


def choose_call(write: ServiceWrite, service: ServiceState | None, target: str) -> CallChoice:
    """Return the call that brings a service to where the write wants it.

    Args:
        service: as it was read just before; None when there is none.
        target: ARN of the task definition of the write's content.
    """
    if write.kind is ActionKind.SEND:
        return _send(write, service, target)
    return _undo(write, service)


def _send(write: ServiceWrite, service: ServiceState | None, target: str) -> CallChoice:
    if service is None:
        return (
            _GONE
            if write.previous and not write.overwrite
            else CallChoice(Create(sent_tag(write.wanted, write.send)), CallOutcome.DONE)
        )
    runs = service.task_definition
    if runs == target and not write.previous and _gave_up(service):
        # Sending the same again would change nothing, and nothing that ran before is lost.
        why = "its first deployment failed, so it is made anew"
        return CallChoice(Delete(), CallOutcome.REMOVED, why)
    differ = compare(write.wanted, service, counts=(write.count_before,), send=write.send)
    kept = () if write.overwrites_settings else tuple(one for one in differ if one.is_by_hand)
    if runs == target and len(kept) == len(differ):
        return _sent_before(write, service)
    if runs not in {write.previous, target} and not write.overwrite:
        return CallChoice(None, CallOutcome.BY_HAND, runs=runs)
    if any(one.is_count for one in kept):
        # It was set since the plan was made, which expects another number of tasks.
        return CallChoice(None, CallOutcome.BY_HAND, "; ".join(one.words for one in told(kept)))
    if write.keeps_count and service.desired != write.count:
        why = f"desired count {service.desired}, and the plan left it at {write.count}"
        return CallChoice(None, CallOutcome.BY_HAND, why)
    return CallChoice(
        _update(write, service, target, differ, kept),
        CallOutcome.DONE,
        "; ".join(f"{one.words}: left alone" for one in told(kept)),
    )


def _update(
    write: ServiceWrite,
    service: ServiceState,
    target: str,
    differ: Sequence[Difference],
    kept: Sequence[Difference],
) -> Update:
    """Return the call that sends the target and what differs, except what somebody set."""
    changed = {one.field.path[0] for one in differ if one not in kept}
    settings = with_kept(write.wanted, kept)
    theirs = {one.field.key for one in kept}
    if write.keeps_count:
        theirs.add(COUNT_KEY)
    runs = service.task_definition
    return Update(
        service,
        target,
        previous=runs if runs != target else write.previous,
        settings={key: settings[key] for key in write.settings if key in changed},
        count=write.count if COUNT in changed else None,
        sent=sent_tag(write.wanted, write.send, last_sent(service.tags), theirs),
    )


def _sent_before(write: ServiceWrite, service: ServiceState) -> CallChoice:
    """Return the choice for a service that runs the target: this job may have sent it before."""
    if write.target or service.tags.get(TAG_ROLLOUT) != write.tags[TAG_ROLLOUT]:
        return CallChoice(None, CallOutcome.ALREADY)
    newest = service.deployments[0] if service.deployments else None
    return CallChoice(None, CallOutcome.DONE, at=newest.created_at if newest else None)


def _gave_up(service: ServiceState) -> bool:
    """Return whether the circuit breaker ended the only deployment, with nothing to restore."""
    newest = service.deployments[0] if service.deployments else None
    return newest is not None and newest.rollout_state == "FAILED"


def _undo(write: ServiceWrite, service: ServiceState | None) -> CallChoice:
    if service is None:
        return _GONE if write.previous else CallChoice(None, CallOutcome.ALREADY)
    runs = service.task_definition
    known = (write.request.get(COUNT, 0),)
    differ = compare({COUNT: write.count}, service, counts=known) if write.count is not None else ()
    # A count that somebody set since it was sent stays, unless a person said otherwise.
    stays = not differ or (differ[0].is_by_hand and not write.overwrites_settings)
    if write.previous and runs == write.previous and stays:
        return CallChoice(None, CallOutcome.ALREADY)
    if runs != write.target:
        return CallChoice(None, CallOutcome.BY_HAND, runs=runs)
    if not write.previous:
        why = "removed: there was no such service before"
        return CallChoice(Delete(), CallOutcome.DONE, why)
    back = Update(service, write.previous, write.previous)
    if not stays:
        sent = recounted(service.tags, write.count or 0, write.send)
        back = replace(back, count=write.count, sent=sent)
    return CallChoice(back, CallOutcome.DONE)


_GONE = CallChoice(None, CallOutcome.GONE, "there is no such service any more")
