"""The IAM policy of a command, generated from the table of AWS actions.

``actions_of`` lists the IAM actions that a command needs, and ``policy_for`` makes the policy
document that allows these and nothing else.
"""

from collections.abc import Mapping
from typing import Any

from fleet.model.aws_actions import (
    ACTIONS,
    CLUSTER,
    INSTANCE,
    SERVICE,
    TASK_DEFINITION,
    Action,
    Sender,
)

PASSING = "iam:PassRole"

#: What a command may tag with ``ecs:TagResource``, as ARN templates.
TAGGED: Mapping[Sender, tuple[str, ...]] = {
    Sender.REGISTER: (*CLUSTER, *INSTANCE),
    Sender.FIX: (*CLUSTER, *SERVICE),
    Sender.ROLLOUT: (*SERVICE, *TASK_DEFINITION),
    Sender.CONTROLLER: (*SERVICE, *TASK_DEFINITION),
}


def actions_of(command: Sender) -> tuple[str, ...]:
    """Return the IAM actions of a command, sorted, with those that AWS checks besides."""
    names = {PASSING for action in _sent(command) if action.passes}
    return tuple(sorted(names | _resources(command).keys()))


def policy_for(
    command: Sender,
    *,
    account_id: str = "*",
    instance_role: str = "*",
    task_roles: str = "*",
    partition: str = "aws",
) -> dict[str, Any]:
    """Return an IAM policy document that lets a command do its work and nothing else.

    Args:
        command: whose policy.
        account_id: twelve digits, or ``*`` for a policy that fits every account.
        instance_role: name of the role that nodes get.
        task_roles: name, or pattern of the names, of the roles in task definitions.
        partition: of AWS, as in ``aws-cn``.
    """

    def filled(template: str) -> str:
        return template.format(
            partition=partition, account=account_id, role=instance_role, task_roles=task_roles
        )

    grouped: dict[tuple[str, ...], list[str]] = {}
    for name, resources in sorted(_resources(command).items()):
        grouped.setdefault(resources, []).append(name)
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": names, "Resource": [filled(one) for one in resources]}
        for resources, names in grouped.items()
    ]
    statements += [
        {
            "Effect": "Allow",
            "Action": [PASSING],
            "Resource": [filled(action.passes.role)],
            "Condition": {"StringEquals": {"iam:PassedToService": action.passes.to}},
        }
        for action in _sent(command)
        if action.passes
    ]
    return {"Version": "2012-10-17", "Statement": statements}


def _sent(command: Sender) -> tuple[Action, ...]:
    return tuple(action for action in ACTIONS.values() if command in action.senders)


def _resources(command: Sender) -> dict[str, tuple[str, ...]]:
    """Return the ARN templates by IAM action."""
    found: dict[str, tuple[str, ...]] = {}
    for action in _sent(command):
        found[action.id] = action.resources
        if action.tags:
            # SSM tags an activation, which IAM knows by no ARN.
            found[action.tags] = action.resources
    if "ecs:TagResource" in found:
        found["ecs:TagResource"] = TAGGED[command]
    return found
