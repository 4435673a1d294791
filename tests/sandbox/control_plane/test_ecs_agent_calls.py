import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import APAC, Rig

CAPABILITIES = [
    {"name": "ecs.capability.external"},
    {"name": "ecs.cpu-architecture", "value": "arm64"},
]


@pytest.fixture(autouse=True)
def cluster(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="store-042")


def attributes_of(instance: dict[str, list[dict[str, str]]]) -> dict[str, str | None]:
    return {item["name"]: item.get("value") for item in instance["attributes"]}


def test_the_node_is_known_by_its_credentials_alone(rig: Rig) -> None:
    host = rig.node()
    made = rig.join(host, attributes=CAPABILITIES)
    assert made["ec2InstanceId"] == host.node
    assert made["status"] == "ACTIVE"
    assert made["agentConnected"] is False


def test_every_attribute_comes_back_as_it_was_sent(rig: Rig) -> None:
    made = rig.join(rig.node(), attributes=CAPABILITIES)
    for attribute in CAPABILITIES:
        assert attribute in made["attributes"]


def test_resources_and_tags_are_kept(rig: Rig) -> None:
    host = rig.node()
    rig.join(
        host,
        totalResources=[{"name": "CPU", "type": "INTEGER", "integerValue": 6144}],
        tags=[{"key": "fleet:store", "value": "store-042"}],
    )
    seen = rig.seen(host, include=["TAGS"])
    assert seen["registeredResources"][0]["integerValue"] == 6144
    assert seen["tags"] == [{"key": "fleet:store", "value": "store-042"}]


def test_registering_again_without_the_arn_makes_a_twin(rig: Rig) -> None:
    host = rig.node()
    first = rig.join(host, clientToken="one")
    second = rig.join(host, clientToken="two")
    assert first["containerInstanceArn"] != second["containerInstanceArn"]
    assert first["ec2InstanceId"] == second["ec2InstanceId"]


def test_the_same_client_token_is_the_same_registration(rig: Rig) -> None:
    host = rig.node()
    first = rig.join(host, clientToken="one")
    second = rig.join(host, clientToken="one")
    assert first["containerInstanceArn"] == second["containerInstanceArn"]


def test_registering_again_with_the_arn_keeps_custom_attributes_and_takes_new_capabilities(
    rig: Rig,
) -> None:
    host = rig.node()
    made = rig.join(host, attributes=[*CAPABILITIES, {"name": "fleet.store", "value": "a"}])
    again = rig.join(
        host,
        containerInstanceArn=made["containerInstanceArn"],
        attributes=[{"name": "ecs.capability.full-sync"}],
    )
    assert again["containerInstanceArn"] == made["containerInstanceArn"]
    assert attributes_of(again) == {"ecs.capability.full-sync": None, "fleet.store": "a"}


def test_custom_attributes_of_a_later_registration_do_not_count(rig: Rig) -> None:
    host = rig.node()
    made = rig.join(host, attributes=[{"name": "fleet.store", "value": "a"}])
    again = rig.join(
        host,
        containerInstanceArn=made["containerInstanceArn"],
        attributes=[{"name": "fleet.store", "value": "b"}],
    )
    assert attributes_of(again) == {"fleet.store": "a"}


def test_an_inactive_instance_cannot_register_again(rig: Rig) -> None:
    host = rig.node()
    arn = rig.join(host)["containerInstanceArn"]
    rig.ecs("DeregisterContainerInstance", cluster="store-042", containerInstance=arn)
    with pytest.raises(AwsFault, match="ClientException: The container instance is inactive"):
        rig.join(host, containerInstanceArn=arn)


def test_a_host_cannot_take_over_the_instance_of_another(rig: Rig) -> None:
    arn = rig.join(rig.node())["containerInstanceArn"]
    with pytest.raises(AwsFault, match="belongs to another"):
        rig.join(rig.node(), containerInstanceArn=arn)


def test_a_cluster_that_is_not_there_is_a_client_exception_for_agents(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="ClientException: Cluster not found"):
        rig.join(rig.node(), cluster="store-999")


def test_a_person_cannot_register_a_container_instance(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="identity document"):
        rig.ecs("RegisterContainerInstance", cluster="store-042")


def test_a_host_cannot_do_what_its_role_does_not_allow(rig: Rig) -> None:
    host = rig.node()
    with pytest.raises(AwsFault, match=r"not authorized to perform: ssm:CreateActivation"):
        rig.plane.call(
            "ssm",
            "CreateActivation",
            {"IamRole": "r"},
            region="eu-west-1",
            access_key=host.token.access_key_id,
        )


def test_the_token_of_a_host_ends_after_an_hour(rig: Rig) -> None:
    host = rig.node()
    rig.clock.advance(3599)
    rig.join(host)
    rig.clock.advance(1)
    with pytest.raises(AwsFault, match="ExpiredTokenException"):
        rig.join(host)


def test_more_than_ten_custom_attributes_are_refused(rig: Rig) -> None:
    many = [{"name": f"fleet.{number}", "value": "x"} for number in range(11)]
    rig.join(rig.node(), attributes=[*CAPABILITIES, *many[:10]])
    with pytest.raises(AwsFault, match="more than 10 custom attributes"):
        rig.join(rig.node(), attributes=many)


def test_an_instance_belongs_to_the_account_of_its_node(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="store-042", account=APAC)
    made = rig.join(rig.node())
    assert APAC not in made["containerInstanceArn"]


def test_agents_are_told_the_address_of_the_server(rig: Rig) -> None:
    host = rig.node()
    body = {"cluster": "store-042", "containerInstance": "x", "zoneId": ""}
    ask = {"region": "eu-west-1", "access_key": host.token.access_key_id}
    with pytest.raises(AwsFault, match="no HTTP server"):
        rig.plane.call("ecs", "DiscoverPollEndpoint", body, **ask)
    rig.plane.endpoint = "http://127.0.0.1:1"
    assert rig.plane.call("ecs", "DiscoverPollEndpoint", body, **ask) == {
        "endpoint": "http://127.0.0.1:1/acs/",
        "telemetryEndpoint": "http://127.0.0.1:1/tacs/",
    }
