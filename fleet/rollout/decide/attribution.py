"""Finds who moved a service away from the revision that was sent: ECS, a rollout or a person.

ECS's own record of the deployment decides (DescribeServiceDeployments; its status and its circuit
breaker outlive the deployment). Where there is no record, the service's deployments and events
speak, and where those are silent too, nothing is concluded as long as the records were not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleet.model.identity import TAG_CONTENT, TAG_ROLLOUT
from fleet.model.printable import printable
from fleet.model.services import ServiceDeployment, ServiceState, revision

#: AWS's ``Date`` has whole seconds and ECS's own times have not, so that what a call made may seem
#: a little older than the call's reply.
ROUNDING = timedelta(seconds=5)
#: DescribeServices may lag behind UpdateService; a service that has not moved by then was moved.
LAG = timedelta(seconds=60)


class Mover(StrEnum):
    """Says who moved a service.

    NOBODY: it is where it was sent. LATE: the send does not show yet. UNKNOWN: not read.
    """

    NOBODY = "nobody"
    BREAKER = "breaker"
    HAND = "by hand"
    ROLLOUT = "another rollout"
    LATE = "not yet"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attribution:
    """Names who moved the service, and what shows it.

    Attributes:
        words: for a reason, as ``breaker restored vision-arm64:41``.
    """

    mover: Mover
    words: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """Holds what the rollout did to the service.

    Attributes:
        target: ARN of the revision that was sent.
        content: its address, which fleet tags the service with.
        at: AWS's time of the reply.
        previous: ARN of what ran before it, or "".
        rollout: id of the rollout, or "" when the caller leaves it to the content tag.
    """

    target: str
    content: str
    at: datetime
    previous: str = ""
    rollout: str = ""


def attribute(
    service: ServiceState, records: Sequence[ServiceDeployment] | None, sent: Sent, at: datetime
) -> Attribution:
    """Return who moved the service, as seen at ``at`` by AWS's time.

    Args:
        records: the service's deployment records, newest first; None when they were not read.
    """
    if service.task_definition == sent.target:
        return Attribution(Mover.NOBODY)
    now = revision(service.task_definition)
    other = _other_rollout(service, sent)
    if other:
        return Attribution(Mover.ROLLOUT, f"{other} sent {now}")
    ours = _record_of(records or (), sent)
    if ours is not None:
        return _by_record(ours, _later(ours, records or ()), service, sent)
    said = _ecs_says(service, sent)
    if said:
        return Attribution(Mover.BREAKER, f"breaker restored {now} ({said})")
    if at - sent.at < LAG and not _newer_deployment(service, sent):
        return Attribution(Mover.LATE, f"ECS does not show the change yet, it runs {now}")
    if records is None:
        return Attribution(Mover.UNKNOWN, f"it runs {now}; who moved it was not read")
    return Attribution(Mover.HAND, f"somebody set it to {now}")


def _other_rollout(service: ServiceState, sent: Sent) -> str:
    """Return another rollout that moved the service; fleet tags a service before it moves it."""
    rollout = printable(service.tags.get(TAG_ROLLOUT, ""))
    if not rollout:
        return ""
    if sent.rollout:
        return rollout if rollout != sent.rollout else ""
    content = service.tags.get(TAG_CONTENT, "")
    return rollout if content and content != sent.content else ""


def _record_of(records: Sequence[ServiceDeployment], sent: Sent) -> ServiceDeployment | None:
    """Return the newest record of what was sent; one from before the call is of an earlier try."""
    since = sent.at - ROUNDING
    for record in records:
        fresh = record.created_at is None or record.created_at >= since
        if record.task_definition == sent.target and fresh:
            return record
    return None


def _by_record(
    ours: ServiceDeployment,
    later: ServiceDeployment | None,
    service: ServiceState,
    sent: Sent,
) -> Attribution:
    now = revision(service.task_definition)
    broke = ours.breaker == "TRIGGERED"
    # ECS restores within the same deployment, so somebody else made a newer record, unless it
    # leads to the revision that the breaker would have restored anyway.
    if later is not None and not (broke and service.task_definition == sent.previous):
        words = f"somebody deployed {revision(later.task_definition)} after fleet"
        return Attribution(Mover.HAND, words)
    if broke:
        return Attribution(Mover.BREAKER, f"breaker restored {now}")
    if "alarm" in ours.reason.lower():
        return Attribution(Mover.BREAKER, f"an alarm restored {now}")
    if ours.status.startswith("ROLLBACK"):
        said = f": {printable(ours.reason, limit=120)}" if ours.reason else ""
        return Attribution(Mover.HAND, f"somebody rolled it back to {now}{said}")
    return Attribution(Mover.HAND, f"somebody set it to {now}")


def _later(
    ours: ServiceDeployment, records: Sequence[ServiceDeployment]
) -> ServiceDeployment | None:
    """Return the newest record of another revision that was made after ours."""
    made = ours.created_at
    for record in records:
        if record.task_definition == ours.task_definition or record.created_at is None:
            continue
        if made is not None and record.created_at > made:
            return record
    return None


def _ecs_says(service: ServiceState, sent: Sent) -> str:
    """Return ECS's words that it rolled back by itself, or ""."""
    since = sent.at - ROUNDING
    for deployment in service.deployments:
        # The reason of an earlier breaker stays on the deployment that it restored.
        fresh = deployment.created_at is not None and deployment.created_at >= since
        if fresh and "circuit breaker" in deployment.rollout_reason.lower():
            return printable(deployment.rollout_reason, limit=120)
    for at, text in service.events:
        if at >= since and "rolling back to deployment" in text:
            return printable(text, limit=120)
    return ""


def _newer_deployment(service: ServiceState, sent: Sent) -> bool:
    """Return whether the PRIMARY deployment was made after the call."""
    primary = service.deployments[0] if service.deployments else None
    return primary is not None and primary.created_at is not None and primary.created_at > sent.at
