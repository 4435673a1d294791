from datetime import UTC, datetime, timedelta

import pytest

from fleet.aws.account import get_caller_identity, instance_role_exists
from fleet.aws.activations import activations_named, find_activation
from fleet.aws.calls import CallCounter
from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import read_container_instances
from fleet.aws.managed_instances import (
    describe_managed_instances,
    managed_instance_tags,
    managed_instances_tagged,
    node_tier,
)
from fleet.aws.session import AwsAccess, Shard
from fleet.errors import AwsError
from fleet.model.observed import Ping
from tests.aws.canned import Canned, fault, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import EMEA, Rig

GHOST = "mi-" + "0" * 17
TAG = {"Key": "fleet:store", "Value": "store-042"}


def test_the_caller_is_who_sts_says(shard: Shard) -> None:
    seen = get_caller_identity(shard).value
    assert (seen.account_id, seen.arn) == (
        EMEA,
        f"arn:aws:sts::{EMEA}:assumed-role/fleet-operator/on-call",
    )


def test_a_reading_has_the_sandboxs_time(shard: Shard, rig: Rig) -> None:
    rig.clock.advance(3600)
    now = datetime.fromtimestamp(int(rig.clock.now()), UTC)
    assert get_caller_identity(shard).at == now


def test_clusters_come_by_name_with_tags_and_missing_ones_are_left_out(
    shard: Shard, rig: Rig
) -> None:
    tags = [{"key": "fleet:store", "value": "store-042"}]
    rig.ecs("CreateCluster", clusterName="store-042", tags=tags)
    found = describe_clusters(shard, ["store-042", "store-043"]).value
    assert list(found) == ["store-042"]
    assert (found["store-042"].status, found["store-042"].tags) == (
        "ACTIVE",
        {"fleet:store": "store-042"},
    )


@pytest.mark.parametrize("told", [[], ["store-042"]])
def test_an_answer_that_passes_clusters_over_does_not_say_that_they_are_gone(
    canned: Canned, open_shard: Open, told: list[str]
) -> None:
    arn = "arn:aws:ecs:eu-west-1:1:cluster/"
    clusters = [{"clusterName": n, "clusterArn": arn + n, "status": "ACTIVE"} for n in told]
    canned.answers = [reply({"clusters": clusters, "failures": []})]
    with pytest.raises(AwsError, match="passes over clusters"):
        describe_clusters(open_shard(), ["store-042", "store-043"], each=True)


def test_more_clusters_than_one_call_takes_go_in_several(shard: Shard, rig: Rig) -> None:
    names = [f"store-{n:03}" for n in range(230)]
    for name in names:
        rig.ecs("CreateCluster", clusterName=name)
    assert sorted(describe_clusters(shard, [*names, *names]).value) == names


def test_no_clusters_are_asked_for_without_a_name(sandbox_time: SandboxTime, rig: Rig) -> None:
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        assert describe_clusters(access.shard(ACCOUNT, REGION), []).value == {}
    assert counter.attempts == {}


def test_a_failure_that_is_not_missing_is_an_error(canned: Canned, open_shard: Open) -> None:
    failure = {"arn": "arn:aws:ecs:eu-west-1:1:cluster/a", "reason": "ACCESS_DENIED"}
    canned.answers = [reply({"clusters": [], "failures": [failure]})]
    with pytest.raises(AwsError, match="cluster/a: ACCESS_DENIED"):
        describe_clusters(open_shard(), ["a"])


def test_a_container_instance_is_read_whole(shard: Shard, rig: Rig) -> None:
    host = rig.host(attributes=[{"name": "fleet.store", "value": "store-042"}, {"name": "bare"}])
    rig.ecs("TagResource", resourceArn=host.arn, tags=[{"key": "a", "value": "b"}])
    (seen,) = read_container_instances(shard, "store-042").value
    assert (seen.arn, seen.cluster, seen.managed_instance_id) == (host.arn, "store-042", host.node)
    assert (seen.status, seen.agent_connected) == ("ACTIVE", True)
    assert (seen.attributes["fleet.store"], seen.attributes["bare"]) == ("store-042", "")
    assert seen.tags == {"a": "b"}
    assert seen.registered_at == datetime.fromtimestamp(rig.clock.now(), UTC)


def test_a_cluster_that_is_not_there_has_no_container_instances(shard: Shard) -> None:
    assert read_container_instances(shard, "nowhere").value == ()


def test_a_deregistered_container_instance_is_left_out(shard: Shard, rig: Rig) -> None:
    host = rig.host()
    rig.ecs("DeregisterContainerInstance", cluster="store-042", containerInstance=host.arn)
    assert read_container_instances(shard, "store-042").value == ()


def test_more_container_instances_than_a_page_holds_are_all_read(shard: Shard, rig: Rig) -> None:
    hosts = [rig.host() for _ in range(103)]
    seen = read_container_instances(shard, "store-042").value
    assert sorted(instance.arn for instance in seen) == sorted(host.arn for host in hosts)


def test_one_that_vanishes_while_being_read_is_left_out(canned: Canned, open_shard: Open) -> None:
    missing = {"arn": "arn:gone", "reason": "MISSING"}
    canned.answers = [
        reply({"containerInstanceArns": ["arn:gone"]}),
        reply({"containerInstances": [], "failures": [missing]}),
    ]
    assert read_container_instances(open_shard(), "a").value == ()


def test_the_nodes_of_a_store_are_found_by_its_tag(shard: Shard, rig: Rig) -> None:
    ours = rig.node(DefaultInstanceName="store-042/cam-1", Tags=[TAG])
    rig.node(DefaultInstanceName="store-043/cam-1")
    rig.ping(ours, AgentVersion="3.3.4108.0", ComputerName="cam-1")
    (seen,) = managed_instances_tagged(shard, "fleet:store", "store-042").value
    assert (seen.id, seen.name, seen.ping) == (ours.node, "store-042/cam-1", Ping.ONLINE)
    assert (seen.agent_version, seen.computer_name) == ("3.3.4108.0", "cam-1")
    assert seen.last_ping_at == datetime.fromtimestamp(rig.clock.now(), UTC)
    assert seen.activation_id


def test_the_nodes_of_a_tag_are_read_over_all_pages(shard: Shard, rig: Rig) -> None:
    tag = {"Key": "fleet:fleet", "Value": "shops"}
    nodes = [rig.node(Tags=[tag]) for _ in range(60)]
    for node in nodes:
        rig.ping(node)
    seen = managed_instances_tagged(shard, "fleet:fleet", "shops").value
    assert {node.id for node in seen} == {node.node for node in nodes}


def test_unknown_nodes_are_told_from_known_ones(shard: Shard, rig: Rig) -> None:
    nodes = [rig.node() for _ in range(3)]
    for node in nodes:
        rig.ping(node)
    asked = [nodes[0].node, GHOST, nodes[1].node, "mi-11111111111111111", nodes[2].node]
    seen = describe_managed_instances(shard, asked).value
    assert [node.id for node in seen.known] == [node.node for node in nodes]
    assert seen.unknown == (GHOST, "mi-11111111111111111")


def test_what_is_no_id_at_all_is_unknown_without_asking(canned: Canned, open_shard: Open) -> None:
    canned.answers = [fault("ValidationException")]
    seen = describe_managed_instances(open_shard(), ["", "i-0", "mi-xyz", "mi-\x1b[2J"]).value
    assert (seen.known, len(seen.unknown)) == ((), 4)
    assert canned.asked == []


def test_an_id_that_aws_neither_knows_nor_refuses_is_unknown(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [reply({"InstanceInformationList": []})]
    assert describe_managed_instances(open_shard(), [GHOST]).value.unknown == (GHOST,)


def test_one_unknown_node_among_many_costs_few_calls(sandbox_time: SandboxTime, rig: Rig) -> None:
    nodes = [rig.node() for _ in range(40)]
    for node in nodes:
        rig.ping(node)
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        asked = [GHOST, *(node.node for node in nodes)]
        seen = describe_managed_instances(access.shard(ACCOUNT, REGION), asked).value
    assert (len(seen.known), seen.unknown) == (40, (GHOST,))
    assert sum(counter.attempts.values()) < 15


def test_activations_are_found_by_name_and_show_how_far_they_are_used(
    shard: Shard, rig: Rig
) -> None:
    used = rig.activation(DefaultInstanceName="store-042/cam-1", Tags=[TAG])
    rig.spend(used)
    rig.activation(DefaultInstanceName="store-042/tel-1")
    rig.activation(DefaultInstanceName="store-043/cam-1")
    names = ["store-042/cam-1", "store-042/tel-1"]
    seen = {one.name: one for one in activations_named(shard, names).value}
    assert sorted(seen) == names
    cam = seen["store-042/cam-1"]
    assert (cam.id, cam.count, cam.limit) == (used["ActivationId"], 1, 1)
    assert cam.tags == {"fleet:store": "store-042"}
    assert cam.expires_at == datetime.fromtimestamp(rig.clock.now(), UTC) + timedelta(hours=24)


def test_an_expired_activation_is_still_seen(shard: Shard, rig: Rig) -> None:
    rig.activation(DefaultInstanceName="store-042/cam-1")
    rig.clock.advance(48 * 3600)
    (seen,) = activations_named(shard, ["store-042/cam-1"]).value
    assert seen.expires_at < datetime.fromtimestamp(rig.clock.now(), UTC)


def test_an_activation_whose_name_only_begins_alike_is_not_ours(
    canned: Canned, open_shard: Open
) -> None:
    one = {"ActivationId": "a", "DefaultInstanceName": "store-042/cam-10", "ExpirationDate": 1}
    canned.answers = [reply({"ActivationList": [one]})]
    assert activations_named(open_shard(), ["store-042/cam-1"]).value == ()


def test_an_activation_is_found_by_its_id(shard: Shard, rig: Rig) -> None:
    made = [rig.activation(DefaultInstanceName=f"store-042/cam-{n}") for n in (1, 2)]
    seen = find_activation(shard, made[1]["ActivationId"]).value
    assert seen is not None
    assert seen.name == "store-042/cam-2"


def test_an_activation_that_is_not_there_is_none(shard: Shard) -> None:
    assert find_activation(shard, "6f1e1ab9-2d1c-4c3d-9f0a-0b6f6a6d2a11").value is None


def test_the_tier_says_how_much_room_there_is(shard: Shard, rig: Rig) -> None:
    for _ in range(52):
        rig.node()
    tier = node_tier(shard).value
    assert (tier.tier, tier.nodes, tier.limit) == ("standard", 52, 1000)


def test_the_advanced_tier_has_no_limit(shard: Shard, rig: Rig) -> None:
    rig.ssm(
        "UpdateServiceSetting",
        SettingId="/ssm/managed-instance/activation-tier",
        SettingValue="advanced",
    )
    tier = node_tier(shard).value
    assert (tier.tier, tier.limit) == ("advanced", None)


def test_the_tags_of_a_node_are_read(shard: Shard, rig: Rig) -> None:
    node = rig.node(Tags=[TAG])
    assert managed_instance_tags(shard, node.node).value == {"fleet:store": "store-042"}


def test_a_node_that_is_not_known_has_no_tags(shard: Shard) -> None:
    assert managed_instance_tags(shard, GHOST).value == {}


ROLE = b"""<GetRoleResponse><GetRoleResult><Role><RoleName>r</RoleName></Role></GetRoleResult>
</GetRoleResponse>"""
NO_ROLE = b"""<ErrorResponse><Error><Code>NoSuchEntity</Code><Message>no</Message></Error>
</ErrorResponse>"""


def test_the_instance_role_is_there_or_not(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply(ROLE, content_type="text/xml"),
        reply(NO_ROLE, 404, content_type="text/xml"),
    ]
    shard = open_shard()
    assert instance_role_exists(shard, "r").value
    assert not instance_role_exists(shard, "r").value


def test_the_same_page_again_and_again_is_an_error(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({"containerInstanceArns": [], "nextToken": "t"})]
    with pytest.raises(AwsError, match="same page again"):
        read_container_instances(open_shard(), "a")


def test_a_reading_of_several_pages_is_as_old_as_the_first(
    canned: Canned, open_shard: Open
) -> None:
    first, second = "Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:05:00 GMT"
    canned.answers = [
        reply({"containerInstanceArns": [], "nextToken": "t"}, date=first),
        reply({"containerInstanceArns": []}, date=second),
    ]
    reading = read_container_instances(open_shard(), "a")
    assert reading.at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_what_a_host_says_of_itself_cannot_write_to_the_terminal(
    canned: Canned, open_shard: Open
) -> None:
    node = {"InstanceId": GHOST, "PingStatus": "Online", "ComputerName": "\x1b[2Jcam\u202e"}
    canned.answers = [reply({"InstanceInformationList": [node]})]
    (seen,) = managed_instances_tagged(open_shard(), "fleet:store", "store-042").value
    assert seen.computer_name == "[2Jcam"
