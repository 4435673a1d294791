from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import Host, Rig

ASK = {"cluster": "store-042"}


def target(host: Host, name: str, value: str | None = None) -> dict[str, Any]:
    item = {"name": name, "targetType": "container-instance", "targetId": host.arn}
    return item if value is None else {**item, "value": value}


def listed(rig: Rig, **body: Any) -> list[tuple[str, str | None]]:
    answer = rig.ecs("ListAttributes", targetType="container-instance", **ASK, **body)
    return [(item["name"], item.get("value")) for item in answer["attributes"]]


def test_an_attribute_is_put_changed_and_deleted(rig: Rig) -> None:
    host = rig.host()
    rig.ecs("PutAttributes", attributes=[target(host, "fleet.store", "a")], **ASK)
    answer = rig.ecs("PutAttributes", attributes=[target(host, "fleet.store", "b")], **ASK)
    assert answer["attributes"] == [target(host, "fleet.store", "b")]
    assert listed(rig) == [("fleet.store", "b")]
    gone = rig.ecs("DeleteAttributes", attributes=[target(host, "fleet.store")], **ASK)
    assert gone["attributes"] == [target(host, "fleet.store", "b")]
    assert listed(rig) == []


def test_deleting_what_is_not_there_is_no_error(rig: Rig) -> None:
    host = rig.host()
    gone = rig.ecs("DeleteAttributes", attributes=[target(host, "fleet.store")], **ASK)
    assert gone == {"attributes": []}


def test_at_most_ten_attributes_go_in_a_call(rig: Rig) -> None:
    host = rig.host()
    many = [target(host, f"fleet.{number}", "x") for number in range(11)]
    with pytest.raises(AwsFault, match="more than 10 elements"):
        rig.ecs("PutAttributes", attributes=many, **ASK)


def test_an_instance_holds_at_most_ten_custom_attributes_and_the_call_is_all_or_nothing(
    rig: Rig,
) -> None:
    host = rig.host()
    nine = [target(host, f"fleet.{number}", "x") for number in range(9)]
    rig.ecs("PutAttributes", attributes=nine, **ASK)
    two_more = [target(host, "fleet.a", "x"), target(host, "fleet.b", "x")]
    with pytest.raises(AwsFault) as caught:
        rig.ecs("PutAttributes", attributes=two_more, **ASK)
    assert caught.value.code == "AttributeLimitExceededException"
    assert len(listed(rig)) == 9


def test_the_attributes_of_the_agent_do_not_count_and_cannot_be_changed(rig: Rig) -> None:
    capabilities = [{"name": f"ecs.capability.{number}"} for number in range(20)]
    host = rig.host(attributes=capabilities)
    rig.ecs("PutAttributes", attributes=[target(host, "fleet.store", "a")], **ASK)
    with pytest.raises(AwsFault, match="belongs to ECS"):
        rig.ecs("PutAttributes", attributes=[target(host, "ecs.os-type", "beos")], **ASK)


@pytest.mark.parametrize(
    ("name", "value"), [("with space", "a"), ("", "a"), ("a" * 129, "a"), ("a", "a" * 129)]
)
def test_names_and_values_have_their_letters_and_lengths(rig: Rig, name: str, value: str) -> None:
    host = rig.host()
    with pytest.raises(AwsFault, match="not valid"):
        rig.ecs("PutAttributes", attributes=[target(host, name, value)], **ASK)


def test_a_target_of_another_cluster_is_not_found(rig: Rig) -> None:
    rig.host()
    other = rig.host("store-043")
    with pytest.raises(AwsFault) as caught:
        rig.ecs("PutAttributes", attributes=[target(other, "fleet.store", "a")], **ASK)
    assert caught.value.code == "TargetNotFoundException"


def test_a_short_target_needs_its_type(rig: Rig) -> None:
    short = rig.host().arn.rpartition("/")[2]
    with pytest.raises(AwsFault, match="needs a targetType"):
        rig.ecs("PutAttributes", attributes=[{"name": "a", "targetId": short}], **ASK)


def test_attributes_are_listed_by_name_and_value_over_pages(rig: Rig) -> None:
    hosts = [rig.host(attributes=[{"name": "ring", "value": ring}]) for ring in "aab"]
    assert listed(rig, attributeName="ring", attributeValue="a") == [("ring", "a")] * 2
    first = rig.ecs("ListAttributes", targetType="container-instance", maxResults=2, **ASK)
    second = rig.ecs(
        "ListAttributes",
        targetType="container-instance",
        maxResults=2,
        nextToken=first["nextToken"],
        **ASK,
    )
    targets = [item["targetId"] for item in first["attributes"] + second["attributes"]]
    assert sorted(targets) == sorted(host.arn for host in hosts)


def test_a_value_without_a_name_cannot_be_listed(rig: Rig) -> None:
    rig.host()
    with pytest.raises(AwsFault, match="needs an attributeName"):
        listed(rig, attributeValue="a")


def test_instances_that_are_gone_have_no_attributes(rig: Rig) -> None:
    host = rig.host(attributes=[{"name": "ring", "value": "a"}])
    rig.ecs("DeregisterContainerInstance", containerInstance=host.arn, **ASK)
    assert listed(rig) == []


def test_clusters_and_container_instances_carry_tags(rig: Rig) -> None:
    host = rig.host()
    cluster = rig.ecs("DescribeClusters", clusters=["store-042"])["clusters"][0]["clusterArn"]
    for arn in (cluster, host.arn):
        rig.ecs("TagResource", resourceArn=arn, tags=[{"key": "a", "value": "1"}])
        rig.ecs("TagResource", resourceArn=arn, tags=[{"key": "b", "value": "2"}])
        rig.ecs("UntagResource", resourceArn=arn, tagKeys=["a", "never-there"])
        assert rig.ecs("ListTagsForResource", resourceArn=arn) == {
            "tags": [{"key": "b", "value": "2"}]
        }


@pytest.mark.parametrize(
    ("tags", "words"),
    [
        ([{"key": "aws:x", "value": ""}], "begins with aws:"),
        ([{"key": "", "value": ""}], "without a key"),
        ([{"key": "a", "value": "x" * 257}], "value has the length 257"),
        ([{"key": "a", "value": ""}, {"key": "a", "value": ""}], "given twice"),
        ([{"key": str(n), "value": ""} for n in range(51)], "tags has the length 51"),
    ],
)
def test_tags_that_aws_would_refuse_are_refused(
    rig: Rig, tags: list[dict[str, str]], words: str
) -> None:
    host = rig.host()
    with pytest.raises(AwsFault, match=words):
        rig.ecs("TagResource", resourceArn=host.arn, tags=tags)


def test_a_resource_has_at_most_fifty_tags(rig: Rig) -> None:
    host = rig.host()
    many = [{"key": str(number), "value": ""} for number in range(50)]
    rig.ecs("TagResource", resourceArn=host.arn, tags=many)
    with pytest.raises(AwsFault, match="51 tags"):
        rig.ecs("TagResource", resourceArn=host.arn, tags=[{"key": "one more", "value": ""}])


@pytest.mark.parametrize(
    "name", ["service/store-042/gone", "task/store-042/0", "task-definition/a:1", "task-set/a/b/c"]
)
def test_what_is_not_there_has_no_tags(rig: Rig, name: str) -> None:
    with pytest.raises(AwsFault, match=r"not found or inactive|keeps no tags"):
        rig.ecs("ListTagsForResource", resourceArn=f"arn:aws:ecs:eu-west-1:111122223333:{name}")
