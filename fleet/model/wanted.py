"""What each store should be, and what rollouts say of it: owed, in work, or held and left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.model.desired import DesiredService
from fleet.model.history import ActiveRollout
from fleet.model.inventory import Store


@dataclass(frozen=True, slots=True)
class Owed:
    """A release that a store still owes, as the rollout's row says.

    Attributes:
        rollout: id.
        content: address that the store shall run.
        words: as ``parked`` or ``dark, set back``.
        since: when it came to owe it.
    """

    rollout: str
    service: str
    content: str
    words: str
    since: datetime


@dataclass(frozen=True, slots=True)
class IdleRollout:
    """A rollout that has stood still for longer than anybody means to leave it so.

    Attributes:
        since: when it last moved, or came to wait.
        waits: for a person; else nobody ticks it.
    """

    rollout: ActiveRollout
    since: datetime
    waits: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one store should be.

    Attributes:
        services: that it should run, in service order.
        owed: by service name, what rollouts say that it still owes.
        rolling: by service name, the active rollout that holds it: a difference there is in work.
        stalled: likewise, of rollouts that stand still: what only a release would change there is
            told of the rollout, and the rest is told.
    """

    store: Store
    services: tuple[DesiredService, ...]
    owed: Mapping[str, Owed] = field(default_factory=dict)
    rolling: Mapping[str, str] = field(default_factory=dict)
    stalled: Mapping[str, str] = field(default_factory=dict)
