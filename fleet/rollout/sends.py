"""Asks, right before services are sent a release, whether they still may be.

A tick decides in a moment, and its calls take up to a minute. What a person says meanwhile, in this
process or another, counts for the calls that were not made yet. Setting stores back is not asked
about: it undoes a release.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.rollout.decide.service_calls import CallOutcome, CallResult, ServiceWrite

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Sends of an account and region between two questions; as many as a job has under way at once.
SENDS_PER_QUESTION = 8


def why_not_to_send(records: "Records", rollout_id: str) -> str:
    """Return why a rollout may send nothing now, though a tick has decided so; "" if it may."""
    del rollout_id
    stop = records.stops.in_force()
    return f"not sent: {stop.words}" if stop is not None else ""


def in_turn(
    writes: Mapping[tuple[str, str], list[ServiceWrite]], most: int
) -> Iterator[dict[tuple[str, str], list[ServiceWrite]]]:
    """Yield a few writes of every account and region at a time, in their order."""
    longest = max(map(len, writes.values()), default=0)
    for first in range(0, longest, most):
        some = {key: all_[first : first + most] for key, all_ in writes.items()}
        yield {key: few for key, few in some.items() if few}


def called_off(
    writes: Mapping[tuple[str, str], list[ServiceWrite]], why: str, now: datetime
) -> Iterator[CallResult]:
    """Yield the results of sends for which no call was made."""
    outcome = CallOutcome.CALLED_OFF
    for one in (write for several in writes.values() for write in several):
        yield CallResult(one.kind, one.store, one.service, outcome, now, words=why)
