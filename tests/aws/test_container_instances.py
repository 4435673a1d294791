import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from fleet.aws.clusters import describe_clusters
from fleet.aws.container_instances import (
    delete_attributes,
    deregister_container_instance,
    describe_container_instances,
    put_attributes,
    read_container_instances,
    scan_container_instances,
)
from fleet.aws.interning import Interner
from fleet.aws.managed_instances import (
    tag_managed_instance,
)
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.tags import tag_resource
from fleet.errors import AwsError
from fleet.model.observed import Cluster
from tests.aws.canned import Canned, fault, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE

HOST = "store-042/cam-1"
TAGS = {"fleet:store": "store-042", "fleet:host": HOST}


@pytest.fixture
def interner() -> Interner:
    return Interner()


@pytest.fixture
def asked(sandbox_time: SandboxTime) -> Iterator[Shard]:
    """A shard of its own, whose calls are counted from nothing."""
    with AwsAccess(sandbox_time) as access:
        yield access.shard(ACCOUNT, REGION)


def cluster(shard: Shard) -> Cluster:
    return describe_clusters(shard, [STORE]).value[STORE]


def calls(shard: Shard) -> dict[str, int]:
    """Calls by name, without those that looked at the cluster first."""
    return {
        action.partition(":")[2]: count
        for action, count in shard.counter.attempts.items()
        if action != "ecs:DescribeClusters"
    }


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


def test_remembered_instances_are_described_without_being_listed(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    hosts = [rig.host(), rig.host()]
    seen = scan_container_instances(asked, cluster(asked), [host.arn for host in hosts], interner)
    assert {one.arn for one in seen.value} == {host.arn for host in hosts}
    assert calls(asked) == {"DescribeContainerInstances": 1}


def test_an_instance_that_nobody_remembers_is_found_because_ecs_counts_it(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    known, new = rig.host(), rig.host()
    seen = scan_container_instances(asked, cluster(asked), [known.arn], interner)
    assert {one.arn for one in seen.value} == {known.arn, new.arn}
    assert calls(asked) == {"ListContainerInstances": 1, "DescribeContainerInstances": 2}


def test_without_memory_a_cluster_is_listed(asked: Shard, rig: Rig, interner: Interner) -> None:
    host = rig.host()
    assert [
        one.arn for one in scan_container_instances(asked, cluster(asked), [], interner).value
    ] == [host.arn]
    assert calls(asked) == {"ListContainerInstances": 1, "DescribeContainerInstances": 1}


def test_a_remembered_instance_that_was_replaced_is_left_out(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    old, new = rig.host(), rig.host()
    rig.ecs("DeregisterContainerInstance", cluster=STORE, containerInstance=old.arn, force=True)
    seen = scan_container_instances(asked, cluster(asked), [old.arn], interner)
    assert [one.arn for one in seen.value] == [new.arn]


def test_what_is_remembered_of_another_cluster_is_not_asked_for(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    moved, here = rig.host("store-043"), rig.host()
    seen = scan_container_instances(asked, cluster(asked), [moved.arn, here.arn], interner)
    assert [one.arn for one in seen.value] == [here.arn]
    assert calls(asked) == {"DescribeContainerInstances": 1}


def test_arns_that_ecs_refuses_lead_to_a_listing(
    canned: Canned, open_shard: Open, interner: Interner
) -> None:
    arn = f"arn:aws:ecs:eu-west-1:111122223333:container-instance/{STORE}/1"
    canned.answers = [
        fault("InvalidParameterException", "Identifier is for cluster store-043"),
        reply({"containerInstanceArns": [arn]}),
        reply(
            {"containerInstances": [{"containerInstanceArn": arn, "status": "ACTIVE"}]},
        ),
    ]
    one = Cluster(STORE, "", "ACTIVE", 1)
    assert [i.arn for i in scan_container_instances(open_shard(), one, [arn], interner).value] == [
        arn
    ]


def test_a_listing_that_is_refused_is_an_error_not_an_empty_store(
    canned: Canned, open_shard: Open, interner: Interner
) -> None:
    canned.answers = [fault("ServerException", status=400)]
    with pytest.raises(AwsError):
        scan_container_instances(open_shard(), Cluster(STORE, "", "ACTIVE", 1), [], interner)


def test_a_second_look_describes_and_lists_nothing(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    host = rig.host()
    (seen,) = describe_container_instances(asked, STORE, [host.arn]).value
    assert seen.agent_connected
    assert calls(asked) == {"DescribeContainerInstances": 1}
