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


def test_a_count_set_by_hand_is_shown_and_left_on_every_machine(take: TakeShops) -> None:
    shops = take(2)
    [mine, other] = shops.stores
    name = shops.service(mine)["serviceName"]
    shops.aws("ecs").update_service(cluster=mine, service=name, desiredCount=3)
    shops.release("1.9.0")

    plan = shops.fleet("plan", "--all")
    drift = shops.fleet("drift", "--json", "--where", f"store={mine}")
    ran = shops.roll()
    on_a_second_machine(shops)
    again = shops.fleet("plan", "--all")

    words = "desired count 3, set by somebody; fleet sent 1 with ro-"
    assert words in flat(plan.out)
    [found] = [one for one in drift.document["findings"] if one["code"] == "SERVICE_COUNT"]
    assert any(words in one["words"] for one in found["evidence"])
    assert found["fix"] == f"fleet plan till --store {mine} --overwrite"
    assert ran.code == 0, ran.err
    assert [shops.service(store)["desiredCount"] for store in (mine, other)] == [3, 1]
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}
    assert again.code == 0
    assert words in flat(again.out)

    asked = shops.roll("--overwrite")

    assert asked.code == 0, asked.err
    assert shops.service(mine)["desiredCount"] == 1
    assert shops.fleet("plan", "--all").code == 0


def test_a_shop_that_somebody_stopped_is_sent_nothing(take: TakeShops) -> None:
    shops = take(2)
    [mine, other] = shops.stores
    name = shops.service(mine)["serviceName"]
    shops.aws("ecs").update_service(cluster=mine, service=name, desiredCount=0)
    shops.release("1.9.0")

    ran = shops.roll()

    assert ran.code == 0, ran.err
    assert "desired count 0, set by somebody; fleet sent 1 with ro-" in flat(ran.err)
    assert (shops.runs(mine), shops.runs(other)) == ("1.8.3", "1.9.0")
    assert shops.service(mine)["desiredCount"] == 0


def test_a_setting_by_hand_is_left_while_the_release_is_sent(take: TakeShops) -> None:
    shops = take(2)
    [mine, _] = shops.stores
    name = shops.service(mine)["serviceName"]
    shops.aws("ecs").update_service(
        cluster=mine, service=name, deploymentConfiguration={"maximumPercent": 200}
    )
    shops.release("1.9.0")

    ran = shops.roll()
    drift = shops.fleet("drift", "--json", "--where", f"store={mine}")

    assert ran.code == 0, ran.err
    words = "maximum percent 200, set by somebody; fleet sent 100 with ro-"
    assert words in flat(ran.err)
    now = shops.service(mine)
    assert now["deploymentConfiguration"]["maximumPercent"] == 200
    assert now["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] is True
    assert shops.serves(mine) == "1.9.0"
    [found] = [one for one in drift.document["findings"] if one["code"] == "SERVICE_SETTINGS"]
    assert any(words in one["words"] for one in found["evidence"])
    assert "{" not in " ".join(one["words"] for one in found["evidence"])


def test_a_policy_for_one_rollout_is_what_drift_expects(take: TakeShops) -> None:
    shops = take(2)
    shops.policy("careful", breaker_count=2)
    shops.release("1.9.0")

    ran = shops.roll("--policy", "careful")
    here = shops.fleet("drift", "--json")
    on_a_second_machine(shops)
    elsewhere = shops.fleet("drift", "--json")

    assert ran.code == 0, ran.err
    [mine, _] = shops.stores
    breaker = shops.service(mine)["deploymentConfiguration"]["deploymentCircuitBreaker"]
    assert breaker["thresholdConfiguration"]["value"] == 2
    for drift in (here, elsewhere):
        assert "SERVICE_SETTINGS" not in {one["code"] for one in drift.document["findings"]}


def flat(text: str) -> str:
    """Text without the line breaks and paddings of a table."""
    return " ".join(text.split())
