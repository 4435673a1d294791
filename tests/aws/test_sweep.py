from collections.abc import Iterator

import pytest

from fleet.aws.activations import list_activations
from fleet.aws.clusters import count_clusters, describe_clusters
from fleet.aws.container_instances import describe_container_instances, scan_container_instances
from fleet.aws.interning import Interner
from fleet.aws.managed_instances import (
    activation_tier,
    ids_tagged,
    ids_tagged_among,
    list_managed_instances,
    managed_instances_tagged,
)
from fleet.aws.services import scan_services
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.tasks import scan_tasks
from fleet.errors import AwsError
from fleet.model.observed import Cluster, Ping
from tests.aws.canned import Canned, fault, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops

TAG = {"Key": "fleet:fleet", "Value": "emea"}


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


def test_every_node_is_read_whosever_it_is(shard: Shard, rig: Rig, interner: Interner) -> None:
    ours = rig.node(DefaultInstanceName="store-042/cam-1", Tags=[TAG])
    theirs = rig.node(DefaultInstanceName="theirs")
    for host in (ours, theirs):
        rig.ping(host)
    seen = list_managed_instances(shard, interner).value
    assert {(node.name, node.ping) for node in seen} == {
        ("store-042/cam-1", Ping.ONLINE),
        ("theirs", Ping.ONLINE),
    }


def test_tagged_nodes_are_told_by_id_a_call_per_fifty(asked: Shard, rig: Rig) -> None:
    ours = {rig.node(Tags=[TAG]).node for _ in range(51)}
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
    ours, theirs, gone = rig.node(Tags=[TAG]).node, rig.node().node, "mi-0123456789abcdef0"
    told = ids_tagged_among(asked, "fleet:fleet", "emea", [ours, theirs, gone])
    assert told.value == {ours}
    assert calls(asked) == {"ListTagsForResource": 3}


def test_all_activations_are_read_without_naming_one(shard: Shard, rig: Rig) -> None:
    made = {rig.activation(DefaultInstanceName=f"host-{n}")["ActivationId"] for n in range(51)}
    assert {one.id for one in list_activations(shard).value} == made


def test_the_tier_is_told_in_one_call(asked: Shard, rig: Rig) -> None:
    assert activation_tier(asked).value == "standard"
    assert calls(asked) == {"GetServiceSetting": 1}


def test_clusters_are_counted_whosever_they_are(asked: Shard, rig: Rig) -> None:
    before = count_clusters(asked).value
    for number in range(3):
        rig.ecs("CreateCluster", clusterName=f"theirs-{number}")
    assert count_clusters(asked).value == before + 3
    assert calls(asked) == {"ListClusters": 2}


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


def test_wanted_services_are_described_without_being_listed(
    asked: Shard, shops: Shops, interner: Interner
) -> None:
    shops.host()
    shops.create("vision")
    shops.create("telemetry")
    seen = scan_services(asked, cluster(asked), ["vision", "telemetry"], interner)
    assert {one.name for one in seen.value} == {"vision", "telemetry"}
    assert calls(asked) == {"DescribeServices": 1}


def test_a_service_that_nobody_wants_is_found_because_ecs_counts_it(
    asked: Shard, shops: Shops, interner: Interner
) -> None:
    shops.host()
    shops.create("vision")
    shops.create("left-over")
    seen = scan_services(asked, cluster(asked), ["vision"], interner)
    assert {one.name for one in seen.value} == {"vision", "left-over"}
    assert calls(asked) == {"ListServices": 1, "DescribeServices": 2}


def test_services_are_listed_where_it_is_not_known_what_is_wanted(
    asked: Shard, shops: Shops, interner: Interner
) -> None:
    shops.host()
    shops.create("vision")
    assert len(scan_services(asked, cluster(asked), None, interner).value) == 1
    assert calls(asked) == {"ListServices": 1, "DescribeServices": 1}


def test_a_deleted_service_is_left_out(asked: Shard, shops: Shops, interner: Interner) -> None:
    shops.host()
    shops.create("vision")
    shops.rig.ecs("DeleteService", cluster=STORE, service="vision", force=True)
    shops.settle()
    assert scan_services(asked, cluster(asked), ["vision"], interner).value == ()


def test_tasks_that_run_cost_two_calls_and_stopped_ones_one_more(
    asked: Shard, shops: Shops, interner: Interner
) -> None:
    shops.host()
    shops.create("vision")
    shops.settle()
    (running,) = scan_tasks(asked, STORE, stopped=False, interner=interner).value
    assert running.last_status == "RUNNING"
    assert calls(asked) == {"ListTasks": 1, "DescribeTasks": 1}
    scan_tasks(asked, STORE, stopped=True, interner=interner)
    assert calls(asked) == {"ListTasks": 3, "DescribeTasks": 2}


def test_a_second_look_describes_and_lists_nothing(
    asked: Shard, rig: Rig, interner: Interner
) -> None:
    host = rig.host()
    (seen,) = describe_container_instances(asked, STORE, [host.arn]).value
    assert seen.agent_connected
    assert calls(asked) == {"DescribeContainerInstances": 1}
