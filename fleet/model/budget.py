"""What a caller of AWS must ask before every call, so that a shard never outruns its limits."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Wait:
    """How long to wait before a call, and why.

    Attributes:
        seconds: of the handed clock; 0.0 for "go".
        why: the limit that asks for it, in words for a person; "" when there is none.
    """

    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """How much of one published limit was used lately, for people.

    Attributes:
        group: as ``ecs service modify``.
        calls: sent in the last minute.
        share: of the published rate over that minute; above 1 only while a burst lasts.
        waiting: calls that stand in line for their turn now.
        per_s: the published rate, in calls per second.
        pace: part of its own rate at which fleet calls now; less than 1 after a throttle.
        assumed: whether AWS publishes no figure and ``per_s`` is our assumption.
    """

    group: str
    calls: int
    share: float
    waiting: int
    per_s: float
    pace: float = 1.0
    assumed: bool = False


class Budget(Protocol):
    """The call budget of one AWS account and region, where AWS keeps its own.

    Implementations are called from many threads at once. ``action`` is as in ``ecs:PutAttributes``.
    """

    def reserve(self, action: str, now: datetime) -> Wait:
        """Take one call out of the budget; the caller sends it after the wait, not before."""
        ...

    def throttled(self, action: str, now: datetime) -> None:
        """AWS answered a call with a throttle: slow down."""
        ...
