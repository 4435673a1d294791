"""Which IAM permissions each command needs, made from the actions that its functions send."""

from collections.abc import Callable, Mapping
from typing import Any

from fleet.aws import (
    deploy,
    images,
    logs,
    observe,
    perform,
    run_command,
    services,
    sweep,
    task_definitions,
    topics,
)
from fleet.aws.actions import (
    ADD_TAGS,
    BATCH_GET_IMAGE,
    CREATE_ACTIVATION,
    CREATE_CLUSTER,
    CREATE_LOG_GROUP,
    CREATE_SERVICE,
    DELETE_ACTIVATION,
    DELETE_ATTRIBUTES,
    DELETE_SERVICE,
    DEREGISTER_CONTAINER_INSTANCE,
    DEREGISTER_MANAGED_INSTANCE,
    DESCRIBE_ACTIVATIONS,
    DESCRIBE_CLUSTERS,
    DESCRIBE_CONTAINER_INSTANCES,
    DESCRIBE_INSTANCE_INFORMATION,
    DESCRIBE_LOG_GROUPS,
    DESCRIBE_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_REVISIONS,
    DESCRIBE_SERVICES,
    DESCRIBE_TASK_DEFINITION,
    DESCRIBE_TASKS,
    GET_CALLER_IDENTITY,
    GET_COMMAND_INVOCATION,
    GET_DOWNLOAD_URL,
    GET_ROLE,
    GET_SERVICE_SETTING,
    LIST_CLUSTERS,
    LIST_COMMAND_INVOCATIONS,
    LIST_COMMANDS,
    LIST_CONTAINER_INSTANCES,
    LIST_SERVICE_DEPLOYMENTS,
    LIST_SERVICES,
    LIST_TASK_DEFINITIONS,
    LIST_TASKS,
    PUBLISH,
    PUT_ATTRIBUTES,
    PUT_RETENTION_POLICY,
    REGISTER_TASK_DEFINITION,
    SEND_COMMAND,
    SSM_LIST_TAGS,
    TAG_RESOURCE,
    UPDATE_SERVICE,
    Action,
)
from fleet.errors import UsageError

_INSTANCES = (LIST_CONTAINER_INSTANCES, DESCRIBE_CONTAINER_INSTANCES)
_DEPLOYMENTS = (
    LIST_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_DEPLOYMENTS,
    DESCRIBE_SERVICE_REVISIONS,
)
_FIND = (LIST_TASK_DEFINITIONS, DESCRIBE_TASK_DEFINITION)

#: What each function may send. The tests compare it with the requests that really go out.
SENDS: Mapping[Callable[..., Any], tuple[Action, ...]] = {
    observe.caller: (GET_CALLER_IDENTITY,),
    observe.clusters: (DESCRIBE_CLUSTERS,),
    observe.container_instances: _INSTANCES,
    observe.container_instance_arns: (LIST_CONTAINER_INSTANCES,),
    observe.described_container_instances: (DESCRIBE_CONTAINER_INSTANCES,),
    observe.managed_instances_of_store: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.managed_instances_tagged: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.managed_instances: (DESCRIBE_INSTANCE_INFORMATION,),
    observe.activations: (DESCRIBE_ACTIVATIONS,),
    observe.activation: (DESCRIBE_ACTIVATIONS,),
    observe.node_tier: (GET_SERVICE_SETTING, DESCRIBE_INSTANCE_INFORMATION),
    observe.managed_instance_tags: (SSM_LIST_TAGS,),
    observe.instance_role_exists: (GET_ROLE,),
    sweep.nodes: (DESCRIBE_INSTANCE_INFORMATION,),
    sweep.tagged: (DESCRIBE_INSTANCE_INFORMATION,),
    sweep.tagged_among: (SSM_LIST_TAGS,),
    sweep.activations: (DESCRIBE_ACTIVATIONS,),
    sweep.tier: (GET_SERVICE_SETTING,),
    sweep.cluster_count: (LIST_CLUSTERS,),
    sweep.instances: _INSTANCES,
    sweep.instances_again: (DESCRIBE_CONTAINER_INSTANCES,),
    sweep.services: (LIST_SERVICES, DESCRIBE_SERVICES),
    sweep.tasks: (LIST_TASKS, DESCRIBE_TASKS),
    perform.create_cluster: (CREATE_CLUSTER,),
    perform.create_activation: (CREATE_ACTIVATION,),
    perform.delete_activation: (DELETE_ACTIVATION,),
    perform.deregister_managed_instance: (DEREGISTER_MANAGED_INSTANCE,),
    perform.put_attributes: (PUT_ATTRIBUTES,),
    perform.delete_attributes: (DELETE_ATTRIBUTES,),
    perform.deregister_container_instance: (DEREGISTER_CONTAINER_INSTANCE,),
    perform.tag_resource: (TAG_RESOURCE,),
    perform.tag_managed_instance: (ADD_TAGS,),
    services.services: (DESCRIBE_SERVICES,),
    services.services_of_cluster: (LIST_SERVICES, DESCRIBE_SERVICES),
    services.tasks: (LIST_TASKS, DESCRIBE_TASKS),
    services.service_deployments: _DEPLOYMENTS,
    services.store_view: (DESCRIBE_CLUSTERS, LIST_SERVICES, DESCRIBE_SERVICES),
    task_definitions.task_definition: (DESCRIBE_TASK_DEFINITION,),
    task_definitions.still_active: (LIST_TASK_DEFINITIONS,),
    task_definitions.find_task_definition: _FIND,
    task_definitions.register_task_definition: (*_FIND, REGISTER_TASK_DEFINITION, TAG_RESOURCE),
    deploy.create_service: (CREATE_SERVICE,),
    deploy.update_service: (TAG_RESOURCE, UPDATE_SERVICE),
    deploy.delete_service: (DELETE_SERVICE,),
    deploy.tag_service: (TAG_RESOURCE,),
    logs.log_groups: (DESCRIBE_LOG_GROUPS,),
    logs.create_log_group: (CREATE_LOG_GROUP, PUT_RETENTION_POLICY),
    images.image_fact: (BATCH_GET_IMAGE, GET_DOWNLOAD_URL),
    run_command.run_script: (
        SEND_COMMAND,
        LIST_COMMANDS,
        LIST_COMMAND_INVOCATIONS,
        GET_COMMAND_INVOCATION,
    ),
    topics.publish: (PUBLISH,),
}

#: What moves a rollout on, whoever ticks it.
_TICK: tuple[Callable[..., Any], ...] = (
    observe.caller,
    observe.container_instances,
    services.services,
    services.store_view,
    services.tasks,
    services.service_deployments,
    task_definitions.register_task_definition,
    logs.log_groups,
    logs.create_log_group,
    deploy.create_service,
    deploy.update_service,
    deploy.delete_service,
)
#: What is asked before a rollout.
_PLAN: tuple[Callable[..., Any], ...] = (
    observe.caller,
    observe.clusters,
    observe.container_instances,
    services.store_view,
    task_definitions.task_definition,
    images.image_fact,
)

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
    "drift": (
        observe.caller,
        observe.clusters,
        observe.managed_instances,
        sweep.nodes,
        sweep.tagged,
        observe.managed_instances_tagged,
        sweep.tagged_among,
        sweep.activations,
        sweep.tier,
        sweep.cluster_count,
        sweep.instances,
        sweep.instances_again,
        sweep.services,
        sweep.tasks,
        task_definitions.task_definition,
        task_definitions.still_active,
        images.image_fact,
    ),
    "render": (images.image_fact,),
    "plan": _PLAN,
    "rollout": tuple(dict.fromkeys((*_PLAN, *_TICK))),
    "controller": _TICK,
    # What `fleet drift --fix` needs besides.
    "fix": (
        observe.caller,
        observe.clusters,
        observe.container_instances,
        observe.managed_instances,
        observe.managed_instance_tags,
        observe.activation,
        services.services,
        services.tasks,
        perform.delete_activation,
        perform.deregister_container_instance,
        perform.deregister_managed_instance,
        perform.put_attributes,
        perform.delete_attributes,
        perform.tag_resource,
        perform.tag_managed_instance,
    ),
    # What `fleet drift --deep` needs besides.
    "deep": (run_command.run_script,),
    # What `fleet drift --notify` needs besides, in the accounts of its topics.
    "notify": (topics.publish,),
}

PASSING = "iam:PassRole"
_CLUSTER = ("arn:{partition}:ecs:*:{account}:cluster/*",)
_INSTANCE = ("arn:{partition}:ecs:*:{account}:container-instance/*",)
_SERVICE = ("arn:{partition}:ecs:*:{account}:service/*",)
_TASK_DEFINITION = ("arn:{partition}:ecs:*:{account}:task-definition/*",)
_LOG_GROUP = ("arn:{partition}:logs:*:{account}:log-group:*",)
#: Of any account: the images of a fleet may lie in one that has no shops.
_REPOSITORY = ("arn:{partition}:ecr:*:*:repository/*",)

#: What an action works on, as the Service Authorization Reference lists its resource types; one
#: that is not here takes no resource in a policy. {account} and {role} are filled in.
RESOURCES: Mapping[str, tuple[str, ...]] = {
    "ecs:CreateCluster": _CLUSTER,
    "ecs:DescribeClusters": _CLUSTER,
    "ecs:ListContainerInstances": _CLUSTER,
    "ecs:DescribeContainerInstances": _INSTANCE,
    "ecs:PutAttributes": _INSTANCE,
    "ecs:DeleteAttributes": _INSTANCE,
    "ecs:DeregisterContainerInstance": _CLUSTER,
    "ecs:DescribeServices": _SERVICE,
    "ecs:CreateService": _SERVICE,
    "ecs:UpdateService": _SERVICE,
    "ecs:DeleteService": _SERVICE,
    "ecs:ListServiceDeployments": _SERVICE,
    "ecs:DescribeServiceDeployments": (
        *_SERVICE,
        "arn:{partition}:ecs:*:{account}:service-deployment/*",
    ),
    "ecs:DescribeServiceRevisions": (
        *_SERVICE,
        "arn:{partition}:ecs:*:{account}:service-revision/*",
    ),
    "ecs:DescribeTasks": ("arn:{partition}:ecs:*:{account}:task/*",),
    "ecs:RegisterTaskDefinition": _TASK_DEFINITION,
    "ecr:BatchGetImage": _REPOSITORY,
    "ecr:GetDownloadUrlForLayer": _REPOSITORY,
    "logs:CreateLogGroup": _LOG_GROUP,
    "logs:DescribeLogGroups": _LOG_GROUP,
    "logs:PutRetentionPolicy": _LOG_GROUP,
    "logs:TagResource": _LOG_GROUP,
    "iam:GetRole": ("arn:{partition}:iam::{account}:role/{role}",),
    # Of any account: a topic may lie in one that has no shops.
    "sns:Publish": ("arn:{partition}:sns:*:*:*",),
    "ssm:DeregisterManagedInstance": ("arn:{partition}:ssm:*:{account}:managed-instance/*",),
    "ssm:SendCommand": (
        "arn:{partition}:ssm:*:{account}:managed-instance/*",
        "arn:{partition}:ssm:*::document/AWS-RunShellScript",
    ),
    "ssm:GetServiceSetting": ("arn:{partition}:ssm:*:{account}:servicesetting/*",),
}

#: What a command tags, and makes with tags.
TAGGED: Mapping[str, tuple[str, ...]] = {
    "register": (*_CLUSTER, *_INSTANCE),
    "fix": (*_CLUSTER, *_SERVICE),
    "rollout": (*_SERVICE, *_TASK_DEFINITION),
    "controller": (*_SERVICE, *_TASK_DEFINITION),
}

#: To whom an action passes a role, and which: no policy hands anybody a way to more rights.
PASSES: Mapping[Action, tuple[str, str]] = {
    CREATE_ACTIVATION: ("ssm.amazonaws.com", "arn:{partition}:iam::{account}:role/{role}"),
    REGISTER_TASK_DEFINITION: (
        "ecs-tasks.amazonaws.com",
        "arn:{partition}:iam::{account}:role/{task_roles}",
    ),
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
    sent = _sent(command)
    return tuple(sorted({name for action in sent for name in (action.id, *action.implies)}))


def _sent(command: str) -> tuple[Action, ...]:
    sent = (action for function in COMMANDS[command] for action in SENDS[function])
    return tuple(dict.fromkeys(sent))


def policy_for(
    command: str,
    *,
    account_id: str = "*",
    instance_role: str = "*",
    task_roles: str = "*",
    partition: str = "aws",
) -> dict[str, Any]:
    """An IAM policy document that lets a command do its work and nothing else.

    Args:
        command: one of ``COMMANDS``.
        account_id: twelve digits, or ``*`` for a policy that fits every account.
        instance_role: name of the role that nodes get.
        task_roles: name, or pattern of the names, of the roles in task definitions.
    """
    names = {
        "partition": partition,
        "account": account_id,
        "role": instance_role,
        "task_roles": task_roles,
    }
    grouped: dict[tuple[str, ...], list[str]] = {}
    for action in actions_for(command):
        if action != PASSING:
            templates = RESOURCES.get(action, ("*",))
            if action == TAG_RESOURCE.id:
                templates = TAGGED[command]
            resources = tuple(text.format(**names) for text in templates)
            grouped.setdefault(resources, []).append(action)
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": actions, "Resource": list(resources)}
        for resources, actions in grouped.items()
    ]
    for sent in _sent(command):
        if PASSING in sent.implies:
            service, role = PASSES[sent]
            statements.append(
                {
                    "Effect": "Allow",
                    "Action": [PASSING],
                    "Resource": [role.format(**names)],
                    "Condition": {"StringEquals": {"iam:PassedToService": service}},
                }
            )
    return {"Version": "2012-10-17", "Statement": statements}
