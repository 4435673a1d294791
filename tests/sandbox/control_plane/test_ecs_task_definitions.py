from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import APAC, Rig
from tests.sandbox.control_plane.works import Shops, arn_of

APP = {"name": "app", "image": "vision:1", "memory": 64}


def register(rig: Rig, family: str = "vision", **content: Any) -> dict[str, Any]:
    body = {"family": family, "containerDefinitions": [APP], **content}
    made: dict[str, Any] = rig.ecs("RegisterTaskDefinition", **body)["taskDefinition"]
    return made


def test_the_content_comes_back_whole(rig: Rig) -> None:
    content: dict[str, Any] = {
        "containerDefinitions": [
            {
                **APP,
                "cpu": 128,
                "environment": [{"name": "A", "value": "1"}],
                "logConfiguration": {"logDriver": "awslogs", "options": {"mode": "non-blocking"}},
                "restartPolicy": {"enabled": True, "restartAttemptPeriod": 60},
            }
        ],
        "executionRoleArn": "arn:aws:iam::111122223333:role/x",
        "networkMode": "host",
        "requiresCompatibilities": ["EXTERNAL"],
        "runtimePlatform": {"cpuArchitecture": "ARM64"},
        "volumes": [{"name": "v", "host": {"sourcePath": "/v"}}],
    }
    register(rig, **content)
    shown = rig.ecs("DescribeTaskDefinition", taskDefinition="vision:1")["taskDefinition"]
    (container,) = shown["containerDefinitions"]
    assert container.items() >= content["containerDefinitions"][0].items()
    assert {name: shown[name] for name in content if name != "containerDefinitions"} == {
        name: value for name, value in content.items() if name != "containerDefinitions"
    }
    assert (shown["revision"], shown["status"]) == (1, "ACTIVE")
    assert "EXTERNAL" in shown["compatibilities"]


def test_each_registration_is_a_revision_even_of_the_same_content(rig: Rig) -> None:
    assert [register(rig)["revision"] for _ in range(3)] == [1, 2, 3]
    assert register(rig, "telemetry")["taskDefinitionArn"] == arn_of(
        "task-definition", "telemetry:1"
    )


def test_a_family_alone_is_its_newest_active_revision(rig: Rig) -> None:
    for _ in range(11):
        register(rig)
    rig.ecs("DeregisterTaskDefinition", taskDefinition="vision:11")
    found = rig.ecs("DescribeTaskDefinition", taskDefinition="vision")["taskDefinition"]
    assert found["revision"] == 10


def test_tags_are_shown_when_they_are_asked_for(rig: Rig) -> None:
    tags = [{"key": "fleet:rollout", "value": "ro-1"}]
    register(rig, tags=tags)
    arn = arn_of("task-definition", "vision:1")
    assert "tags" not in rig.ecs("DescribeTaskDefinition", taskDefinition=arn)
    full = rig.ecs("DescribeTaskDefinition", taskDefinition=arn, include=["TAGS"])
    assert full["tags"] == tags
    assert "tags" not in full["taskDefinition"]
    rig.ecs("UntagResource", resourceArn=arn, tagKeys=["fleet:rollout"])
    assert rig.ecs("ListTagsForResource", resourceArn=arn)["tags"] == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"containerDefinitions": []}, "needs 1 to 10 containers"),
        ({"containerDefinitions": [{"name": "a", "memory": 4}]}, "image should not be null"),
        ({"containerDefinitions": [{"image": "a", "memory": 4}]}, "name is not valid"),
        ({"containerDefinitions": [{"name": "a", "image": "a"}]}, "'memory' or 'memoryRes"),
        ({"containerDefinitions": [APP, APP]}, "must be unique"),
        ({"containerDefinitions": [{**APP, "essential": False}]}, "as essential"),
        ({"containerDefinitions": [{**APP, "cpu": "1"}]}, "cpu must be a whole number"),
        ({"containerDefinitions": [{**APP, "command": ["x" * 70_000]}]}, "over 64 KiB"),
        ({"networkMode": "awsvpc", "requiresCompatibilities": ["EXTERNAL"]}, "awsvpc"),
        ({"requiresCompatibilities": ["FARGATE"]}, "not model compatibility"),
        ({"memory": "lots"}, "cannot be read"),
        ({"volumes": [{"name": "v", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}]}, "EFS"),
        ({"placementConstraints": [{"type": "distinctInstance"}]}, "must be one of memberOf"),
        ({"family": "größe"}, "invalid characters"),
        ({"ephemeralStorage": {"sizeInGiB": 30}}, "does not model ephemeralStorage"),
    ],
)
def test_what_cannot_run_on_an_external_instance_is_refused(
    rig: Rig, content: dict[str, Any], why: str
) -> None:
    with pytest.raises(AwsFault, match=why):
        register(rig, **content)
    assert rig.ecs("ListTaskDefinitions")["taskDefinitionArns"] == []


@pytest.mark.parametrize("given_name", ["gone", "vision:9", "vision:x"])
def test_a_revision_that_is_not_there_is_refused(rig: Rig, given_name: str) -> None:
    register(rig)
    with pytest.raises(AwsFault, match=r"Unable to describe|Invalid revision"):
        rig.ecs("DescribeTaskDefinition", taskDefinition=given_name)


def test_a_deregistered_revision_runs_on_but_no_service_can_begin_with_it(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    shops.rig.ecs("DeregisterTaskDefinition", taskDefinition="vision:1")
    (arn,) = worker.running
    worker.stop(arn, 1)
    shops.settle()
    assert len(worker.running) == 1
    with pytest.raises(AwsFault, match="TaskDefinition is inactive"):
        shops.update(taskDefinition="vision:1")


def test_revisions_of_a_family_are_listed_by_its_full_name(rig: Rig) -> None:
    register(rig, "vision")
    register(rig, "vision-arm64")
    listed = rig.ecs("ListTaskDefinitions", familyPrefix="vision")["taskDefinitionArns"]
    assert listed == [arn_of("task-definition", "vision:1")]


def test_accounts_have_their_own_revisions(rig: Rig) -> None:
    register(rig)
    made = rig.ecs(
        "RegisterTaskDefinition", account=APAC, family="vision", containerDefinitions=[APP]
    )
    assert made["taskDefinition"]["revision"] == 1


@given(count=st.integers(1, 25), size=st.integers(1, 10), falling=st.booleans())
def test_pages_hold_every_revision_once_in_order(count: int, size: int, falling: bool) -> None:
    rig = Rig()
    for _ in range(count):
        register(rig)
    seen: list[str] = []
    body: dict[str, Any] = {"maxResults": size, "sort": "DESC" if falling else "ASC"}
    while True:
        answer = rig.ecs("ListTaskDefinitions", **body)
        seen += answer["taskDefinitionArns"]
        if "nextToken" not in answer:
            break
        body["nextToken"] = answer["nextToken"]
    rig.close()
    numbers = [int(arn.rpartition(":")[2]) for arn in seen]
    assert numbers == sorted(range(1, count + 1), reverse=falling)


def test_registering_goes_on_at_one_a_second_after_twenty() -> None:
    rig = Rig(throttling=True)
    for _ in range(20):
        register(rig)
    with pytest.raises(AwsFault, match="ThrottlingException"):
        register(rig)
    rig.clock.advance(1)
    register(rig)
    rig.close()
