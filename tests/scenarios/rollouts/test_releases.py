"""Releases that go well, and those that are refused before anything is touched."""

import json
from typing import Any

import pytest

from tests.scenarios.rollouts.conftest import REGION, TEMPLATE, TakeShops

LOG_GROUP = "/shops/sensor"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ONLY_ARM64 = {
    "schemaVersion": 2,
    "mediaType": INDEX,
    "manifests": [
        {
            "mediaType": MANIFEST,
            "digest": f"sha256:{'a' * 64}",
            "size": 1000,
            "platform": {"os": "linux", "architecture": "arm64"},
        }
    ],
}


def test_a_good_release_reaches_every_shop(take: TakeShops) -> None:
    shops = take(8)
    shops.release("1.9.0")

    ran = shops.roll("--canary")

    assert ran.code == 0, ran.err
    assert "8 ok" in ran.out
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}
    assert [len(shops.deployments(store)) for store in shops.stores] == [1] * 8
    for store in shops.stores:
        shops.aws("ecs").get_waiter("services_stable").wait(
            cluster=store, services=[shops.service(store)["serviceName"]]
        )


def test_a_first_rollout_makes_services_that_bear_a_shop_being_offline(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(waves=["100%"], concurrency="100%", breaker_count=2)
    shops.release("4.2.0", workload="sensor")
    shops.template(_logging_to(LOG_GROUP), workload="sensor")

    ran = shops.fleet("rollout", "sensor", "--all", "--yes")

    assert ran.code == 0, ran.err
    service = shops.service(shops.stores[0], "sensor")
    assert service["launchType"] == "EXTERNAL"
    assert service["availabilityZoneRebalancing"] == "DISABLED"
    deployment = service["deploymentConfiguration"]
    assert (deployment["minimumHealthyPercent"], deployment["maximumPercent"]) == (0, 100)
    breaker = deployment["deploymentCircuitBreaker"]
    assert (breaker["enable"], breaker["rollback"]) == (True, True)
    assert breaker["thresholdConfiguration"] == {"type": "COUNT", "value": 2}
    tags = {tag["key"]: tag["value"] for tag in service["tags"]}
    assert tags["fleet:rollout"] == "ro-1"
    assert tags["fleet:store"] == shops.stores[0]
    body = shops.aws("ecs").describe_task_definition(taskDefinition=service["taskDefinition"])
    [container] = body["taskDefinition"]["containerDefinitions"]
    assert container["logConfiguration"]["options"]["mode"] == "non-blocking"
    assert container["restartPolicy"] == {"enabled": True, "restartAttemptPeriod": 60}
    groups = shops.aws("logs").describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]
    assert [group["retentionInDays"] for group in groups] == [30]


def test_an_image_without_a_shops_architecture_is_refused_by_the_inventory(
    take: TakeShops,
) -> None:
    shops = take(2)
    images = {"main": {"image": shops.release("1.9.0"), "platforms": ["linux/arm64"]}}
    shops.release("1.9.0", images=images)

    ran = shops.roll()

    assert ran.code == 2
    assert "the image holds linux/arm64, not linux/amd64" in ran.err
    assert {shops.runs(store) for store in shops.stores} == {"1.8.3"}


@pytest.mark.long
def test_an_index_in_ecr_without_a_shops_architecture_is_refused_by_the_plan(
    take: TakeShops,
) -> None:
    shops = take(2)
    name = shops.folder.name
    registry = f"111122223333.dkr.ecr.{REGION}.amazonaws.com"
    ecr = shops.aws("ecr")
    ecr.create_repository(repositoryName=name)
    ecr.put_image(repositoryName=name, imageTag="1.9.0", imageManifest=json.dumps(ONLY_ARM64))
    shops.release("1.9.0", images={"main": {"image": f"{registry}/{name}:1.9.0"}})

    ran = shops.roll()

    assert ran.code == 2
    assert f'{name}:1.9.0" holds linux/arm64, not linux/amd64' in ran.err
    assert {shops.runs(store) for store in shops.stores} == {"1.8.3"}


def _logging_to(group: str) -> dict[str, Any]:
    options = {"awslogs-group": group, "awslogs-region": "eu-west-1"}
    logs = {"logConfiguration": {"logDriver": "awslogs", "options": options}}
    return {
        **TEMPLATE,
        "executionRoleArn": "arn:aws:iam::111122223333:role/ecsTaskExecutionRole",
        "containerDefinitions": [{**TEMPLATE["containerDefinitions"][0], **logs}],
    }
