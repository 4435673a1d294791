"""Says in a rollout's events that every send was stopped, and that the stop was lifted."""

from datetime import datetime, timedelta

from fleet.model.printable import who
from fleet.model.rollout import Rollout
from fleet.model.spans import moment
from fleet.model.stop import Stop

#: How long after its end it is still told that a stop was lifted.
RECENT = timedelta(hours=1)


def stop_words(stop: Stop | None, rollout: Rollout, now: datetime) -> str:
    """Return what a rollout's events should say of the latest stop; "" when there is nothing."""
    if stop is None or rollout.phase.has_ended:
        return ""
    if stop.lifted_at is None:
        return stop.words
    # A rollout that began after it was never stopped.
    if stop.lifted_at < rollout.started_at or now - stop.lifted_at > RECENT:
        return ""
    return f"sending goes on: {who(stop.lifted_by)} has lifted the stop, {moment(stop.lifted_at)}"
