"""What each store should run, and which rollouts owe it something or hold its services."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.model.changes import Change
from fleet.model.desired import DesiredService
from fleet.model.history import ActiveRollout
from fleet.model.inventory import Store
from fleet.model.rollout import Rollout


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
    """A rollout that is not finished and has not advanced for ``drift.rollout_idle``.

    Attributes:
        since: when it last advanced, or began to wait.
        waits: whether it waits for a person; else nobody ticks it.
    """

    rollout: ActiveRollout
    since: datetime
    waits: bool


@dataclass(frozen=True, slots=True)
class WatchedRollout:
    """A rollout that is done and whose stores are still watched.

    Attributes:
        sent: what it sent and nobody has sent anew since; not what was set back or left out.
    """

    rollout: Rollout
    sent: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What one store should run.

    Attributes:
        services: that it should run, in service order.
        owed: by service name, what rollouts say that it still owes.
        rolling: by service name, the active rollout that holds it and makes the differences there.
        idle: likewise, of idle rollouts: what only a release would change there is reported of the
            rollout, and everything else is reported of the store.
    """

    store: Store
    services: tuple[DesiredService, ...]
    owed: Mapping[str, Owed] = field(default_factory=dict)
    rolling: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
