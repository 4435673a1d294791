"""Token buckets with the published request rates of ECS, and an assumption for SSM.

ECS: "Request throttling for the Amazon ECS API", per account and region, ThrottlingException with
HTTP 400 and "Rate exceeded". For SSM and STS AWS publishes nothing: those rows are assumptions.
"""

from dataclasses import dataclass

from fleet.sandbox.agents.session import AwsFault


@dataclass(frozen=True, slots=True)
class RequestRate:
    """A bucket's size and how many tokens per second flow back into it."""

    burst: float
    refill: float


#: One row for each bucket: service, rate, actions that share it.
_BUCKETS: tuple[tuple[str, RequestRate, str], ...] = (
    ("ecs", RequestRate(20, 1), "CreateCluster DeleteCluster"),
    ("ecs", RequestRate(50, 20), "DescribeClusters ListClusters"),
    ("ecs", RequestRate(20, 1), "RegisterTaskDefinition DeregisterTaskDefinition"),
    ("ecs", RequestRate(50, 20), "DescribeTaskDefinition ListTaskDefinitions"),
    ("ecs", RequestRate(20, 10), "TagResource UntagResource"),
    ("ecs", RequestRate(50, 20), "ListTagsForResource"),
    (
        "ecs",
        RequestRate(100, 40),
        "PutAttributes DeleteAttributes DeregisterContainerInstance StartTask StopTask"
        " UpdateContainerInstancesState",
    ),
    (
        "ecs",
        RequestRate(100, 20),
        "DescribeContainerInstances DescribeTasks ListAttributes ListContainerInstances ListTasks",
    ),
    ("ecs", RequestRate(200, 120), "RegisterContainerInstance SubmitTaskStateChange"),
    ("ecs", RequestRate(50, 5), "CreateService UpdateService DeleteService"),
    ("ecs", RequestRate(100, 20), "DescribeServices ListServices"),
    ("ecs", RequestRate(50, 20), "ListServiceDeployments DescribeServiceDeployments"),
    ("ecs", RequestRate(50, 20), "DescribeServiceRevisions"),
    (
        "ssm",
        RequestRate(200, 100),
        "RegisterManagedInstance RequestManagedInstanceRoleToken UpdateCommand"
        " UpdateInstanceInformation",
    ),
    (
        "ssm",
        RequestRate(20, 10),
        "DescribeActivations DescribeInstanceInformation GetCommandInvocation GetServiceSetting"
        " ListCommandInvocations ListCommands ListTagsForResource",
    ),
    (
        "ssm",
        RequestRate(10, 5),
        "AddTagsToResource CreateActivation DeleteActivation DeregisterManagedInstance"
        " RemoveTagsFromResource SendCommand UpdateServiceSetting",
    ),
)
_BUCKET_OF: dict[tuple[str, str], tuple[int, RequestRate]] = {
    (service, action): (number, rate)
    for number, (service, rate, actions) in enumerate(_BUCKETS)
    for action in actions.split()
}


@dataclass(slots=True)
class RequestBucket:
    """A token bucket that starts full; time is handed in.

    ``take`` says whether there was a token. Over any stretch of t seconds it says yes at most
    ``burst + refill * t`` times.
    """

    rate: RequestRate
    at: float
    tokens: float

    def take(self, now: float) -> bool:
        """Take one token at ``now``; a time before the last one adds none."""
        self.tokens = min(self.rate.burst, self.tokens + max(0.0, now - self.at) * self.rate.refill)
        self.at = max(self.at, now)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


class Throttle:
    """The buckets of every account and region; actions of one group share one."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, str, str], RequestBucket] = {}

    def spend(self, service: str, action: str, account: str, region: str, now: float) -> None:
        """Take a token for one call, or raise ThrottlingException as AWS does."""
        known = _BUCKET_OF.get((service, action))
        if known is None:
            return
        number, rate = known
        key = (number, account, region)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = RequestBucket(rate, now, rate.burst)
        if not bucket.take(now):
            raise AwsFault("ThrottlingException", "Rate exceeded")
