import json
from datetime import timedelta

import pytest

from fleet.aws.activations import activations_named, create_activation, delete_activation
from fleet.aws.clusters import create_cluster, describe_clusters
from fleet.aws.container_instances import (
    delete_attributes,
    deregister_container_instance,
    put_attributes,
    read_container_instances,
)
from fleet.aws.managed_instances import (
    deregister_managed_instance,
    describe_managed_instances,
    managed_instance_tags,
    tag_managed_instance,
)
from fleet.aws.session import Shard
from fleet.aws.tags import tag_resource
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.observed import Activation
from fleet.model.secret import Secret
from tests.aws.canned import Canned, reply
from tests.aws.conftest import Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig

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


def test_a_cluster_is_made_with_its_tags(shard: Shard) -> None:
    made = create_cluster(shard, "store-042", TAGS)
    assert (made.name, made.status) == ("store-042", "ACTIVE")
    assert describe_clusters(shard, ["store-042"]).value["store-042"].tags == TAGS


def test_a_cluster_that_is_there_is_left_as_it_is(shard: Shard) -> None:
    first = create_cluster(shard, "store-042", TAGS)
    assert create_cluster(shard, "store-042", TAGS).arn == first.arn


def test_a_cluster_is_made_once_when_the_answer_was_lost(shard: Shard, rig: Rig) -> None:
    rig.plane.faults.add("ecs", "CreateCluster", "ConnectionReset", when="after")
    create_cluster(shard, "store-042", TAGS)
    assert len(rig.ecs("ListClusters")["clusterArns"]) == 1


def test_an_activation_is_for_one_host_and_a_short_time(
    shard: Shard, sandbox_time: SandboxTime
) -> None:
    made, _ = activate(shard, sandbox_time)
    (seen,) = activations_named(shard, [HOST]).value
    assert (seen.id, seen.limit, seen.count, seen.tags) == (made.id, 1, 0, TAGS)
    assert seen.expires_at == sandbox_time.now() + timedelta(hours=1) == made.expires_at


def test_the_code_of_an_activation_lets_a_host_register(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig
) -> None:
    made, code = activate(shard, sandbox_time)
    node = rig.spend({"ActivationId": made.id, "ActivationCode": code.reveal()})
    assert managed_instance_tags(shard, node).value == TAGS


def test_the_code_shows_nowhere(shard: Shard, sandbox_time: SandboxTime) -> None:
    made, code = activate(shard, sandbox_time)
    assert code.reveal() not in f"{made!r} {code!r} {code} {shard!r}"


@pytest.mark.parametrize(
    ("code", "status"), [("ConnectionReset", 500), ("InternalServerError", 500)]
)
def test_an_activation_whose_answer_was_lost_is_found_by_name_and_deleted(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig, code: str, status: int
) -> None:
    rig.plane.faults.add("ssm", "CreateActivation", code, status, when="after")
    with pytest.raises(AwsUnreachable, match="unknown"):
        activate(shard, sandbox_time)
    (orphan,) = activations_named(shard, [HOST]).value
    assert delete_activation(shard, orphan.id)
    assert activations_named(shard, [HOST]).value == ()


def test_deleting_an_activation_twice_is_no_error(shard: Shard, sandbox_time: SandboxTime) -> None:
    made, _ = activate(shard, sandbox_time)
    assert delete_activation(shard, made.id)
    assert not delete_activation(shard, made.id)


def test_deleting_what_never_was_an_activation_is_no_error(shard: Shard) -> None:
    assert not delete_activation(shard, "6f1e1ab9-2d1c-4c3d-9f0a-0b6f6a6d2a11")


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_lost_answer_to_a_deletion_is_asked_for_again(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig, when: str
) -> None:
    made, _ = activate(shard, sandbox_time)
    rig.plane.faults.add("ssm", "DeleteActivation", "ConnectionReset", when=when)  # type: ignore[arg-type]
    delete_activation(shard, made.id)
    assert activations_named(shard, [HOST]).value == ()


def test_a_deletion_that_is_refused_says_so(
    shard: Shard, sandbox_time: SandboxTime, rig: Rig
) -> None:
    made, _ = activate(shard, sandbox_time)
    rig.plane.faults.add("ssm", "DeleteActivation", "ValidationException", 400)
    with pytest.raises(AwsError, match="ValidationException"):
        delete_activation(shard, made.id)


def test_deregistering_a_node_twice_is_no_error(shard: Shard, rig: Rig) -> None:
    node = rig.node().node
    assert deregister_managed_instance(shard, node)
    assert not deregister_managed_instance(shard, node)
    assert describe_managed_instances(shard, [node]).value.unknown == (node,)


def test_attributes_are_set_beside_the_ones_that_are_there(shard: Shard, rig: Rig) -> None:
    host = rig.host(attributes=[{"name": "old", "value": "kept"}, {"name": "ring", "value": "a"}])
    put_attributes(shard, "store-042", host.arn, {"ring": "b", "bare": ""})
    (seen,) = read_container_instances(shard, "store-042").value
    assert (seen.attributes["old"], seen.attributes["ring"], seen.attributes["bare"]) == (
        "kept",
        "b",
        "",
    )


def test_no_attributes_are_no_call(shard: Shard, rig: Rig) -> None:
    put_attributes(shard, "nowhere", "arn:none", {})
    tag_resource(shard, "arn:none", {})
    tag_managed_instance(shard, "mi-none", {})
    assert sum(rig.plane.status()["calls"].values()) == 0


def test_more_attributes_than_a_call_takes_go_in_several(canned: Canned, open_shard: Open) -> None:
    canned.answers = [reply({})]
    wanted = {f"a{n}": str(n) for n in range(23)}
    put_attributes(open_shard(), "store-042", "arn", wanted)
    sent = [json.loads(body)["attributes"] for body in canned.bodies]
    assert [len(batch) for batch in sent] == [10, 10, 3]
    assert {a["name"]: a["value"] for batch in sent for a in batch} == wanted


def test_a_container_instance_is_tagged(shard: Shard, rig: Rig) -> None:
    host = rig.host()
    tag_resource(shard, host.arn, TAGS)
    (seen,) = read_container_instances(shard, "store-042").value
    assert seen.tags == TAGS


def test_a_node_is_tagged(shard: Shard, rig: Rig) -> None:
    node = rig.node().node
    tag_managed_instance(shard, node, TAGS)
    assert managed_instance_tags(shard, node).value == TAGS


def test_attributes_are_removed_and_others_stay(shard: Shard, rig: Rig) -> None:
    host = rig.host(attributes=[{"name": "old", "value": "gone"}, {"name": "ring", "value": "a"}])
    for _ in range(2):
        delete_attributes(shard, "store-042", host.arn, ["old", "never-there"])
    (seen,) = read_container_instances(shard, "store-042").value
    assert "old" not in seen.attributes
    assert seen.attributes["ring"] == "a"


def test_a_container_instance_is_deregistered(shard: Shard, rig: Rig) -> None:
    host = rig.host()
    deregister_container_instance(shard, "store-042", host.arn)
    assert read_container_instances(shard, "store-042").value == ()


def test_deregistering_again_what_a_lost_reply_told_nothing_of_is_an_error(
    shard: Shard, rig: Rig
) -> None:
    host = rig.host()
    rig.plane.faults.add("ecs", "DeregisterContainerInstance", "ConnectionReset", when="after")
    with pytest.raises(AwsError, match="inactive"):
        deregister_container_instance(shard, "store-042", host.arn)
    assert read_container_instances(shard, "store-042").value == ()
