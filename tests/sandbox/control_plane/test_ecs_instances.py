import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import START, Rig

ASK = {"cluster": "store-042"}


def test_describe_shows_what_an_external_instance_is(rig: Rig) -> None:
    host = rig.host()
    seen = rig.seen(host)
    assert seen["ec2InstanceId"] == host.node
    assert seen["versionInfo"] == {"agentVersion": "1.105.1", "dockerVersion": "24.0.7"}
    assert seen["agentConnected"] is True
    assert seen["registeredAt"] == START
    assert seen["runningTasksCount"] == 0


def test_an_instance_is_found_by_its_short_id_too(rig: Rig) -> None:
    host = rig.host()
    short = host.arn.rpartition("/")[2]
    answer = rig.ecs("DescribeContainerInstances", containerInstances=[short], **ASK)
    assert answer["containerInstances"][0]["containerInstanceArn"] == host.arn


def test_an_instance_of_another_cluster_is_missing(rig: Rig) -> None:
    host = rig.host("store-043")
    rig.host("store-042")
    answer = rig.ecs("DescribeContainerInstances", containerInstances=[host.arn], **ASK)
    assert answer == {
        "containerInstances": [],
        "failures": [{"arn": host.arn, "reason": "MISSING"}],
    }


@pytest.mark.parametrize(("count", "words"), [(0, "cannot be empty"), (101, "more than 100")])
def test_describe_takes_one_to_a_hundred(rig: Rig, count: int, words: str) -> None:
    rig.host()
    with pytest.raises(AwsFault, match=words):
        rig.ecs("DescribeContainerInstances", containerInstances=["i"] * count, **ASK)


def test_health_is_shown_when_it_is_asked_for(rig: Rig) -> None:
    host = rig.host()
    assert "healthStatus" not in rig.seen(host)
    health = rig.seen(host, include=["CONTAINER_INSTANCE_HEALTH"])["healthStatus"]
    assert health["overallStatus"] == "OK"
    host.agent.up = False
    rig.clock.advance(600)
    health = rig.seen(host, include=["CONTAINER_INSTANCE_HEALTH"])["healthStatus"]
    assert health["overallStatus"] == "INSUFFICIENT_DATA"


def test_an_unknown_include_is_refused(rig: Rig) -> None:
    host = rig.host()
    with pytest.raises(AwsFault, match=r"include.*has the value 'NOSUCH'"):
        rig.seen(host, include=["NOSUCH"])


def test_inactive_instances_are_described_but_not_listed(rig: Rig) -> None:
    gone, left = rig.host(), rig.host()
    rig.ecs("DeregisterContainerInstance", containerInstance=gone.arn, force=True, **ASK)
    assert rig.ecs("ListContainerInstances", **ASK) == {"containerInstanceArns": [left.arn]}
    assert rig.seen(gone)["status"] == "INACTIVE"
    assert rig.seen(gone)["agentConnected"] is False


def test_listing_can_be_narrowed_by_status(rig: Rig) -> None:
    draining, _ = rig.host(), rig.host()
    rig.ecs(
        "UpdateContainerInstancesState",
        containerInstances=[draining.arn],
        status="DRAINING",
        **ASK,
    )
    found = rig.ecs("ListContainerInstances", status="DRAINING", **ASK)
    assert found["containerInstanceArns"] == [draining.arn]


def test_listing_can_be_narrowed_by_a_query(rig: Rig) -> None:
    arm = rig.host(attributes=[{"name": "ecs.cpu-architecture", "value": "arm64"}])
    rig.host(attributes=[{"name": "ecs.cpu-architecture", "value": "x86_64"}])
    query = "attribute:ecs.cpu-architecture == arm64 and agentConnected == true"
    found = rig.ecs("ListContainerInstances", filter=query, **ASK)
    assert found["containerInstanceArns"] == [arm.arn]


def test_a_query_that_cannot_be_read_is_refused(rig: Rig) -> None:
    rig.host()
    with pytest.raises(AwsFault, match="Invalid cluster query expression"):
        rig.ecs("ListContainerInstances", filter="attribute:x ==", **ASK)


def test_a_page_token_belongs_to_its_question(rig: Rig) -> None:
    for _ in range(3):
        rig.host()
    token = rig.ecs("ListContainerInstances", maxResults=1, **ASK)["nextToken"]
    rest = rig.ecs("ListContainerInstances", maxResults=2, nextToken=token, **ASK)
    assert len(rest["containerInstanceArns"]) == 2
    for other in (
        {"nextToken": token, "status": "ACTIVE"},
        {"nextToken": "nonsense"},
        {"nextToken": "W10="},
    ):
        with pytest.raises(AwsFault, match="token is not valid"):
            rig.ecs("ListContainerInstances", **ASK, **other)


def test_draining_and_back_changes_the_version(rig: Rig) -> None:
    host = rig.host()
    before = rig.seen(host)["version"]
    for status in ("DRAINING", "DRAINING", "ACTIVE"):
        rig.ecs(
            "UpdateContainerInstancesState", containerInstances=[host.arn], status=status, **ASK
        )
        assert rig.seen(host)["status"] == status
    assert rig.seen(host)["version"] == before + 2


def test_at_most_ten_change_their_state_in_a_call(rig: Rig) -> None:
    rig.host()
    with pytest.raises(AwsFault, match="more than 10"):
        rig.ecs(
            "UpdateContainerInstancesState",
            containerInstances=["i"] * 11,
            status="DRAINING",
            **ASK,
        )


def test_the_state_of_an_inactive_instance_is_a_failure(rig: Rig) -> None:
    host = rig.host()
    rig.ecs("DeregisterContainerInstance", containerInstance=host.arn, **ASK)
    answer = rig.ecs(
        "UpdateContainerInstancesState", containerInstances=[host.arn], status="ACTIVE", **ASK
    )
    assert answer["failures"] == [{"arn": host.arn, "reason": "INACTIVE"}]


def test_what_is_not_there_cannot_be_deregistered(rig: Rig) -> None:
    host = rig.host()
    with pytest.raises(AwsFault, match="InvalidParameterException: Referenced container instance"):
        rig.ecs("DeregisterContainerInstance", containerInstance="0" * 32, **ASK)
    rig.ecs("DeregisterContainerInstance", containerInstance=host.arn, **ASK)
    with pytest.raises(AwsFault, match=r"ClientException: .* is inactive"):
        rig.ecs("DeregisterContainerInstance", containerInstance=host.arn, **ASK)
