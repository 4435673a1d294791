from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fleet.aws.activations import (
    create_activation,
)
from fleet.aws.calls import CallCounter
from fleet.aws.interning import Interner
from fleet.aws.managed_instances import (
    activation_tier,
    deregister_managed_instance,
    describe_managed_instances,
    ids_tagged,
    ids_tagged_among,
    list_managed_instances,
    managed_instance_tags,
    managed_instances_tagged,
    node_tier,
    tag_managed_instance,
)
from fleet.aws.session import AwsAccess, Shard
from fleet.model.observed import Activation, Ping
from fleet.model.secret import Secret
from tests.aws.canned import Canned, fault, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig

TAG = {"Key": "fleet:store", "Value": "store-042"}
GHOST = "mi-" + "0" * 17
HOST = "store-042/cam-1"
TAGS = {"fleet:store": "store-042", "fleet:host": HOST}


def activate(shard: Shard, clock: SandboxTime) -> tuple[Activation, Secret]:
    return create_activation(
        shard,
        role="ecsAnywhereRole",
        name=HOST,
        expires_in_s=3600,
        tags=TAGS,
        now=clock.now(),
    )


FLEET_TAG = {"Key": "fleet:fleet", "Value": "emea"}


@pytest.fixture
def interner() -> Interner:
    return Interner()


@pytest.fixture
def asked(sandbox_time: SandboxTime) -> Iterator[Shard]:
    """A shard of its own, whose calls are counted from nothing."""
    with AwsAccess(sandbox_time) as access:
        yield access.shard(ACCOUNT, REGION)


def calls(shard: Shard) -> dict[str, int]:
    """Calls by name, without those that looked at the cluster first."""
    return {
        action.partition(":")[2]: count
        for action, count in shard.counter.attempts.items()
        if action != "ecs:DescribeClusters"
    }


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


def test_what_a_host_says_of_itself_cannot_write_to_the_terminal(
    canned: Canned, open_shard: Open
) -> None:
    node = {"InstanceId": GHOST, "PingStatus": "Online", "ComputerName": "\x1b[2Jcam\u202e"}
    canned.answers = [reply({"InstanceInformationList": [node]})]
    (seen,) = managed_instances_tagged(open_shard(), "fleet:store", "store-042").value
    assert seen.computer_name == "[2Jcam"


def test_the_code_of_an_activation_lets_a_host_register(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig
) -> None:
    made, code = activate(shard, sandbox_time)
    node = rig.spend({"ActivationId": made.id, "ActivationCode": code.reveal()})
    assert managed_instance_tags(shard, node).value == TAGS


def test_deregistering_a_node_twice_is_no_error(shard: Shard, rig: Rig) -> None:
    node = rig.node().node
    assert deregister_managed_instance(shard, node)
    assert not deregister_managed_instance(shard, node)
    assert describe_managed_instances(shard, [node]).value.unknown == (node,)


def test_a_node_is_tagged(shard: Shard, rig: Rig) -> None:
    node = rig.node().node
    tag_managed_instance(shard, node, TAGS)
    assert managed_instance_tags(shard, node).value == TAGS


def test_every_node_is_read_whosever_it_is(shard: Shard, rig: Rig, interner: Interner) -> None:
    ours = rig.node(DefaultInstanceName="store-042/cam-1", Tags=[FLEET_TAG])
    theirs = rig.node(DefaultInstanceName="theirs")
    for host in (ours, theirs):
        rig.ping(host)
    seen = list_managed_instances(shard, interner).value
    assert {(node.name, node.ping) for node in seen} == {
        ("store-042/cam-1", Ping.ONLINE),
        ("theirs", Ping.ONLINE),
    }


def test_tagged_nodes_are_told_by_id_a_call_per_fifty(asked: Shard, rig: Rig) -> None:
    ours = {rig.node(Tags=[FLEET_TAG]).node for _ in range(51)}
    rig.node()
    assert ids_tagged(asked, "fleet:fleet", "emea").value == ours
    assert calls(asked) == {"DescribeInstanceInformation": 2}


def test_nodes_of_some_stores_are_found_by_their_tags_in_one_call(asked: Shard, rig: Rig) -> None:
    def node(store: str) -> str:
        return str(rig.node(Tags=[{"Key": "fleet:store", "Value": store}]).node)

    ours = {node("store-001"), node("store-002")}
    node("store-003")
    rig.node()
    told = managed_instances_tagged(asked, "fleet:store", "store-001", "store-002")
    assert {one.id for one in told.value} == ours
    assert calls(asked) == {"DescribeInstanceInformation": 1}


def test_more_stores_than_a_filter_takes_are_several_calls(asked: Shard, rig: Rig) -> None:
    ids = [f"s{n}" for n in range(101)]
    assert managed_instances_tagged(asked, "fleet:store", *ids).value == ()
    assert calls(asked) == {"DescribeInstanceInformation": 2}


def test_which_of_some_nodes_are_tagged_is_a_call_each(asked: Shard, rig: Rig) -> None:
    ours, theirs, gone = rig.node(Tags=[FLEET_TAG]).node, rig.node().node, "mi-0123456789abcdef0"
    told = ids_tagged_among(asked, "fleet:fleet", "emea", [ours, theirs, gone])
    assert told.value == {ours}
    assert calls(asked) == {"ListTagsForResource": 3}


def test_the_tier_is_told_in_one_call(asked: Shard, rig: Rig) -> None:
    assert activation_tier(asked).value == "standard"
    assert calls(asked) == {"GetServiceSetting": 1}
