from collections.abc import Iterator
from typing import Any

import pytest

from fleet.aws.calls import CallCounter
from fleet.aws.clusters import count_clusters, create_cluster, describe_clusters
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.store_view import read_store
from fleet.errors import AwsError
from fleet.model.services import StoreView
from tests.aws.canned import Canned, reply
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops

HOST = "store-042/cam-1"
TAGS = {"fleet:store": "store-042", "fleet:host": HOST}


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


def view(shard: Shard, *names: str, **more: Any) -> StoreView:
    return read_store(shard, STORE, STORE, services=list(names) or None, **more)


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


def test_clusters_are_counted_whosever_they_are(asked: Shard, rig: Rig) -> None:
    before = count_clusters(asked).value
    for number in range(3):
        rig.ecs("CreateCluster", clusterName=f"theirs-{number}")
    assert count_clusters(asked).value == before + 3
    assert calls(asked) == {"ListClusters": 2}


def test_a_cluster_that_the_caller_has_read_is_not_read_again(
    rig: Rig, shops: Shops, sandbox_time: SandboxTime
) -> None:
    shops.host()
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        shard = access.shard(ACCOUNT, REGION)
        known = describe_clusters(shard, [STORE]).value[STORE]
        assert view(shard, "vision", known=known).cluster == known
    assert counter.attempts["ecs:DescribeClusters"] == 1
