"""How fast AWS may be called: token buckets per group of actions, with time as an argument.

AWS keeps one bucket per group of ECS actions, account and region; the console, CI and the agents
drink from the same ones. So ours start empty (somebody may just have used the burst up), take a
share of the published rate, and slow down when AWS says that it was still too much.
"""

import math
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fleet.errors import UsageError
from fleet.model.budget import Use, Wait
from fleet.model.rates import GROUPS, RATES, Rate

#: Share of the published numbers that one fleet process takes, where FLEET_CALL_SHARE says nothing.
DEFAULT_SHARE = 0.8
#: Seconds over which ``used`` counts calls.
USED_OVER_S = 60
#: Most of a published burst that is ever saved up: calls that leave evenly arrive a little bunched.
BURST_SHARE = 0.9
#: A throttle halves the pace, down to this part of it and no further.
SLOWEST = 1 / 64
#: Seconds in which the pace climbs from nothing back to full, evenly.
RECOVERY_S = 120.0
#: Throttles this close together are one: calls that were already on their way do not count twice.
ONE_THROTTLE_S = 1.0
#: Moments closer than this are the same: a float of epoch seconds is exact to 0.2 microseconds.
CLOCK_GRAIN_S = 0.001
#: A clock this many seconds behind the bucket was set back.
CLOCK_SET_BACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket at one moment. Times are seconds on any one clock.

    ``tokens`` below zero are calls that were promised and wait for their turn, so that threads
    which ask at once are served in the order in which they asked.

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
        """A new bucket that takes ``share`` of a published rate and holds nothing yet."""
        return cls(
            burst=max(1.0, rate.burst * min(share, BURST_SHARE)),
            refill=rate.refill * share,
            tokens=0.0,
            at=at,
        )

    def advanced(self, now: float) -> "Bucket":
        """The bucket at ``now``.

        A little earlier than ``at`` is two threads that read the clock in the other order, and
        moves nothing. Much earlier is a clock that was set back: time goes on from there, or
        every call would wait until the clock has caught up.
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
        """Take one token, and how many seconds to wait for it.

        The wait is figured at the pace of this moment; as that only climbs while nothing is
        throttled, it is never too short.
        """
        bucket = self.advanced(now)
        tokens = bucket.tokens - 1.0
        if tokens >= 0:
            return replace(bucket, tokens=tokens), 0.0
        due = bucket.at - tokens / (bucket.refill * bucket.pace)
        return replace(bucket, tokens=tokens), due - now

    def throttled(self, now: float) -> "Bucket":
        """The bucket after AWS refused a call: empty, and at half its pace."""
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


def call_share(text: str | None) -> float:
    """What FLEET_CALL_SHARE says, as ``0.8`` or ``80%``; the default when it is unset or empty.

    Raises:
        UsageError: it is no share that calls could ever come out of.
    """
    if not text:
        return DEFAULT_SHARE
    number = text.strip()
    try:
        share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise UsageError(
            f'FLEET_CALL_SHARE is "{number}", which is no share of AWS\'s call rates',
            hint="set it to more than 0 and at most 1, as 0.8 (the default), or unset it",
        )
    return share


class ShardBudget:
    """The buckets of one account and region; a ``fleet.model.budget.Budget``.

    Args:
        share: part of the published rates to take, more than 0 and at most 1.
        rates: figures by group that replace or add to ``RATES``, for accounts whose limits
            AWS has raised and for the assumed ones.

    Raises:
        ValueError: a share or a rate that no call could ever come out of, or an unknown group.
    """

    def __init__(
        self, *, share: float = DEFAULT_SHARE, rates: Mapping[str, Rate] | None = None
    ) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}; it must be more than 0 and at most 1")
        self._share = share
        self._rates = {**RATES, **(rates or {})}
        for group, rate in self._rates.items():
            if group not in RATES:
                raise ValueError(f'no group of actions is called "{group}"')
            if rate.refill <= 0 or rate.burst < 1:
                raise ValueError(f"{group}: {rate.burst}/{rate.refill} lets no call through")
        self._buckets: dict[str, Bucket] = {}
        self._sent: dict[str, deque[tuple[int, int]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, Any],
        now: datetime,
        *,
        share: float = DEFAULT_SHARE,
        rates: Mapping[str, Rate] | None = None,
    ) -> "ShardBudget":
        """A budget that goes on where another one stopped; see ``restore``."""
        made = cls(share=share, rates=rates)
        made.restore(state, now)
        return made

    def state(self) -> dict[str, Any]:
        """The buckets as plain values that JSON can hold, to travel with the shard's lease.

        Share and rates are not in it: those are the next holder's own.
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
        """Go on where the budget that said ``state`` stopped, with one's own share and rates.

        Where calls were made from here as well, the more cautious of both is taken, so that a
        state may be older than one's own. What was promised to calls that are not sent yet is
        still owed, as they may be sent after all. A group that is unknown here, or whose figures
        make no sense, is left as it is here, or begins empty, which never is too fast.
        """
        at = now.timestamp()
        with self._lock:
            for group, rate in self._rates.items():
                told = _told(state.get(group))
                if told is None:
                    continue
                empty = Bucket.empty(rate, self._share, told["at"])
                theirs = replace(
                    empty,
                    tokens=min(empty.burst, told["tokens"]),
                    pace=min(1.0, max(SLOWEST, told["pace"])),
                    throttled_at=told["throttled_at"],
                ).advanced(at)
                ours = self._buckets.get(group)
                if ours is None:
                    self._buckets[group] = theirs
                    self._sent[group] = deque(told["sent"])
                else:
                    self._buckets[group] = _cautious(ours.advanced(at), theirs)

    def used(self, now: datetime) -> dict[str, Use]:
        """How much of each limit is used, by group; a group of which nothing was asked is left out.

        Calls are counted from the full second by which they may be sent, so that those which wait
        for their turn are not counted yet.
        """
        at = now.timestamp()
        with self._lock:
            return {
                group: Use(
                    group=group,
                    calls=self._counted(group, at),
                    share=self._counted(group, at) / (self._rates[group].refill * USED_OVER_S),
                    waiting=math.ceil(max(0.0, -bucket.advanced(at).tokens)),
                    per_s=self._rates[group].refill,
                    pace=bucket.advanced(at).pace,
                    assumed=self._rates[group].assumed,
                )
                for group, bucket in sorted(self._buckets.items())
            }

    def reserve(self, action: str, now: datetime) -> Wait:
        """Take one call of ``action``; says how long to wait before it is sent, and why."""
        group = GROUPS.get(action, "other")
        with self._lock:
            bucket, seconds = self._bucket(group, now).reserve(now.timestamp())
            self._buckets[group] = bucket
            self._count(group, now.timestamp(), now.timestamp() + seconds)
        return Wait(seconds, self._why(group, bucket) if seconds else "")

    def throttled(self, action: str, now: datetime) -> None:
        """AWS throttled a call of ``action``."""
        group = GROUPS.get(action, "other")
        with self._lock:
            self._buckets[group] = self._bucket(group, now).throttled(now.timestamp())

    def _bucket(self, group: str, now: datetime) -> Bucket:
        bucket = self._buckets.get(group)
        return bucket or Bucket.empty(self._rates[group], self._share, now.timestamp())

    def _count(self, group: str, now: float, due: float) -> None:
        """Note a call under the second by which it is due, and forget those of a minute ago."""
        sent = self._sent.setdefault(group, deque())
        while sent and sent[0][0] <= now - USED_OVER_S:
            sent.popleft()
        second = math.ceil(due - CLOCK_GRAIN_S)
        if sent and sent[-1][0] == second:
            sent[-1] = (second, sent[-1][1] + 1)
        else:
            sent.append((second, 1))

    def _counted(self, group: str, now: float) -> int:
        """Calls that were due in the minute before ``now``."""
        return sum(
            calls
            for second, calls in self._sent.get(group, ())
            if now - USED_OVER_S < second <= now
        )

    def _why(self, group: str, bucket: Bucket) -> str:
        rate = self._rates[group]
        said = "an assumed" if rate.assumed else "AWS's"
        text = f"{group}: {self._share:.0%} of {said} {rate.refill:g} calls/s"
        slowed = f", at {bucket.pace:.0%} since a throttle" if bucket.pace < 1 else ""
        return text + slowed


def _cautious(one: Bucket, other: Bucket) -> Bucket:
    """The fewer tokens and the lower pace of two views of the same bucket at one moment."""
    throttles = [at for at in (one.throttled_at, other.throttled_at) if at is not None]
    return replace(
        one,
        tokens=min(one.tokens, other.tokens),
        pace=min(one.pace, other.pace),
        throttled_at=max(throttles, default=None),
    )


def _told(figures: Any) -> dict[str, Any] | None:
    """The figures of one group, or None when they are not what ``state`` says."""
    try:
        last = figures["throttled_at"]
        told: dict[str, Any] = {name: float(figures[name]) for name in ("tokens", "at", "pace")}
        told["throttled_at"] = None if last is None else float(last)
        told["sent"] = [(int(second), int(calls)) for second, calls in figures["sent"]]
    except (KeyError, TypeError, ValueError):
        return None
    numbers = (*(told[name] for name in ("tokens", "at", "pace")), last or 0.0)
    return told if all(math.isfinite(number) for number in numbers) else None
