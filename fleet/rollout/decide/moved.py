"""Rules about the service as a whole: is it still there, and still set to what was sent?"""

from fleet.model.printable import printable
from fleet.model.services import ServiceState
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.attribution import Mover, Sent, attribute
from fleet.rollout.decide.failures import counted
from fleet.rollout.decide.judgement import (
    Judgement,
    by_hand,
    deeper_look,
    failed,
    judgement,
    said,
    undelivered,
)
from fleet.rollout.decide.progress import SELDOM_S, SOON_S
from fleet.rollout.decide.seen import Seen

#: Seconds for which a service that was just made may not be shown.
SETTLING_S = 60.0


def gone(seen: Seen) -> Judgement | None:
    """Whether the service is there at all."""
    service = seen.service
    if service is not None and service.status == "ACTIVE":
        return None
    what = f"is {service.status}" if service else "is gone"
    if service is None and (seen.at - seen.sent_at).total_seconds() < SETTLING_S:
        return judgement(seen, seen.change.verdict, "ECS does not show the service yet", SOON_S)
    return by_hand(seen, f"somebody deleted it: the service {what}")


def moved(seen: Seen) -> Judgement | None:
    """It is not, or no longer, set to what was sent: who did that?"""
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


def given_up(seen: Seen) -> Judgement | None:
    """ECS gave the deployment up and had nothing to restore, as with a new service."""
    if seen.primary is None or seen.primary.rollout_state != "FAILED":
        return None
    if not seen.knows_tasks:
        return deeper_look(seen)
    words = printable(seen.primary.rollout_reason, limit=120)
    return _broken(seen, f"ECS gave up, nothing to restore{': ' + words if words else ''}")


def _broken(seen: Seen, words: str) -> Judgement:
    """The breaker spoke: a failure, unless nothing but the pulling of images failed."""
    why = counted(seen.ran or seen.failed)
    reason = f"{why}; {words}" if why else f"{words}; its stopped tasks are no longer visible"
    if seen.failed and not seen.ran:
        return undelivered(seen, reason)
    return failed(seen, reason)


def recounted(seen: Seen) -> Judgement | None:
    """REPLICA services run as many tasks as fleet said; another number is somebody's."""
    service, change = seen.service, seen.change
    if service is None or service.scheduling == "DAEMON" or service.desired == change.desired_count:
        return None
    return by_hand(
        seen, f"somebody set its count to {service.desired}, fleet sent {change.desired_count}"
    )
