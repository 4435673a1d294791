"""A rollout at one moment: its rows and the values computed from them, for screens."""

from dataclasses import dataclass
from datetime import datetime

from fleet.model.changes import Change
from fleet.model.gate import Gate
from fleet.model.rollout import Hold, Rollout, RolloutEvent, Verb, owed
from fleet.model.stop import Stop


@dataclass(frozen=True, slots=True)
class Ticker:
    """Somebody who holds a lease now and therefore ticks.

    Attributes:
        lease: its name: that of a shard, or ``controller``.
        owner: as the lease says, in words for a person.
        until: when it expires unless it is renewed.
    """

    lease: str
    owner: str
    until: datetime


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """How much of one action group's published rate was used of late in one account and region.

    Attributes:
        group: as ``ecs service modify``.
        share: used over the last minute, 1.0 is all of the published rate.
        waiting: calls that wait for their turn now.
    """

    account: str
    region: str
    group: str
    share: float
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class NextWindow:
    """When the next of the stores that wait for their window may be changed.

    Attributes:
        at: the first moment at which ``store`` may begin.
        stores: how many wait for a window, ``store`` included.
    """

    at: datetime
    store: str
    stores: int


@dataclass(frozen=True, slots=True)
class Watch:
    """How the stores of earlier waves are watched.

    Attributes:
        stores: that were good when they were read last, or dark since.
        period_s: seconds after which each is read again; longer than ``watch_every`` where the
            read budget allows no more.
        until: of a rollout that is done; None while it goes on.
    """

    stores: int
    period_s: float
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that is shown of one rollout.

    Attributes:
        at: of the reading, by the database's time.
        changes: all of them, in store and service order.
        gate: the present arithmetic of the wave that is judged now; None when there is none.
        events: the latest, oldest first.
        verbs: the latest, oldest first; those without an answer were not obeyed yet.
        tickers: who holds the leases of its shards now; empty when nobody ticks it.
        controller: who holds the controller's lease, or None.
        budgets: the busiest first.
        waits: what it waits for, one sentence each, the most important first.
        held_by: holds of other rollouts on stores and workloads of this one.
        watch: of the stores of earlier waves; None while there are none, or they are not watched.
        resume_accepts: what a person accepts who says `resume`, as ``2 failures in arm64``.
        resume_sends: the stores that are sent the release next when it goes on; "" for none.
        stop: of every send of every rollout, while it is in force.
    """

    rollout: Rollout
    at: datetime
    changes: tuple[Change, ...] = ()
    gate: Gate | None = None
    events: tuple[RolloutEvent, ...] = ()
    verbs: tuple[Verb, ...] = ()
    tickers: tuple[Ticker, ...] = ()
    controller: Ticker | None = None
    budgets: tuple[BudgetUse, ...] = ()
    next_window: NextWindow | None = None
    waits: tuple[str, ...] = ()
    held_by: tuple[Hold, ...] = ()
    watch: Watch | None = None
    resume_accepts: str = ""
    resume_sends: str = ""
    stop: Stop | None = None

    @property
    def owed(self) -> tuple[Change, ...]:
        """Return the changes whose stores still owe the release."""
        return owed(self.changes, self.rollout.phase)
