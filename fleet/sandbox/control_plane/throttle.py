"""The published request rates of ECS, and an assumption for SSM, as token buckets.

ECS: "Request throttling for the Amazon ECS API", per account and region, ThrottlingException with
HTTP 400 and "Rate exceeded". For SSM and STS AWS publishes nothing: those rows are assumptions.
"""

from dataclasses import dataclass

from fleet.sandbox.agents.session import AwsFault


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket's size and how many tokens per second flow back into it."""

    burst: float
    refill: float


_ECS_GROUPS: dict[str, tuple[Rate, tuple[str, ...]]] = {
    "cluster-modify": (Rate(20, 1), ("CreateCluster", "DeleteCluster")),
    "cluster-read": (Rate(50, 20), ("DescribeClusters", "ListClusters")),
    "task-definition-modify": (
        Rate(20, 1),
        ("RegisterTaskDefinition", "DeregisterTaskDefinition"),
    ),
    "task-definition-read": (
        Rate(50, 20),
        ("DescribeTaskDefinition", "ListTaskDefinitions", "ListTaskDefinitionFamilies"),
    ),
    "tag-modify": (Rate(20, 10), ("TagResource", "UntagResource")),
    "tag-read": (Rate(50, 20), ("ListTagsForResource",)),
    "cluster-resource-modify": (
        Rate(100, 40),
        (
            "PutAttributes",
            "DeleteAttributes",
            "DeregisterContainerInstance",
            "StartTask",
            "StopTask",
            "UpdateContainerInstancesState",
        ),
    ),
    "cluster-resource-read": (
        Rate(100, 20),
        (
            "DescribeContainerInstances",
            "DescribeTasks",
            "ListAttributes",
            "ListContainerInstances",
            "ListTasks",
        ),
    ),
    "agent-modify": (Rate(200, 120), ("RegisterContainerInstance", "SubmitTaskStateChange")),
    "service-modify": (Rate(50, 5), ("CreateService", "UpdateService", "DeleteService")),
    "service-read": (Rate(100, 20), ("DescribeServices", "ListServices")),
    # The published row says "service deployments" without a list: stopping one is put there too.
    "service-deployments": (
        Rate(50, 20),
        ("ListServiceDeployments", "DescribeServiceDeployments", "StopServiceDeployment"),
    ),
    "service-revisions": (Rate(50, 20), ("DescribeServiceRevisions",)),
}
_ASSUMED: dict[tuple[str, str], tuple[Rate, tuple[str, ...]]] = {
    ("ssm", "agents"): (
        Rate(200, 100),
        (
            "RegisterManagedInstance",
            "RequestManagedInstanceRoleToken",
            "UpdateCommand",
            "UpdateInstanceInformation",
        ),
    ),
    ("ssm", "read"): (
        Rate(20, 10),
        (
            "DescribeActivations",
            "DescribeInstanceInformation",
            "DescribeInstanceProperties",
            "GetConnectionStatus",
            "GetCommandInvocation",
            "GetServiceSetting",
            "ListCommandInvocations",
            "ListCommands",
            "ListTagsForResource",
        ),
    ),
    ("ssm", "modify"): (
        Rate(10, 5),
        (
            "AddTagsToResource",
            "CreateActivation",
            "DeleteActivation",
            "DeregisterManagedInstance",
            "RemoveTagsFromResource",
            "ResetServiceSetting",
            "SendCommand",
            "UpdateManagedInstanceRole",
            "UpdateServiceSetting",
        ),
    ),
}

_GROUP_OF: dict[tuple[str, str], tuple[str, Rate]] = {
    ("ecs", action): (group, rate)
    for group, (rate, actions) in _ECS_GROUPS.items()
    for action in actions
} | {
    (service, action): (group, rate)
    for (service, group), (rate, actions) in _ASSUMED.items()
    for action in actions
}


@dataclass(slots=True)
class Bucket:
    """A token bucket that starts full; time is handed in.

    ``take`` says whether there was a token. Over any stretch of t seconds it says yes at most
    ``burst + refill * t`` times.
    """

    rate: Rate
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
        self._buckets: dict[tuple[str, str, str, str], Bucket] = {}

    def spend(self, service: str, action: str, account: str, region: str, now: float) -> None:
        """Take a token for one call, or raise ThrottlingException as AWS does."""
        known = _GROUP_OF.get((service, action))
        if known is None:
            return
        group, rate = known
        key = (service, group, account, region)
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(rate, now, rate.burst)
        if not bucket.take(now):
            raise AwsFault("ThrottlingException", "Rate exceeded")
