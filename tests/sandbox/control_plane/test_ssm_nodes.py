from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import START, Rig


def info(rig: Rig, *filters: tuple[str, list[str]], **body: Any) -> list[dict[str, Any]]:
    if filters:
        body["Filters"] = [{"Key": key, "Values": values} for key, values in filters]
    found: list[dict[str, Any]] = rig.ssm("DescribeInstanceInformation", **body)[
        "InstanceInformationList"
    ]
    return found


def test_a_node_is_online_while_it_pings_and_lost_after_fifteen_minutes(rig: Rig) -> None:
    host = rig.node()
    assert info(rig)[0]["PingStatus"] == "ConnectionLost"
    assert "LastPingDateTime" not in info(rig)[0]
    rig.ping(host)
    rig.clock.advance(900)
    assert info(rig)[0]["PingStatus"] == "Online"
    rig.clock.advance(1)
    assert info(rig)[0]["PingStatus"] == "ConnectionLost"
    assert info(rig)[0]["LastPingDateTime"] == START


def test_a_ping_that_says_less_does_not_forget_what_was_said(rig: Rig) -> None:
    host = rig.node()
    rig.ping(host, AgentVersion="3.3.0.0", PlatformName="Ubuntu", ComputerName="cam-1")
    rig.ping(host, AgentVersion="3.3.1.0")
    assert info(rig)[0]["AgentVersion"] == "3.3.1.0"
    assert info(rig)[0]["ComputerName"] == "cam-1"


def test_a_node_cannot_ping_for_another(rig: Rig) -> None:
    one, other = rig.node(), rig.node()
    with pytest.raises(AwsFault, match="AccessDeniedException"):
        rig.session.update_instance_information(one.token, {"InstanceId": other.node})


def test_a_deregistered_node_is_gone_and_cannot_ping(rig: Rig) -> None:
    host = rig.node()
    rig.ssm("DeregisterManagedInstance", InstanceId=host.node)
    assert info(rig) == []
    with pytest.raises(AwsFault, match="InvalidInstanceId"):
        rig.ping(host)
    with pytest.raises(AwsFault, match="InvalidInstanceId"):
        rig.ssm("DeregisterManagedInstance", InstanceId=host.node)


def test_deregistering_in_ssm_does_not_tell_ecs(rig: Rig) -> None:
    host = rig.host()
    rig.ssm("DeregisterManagedInstance", InstanceId=host.node)
    assert rig.seen(host)["status"] == "ACTIVE"


def test_pages_are_of_ten_and_hold_every_node_once(rig: Rig) -> None:
    activation = rig.activation(RegistrationLimit=25)
    nodes = {rig.spend(activation) for _ in range(25)}
    seen: list[str] = []
    token: dict[str, str] = {}
    sizes = []
    while True:
        answer = rig.ssm("DescribeInstanceInformation", **token)
        sizes.append(len(answer["InstanceInformationList"]))
        seen += [node["InstanceId"] for node in answer["InstanceInformationList"]]
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}
    assert sizes == [10, 10, 5]
    assert sorted(seen) == sorted(nodes)


@pytest.mark.parametrize("size", [4, 51])
def test_a_page_holds_five_to_fifty(rig: Rig, size: int) -> None:
    with pytest.raises(AwsFault, match="between 5 and 50"):
        info(rig, MaxResults=size)


def test_nodes_are_found_by_what_they_are(rig: Rig) -> None:
    a, b = rig.node(), rig.node(IamRole="other")
    rig.ping(a, AgentVersion="3.3.0.0", PlatformType="Linux")
    assert [n["InstanceId"] for n in info(rig, ("InstanceIds", [b.node]))] == [b.node]
    assert [n["InstanceId"] for n in info(rig, ("PingStatus", ["Online"]))] == [a.node]
    assert [n["InstanceId"] for n in info(rig, ("IamRole", ["other"]))] == [b.node]
    assert [n["InstanceId"] for n in info(rig, ("PlatformTypes", ["Linux"]))] == [a.node]
    assert len(info(rig, ("ResourceType", ["ManagedInstance"]))) == 2
    assert info(rig, ("ResourceType", ["EC2Instance"])) == []
    activation = info(rig, ("InstanceIds", [a.node]))[0]["ActivationId"]
    found = info(rig, ("ActivationIds", [activation]), ("PingStatus", ["Online"]))
    assert [n["InstanceId"] for n in found] == [a.node]


def test_nodes_are_found_by_a_tag_whose_name_holds_a_colon(rig: Rig) -> None:
    host = rig.node(Tags=[{"Key": "fleet:store", "Value": "store-042"}])
    rig.node(Tags=[{"Key": "fleet:store", "Value": "store-043"}])
    rig.node()
    found = info(rig, ("tag:fleet:store", ["store-042"]))
    assert [n["InstanceId"] for n in found] == [host.node]
    assert len(info(rig, ("tag-key", ["fleet:store"]))) == 2


def test_a_tag_filter_goes_with_no_other(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="can not be combined"):
        info(rig, ("tag:a", ["b"]), ("PingStatus", ["Online"]))


def test_one_unknown_id_fails_the_whole_call(rig: Rig) -> None:
    host = rig.node()
    with pytest.raises(AwsFault, match="InvalidInstanceId: Instance mi-0"):
        info(rig, ("InstanceIds", [host.node, "mi-0"]))


@pytest.mark.parametrize(
    ("key", "values", "code"),
    [
        ("Colour", ["red"], "InvalidFilterKey"),
        ("PingStatus", [], "ValidationException"),
        ("PingStatus", [1], "ValidationException"),
    ],
)
def test_filters_that_make_no_sense_are_refused(
    rig: Rig, key: str, values: list[Any], code: str
) -> None:
    with pytest.raises(AwsFault) as caught:
        info(rig, (key, values))
    assert caught.value.code == code


def test_nodes_carry_tags(rig: Rig) -> None:
    ask = {"ResourceType": "ManagedInstance", "ResourceId": rig.spend(rig.activation())}
    rig.ssm("AddTagsToResource", Tags=[{"Key": "a", "Value": "1"}], **ask)
    rig.ssm("AddTagsToResource", Tags=[{"Key": "b", "Value": "2"}], **ask)
    rig.ssm("RemoveTagsFromResource", TagKeys=["a"], **ask)
    assert rig.ssm("ListTagsForResource", **ask) == {"TagList": [{"Key": "b", "Value": "2"}]}


@pytest.mark.parametrize(
    ("kind", "key", "code"),
    [("ManagedInstance", "mi-0", "InvalidResourceId"), ("Fridge", "x", "ValidationException")],
)
def test_tags_of_what_is_not_there_are_refused(rig: Rig, kind: str, key: str, code: str) -> None:
    with pytest.raises(AwsFault) as caught:
        rig.ssm("ListTagsForResource", ResourceType=kind, ResourceId=key)
    assert caught.value.code == code


def test_a_node_has_at_most_fifty_tags(rig: Rig) -> None:
    ask = {"ResourceType": "ManagedInstance", "ResourceId": rig.node().node}
    many = [{"Key": str(number), "Value": ""} for number in range(50)]
    rig.ssm("AddTagsToResource", Tags=many, **ask)
    with pytest.raises(AwsFault, match="TooManyTagsError"):
        rig.ssm("AddTagsToResource", Tags=[{"Key": "one more", "Value": ""}], **ask)


@pytest.mark.parametrize("action", ["StartSession", "CreateAssociation", "CreateOpsItem"])
def test_what_moto_would_fake_is_refused(rig: Rig, action: str) -> None:
    with pytest.raises(AwsFault, match=f"does not model ssm:{action}"):
        rig.ssm(action)
