import re
from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import APAC, START, Rig

DAY = 86_400.0


def shown(rig: Rig, **body: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rig.ssm("DescribeActivations", **body)["ActivationList"]
    return found


def by(key: str, *values: str) -> list[dict[str, Any]]:
    return [{"FilterKey": key, "FilterValues": list(values)}]


def test_an_activation_has_an_id_and_a_code_that_is_shown_once(rig: Rig) -> None:
    made = rig.activation(DefaultInstanceName="store-042/cam-1")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["ActivationId"])
    assert len(made["ActivationCode"]) == 20
    assert made["ActivationCode"] not in repr(shown(rig))


def test_defaults_are_one_registration_within_a_day(rig: Rig) -> None:
    rig.activation()
    (one,) = shown(rig)
    assert (one["RegistrationLimit"], one["RegistrationsCount"]) == (1, 0)
    assert one["ExpirationDate"] == START + DAY
    assert one["Expired"] is False


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"IamRole": ""}, "IamRole can not be blank"),
        ({"RegistrationLimit": 0}, "between 1 and 1000"),
        ({"RegistrationLimit": 1001}, "between 1 and 1000"),
        ({"ExpirationDate": START}, "at most 30 days"),
        ({"ExpirationDate": START + 30 * DAY + 1}, "at most 30 days"),
        ({"DefaultInstanceName": "store#42"}, "defaultInstanceName"),
        ({"DefaultInstanceName": "x" * 257}, "has the length 257"),
        ({"RegistrationMetadata": [{"Key": "a", "Value": "b"}]}, "does not model"),
    ],
)
def test_what_aws_would_not_take_is_refused(rig: Rig, body: dict[str, Any], words: str) -> None:
    with pytest.raises(AwsFault, match=words):
        rig.activation(**body)
    assert shown(rig) == []


@pytest.mark.parametrize("name", ["store-042/cam-1", "Café Zürich: 1+1=2 @ home", "店"])
def test_names_may_hold_letters_of_every_script(rig: Rig, name: str) -> None:
    rig.activation(DefaultInstanceName=name)
    assert [one["DefaultInstanceName"] for one in shown(rig)] == [name]


def test_activations_are_found_by_id_name_and_role(rig: Rig) -> None:
    a = rig.activation(DefaultInstanceName="a")
    rig.activation(DefaultInstanceName="b", IamRole="other")
    assert [x["DefaultInstanceName"] for x in shown(rig, Filters=by("IamRole", "other"))] == ["b"]
    found = shown(rig, Filters=by("ActivationIds", a["ActivationId"]))
    assert [x["DefaultInstanceName"] for x in found] == ["a"]
    both = by("DefaultInstanceName", "a", "b") + by("IamRole", "other")
    assert [x["DefaultInstanceName"] for x in shown(rig, Filters=both)] == ["b"]


def test_an_unknown_filter_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="must be one of ActivationIds"):
        shown(rig, Filters=by("Colour", "red"))


def test_pages_hold_at_most_fifty(rig: Rig) -> None:
    ids = {rig.activation()["ActivationId"] for _ in range(51)}
    first = rig.ssm("DescribeActivations")
    rest = rig.ssm("DescribeActivations", NextToken=first["NextToken"])
    assert len(first["ActivationList"]) == 50
    pages = first["ActivationList"] + rest["ActivationList"]
    assert {x["ActivationId"] for x in pages} == ids
    with pytest.raises(AwsFault, match="between 1 and 50"):
        rig.ssm("DescribeActivations", MaxResults=51)
    with pytest.raises(AwsFault, match="InvalidNextToken"):
        rig.ssm("DescribeActivations", NextToken="x")


def test_a_registration_spends_one_use_and_inherits_name_and_tags(rig: Rig) -> None:
    tags = [{"Key": "fleet:store", "Value": "store-042"}]
    node = rig.spend(rig.activation(DefaultInstanceName="store-042/cam-1", Tags=tags))
    assert re.fullmatch(r"mi-[0-9a-f]{17}", node)
    assert shown(rig)[0]["RegistrationsCount"] == 1
    (info,) = rig.ssm("DescribeInstanceInformation")["InstanceInformationList"]
    assert (info["InstanceId"], info["Name"]) == (node, "store-042/cam-1")
    held = rig.ssm("ListTagsForResource", ResourceType="ManagedInstance", ResourceId=node)
    assert held["TagList"] == tags


def test_an_activation_is_used_up_at_its_limit(rig: Rig) -> None:
    activation = rig.activation(RegistrationLimit=2)
    assert rig.spend(activation) != rig.spend(activation)
    with pytest.raises(AwsFault, match="RegistrationLimitExceeded"):
        rig.spend(activation)


def test_an_expired_activation_registers_nobody(rig: Rig) -> None:
    activation = rig.activation(ExpirationDate=START + 600)
    rig.clock.advance(600)
    with pytest.raises(AwsFault, match="expired"):
        rig.spend(activation)
    assert shown(rig)[0]["Expired"] is True


def test_a_wrong_code_registers_nobody_and_is_not_repeated(rig: Rig) -> None:
    activation = rig.activation() | {"ActivationCode": "wrong-code-of-somebody"}
    with pytest.raises(AwsFault, match="InvalidActivation") as caught:
        rig.spend(activation)
    assert "wrong-code" not in str(caught.value)
    assert shown(rig)[0]["RegistrationsCount"] == 0


def test_an_activation_of_another_region_is_not_known(rig: Rig) -> None:
    elsewhere = rig.ssm("CreateActivation", IamRole="r", region="ap-southeast-1")
    with pytest.raises(AwsFault, match="InvalidActivation"):
        rig.spend(elsewhere)


def test_the_account_is_that_of_the_activation(rig: Rig) -> None:
    node = rig.spend(rig.ssm("CreateActivation", IamRole="r", account=APAC))
    assert rig.ssm("DescribeInstanceInformation")["InstanceInformationList"] == []
    (info,) = rig.ssm("DescribeInstanceInformation", account=APAC)["InstanceInformationList"]
    assert info["InstanceId"] == node


def test_a_deleted_activation_registers_nobody_and_leaves_its_nodes(rig: Rig) -> None:
    activation = rig.activation(RegistrationLimit=2)
    node = rig.spend(activation)
    rig.ssm("DeleteActivation", ActivationId=activation["ActivationId"])
    with pytest.raises(AwsFault, match="InvalidActivation"):
        rig.spend(activation)
    (info,) = rig.ssm("DescribeInstanceInformation")["InstanceInformationList"]
    assert (info["InstanceId"], info["ActivationId"]) == (node, activation["ActivationId"])


@pytest.mark.parametrize(
    ("given", "code"),
    [("00000000-0000-4000-8000-000000000000", "InvalidActivation"), ("x", "ValidationException")],
)
def test_deleting_what_is_not_there_says_so(rig: Rig, given: str, code: str) -> None:
    with pytest.raises(AwsFault) as caught:
        rig.ssm("DeleteActivation", ActivationId=given)
    assert caught.value.code == code


def test_a_token_is_given_to_the_same_machine_only(rig: Rig) -> None:
    node = rig.spend(rig.activation(), fingerprint="this")
    token = rig.session.request_role_token(instance_id=node, fingerprint="this")
    assert token.expires_at == START + 3600
    with pytest.raises(AwsFault, match="MachineFingerprintDoesNotMatch"):
        rig.session.request_role_token(instance_id=node, fingerprint="that")


def test_a_deregistered_node_gets_no_token(rig: Rig) -> None:
    host = rig.node()
    rig.ssm("DeregisterManagedInstance", InstanceId=host.node)
    with pytest.raises(AwsFault, match="AccessDeniedException"):
        rig.session.request_role_token(instance_id=host.node, fingerprint="f")
