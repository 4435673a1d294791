"""How fast AWS may be called: token buckets per group of actions, with time as an argument.

AWS keeps one bucket per group of ECS actions, account and region; the console, CI and the agents
drink from the same ones. So ours start empty (somebody may just have used the burst up), take a
share of the published rate, and slow down when AWS says that it was still too much.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.model.budget import Wait

#: Share of the published numbers that one fleet process takes.
DEFAULT_SHARE = 0.8
#: A throttle halves the pace, down to this part of it and no further.
SLOWEST = 1 / 64
#: Seconds in which the pace climbs from nothing back to full, evenly.
RECOVERY_S = 120.0
#: Throttles this close together are one: calls that were already on their way do not count twice.
ONE_THROTTLE_S = 1.0
#: A clock this many seconds behind the bucket was set back.
CLOCK_SET_BACK_S = 1.0


@dataclass(frozen=True, slots=True)
class Rate:
    """A published limit.

    Attributes:
        burst: most calls at once.
        refill: calls per second that come back.
        assumed: whether AWS publishes no figure and this is our assumption.
    """

    burst: float
    refill: float
    assumed: bool = False


#: Burst and refill per group: "Request throttling for the Amazon ECS API" in the ECS API
#: reference. SSM publishes none and IAM neither; their figures are assumptions, low enough that a
#: throttle is rare and the halving does the rest, and so are those of ECR and CloudWatch Logs, of
#: which a rollout asks little. STS publishes 600 per second; we take a crumb.
RATES: Mapping[str, Rate] = {
    "ecs cluster modify": Rate(20, 1),
    "ecs cluster read": Rate(50, 20),
    "ecs task definition modify": Rate(20, 1),
    "ecs task definition read": Rate(50, 20),
    "ecs service modify": Rate(50, 5),
    "ecs service read": Rate(100, 20),
    "ecs service deployment read": Rate(50, 20),
    "ecs service revision read": Rate(50, 20),
    "ecs cluster resource modify": Rate(100, 40),
    "ecs cluster resource read": Rate(100, 20),
    "ecs tag modify": Rate(20, 10),
    "ecs tag read": Rate(50, 20),
    "ssm read": Rate(10, 5, assumed=True),
    "ssm modify": Rate(10, 5, assumed=True),
    "sts": Rate(20, 20),
    "iam": Rate(10, 5, assumed=True),
    "ecr": Rate(20, 20, assumed=True),
    "logs": Rate(5, 5, assumed=True),
    "other": Rate(10, 5, assumed=True),
}

#: Which group an action drinks from; one that is not here drinks from "other".
GROUPS: Mapping[str, str] = {
    "ecs:CreateCluster": "ecs cluster modify",
    "ecs:DeleteCluster": "ecs cluster modify",
    "ecs:UpdateCluster": "ecs cluster modify",
    "ecs:DescribeClusters": "ecs cluster read",
    "ecs:ListClusters": "ecs cluster read",
    "ecs:RegisterTaskDefinition": "ecs task definition modify",
    "ecs:DeregisterTaskDefinition": "ecs task definition modify",
    "ecs:DescribeTaskDefinition": "ecs task definition read",
    "ecs:ListTaskDefinitions": "ecs task definition read",
    "ecs:CreateService": "ecs service modify",
    "ecs:UpdateService": "ecs service modify",
    "ecs:DeleteService": "ecs service modify",
    "ecs:DescribeServices": "ecs service read",
    "ecs:ListServices": "ecs service read",
    "ecs:ListServiceDeployments": "ecs service deployment read",
    "ecs:DescribeServiceDeployments": "ecs service deployment read",
    "ecs:DescribeServiceRevisions": "ecs service revision read",
    "ecs:PutAttributes": "ecs cluster resource modify",
    "ecs:DeleteAttributes": "ecs cluster resource modify",
    "ecs:DeregisterContainerInstance": "ecs cluster resource modify",
    "ecs:UpdateContainerInstancesState": "ecs cluster resource modify",
    "ecs:StopTask": "ecs cluster resource modify",
    "ecs:ListContainerInstances": "ecs cluster resource read",
    "ecs:DescribeContainerInstances": "ecs cluster resource read",
    "ecs:ListAttributes": "ecs cluster resource read",
    "ecs:ListTasks": "ecs cluster resource read",
    "ecs:DescribeTasks": "ecs cluster resource read",
    "ecs:TagResource": "ecs tag modify",
    "ecs:UntagResource": "ecs tag modify",
    "ecs:ListTagsForResource": "ecs tag read",
    "ssm:DescribeActivations": "ssm read",
    "ssm:DescribeInstanceInformation": "ssm read",
    "ssm:GetServiceSetting": "ssm read",
    "ssm:ListTagsForResource": "ssm read",
    "ssm:AddTagsToResource": "ssm modify",
    "ssm:CreateActivation": "ssm modify",
    "ssm:DeleteActivation": "ssm modify",
    "ssm:DeregisterManagedInstance": "ssm modify",
    "sts:GetCallerIdentity": "sts",
    "iam:GetRole": "iam",
    "ecr:BatchGetImage": "ecr",
    "ecr:GetDownloadUrlForLayer": "ecr",
    "logs:DescribeLogGroups": "logs",
    "logs:CreateLogGroup": "logs",
    "logs:PutRetentionPolicy": "logs",
}


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
            burst=max(1.0, rate.burst * share), refill=rate.refill * share, tokens=0.0, at=at
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
        self._lock = threading.Lock()

    def reserve(self, action: str, now: datetime) -> Wait:
        """Take one call of ``action``; says how long to wait before it is sent, and why."""
        group = GROUPS.get(action, "other")
        with self._lock:
            bucket, seconds = self._bucket(group, now).reserve(now.timestamp())
            self._buckets[group] = bucket
        return Wait(seconds, self._why(group, bucket) if seconds else "")

    def throttled(self, action: str, now: datetime) -> None:
        """AWS throttled a call of ``action``."""
        group = GROUPS.get(action, "other")
        with self._lock:
            self._buckets[group] = self._bucket(group, now).throttled(now.timestamp())

    def _bucket(self, group: str, now: datetime) -> Bucket:
        bucket = self._buckets.get(group)
        return bucket or Bucket.empty(self._rates[group], self._share, now.timestamp())

    def _why(self, group: str, bucket: Bucket) -> str:
        rate = self._rates[group]
        said = "an assumed" if rate.assumed else "AWS's"
        text = f"{group}: {self._share:.0%} of {said} {rate.refill:g} calls/s"
        slowed = f", at {bucket.pace:.0%} since a throttle" if bucket.pace < 1 else ""
        return text + slowed
