"""What ECS stores in another form, and what somebody set by hand, on this machine and a second."""

import shutil
from typing import Any

from tests.scenarios.rollouts.conftest import TEMPLATE, Shops, TakeShops

DRIFT = 3
CHANGES = 3

_CONTAINER: dict[str, Any] = TEMPLATE["containerDefinitions"][0]
#: What ECS stores otherwise: sizes with units, lists in another order, and defaults.
SPELLED: dict[str, Any] = {
    **TEMPLATE,
    "cpu": "0.25 vCPU",
    "memory": "0.5 GB",
    "volumes": [{"name": "data"}],
    "containerDefinitions": [
        {
            **_CONTAINER,
            "environment": [*_CONTAINER["environment"], {"name": "A", "value": ""}],
            "portMappings": [{"containerPort": 80}],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data"}],
            "healthCheck": {"command": ["CMD", "true"]},
        }
    ],
}
#: The same as ECS writes it.
AS_STORED: dict[str, Any] = {
    **TEMPLATE,
    "cpu": "256",
    "memory": "512",
    "volumes": [{"name": "data", "host": {}}],
    "containerDefinitions": [
        {
            **_CONTAINER,
            "cpu": 0,
            "environment": [{"name": "A", "value": ""}, *_CONTAINER["environment"]],
            "portMappings": [{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}],
            "mountPoints": [{"sourceVolume": "data", "containerPath": "/data", "readOnly": False}],
            "healthCheck": {"command": ["CMD", "true"], "interval": 30, "timeout": 5, "retries": 3},
        }
    ],
}


def on_a_second_machine(shops: Shops) -> None:
    """Go on with records that know nothing."""
    shutil.rmtree(shops.folder / ".fleet")


def test_what_ecs_stores_in_another_form_is_no_change_by_hand(take: TakeShops) -> None:
    shops = take(2)
    shops.template(SPELLED)
    shops.release("1.9.0")
    assert shops.roll().code == 0
    [mine, _] = shops.stores
    arn = shops.service(mine)["taskDefinition"]
    said = shops.aws("ecs").describe_task_definition(taskDefinition=arn)["taskDefinition"]
    assert (said["cpu"], said["memory"]) == ("256", "512")

    on_a_second_machine(shops)
    plan = shops.fleet("plan", "--all")
    drift = shops.fleet("drift", "--json")
    rebuilt = shops.fleet("state", "rebuild")
    again = shops.fleet("plan", "--all")

    assert (plan.code, again.code) == (0, 0), plan.out + again.out
    assert "by hand" not in plan.out + again.out
    codes = {finding["code"] for finding in drift.document["findings"]}
    assert "CHANGED_BY_HAND" not in codes
    assert rebuilt.code == 0, rebuilt.err


def test_a_template_that_only_spells_it_otherwise_restarts_no_shop(take: TakeShops) -> None:
    shops = take(2)
    shops.template(SPELLED)
    shops.release("1.9.0")
    assert shops.roll().code == 0

    shops.template(AS_STORED)
    plan = shops.fleet("plan", "--all")
    drift = shops.fleet("drift", "--json")
    on_a_second_machine(shops)
    other = shops.fleet("plan", "--all")

    assert (plan.code, other.code) == (0, 0), plan.out + other.out
    assert not {"RELEASE_PENDING", "CHANGED_BY_HAND"} & {
        finding["code"] for finding in drift.document["findings"]
    }
