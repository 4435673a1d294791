"""The policy of a rollout: waves, gate limits and windows."""

import math
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from fleet.model.hours import OpenSpan
from fleet.model.restarts import RestartSource


@dataclass(frozen=True, slots=True)
class Amount:
    """So many, or so much of a whole; as ``5`` or ``10%`` in the inventory.

    Attributes:
        count: absolute, or None.
        percent: of the whole, or None; exactly one of both is given.
    """

    count: int | None = None
    percent: Decimal | None = None

    def of(self, whole: int) -> int:
        """Return the number meant, at most ``whole``; a percentage of something is never nothing.

        Percentages of small lists rounded down to zero have stopped whole rollouts elsewhere
        (kamal #681), so they round up to 1.
        """
        if self.count is not None:
            return min(self.count, whole)
        share = Decimal(whole) * (self.percent or Decimal(0)) / 100
        return min(whole, max(1, math.floor(share))) if share > 0 else 0

    def __str__(self) -> str:
        return str(self.count) if self.count is not None else f"{self.percent}%"


@dataclass(frozen=True, slots=True)
class HttpProbe:
    """A request to a URL whose status is known.

    Attributes:
        url: with ``{store}`` and ``{region}``; without ``{store}`` one URL is for all stores.
        status: that is expected.
    """

    url: str
    status: int = 200
    timeout_s: float = 5.0


@dataclass(frozen=True, slots=True)
class MetricBaseline:
    """A CloudWatch metric that is compared with the same store's past.

    Attributes:
        dimensions: names and values; ``{store}`` in one of them.
        statistic: as CloudWatch names it: ``Average``, ``Sum``, ``p90``.
        period_s: seconds over which a value is taken.
        weeks: that are looked back; the usual value is the median of the same period, by the
            store's own clock, on the same weekday of each.
        at_most: multiple of the usual value that is still good, or None for no upper limit.
        at_least: likewise the lower limit.
    """

    namespace: str
    metric: str
    dimensions: tuple[tuple[str, str], ...]
    statistic: str = "Average"
    period_s: float = 900.0
    weeks: int = 4
    at_most: Decimal | None = None
    at_least: Decimal | None = None


@dataclass(frozen=True, slots=True)
class PolicyCheck:
    """A check of stores that were sent the release and are ok; exactly one kind is given.

    Attributes:
        name: as people read it in the gate.
        max_stores: stores, of those asked, that may be out of the limit without a halt.
    """

    name: str
    http: HttpProbe | None = None
    metric: MetricBaseline | None = None
    max_stores: Amount = Amount(count=0)


class OnHalt(StrEnum):
    """What follows when a gate halts."""

    PAUSE = "pause"
    ROLLBACK = "rollback"


class OnUnclear(StrEnum):
    """What follows when a dark store can be compared neither with others nor with history."""

    ASK = "ask"
    WAIT = "wait"


class AfterCanary(StrEnum):
    """What follows when the canary wave has passed."""

    GO_ON = "go-on"
    PROMOTE = "promote"


class Window(StrEnum):
    """When a store may be changed: while it is closed, or at any time."""

    CLOSED = "closed"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a rollout. Seconds are of the run's clock, shares are between 0 and 1.

    Attributes:
        name: as in the inventory.
        canary: most stores of the canary wave; one per stratum of hardware and link below that.
        begins_with_canary: whether the inventory writes ``canary`` or ``after_canary: promote``;
            then a rollout has a canary unless somebody says otherwise.
        waves: further waves, each the part of all stores that is reached by its end; the last
            one is everything.
        concurrency: most stores in flight at once, of those that the rollout changes.
        max_weight_in_flight: most weight in flight at once, of the weight of the stores that the
            rollout changes; None for no limit. A store that is heavier by itself goes alone.
        max_weight_per_wave: most weight of a wave, likewise; waves are cut to it.
        alarms: names of CloudWatch alarms, with ``{store}`` and ``{region}``; one that fires
            halts, one that cannot be read asks.
        checks: of stores that were sent the release, each a row of the gate.
        success: least ok / (ok + failed).
        coverage: least (ok + failed) / N, N being the stores that were sent a change.
        min_sample: verdicts before anything is concluded; all of them in a smaller wave.
        max_failures: failures, of N, that a wave may have without a halt.
        bake_s: how long a wave must stay good after its last verdict came in.
        settle_s: how long a task must run (and be healthy) before it is ok.
        fresh_s: how lately its host must have been seen connected for that.
        deadline_s: a store that stayed connected and is not ok by then has failed.
        dark_after_s: how long a host must stay away before it counts as dark; agents reconnect
            several times an hour (containers-roadmap #2477).
        watch_every_s: how often a store is read whose wave has passed.
        watch_for_s: how long the stores are watched after the rollout is done.
        patience_s: how long a wave may go without a conclusion before a person is asked.
        alpha: most rollouts of a harmless release that the darkness test may halt, of all that
            there are; it holds for the rollout as a whole, however often it is looked at.
        min_control: fewest untouched stores that make a control group, and fewest store-hours on
            record that can stand in for one.
        on_unclear: what follows when a store is dark and neither is there. Nothing is sent
            meanwhile; waiting ends with a question after ``patience_s``.
        pulls: how often an image that could not be pulled is tried again, per store.
        pull_wait_s: how long to wait before that.
        convoy: most returning stores in flight at once.
        breaker_count: task failures after which ECS itself restores a one-task service.
        window: when forward changes may be sent.
        between: instead of opening hours, these store-local hours; None for the window.
        quiet_hours: for stores that never close, the store-local hours in which they may be
            changed all the same; None leaves such stores out.
        after_opening_s: for stores whose hosts have no power while they are closed, for how long
            after opening they may be changed all the same; 0 leaves such stores out.
        finish_by_s: how long a change takes at most by estimate, beside pulling images; what
            does not fit before the window's end is not begun.
        on_halt: pause, or roll back what the rollout changed.
        after_canary: go on, or wait for ``promote``.
        max_restarts: restarts of a container since it was sent, on its host, that are no failure.
            The agent restarts it while its task stays RUNNING, so ECS tells nothing of it.
        restart_sample: stores of each wave and variant whose restarts are read; of the canary
            wave all are.
        restart_source: who is asked for them; Run Command and Container Insights are billed.
        rollback_in_window: whether rollbacks wait for windows too; a bad release rarely can.
    """

    name: str
    canary: Amount = Amount(count=8)
    waves: tuple[Amount, ...] = (
        Amount(percent=Decimal(5)),
        Amount(percent=Decimal(25)),
        Amount(percent=Decimal(100)),
    )
    concurrency: Amount = Amount(percent=Decimal(10))
    success: float = 0.95
    coverage: float = 0.80
    min_sample: int = 5
    max_failures: Amount = Amount(percent=Decimal(2))
    bake_s: float = 600.0
    settle_s: float = 120.0
    fresh_s: float = 300.0
    deadline_s: float = 1800.0
    dark_after_s: float = 300.0
    watch_every_s: float = 600.0
    watch_for_s: float = 86400.0
    patience_s: float = 3600.0
    alpha: float = 0.05
    min_control: int = 20
    on_unclear: OnUnclear = OnUnclear.ASK
    pulls: int = 3
    pull_wait_s: float = 300.0
    convoy: int = 2
    breaker_count: int = 1
    window: Window = Window.CLOSED
    between: OpenSpan | None = None
    quiet_hours: OpenSpan | None = None
    after_opening_s: float = 0.0
    finish_by_s: float = 900.0
    on_halt: OnHalt = OnHalt.PAUSE
    after_canary: AfterCanary = AfterCanary.GO_ON
    rollback_in_window: bool = False
    begins_with_canary: bool = False
    max_weight_in_flight: Amount | None = None
    max_weight_per_wave: Amount | None = None
    max_restarts: int = 1
    restart_sample: int = 3
    restart_source: RestartSource = RestartSource.SSH
    alarms: tuple[str, ...] = ()
    checks: tuple[PolicyCheck, ...] = ()

    @property
    def limits_weight(self) -> bool:
        """Return whether it limits the weight of stores beside their number."""
        return self.max_weight_in_flight is not None or self.max_weight_per_wave is not None


@dataclass(frozen=True, slots=True)
class Freeze:
    """A time in which nothing new is sent to some stores.

    Attributes:
        name: as ``black-friday``.
        begins: aware, or naive for the store's own time.
        ends: likewise; the first moment at which changes may be sent again.
        stores: ids it holds for; None for all.
        reason: for people.
    """

    name: str
    begins: datetime
    ends: datetime
    stores: frozenset[str] | None
    reason: str
