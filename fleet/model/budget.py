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
