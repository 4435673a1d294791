"""Token buckets that keep the calls of an AWS account and region below AWS's rates.

AWS keeps one bucket per group of actions, account and region. The console, CI and the agents draw
from the same ones. So ours start empty (somebody may just have used the burst up), take a share of
the published rate, and slow down when AWS throttles all the same. Time is an argument throughout.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fleet.model.clock import Clock
from fleet.model.inventory import Account
from fleet.model.rates import DEFAULT_SHARE, RATES, Rate

#: Seconds over which ``used`` counts calls.
USED_OVER_S = 60
#: Most of a published burst that is ever saved up: calls that leave evenly arrive a little bunched.
BURST_SHARE = 0.9
#: A throttle halves the pace, down to this part of it and no further.
SLOWEST = 1 / 64
#: Seconds in which the pace climbs from nothing back to full, evenly.
RECOVERY_S = 120.0
#: Throttles this close together count as one: their calls were already on the way.
ONE_THROTTLE_S = 1.0
#: Moments closer than this are the same: a float of epoch seconds is exact to 0.2 microseconds.
CLOCK_GRAIN_S = 0.001
#: A clock this many seconds behind the bucket was set back.
CLOCK_SET_BACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Wait:
    """The wait before a call, with its reason.

    Attributes:
        seconds: of the given clock; 0.0 when the call may be sent now.
        why: the limit that asks for it, in words for a person; "" when there is none.
    """

    seconds: float
    why: str = ""


@dataclass(frozen=True, slots=True)
class Use:
    """The share of one published rate that was used lately.

    Attributes:
        group: as ``ecs service modify``.
        calls: sent in the last minute.
        share: of the published rate over that minute; above 1 only while a burst lasts.
        waiting: calls that wait for their turn now.
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


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket at one moment. Times are seconds on any one clock.

    ``tokens`` below zero are calls that were promised and wait for their turn, so threads that ask
    at once are served in the order in which they asked.

    Attributes:
        burst: most tokens it holds, at least 1.
        refill: tokens per second at full pace.
        tokens: held at ``at``.
        at: the moment it was last looked at.
        pace: part of ``refill`` that flows at ``at``; halves on a throttle, climbs back to 1.
        throttled_at: the last throttle, or None.
    """

    burst: float
    refill: float
    tokens: float
    at: float
    pace: float = 1.0
    throttled_at: float | None = None

    @classmethod
    def empty(cls, rate: Rate, share: float, at: float) -> "Bucket":
        """Return a bucket that takes ``share`` of a published rate and holds nothing yet."""
        return cls(
            burst=max(1.0, rate.burst * min(share, BURST_SHARE)),
            refill=rate.refill * share,
            tokens=0.0,
            at=at,
        )

    def advanced(self, now: float) -> "Bucket":
        """Return the bucket at ``now``.

        A moment shortly before ``at`` means that two threads read the clock in the other order, and
        moves nothing. One long before it means that the clock was set back. Time goes on from
        there then, or every call would wait until the clock has caught up.
        """
        elapsed = now - self.at
        if elapsed <= 0:
            return self if elapsed > -CLOCK_SET_BACK_S else replace(self, at=now)
        climbing = min(elapsed, (1.0 - self.pace) * RECOVERY_S)
        pace = min(1.0, self.pace + climbing / RECOVERY_S)
        flowed = climbing * (self.pace + pace) / 2 + (elapsed - climbing)
        tokens = min(self.burst, self.tokens + self.refill * flowed)
        return replace(self, tokens=tokens, at=now, pace=pace)

    def reserve(self, now: float) -> tuple["Bucket", float]:
        """Take one token, and return how many seconds to wait for it.

        The wait is computed from the pace of this moment. The pace only climbs while nothing is
        throttled, so the wait is never too short.
        """
        bucket = self.advanced(now)
        tokens = bucket.tokens - 1.0
        if tokens >= 0:
            return replace(bucket, tokens=tokens), 0.0
        due = bucket.at - tokens / (bucket.refill * bucket.pace)
        return replace(bucket, tokens=tokens), due - now

    def throttled(self, now: float) -> "Bucket":
        """Return the bucket after AWS throttled a call: empty, and at half its pace."""
        bucket = self.advanced(now)
        last = bucket.throttled_at
        if last is not None and bucket.at - last < ONE_THROTTLE_S:
            return bucket
        return replace(
            bucket,
            tokens=min(0.0, bucket.tokens),
            pace=max(SLOWEST, bucket.pace / 2),
            throttled_at=bucket.at,
        )


class Budget:
    """The call budget of one AWS account and region: a bucket per group of actions. Thread-safe.

    Args:
        share: part of the published rates to take, more than 0 and at most 1.

    Raises:
        ValueError: a share that no call could ever come out of.
    """

    def __init__(self, share: float = DEFAULT_SHARE) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}; it must be more than 0 and at most 1")
        self._share = share
        self._buckets: dict[str, Bucket] = {}
        self._sent: dict[str, deque[tuple[int, int]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], now: datetime, *, share: float = DEFAULT_SHARE
    ) -> "Budget":
        """Return a budget that goes on where another one stopped; see ``restore``."""
        made = cls(share)
        made.restore(state, now)
        return made

    def state(self) -> dict[str, Any]:
        """Return the buckets as plain values that JSON can hold, to travel with a lease.

        The share is not among them: each holder of the lease has its own.
        """
        with self._lock:
            return {
                group: {
                    "tokens": bucket.tokens,
                    "at": bucket.at,
                    "pace": bucket.pace,
                    "throttled_at": bucket.throttled_at,
                    "sent": [list(one) for one in self._sent.get(group, ())],
                }
                for group, bucket in self._buckets.items()
            }

    def restore(self, state: Mapping[str, Any], now: datetime) -> None:
        """Go on where the budget with this ``state`` stopped, with our own share.

        Where calls were made from here as well, the more cautious of both is taken, so a state may
        be older than ours. What was promised to calls that are not sent yet is still owed, as they
        may be sent after all. A group that is unknown here, or whose figures make no sense, is left
        as it is here, or begins empty, which is never too fast.
        """
        at = now.timestamp()
        with self._lock:
            for group, rate in RATES.items():
                figures = _parse_figures(state.get(group))
                if figures is None:
                    continue
                empty = Bucket.empty(rate, self._share, figures["at"])
                theirs = replace(
                    empty,
                    tokens=min(empty.burst, figures["tokens"]),
                    pace=min(1.0, max(SLOWEST, figures["pace"])),
                    throttled_at=figures["throttled_at"],
                ).advanced(at)
                ours = self._buckets.get(group)
                if ours is None:
                    self._buckets[group] = theirs
                    self._sent[group] = deque(figures["sent"])
                else:
                    self._buckets[group] = _cautious(ours.advanced(at), theirs)

    def used(self, now: datetime) -> dict[str, Use]:
        """Return how much of each rate is used, by group, without groups that nothing was asked of.

        Calls are counted from the full second by which they may be sent, so that those which wait
        for their turn are not counted yet.
        """
        at = now.timestamp()
        with self._lock:
            return {
                group: Use(
                    group=group,
                    calls=self._counted(group, at),
                    share=self._counted(group, at) / (RATES[group].refill * USED_OVER_S),
                    waiting=math.ceil(max(0.0, -bucket.advanced(at).tokens)),
                    per_s=RATES[group].refill,
                    pace=bucket.advanced(at).pace,
                    assumed=RATES[group].assumed,
                )
                for group, bucket in sorted(self._buckets.items())
            }

    def reserve(self, rate: Rate, now: datetime) -> Wait:
        """Take one call out of the budget; the caller sends it after the wait, not before."""
        with self._lock:
            bucket, seconds = self._bucket(rate, now).reserve(now.timestamp())
            self._buckets[rate.group] = bucket
            self._count(rate.group, now.timestamp(), now.timestamp() + seconds)
        return Wait(seconds, self._why(rate, bucket) if seconds else "")

    def throttled(self, rate: Rate, now: datetime) -> None:
        """Slow down, because AWS throttled a call."""
        with self._lock:
            self._buckets[rate.group] = self._bucket(rate, now).throttled(now.timestamp())

    def _bucket(self, rate: Rate, now: datetime) -> Bucket:
        bucket = self._buckets.get(rate.group)
        return bucket or Bucket.empty(rate, self._share, now.timestamp())

    def _count(self, group: str, now: float, due: float) -> None:
        """Count a call under the second by which it is due, and forget those of a minute ago."""
        sent = self._sent.setdefault(group, deque())
        while sent and sent[0][0] <= now - USED_OVER_S:
            sent.popleft()
        second = math.ceil(due - CLOCK_GRAIN_S)
        if sent and sent[-1][0] == second:
            sent[-1] = (second, sent[-1][1] + 1)
        else:
            sent.append((second, 1))

    def _counted(self, group: str, now: float) -> int:
        """Return how many calls were due in the minute before ``now``."""
        return sum(
            calls
            for second, calls in self._sent.get(group, ())
            if now - USED_OVER_S < second <= now
        )

    def _why(self, rate: Rate, bucket: Bucket) -> str:
        source = "an assumed" if rate.assumed else "AWS's"
        text = f"{rate.group}: {self._share:.0%} of {source} {rate.refill:g} calls/s"
        slowed = f", at {bucket.pace:.0%} since a throttle" if bucket.pace < 1 else ""
        return text + slowed


class Budgets:
    """The call budgets of one process, one for each AWS account and region. Thread-safe.

    AWS counts calls by account id, whichever name or profile the inventory has for it.

    Args:
        clock: of the run.
        share: part of the published rates to take.
    """

    def __init__(self, clock: Clock, share: float = DEFAULT_SHARE) -> None:
        self._clock = clock
        self._share = share
        self._budgets: dict[tuple[str, str], Budget] = {}
        self._lock = threading.Lock()

    def of(self, account_id: str, region: str) -> Budget:
        """Return the budget of an account and region; the same one each time."""
        with self._lock:
            return self._budgets.setdefault((account_id, region), Budget(self._share))

    def state(self, account: Account, region: str) -> Mapping[str, Any]:
        """Return the state of a budget, to travel with the lease of its account and region."""
        return self.of(account.account_id, region).state()

    def restore(self, account: Account, region: str, state: Mapping[str, Any]) -> None:
        """Set a budget to a state; see ``Budget.restore``."""
        self.of(account.account_id, region).restore(state, self._clock.now())


def _cautious(one: Bucket, other: Bucket) -> Bucket:
    """Return the fewer tokens and the lower pace of two views of the same bucket at one moment."""
    throttles = [at for at in (one.throttled_at, other.throttled_at) if at is not None]
    return replace(
        one,
        tokens=min(one.tokens, other.tokens),
        pace=min(one.pace, other.pace),
        throttled_at=max(throttles, default=None),
    )


def _parse_figures(figures: Any) -> dict[str, Any] | None:
    """Return the figures of one group, or None when they are not what ``state`` returns."""
    try:
        last = figures["throttled_at"]
        parsed: dict[str, Any] = {name: float(figures[name]) for name in ("tokens", "at", "pace")}
        parsed["throttled_at"] = None if last is None else float(last)
        parsed["sent"] = [(int(second), int(calls)) for second, calls in figures["sent"]]
    except (KeyError, TypeError, ValueError):
        return None
    numbers = (*(parsed[name] for name in ("tokens", "at", "pace")), last or 0.0)
    return parsed if all(math.isfinite(number) for number in numbers) else None
