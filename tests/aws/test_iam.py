import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

import fleet.aws.images
from fleet.aws.iam import TAGGED, actions_of, policy_for
from fleet.drift import (
    fixes,
    reread,
    scan,
    scan_nodes,
    scan_revisions,
    scan_shard,
    status,
)
from fleet.model.aws_actions import ACTIONS, GET_CALLER_IDENTITY, GET_OBJECT, Action, Repeat, Sender
from fleet.register import doctor, host_run, register
from fleet.release import images, revisions
from fleet.rollout import controller, overview, plan, shard_jobs, start, tick
from fleet.runtime import doctor as doctor_of_runs
from fleet.runtime import executor, host_probes, lease, ledgers, messages

#: The modules in which each command calls the AWS edge.
MODULES: dict[Sender, tuple[ModuleType, ...]] = {
    Sender.REGISTER: (register, host_run, ledgers),
    Sender.STATUS: (status,),
    Sender.DOCTOR: (doctor, doctor_of_runs),
    Sender.PLAN: (plan, images, revisions),
    Sender.ROLLOUT: (plan, images, revisions, shard_jobs),
    Sender.CONTROLLER: (shard_jobs,),
    Sender.DRIFT: (scan, scan_shard, scan_nodes, scan_revisions, revisions),
    Sender.FIX: (fixes, reread),
    Sender.DEEP: (host_probes,),
    Sender.RENDER: (images,),
    Sender.NOTIFY: (messages,),
}
#: Those that ask nobody who they are, because their command has asked already or need not.
WITHOUT_CALLER = {Sender.DEEP, Sender.RENDER, Sender.NOTIFY}


def functions_in(value: Any) -> Iterator[FunctionType]:
    """Give a function, or the functions that a class or a module defines."""
    if isinstance(value, FunctionType):
        yield value
    elif isinstance(value, type | ModuleType):
        name = value.__name__ if isinstance(value, ModuleType) else value.__module__
        for member in vars(value).values():
            if getattr(member, "__module__", "") == name:
                yield from functions_in(member)


def names_in(code: CodeType) -> set[str]:
    nested = (one for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*map(names_in, nested))


def used_by(function: FunctionType) -> Iterator[Any]:
    """Give the actions and the parts of the AWS edge that a function names."""
    names = names_in(function.__code__)
    scopes = [function.__globals__]
    for name in names:
        # A module that is imported where it is used stands there with its full name.
        module = function.__globals__.get(name) or sys.modules.get(name)
        if isinstance(module, ModuleType) and module.__name__.startswith("fleet.aws."):
            scopes.append(vars(module))
    for value in (scope[name] for scope in scopes for name in names if name in scope):
        edge = str(getattr(value, "__module__", "")).startswith("fleet.aws.")
        if isinstance(value, Action) or (edge and isinstance(value, FunctionType | type)):
            yield value


def sent_by(*modules: ModuleType) -> set[str]:
    """Find the actions that modules may send, through all that they call in the AWS edge."""
    left: list[Any] = list(modules)
    seen: list[Any] = []
    while left:
        value = left.pop()
        if value not in seen:
            seen.append(value)
            left += [used for function in functions_in(value) for used in used_by(function)]
    # Anybody may read the installer, without credentials.
    return {value.id for value in seen if isinstance(value, Action)} - {GET_OBJECT.id}


def row_names(sender: Sender) -> set[str]:
    return {action.id for action in ACTIONS.values() if sender in action.senders}


@pytest.mark.parametrize("sender", Sender)
def test_a_command_may_send_what_its_modules_send_and_nothing_else(sender: Sender) -> None:
    caller = set() if sender in WITHOUT_CALLER else {GET_CALLER_IDENTITY.id}
    read_images = sent_by(fleet.aws.images) if sender is Sender.DRIFT else set()
    assert row_names(sender) == sent_by(*MODULES[sender]) | caller | read_images


def test_the_rest_of_the_rollout_package_sends_nothing_for_a_rollout() -> None:
    assert sent_by(controller, start, tick, overview, executor, lease) == set()


def test_a_rollout_may_do_what_planning_and_ticking_may() -> None:
    assert row_names(Sender.ROLLOUT) == row_names(Sender.PLAN) | row_names(Sender.CONTROLLER)


@pytest.mark.parametrize(
    "sender", [Sender.STATUS, Sender.DOCTOR, Sender.PLAN, Sender.RENDER, Sender.DRIFT]
)
def test_commands_that_only_look_change_nothing(sender: Sender) -> None:
    assert {ACTIONS[name].repeat for name in row_names(sender)} == {Repeat.READ}


def test_actions_that_aws_checks_besides_are_allowed() -> None:
    assert {"iam:PassRole", "ssm:AddTagsToResource", "ecs:TagResource"} <= set(
        actions_of(Sender.REGISTER)
    )


@pytest.mark.parametrize("sender", Sender)
def test_a_policy_allows_each_action_of_the_command_once_and_nothing_else(sender: Sender) -> None:
    allowed = [a for s in policy_for(sender)["Statement"] for a in s["Action"]]
    assert sorted(allowed) == list(actions_of(sender))
    assert not any("*" in action for action in allowed)


def test_the_role_may_be_passed_to_ssm_only() -> None:
    policy = policy_for(Sender.REGISTER, account_id="111122223333", instance_role="ecsAnywhereRole")
    (passing,) = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing == {
        "Effect": "Allow",
        "Action": ["iam:PassRole"],
        "Resource": ["arn:aws:iam::111122223333:role/ecsAnywhereRole"],
        "Condition": {"StringEquals": {"iam:PassedToService": "ssm.amazonaws.com"}},
    }


def test_a_policy_of_an_account_reaches_no_other() -> None:
    policy = policy_for(Sender.REGISTER, account_id="111122223333")
    resources = {r for s in policy["Statement"] for r in s["Resource"]} - {"*"}
    assert resources
    assert all(":111122223333:" in resource for resource in resources)


def test_the_roles_of_tasks_may_be_passed_to_tasks_only() -> None:
    policy = policy_for(Sender.ROLLOUT, account_id="111122223333", task_roles="shop-*")
    (passing,) = [s for s in policy["Statement"] if "iam:PassRole" in s["Action"]]
    assert passing["Resource"] == ["arn:aws:iam::111122223333:role/shop-*"]
    assert passing["Condition"] == {
        "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    }


@pytest.mark.parametrize("sender", Sender)
def test_a_command_that_tags_may_tag_only_what_it_makes(sender: Sender) -> None:
    found = [s for s in policy_for(sender)["Statement"] if "ecs:TagResource" in s["Action"]]
    assert [s["Action"] for s in found] == [["ecs:TagResource"]] * (sender in TAGGED)
    assert all("*" not in s["Resource"] for s in found)


def test_every_write_says_why_it_may_be_repeated_or_not() -> None:
    assert all(a.why for a in ACTIONS.values() if a.repeat is not Repeat.READ)


def test_what_makes_another_one_each_time_is_never_repeated() -> None:
    once = [action.id for action in ACTIONS.values() if action.repeat is Repeat.ONCE]
    assert sorted(once) == [
        "ecs:RegisterTaskDefinition",
        "sns:Publish",
        "ssm:CreateActivation",
        "ssm:SendCommand",
    ]
