"""How fast AWS may be called, as it publishes or as is assumed, per group of actions."""

from collections.abc import Mapping
from dataclasses import dataclass


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
#: throttle is rare and the halving does the rest, and so are those of ECR, CloudWatch Logs and
#: SNS, of which fleet asks little. STS publishes 600 per second; we take a crumb.
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
    "sns": Rate(5, 5, assumed=True),
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
    "ssm:GetCommandInvocation": "ssm read",
    "ssm:GetServiceSetting": "ssm read",
    "ssm:ListCommandInvocations": "ssm read",
    "ssm:ListCommands": "ssm read",
    "ssm:ListTagsForResource": "ssm read",
    "ssm:AddTagsToResource": "ssm modify",
    "ssm:CreateActivation": "ssm modify",
    "ssm:DeleteActivation": "ssm modify",
    "ssm:DeregisterManagedInstance": "ssm modify",
    "ssm:SendCommand": "ssm modify",
    "sts:GetCallerIdentity": "sts",
    "iam:GetRole": "iam",
    "ecr:BatchGetImage": "ecr",
    "ecr:GetDownloadUrlForLayer": "ecr",
    "logs:DescribeLogGroups": "logs",
    "logs:CreateLogGroup": "logs",
    "logs:PutRetentionPolicy": "logs",
    "sns:Publish": "sns",
}
