"""Which IAM permissions each command needs, made from the actions that its functions send."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.aws import observe, perform
from fleet.aws.actions import (
    ADD_TAGS,
    CREATE_ACTIVATION,
    CREATE_CLUSTER,
    DELETE_ACTIVATION,
    DEREGISTER_MANAGED_INSTANCE,
    DESCRIBE_ACTIVATIONS,
    DESCRIBE_CLUSTERS,
    DESCRIBE_CONTAINER_INSTANCES,
    DESCRIBE_INSTANCE_INFORMATION,
    GET_CALLER_IDENTITY,
    GET_ROLE,
    GET_SERVICE_SETTING,
    LIST_CONTAINER_INSTANCES,
    PUT_ATTRIBUTES,
    SSM_LIST_TAGS,
    TAG_RESOURCE,
    Action,
)
from fleet.errors import UsageError

#: What each function may send. The tests compare it with the requests that really go out.
SENDS: Mapping[Callable[..., Any], tuple[Action, ...]] = {
    observe.caller: (GET_CALLER_IDENTITY,),
    observe.clusters: (DESCRIBE_CLUSTERS,),
    observe.container_instances: (LIST_CONTAINER_INSTANCES, DESCRIBE_CONTAINER_INSTANCES),
    observe.managed_instances_of_store: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.managed_instances_tagged: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.managed_instances: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.activations: (DESCRIBE_ACTIVATIONS,),
    observe.node_tier: (GET_SERVICE_SETTING, DESCRIBE_INSTANCE_INFORMATION),
    observe.managed_instance_tags: (SSM_LIST_TAGS,),
    observe.instance_role_exists: (GET_ROLE,),
    perform.create_cluster: (CREATE_CLUSTER,),
    perform.create_activation: (CREATE_ACTIVATION,),
    perform.delete_activation: (DELETE_ACTIVATION,),
    perform.deregister_managed_instance: (DEREGISTER_MANAGED_INSTANCE,),
    perform.put_attributes: (PUT_ATTRIBUTES,),
    perform.tag_resource: (TAG_RESOURCE,),
    perform.tag_managed_instance: (ADD_TAGS,),
}

#: What each command calls.
COMMANDS: Mapping[str, tuple[Callable[..., Any], ...]] = {
    "register": (
        observe.caller,
        observe.clusters,
        observe.container_instances,
        observe.managed_instances_of_store,
        observe.managed_instances,
        observe.managed_instance_tags,
        observe.activations,
        observe.node_tier,
        perform.create_cluster,
        perform.create_activation,
        perform.delete_activation,
        perform.deregister_managed_instance,
        perform.put_attributes,
        perform.tag_resource,
        perform.tag_managed_instance,
    ),
    "status": (
        observe.caller,
        observe.clusters,
        observe.container_instances,
        observe.managed_instances_of_store,
        observe.managed_instances_tagged,
        observe.managed_instances,
    ),
    "doctor": (
        observe.caller,
        observe.clusters,
        observe.node_tier,
        observe.instance_role_exists,
    ),
}

#: What an action works on, as the Service Authorization Reference lists its resource types; one
#: that is not here takes no resource in a policy. {account} and {role} are filled in.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "ecs:CreateCluster": ("arn:{partition}:ecs:*:{account}:cluster/*",),
    "ecs:DescribeClusters": ("arn:{partition}:ecs:*:{account}:cluster/*",),
    "ecs:ListContainerInstances": ("arn:{partition}:ecs:*:{account}:cluster/*",),
    "ecs:DescribeContainerInstances": ("arn:{partition}:ecs:*:{account}:container-instance/*",),
    "ecs:PutAttributes": ("arn:{partition}:ecs:*:{account}:container-instance/*",),
    "ecs:TagResource": (
        "arn:{partition}:ecs:*:{account}:cluster/*",
        "arn:{partition}:ecs:*:{account}:container-instance/*",
    ),
    "iam:GetRole": ("arn:{partition}:iam::{account}:role/{role}",),
    "iam:PassRole": ("arn:{partition}:iam::{account}:role/{role}",),
    "ssm:DeregisterManagedInstance": ("arn:{partition}:ssm:*:{account}:managed-instance/*",),
    "ssm:GetServiceSetting": ("arn:{partition}:ssm:*:{account}:servicesetting/*",),
}

#: A role may be passed to SSM only, so that this policy hands nobody a way to more rights.
CONDITIONS: Mapping[str, Mapping[str, Any]] = {
    "iam:PassRole": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
}


def actions_for(command: str) -> tuple[str, ...]:
    """The IAM actions of a command, sorted; those that AWS checks besides are among them.

    Raises:
        UsageError: no command of that name calls AWS.
    """
    if command not in COMMANDS:
        raise UsageError(
            f'no command "{command}" that calls AWS', hint=f"one of {', '.join(sorted(COMMANDS))}"
        )
    sent = [action for function in COMMANDS[command] for action in SENDS[function]]
    return tuple(sorted({name for action in sent for name in (action.id, *action.implies)}))


def policy_for(
    command: str, *, account_id: str = "*", instance_role: str = "*", partition: str = "aws"
) -> dict[str, Any]:
    """An IAM policy document that lets a command do its work and nothing else.

    Args:
        command: ``register``, ``status`` or ``doctor``.
        account_id: twelve digits, or ``*`` for a policy that fits every account.
        instance_role: name of the role that nodes get.
    """
    grouped: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for action in actions_for(command):
        templates = RESOURCES.get(action, ("*",))
        resources = tuple(
            text.format(partition=partition, account=account_id, role=instance_role)
            for text in templates
        )
        own = action if action in CONDITIONS else ""
        grouped.setdefault((resources, own), []).append(action)
    statements = []
    for (resources, own), actions in grouped.items():
        statement: dict[str, Any] = {
            "Effect": "Allow",
            "Action": actions,
            "Resource": list(resources),
        }
        if own:
            statement["Condition"] = dict(CONDITIONS[own])
        statements.append(statement)
    return {"Version": "2012-10-17", "Statement": statements}
