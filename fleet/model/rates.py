"""Rates at which AWS takes calls, per group of actions: published by AWS or assumed by fleet."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fleet.errors import UsageError

#: Share of the published rates that one fleet process takes, where FLEET_CALL_SHARE says nothing.
DEFAULT_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit on the calls of a group of actions, which share one token bucket at AWS.

    Attributes:
        group: name, as ``ecs service modify``. Stored with call budgets and in plans.
        burst: most calls at once.
        refill: calls per second that come back.
        assumed: whether AWS publishes no figure and this is our assumption.
    """

    group: str
    burst: float
    refill: float
    assumed: bool = False

    def seconds(self, calls: int, share: float) -> float:
        """Return the least time for so many calls at a share of the rate, from an empty bucket."""
        return calls / (self.refill * share)


# "Request throttling for the Amazon ECS API" in the ECS API reference.
ECS_CLUSTER_MODIFY = Rate("ecs cluster modify", 20, 1)
ECS_CLUSTER_READ = Rate("ecs cluster read", 50, 20)
ECS_TASK_DEFINITION_MODIFY = Rate("ecs task definition modify", 20, 1)
ECS_TASK_DEFINITION_READ = Rate("ecs task definition read", 50, 20)
ECS_SERVICE_MODIFY = Rate("ecs service modify", 50, 5)
ECS_SERVICE_READ = Rate("ecs service read", 100, 20)
ECS_SERVICE_DEPLOYMENT_READ = Rate("ecs service deployment read", 50, 20)
ECS_SERVICE_REVISION_READ = Rate("ecs service revision read", 50, 20)
ECS_CLUSTER_RESOURCE_MODIFY = Rate("ecs cluster resource modify", 100, 40)
ECS_CLUSTER_RESOURCE_READ = Rate("ecs cluster resource read", 100, 20)
ECS_TAG_MODIFY = Rate("ecs tag modify", 20, 10)
# "CloudWatch service quotas" in the CloudWatch user guide: 9 and 50 a second; no bursts are given.
CLOUDWATCH_ALARM_READ = Rate("cloudwatch alarm read", 9, 9)
CLOUDWATCH_METRIC_READ = Rate("cloudwatch metric read", 50, 50)
# STS publishes 600 per second; fleet takes very little of it.
STS = Rate("sts", 20, 20)
# AWS publishes none of these. They are low enough that a throttle is rare, and a throttle halves
# the pace.
SSM_READ = Rate("ssm read", 10, 5, assumed=True)
SSM_MODIFY = Rate("ssm modify", 10, 5, assumed=True)
IAM = Rate("iam", 10, 5, assumed=True)
ECR = Rate("ecr", 20, 20, assumed=True)
LOGS = Rate("logs", 5, 5, assumed=True)
SNS = Rate("sns", 5, 5, assumed=True)
S3 = Rate("s3", 10, 5, assumed=True)

#: Every rate, by its group.
RATES: Mapping[str, Rate] = {
    value.group: value for value in list(globals().values()) if isinstance(value, Rate)
}


def call_share(text: str | None) -> float:
    """Return the share that FLEET_CALL_SHARE gives, as ``0.8`` or ``80%``; the default without it.

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
