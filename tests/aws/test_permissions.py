import ast
import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fleet
from fleet.aws import (
    actions,
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
from fleet.aws.actions import Action, Repeat
from fleet.aws.permissions import COMMANDS, SENDS, TAGGED, actions_for, policy_for
from fleet.aws.service_shapes import service_of
from fleet.aws.session import Shard
from fleet.aws.shapes import cluster_of
from fleet.aws.sharing import Shared
from fleet.errors import AwsError, UsageError
from fleet.model.desired import LogGroup, TaskDefinition
from fleet.model.inventory import Image
from tests.aws import bodies
from tests.aws.canned import Canned, reply
from tests.aws.conftest import Open

NODE = "mi-" + "0" * 17
INFORMATION: dict[str, Any] = {"InstanceInformationList": []}
BODY = {"family": "vision-arm64", "containerDefinitions": []}
WANTED = TaskDefinition.of(BODY)
ONE_HOST = cluster_of({**bodies.CLUSTER, "registeredContainerInstancesCount": 1})
SERVICE = service_of(bodies.service(), "store-042")
IMAGE = Image("111122223333.dkr.ecr.eu-west-1.amazonaws.com/fleet/vision:1.9.0")
MANIFEST = {"layers": [], "config": {"digest": "sha256:0", "size": 2}}
PURE = {
    images.ecr_reference,
    task_definitions.same,
    topics.ascii_subject,
    topics.cut_message,
}
MODULES_THAT_CALL = (
    observe,
    perform,
    services,
    sweep,
    task_definitions,
    deploy,
    logs,
    images,
    run_command,
    topics,
)
DEPLOYMENTS: list[dict[str, Any]] = [
    {"serviceDeployments": [{"serviceDeploymentArn": bodies.RECORD_ARN}]},
    {"serviceDeployments": [bodies.record()]},
    {"serviceRevisions": [{"serviceRevisionArn": bodies.REVISION_ARN}]},
]
TASKS: list[dict[str, Any]] = [{"taskArns": ["arn"]}, {"taskArns": []}, {"tasks": [bodies.task()]}]


COMMAND = {
    "CommandId": "0" * 36,
    "Comment": "c",
    "InstanceIds": [NODE],
    "RequestedDateTime": 1_800_000_000.0,
}
INVOCATION = {
    "CommandId": "0" * 36,
    "InstanceId": NODE,
    "Status": "Success",
    "CommandPlugins": [{"Output": "cut"}],
}


def run_a_script(shard: Shard) -> None:
    """Its send is not answered, and its output is cut."""
    run_command.run_script(
        shard, [NODE], "true", "c", clock=shard.clock, is_whole=lambda text: text == "whole"
    )


def image_without_config(shard: Shard) -> None:
    with pytest.raises(AwsError, match="platform"):
        images.image_fact(shard, IMAGE)


#: How each function is called so that it sends all that it can.
CALLS: dict[Callable[..., Any], tuple[Callable[[Shard], object], list[dict[str, Any]]]] = {
    observe.clusters: (lambda s: observe.clusters(s, ["a"]), [{"clusters": []}]),
    observe.container_instances: (
        lambda s: observe.container_instances(s, "a"),
        [{"containerInstanceArns": ["arn"]}, {"containerInstances": []}],
    ),
    observe.container_instance_arns: (
        lambda s: observe.container_instance_arns(s, "a"),
        [{"containerInstanceArns": []}],
    ),
    observe.described_container_instances: (
        lambda s: observe.described_container_instances(s, "a", ["arn"]),
        [{"containerInstances": []}],
    ),
    sweep.nodes: (lambda s: sweep.nodes(s, Shared()), [INFORMATION]),
    sweep.tagged: (lambda s: sweep.tagged(s, "a", "b"), [INFORMATION]),
    sweep.tagged_among: (lambda s: sweep.tagged_among(s, "a", "b", [NODE]), [{"TagList": []}]),
    sweep.activations: (sweep.activations, [{"ActivationList": []}]),
    sweep.cluster_count: (sweep.cluster_count, [{"clusterArns": []}]),
    sweep.tier: (sweep.tier, [{"ServiceSetting": {"SettingValue": "standard"}}]),
    sweep.instances: (
        lambda s: sweep.instances(s, ONE_HOST, [], Shared()),
        [{"containerInstanceArns": ["arn"]}, {"containerInstances": []}],
    ),
    sweep.instances_again: (
        lambda s: sweep.instances_again(s, "a", ["arn"], Shared()),
        [{"containerInstances": []}],
    ),
    sweep.services: (
        lambda s: sweep.services(s, ONE_HOST, None, Shared()),
        [{"serviceArns": ["arn"]}, {"services": [bodies.service()]}],
    ),
    sweep.tasks: (lambda s: sweep.tasks(s, "a", stopped=True, shared=Shared()), TASKS),
    observe.managed_instances_of_store: (
        lambda s: observe.managed_instances_of_store(s, "a"),
        [INFORMATION],
    ),
    observe.managed_instances_tagged: (
        lambda s: observe.managed_instances_tagged(s, "a", "b"),
        [INFORMATION],
    ),
    observe.managed_instances: (lambda s: observe.managed_instances(s, [NODE]), [INFORMATION]),
    observe.activations: (lambda s: observe.activations(s, ["a"]), [{"ActivationList": []}]),
    observe.activation: (lambda s: observe.activation(s, "a"), [{"ActivationList": []}]),
    observe.node_tier: (
        observe.node_tier,
        [{"ServiceSetting": {"SettingValue": "standard"}}, INFORMATION],
    ),
    run_command.run_script: (
        run_a_script,
        [
            {},
            {"Commands": [COMMAND]},
            {"CommandInvocations": [INVOCATION]},
            {"CommandId": "0" * 36, "StandardOutputContent": "whole"},
        ],
    ),
    observe.managed_instance_tags: (lambda s: observe.managed_instance_tags(s, NODE), [{}]),
    perform.create_cluster: (
        lambda s: perform.create_cluster(s, "a", {}),
        [{"cluster": {"clusterName": "a", "clusterArn": "arn", "status": "ACTIVE"}}],
    ),
    perform.create_activation: (
        lambda s: perform.create_activation(
            s, role="r", name="n", expires_in_s=60, tags={}, now=s.clock.now()
        ),
        [{"ActivationId": "a", "ActivationCode": "c"}],
    ),
    perform.delete_activation: (lambda s: perform.delete_activation(s, "a"), [{}]),
    perform.deregister_managed_instance: (
        lambda s: perform.deregister_managed_instance(s, NODE),
        [{}],
    ),
    perform.put_attributes: (lambda s: perform.put_attributes(s, "a", "arn", {"n": "v"}), [{}]),
    perform.delete_attributes: (lambda s: perform.delete_attributes(s, "a", "arn", ["n"]), [{}]),
    perform.deregister_container_instance: (
        lambda s: perform.deregister_container_instance(s, "a", "arn"),
        [{"containerInstance": {}}],
    ),
    perform.tag_resource: (lambda s: perform.tag_resource(s, "arn", {"k": "v"}), [{}]),
    perform.tag_managed_instance: (
        lambda s: perform.tag_managed_instance(s, NODE, {"k": "v"}),
        [{}],
    ),
    services.services: (lambda s: services.services(s, "a", ["b"]), [{"services": []}]),
    services.services_of_cluster: (
        lambda s: services.services_of_cluster(s, "a"),
        [{"serviceArns": ["arn"]}, {"services": []}],
    ),
    services.tasks: (lambda s: services.tasks(s, "a", "b"), TASKS),
    services.service_deployments: (
        lambda s: services.service_deployments(s, "store-042", "vision-arm64"),
        DEPLOYMENTS,
    ),
    services.store_view: (
        lambda s: services.store_view(s, "store-042", "store-042", services=None),
        [
            {"clusters": [bodies.CLUSTER]},
            {"serviceArns": ["arn"]},
            {"services": [bodies.service()]},
            {"containerInstanceArns": ["arn"]},
            {"containerInstances": []},
            *TASKS,
            *DEPLOYMENTS,
        ],
    ),
    task_definitions.task_definition: (
        lambda s: task_definitions.task_definition(s, "a:1"),
        [{"taskDefinition": bodies.revision(BODY)}],
    ),
    task_definitions.still_active: (
        lambda s: task_definitions.still_active(s, "vision-arm64", [bodies.OLD]),
        [{"taskDefinitionArns": [bodies.OLD]}],
    ),
    task_definitions.find_task_definition: (
        lambda s: task_definitions.find_task_definition(s, WANTED),
        [{"taskDefinitionArns": [bodies.OLD]}, {"taskDefinition": bodies.revision(BODY)}],
    ),
    task_definitions.register_task_definition: (
        # Finds one that fleet did not tag, for one content, and none for the other.
        lambda s: [
            task_definitions.register_task_definition(s, wanted, {})
            for wanted in (WANTED, TaskDefinition.of({**BODY, "cpu": "256"}))
        ],
        [
            {"taskDefinitionArns": [bodies.OLD]},
            {"taskDefinition": bodies.revision(BODY)},
            {},
            {"taskDefinitionArns": []},
            {"taskDefinition": bodies.revision(BODY)},
        ],
    ),
    deploy.create_service: (
        lambda s: deploy.create_service(
            s, {"cluster": "store-042", "serviceName": "a"}, {}, token="t"
        ),
        [{"service": bodies.service()}],
    ),
    deploy.update_service: (
        lambda s: deploy.update_service(s, SERVICE, task_definition=bodies.NEW, tags={"k": "v"}),
        [{}, {"service": bodies.service()}],
    ),
    deploy.delete_service: (
        lambda s: deploy.delete_service(s, "a", "b", force=True),
        [{"service": bodies.service()}],
    ),
    deploy.tag_service: (lambda s: deploy.tag_service(s, "arn", {"k": "v"}), [{}]),
    logs.log_groups: (lambda s: logs.log_groups(s, ["a"]), [{"logGroups": []}]),
    logs.create_log_group: (lambda s: logs.create_log_group(s, LogGroup("a", 30), {}), [{}]),
    images.image_fact: (
        image_without_config,
        [
            {
                "images": [
                    {
                        "imageId": {"imageDigest": "sha256:0"},
                        "imageManifest": json.dumps(MANIFEST),
                    }
                ]
            },
            {"downloadUrl": "http://127.0.0.1:1/"},
        ],
    ),
}
PREFIXES = {
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AmazonSSM": "ssm",
    "Logs_20140328": "logs",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
}


def public_functions(module: Any) -> set[Callable[..., Any]]:
    return {
        function
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
    }


@pytest.mark.parametrize("function", CALLS, ids=lambda function: function.__name__)
def test_a_function_sends_what_the_table_says(
    canned: Canned, open_shard: Open, function: Callable[..., Any]
) -> None:
    call, answers = CALLS[function]
    canned.answers = [reply(answer) for answer in answers]
    call(open_shard())
    sent = []
    for target in canned.targets:
        prefix, name = target.split(".")
        sent.append(f"{PREFIXES[prefix]}:{name}")
    assert sorted(set(sent)) == sorted(action.id for action in SENDS[function])


def test_functions_of_the_query_protocol_send_what_the_table_says(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [
        reply(
            b"<R><GetCallerIdentityResult><Account>1</Account><Arn>a</Arn>"
            b"</GetCallerIdentityResult></R>",
            content_type="text/xml",
        ),
        reply(
            b"<R><GetRoleResult><Role><RoleName>r</RoleName></Role></GetRoleResult></R>",
            content_type="text/xml",
        ),
        reply(
            b"<R><PublishResult><MessageId>m</MessageId></PublishResult></R>",
            content_type="text/xml",
        ),
    ]
    shard = open_shard()
    observe.caller(shard)
    observe.instance_role_exists(shard, "r")
    topics.publish(shard, "arn:aws:sns:eu-west-1:111122223333:fleet", "s", "m")
    assert [body.split(b"&")[0] for body in canned.bodies] == [
        b"Action=GetCallerIdentity",
        b"Action=GetRole",
        b"Action=Publish",
    ]
    assert SENDS[topics.publish] == (actions.PUBLISH,)
    assert SENDS[observe.caller] == (actions.GET_CALLER_IDENTITY,)
    assert SENDS[observe.instance_role_exists] == (actions.GET_ROLE,)


def test_every_function_that_calls_aws_is_in_the_table() -> None:
    found = {function for module in MODULES_THAT_CALL for function in public_functions(module)}
    assert set(SENDS) == found - PURE
    assert set(CALLS) == set(SENDS) - {
        observe.caller,
        observe.instance_role_exists,
        topics.publish,
    }


PACKAGE = Path(fleet.__file__).parent
MODULES = {
    "register": (
        "register/register.py",
        "register/installing.py",
        "register/activating.py",
        "runtime/ledgers.py",
    ),
    "doctor": ("register/doctor.py",),
    "plan": ("rollout/planning.py", "release/revisions.py"),
    "controller": ("rollout/shard_jobs.py",),
    "fix": ("drift/fixing.py", "drift/fixing_look.py"),
}
#: Modules of the AWS edge by name, whose functions are called as ``observe.clusters``.
EDGE = {module.__name__.rpartition(".")[2]: module for module in MODULES_THAT_CALL}


def called_in(*names: str) -> set[str]:
    """Functions of the AWS edge that these modules of the engine name, as ``logs.log_groups``."""
    found = set()
    for name in names:
        for node in ast.walk(ast.parse((PACKAGE / name).read_text())):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in {"observe", "perform", "sweep"}
                and node.attr.islower()
            ):
                found.add(f"{node.value.id}.{node.attr}")
            if isinstance(node, ast.ImportFrom):
                found |= imported_from_edge(node)
    return found


def imported_from_edge(node: ast.ImportFrom) -> set[str]:
    """What ``from fleet.aws.logs import log_groups`` brings, values and shapes left aside."""
    package, _, module = (node.module or "").rpartition(".")
    if package != "fleet.aws" or module not in EDGE:
        return set()
    calls = {function.__name__ for function in public_functions(EDGE[module]) - PURE}
    return {f"{module}.{alias.name}" for alias in node.names if alias.name in calls}


def test_the_rest_of_the_engine_calls_nothing_at_aws_for_a_rollout() -> None:
    ours = {
        "rollout/rollout.py",
        "rollout/starting.py",
        "rollout/ticking.py",
        "rollout/overview.py",
        "runtime/executor.py",
        "runtime/lease.py",
    }
    assert called_in(*ours) == set()


def names_of(command: str) -> set[str]:
    return {
        f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        for function in COMMANDS[command]
    }


@pytest.mark.parametrize("command", MODULES)
def test_a_command_may_do_what_its_part_of_the_engine_calls_and_no_more(command: str) -> None:
    assert names_of(command) == called_in(*MODULES[command]) | {"observe.caller"}


def test_render_asks_for_images_and_nothing_else() -> None:
    assert names_of("render") == called_in("cli/render.py")


def test_a_rollout_may_do_what_planning_and_ticking_may() -> None:
    assert names_of("rollout") == names_of("plan") | names_of("controller")


def test_status_may_do_what_its_part_of_the_engine_calls_and_no_more() -> None:
    assert names_of("status") == called_in("drift/status.py") | {"observe.caller"}


def test_drift_may_do_what_its_part_of_the_engine_calls_and_ask_for_images() -> None:
    ours = called_in(
        "drift/scan.py",
        "drift/scan_shard.py",
        "drift/scan_nodes.py",
        "drift/scan_revisions.py",
        "release/revisions.py",
    )
    assert names_of("drift") == ours | {"observe.caller", "images.image_fact"}


def test_commands_that_only_look_change_nothing() -> None:
    for command in ("status", "doctor", "plan", "render", "drift"):
        sent = {action for function in COMMANDS[command] for action in SENDS[function]}
        assert {action.repeat for action in sent} == {Repeat.READ}


def test_actions_that_aws_checks_besides_are_allowed() -> None:
    assert {"iam:PassRole", "ssm:AddTagsToResource", "ecs:TagResource"} <= set(
        actions_for("register")
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_a_policy_allows_each_action_of_the_command_once_and_nothing_else(command: str) -> None:
    allowed = [a for s in policy_for(command)["Statement"] for a in s["Action"]]
    assert sorted(allowed) == list(actions_for(command))
    assert not any("*" in action for action in allowed)


def test_the_role_may_be_passed_to_ssm_only() -> None:
    policy = policy_for("register", account_id="111122223333", instance_role="ecsAnywhereRole")
    (passing,) = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing == {
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": ["arn:aws:iam::111122223333:role/ecsAnywhereRole"],
        "Condition": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
    }


def test_a_policy_of_an_account_reaches_no_other() -> None:
    policy = policy_for("register", account_id="111122223333")
    resources = {r for s in policy["Statement"] for r in s["Resource"]} - {"*"}
    assert resources
    assert all(":111122223333:" in resource for resource in resources)


def test_the_roles_of_tasks_may_be_passed_to_tasks_only() -> None:
    policy = policy_for("rollout", account_id="111122223333", task_roles="shop-*")
    (passing,) = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == ["arn:aws:iam::111122223333:role/shop-*"]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_tags_may_tag_only_what_it_makes(command: str) -> None:
    found = [s for s in policy_for(command)["Statement"] if "ecs:TagResource" in s["Action"]]
    assert [s["Action"] for s in found] == [["ecs:TagResource"]] * (command in TAGGED)
    assert all("*" not in s["Resource"] for s in found)


def test_a_command_that_calls_no_aws_has_no_policy() -> None:
    with pytest.raises(UsageError, match='"validate"'):
        policy_for("validate")


def test_every_write_says_why_it_may_be_repeated_or_not() -> None:
    known = [value for value in vars(actions).values() if isinstance(value, Action)]
    assert all(action.why for action in known if action.repeat is not Repeat.READ)


def test_what_makes_another_one_each_time_is_never_repeated() -> None:
    known = [value for value in vars(actions).values() if isinstance(value, Action)]
    once = [action.id for action in known if action.repeat is Repeat.ONCE]
    assert sorted(once) == [
        "ecs:RegisterTaskDefinition",
        "sns:Publish",
        "ssm:CreateActivation",
        "ssm:SendCommand",
    ]
