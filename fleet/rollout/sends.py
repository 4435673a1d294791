"""Asks, right before services are sent a release, whether they still may be.

A tick decides in a moment, and its calls take up to a minute. What a person says meanwhile, in this
process or another, counts for the calls that were not made yet. Setting stores back is not asked
about: it undoes a release.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from fleet.model.printable import who
from fleet.model.rollout import VerbName
from fleet.rollout.decide.service_calls import CallOutcome, CallResult, ServiceWrite

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Sends of an account and region between two questions; as many as a job has under way at once.
SENDS_PER_QUESTION = 8
#: Verbs after which nothing more is sent to the stores that they name, or to any.
STOPS = frozenset({VerbName.PAUSE, VerbName.SKIP, VerbName.ABORT, VerbName.ROLLBACK})


def why_not_to_send(
    records: "Records", rollout_id: str, stores: Collection[str]
) -> Mapping[str, str]:
    """Return to which of these stores nothing may be sent now, though a tick has decided so.

    Returns:
        Why, by store; two small reads of the records.
    """
    stop = records.stops.in_force()
    if stop is not None:
        return dict.fromkeys(stores, f"not sent: {stop.words}")
    stopped: dict[str, str] = {}
    for verb in records.rollouts.verbs(rollout_id, unobeyed_only=True):
        if verb.name in STOPS:
            why = f"not sent: {verb.name.value} was said by {who(verb.by)}"
            stopped |= {store: why for store in verb.stores or stores if store in stores}
    return stopped


def in_turn(
    writes: Mapping[tuple[str, str], list[ServiceWrite]], most: int
) -> Iterator[dict[tuple[str, str], list[ServiceWrite]]]:
    """Yield a few writes of every account and region at a time, in their order."""
    longest = max(map(len, writes.values()), default=0)
    for first in range(0, longest, most):
        some = {key: all_[first : first + most] for key, all_ in writes.items()}
        yield {key: few for key, few in some.items() if few}


def called_off(
    writes: Mapping[tuple[str, str], list[ServiceWrite]], why_not: Mapping[str, str], now: datetime
) -> Iterator[CallResult]:
    """Yield the results of sends for which no call is made.

    Args:
        why_not: by store, as ``why_not_to_send`` returns it.
    """
    outcome = CallOutcome.CALLED_OFF
    for one in (write for several in writes.values() for write in several):
        if one.store in why_not:
            words = why_not[one.store]
            yield CallResult(one.kind, one.store, one.service, outcome, now, words=words)
