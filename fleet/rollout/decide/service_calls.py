"""Chooses the AWS call that sends a release to one service, or sets it back.

A job may run twice, when a worker is lost: every choice is made from the service as it was read
just before, and asks for nothing where the work is done already.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from fleet.model.rollout import Action, ActionKind, RolloutSpec
from fleet.model.services import ServiceState
from fleet.release.decide.service_input import service_input, service_settings
from fleet.rollout.decide.standing import differing


@dataclass(frozen=True, slots=True)
class ServiceWrite:
    """One service to be sent a release, or set back.

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


def service_write(
    action: Action, change: Change, spec: RolloutSpec, *, fleet: str, rollout: str
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
    )


class Outcome(StrEnum):
    """What became of a write.

    DONE: AWS accepted it. ALREADY: the service was as it shall be. BY_HAND: it runs something that
    neither this rollout nor the plan knows. GONE: there is no such service any more. REMOVED: it
    was deleted, and the next tick makes it anew. REFUSED: AWS said no. LOST: nobody can tell; the
    next look will.
    """

    DONE = "done"
    ALREADY = "already"
    BY_HAND = "by-hand"
    GONE = "gone"
    REMOVED = "removed"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write.

    Attributes:
        at: AWS's time of it.
        target: ARN that the service was told to run.
        words: why, for a person; what AWS said, for REFUSED and LOST.
        runs: ARN that the service runs, for BY_HAND.
    """

    kind: ActionKind
    store: str
    service: str
    outcome: Outcome
    at: datetime
    target: str = ""
    words: str = ""
    runs: str = ""


@dataclass(frozen=True, slots=True)
class Create:
    """CreateService, with the write's request and tags."""


@dataclass(frozen=True, slots=True)
class Update:
    """UpdateService, with the write's count.

    Attributes:
        previous: ARN that the tag of that name is to hold.
    """

    service: ServiceState
    task_definition: str
    previous: str
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Delete:
    """DeleteService, by force."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The call that a write comes to, and why.

    Attributes:
        call: None where nothing is to be done.
        outcome: of the write, once AWS has accepted the call.
        reason: for a person; "" where the outcome says it all.
        at: AWS's time of what was done before; None for the time of the read or of the call.
        runs: ARN that the service runs, for BY_HAND.
    """

    call: Create | Update | Delete | None
    outcome: Outcome
    reason: str = ""
    at: datetime | None = None
    runs: str = ""


def choose_call(write: ServiceWrite, service: ServiceState | None, target: str) -> Choice:
    """Return the call that brings a service to where the write wants it.

    Args:
        service: as it was read just before; None when there is none.
        target: ARN of the task definition of the write's content.
    """
    if write.kind is ActionKind.SEND:
        return _send(write, service, target)
    return _undo(write, service)


def _send(write: ServiceWrite, service: ServiceState | None, target: str) -> Choice:
    if service is None:
        return _GONE if write.previous and not write.overwrite else Choice(Create(), Outcome.DONE)
    runs = service.task_definition
    if runs == target and not write.previous and _gave_up(service):
        # The same again would move nothing, and nothing that ran before is lost.
        why = "its first deployment failed, so it is made anew"
        return Choice(Delete(), Outcome.REMOVED, why)
    if (
        runs == target
        and _is_counted(write, service)
        and not differing(write.settings, service.settings)
    ):
        return _sent_before(write, service)
    if runs not in {write.previous, target} and not write.overwrite:
        return Choice(None, Outcome.BY_HAND, runs=runs)
    previous = runs if runs != target else write.previous
    return Choice(Update(service, target, previous, write.settings), Outcome.DONE)


def _sent_before(write: ServiceWrite, service: ServiceState) -> Choice:
    """Return the choice for a service that runs the target: this job may have sent it before."""
    if write.target or service.tags.get(TAG_ROLLOUT) != write.tags[TAG_ROLLOUT]:
        return Choice(None, Outcome.ALREADY)
    newest = service.deployments[0] if service.deployments else None
    return Choice(None, Outcome.DONE, at=newest.created_at if newest else None)


def _gave_up(service: ServiceState) -> bool:
    """Return whether the circuit breaker ended the only deployment, with nothing to restore."""
    newest = service.deployments[0] if service.deployments else None
    return newest is not None and newest.rollout_state == "FAILED"


def _undo(write: ServiceWrite, service: ServiceState | None) -> Choice:
    if service is None:
        return _GONE if write.previous else Choice(None, Outcome.ALREADY)
    runs = service.task_definition
    if write.previous and runs == write.previous and _is_counted(write, service):
        return Choice(None, Outcome.ALREADY)
    if runs != write.target:
        return Choice(None, Outcome.BY_HAND, runs=runs)
    if not write.previous:
        why = "removed: there was no such service before"
        return Choice(Delete(), Outcome.DONE, why)
    return Choice(Update(service, write.previous, write.previous), Outcome.DONE)


def _is_counted(write: ServiceWrite, service: ServiceState) -> bool:
    """Return whether the desired count is the write's; it is not compared for DAEMON."""
    return write.count is None or service.desired == write.count


_GONE = Choice(None, Outcome.GONE, "there is no such service any more")
