"""Replies of ECS about services, in the shapes that it documents."""

from collections.abc import Mapping
from typing import Any

PREFIX = "arn:aws:ecs:eu-west-1:111122223333"
SERVICE_ARN = f"{PREFIX}:service/store-042/vision-arm64"
REVISION_ARN = f"{PREFIX}:service-revision/store-042/vision-arm64/7"
RECORD_ARN = f"{PREFIX}:service-deployment/store-042/vision-arm64/abc"
TASK_ARN = f"{PREFIX}:task/store-042/1f"
OLD = f"{PREFIX}:task-definition/vision-arm64:1"
NEW = f"{PREFIX}:task-definition/vision-arm64:2"
CLUSTER: Mapping[str, Any] = {
    "clusterName": "store-042",
    "clusterArn": f"{PREFIX}:cluster/store-042",
    "status": "ACTIVE",
}


def service(name: str = "vision-arm64", **more: Any) -> dict[str, Any]:
    """One of DescribeServices' ``services``."""
    return {
        "serviceName": name,
        "serviceArn": f"{PREFIX}:service/store-042/{name}",
        "status": "ACTIVE",
        "taskDefinition": NEW,
        "desiredCount": 1,
        "runningCount": 1,
        "pendingCount": 0,
        **more,
    }


def task(**more: Any) -> dict[str, Any]:
    """One of DescribeTasks' ``tasks``."""
    return {
        "taskArn": TASK_ARN,
        "group": "service:vision-arm64",
        "taskDefinitionArn": NEW,
        "lastStatus": "RUNNING",
        "desiredStatus": "RUNNING",
        **more,
    }


def record(**more: Any) -> dict[str, Any]:
    """One of DescribeServiceDeployments' ``serviceDeployments``."""
    return {
        "serviceDeploymentArn": RECORD_ARN,
        "serviceArn": SERVICE_ARN,
        "status": "SUCCESSFUL",
        "targetServiceRevision": {"arn": REVISION_ARN},
        **more,
    }


def revision(body: Mapping[str, Any], number: int = 1) -> dict[str, Any]:
    """A ``taskDefinition`` as ECS returns what was registered."""
    return {
        **body,
        "taskDefinitionArn": f"{PREFIX}:task-definition/{body['family']}:{number}",
        "revision": number,
        "status": "ACTIVE",
        "compatibilities": ["EXTERNAL"],
    }
