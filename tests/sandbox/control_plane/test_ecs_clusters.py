from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import APAC, EMEA, REGION, Rig


def test_creating_a_cluster_twice_answers_the_one_that_is_there(rig: Rig) -> None:
    first = rig.ecs("CreateCluster", clusterName="store-042", tags=[{"key": "a", "value": "1"}])
    second = rig.ecs("CreateCluster", clusterName="store-042", tags=[{"key": "a", "value": "2"}])
    assert second == first
    assert second["cluster"]["tags"] == [{"key": "a", "value": "1"}]


def test_a_cluster_is_named_by_its_arn_too(rig: Rig) -> None:
    arn = rig.ecs("CreateCluster", clusterName="store-042")["cluster"]["clusterArn"]
    assert arn == f"arn:aws:ecs:{REGION}:{EMEA}:cluster/store-042"
    found = rig.ecs("DescribeClusters", clusters=[arn])["clusters"]
    assert [c["clusterName"] for c in found] == ["store-042"]


def test_an_arn_of_another_account_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match=f"no cluster of account {EMEA}"):
        rig.ecs("DescribeClusters", clusters=[f"arn:aws:ecs:{REGION}:{APAC}:cluster/a"])


@pytest.mark.parametrize("name", ["store 42", "store/42", "x" * 256, "größe"])
def test_a_name_that_aws_would_not_take_is_refused(rig: Rig, name: str) -> None:
    with pytest.raises(AwsFault, match="InvalidParameterException: The cluster name"):
        rig.ecs("CreateCluster", clusterName=name)


def test_accounts_and_regions_do_not_see_each_other(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="store-042")
    elsewhere = [
        rig.ecs("ListClusters", account=APAC),
        rig.ecs("ListClusters", region="ap-southeast-1"),
    ]
    assert [answer["clusterArns"] for answer in elsewhere] == [[], []]


def test_a_missing_cluster_is_a_failure_of_describe_and_an_error_elsewhere(rig: Rig) -> None:
    answer = rig.ecs("DescribeClusters", clusters=["gone"])
    arn = f"arn:aws:ecs:{REGION}:{EMEA}:cluster/gone"
    assert answer == {"clusters": [], "failures": [{"arn": arn, "reason": "MISSING"}]}
    with pytest.raises(AwsFault) as caught:
        rig.ecs("ListContainerInstances", cluster="gone")
    assert caught.value.code == "ClusterNotFoundException"


def test_describing_more_than_100_clusters_is_refused(rig: Rig) -> None:
    assert len(rig.ecs("DescribeClusters", clusters=["c"] * 100)["failures"]) == 100
    with pytest.raises(AwsFault, match="cannot have more than 100"):
        rig.ecs("DescribeClusters", clusters=["c"] * 101)


def test_tags_are_shown_when_they_are_asked_for(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="a", tags=[{"key": "fleet:store", "value": "a"}])
    plain = rig.ecs("DescribeClusters", clusters=["a"])["clusters"][0]
    full = rig.ecs("DescribeClusters", clusters=["a"], include=["TAGS"])["clusters"][0]
    assert plain["tags"] == []
    assert full["tags"] == [{"key": "fleet:store", "value": "a"}]


def test_the_count_of_instances_holds_draining_ones_and_no_inactive_ones(rig: Rig) -> None:
    hosts = [rig.host() for _ in range(3)]
    rig.ecs(
        "UpdateContainerInstancesState",
        cluster="store-042",
        containerInstances=[hosts[0].arn],
        status="DRAINING",
    )
    rig.ecs("DeregisterContainerInstance", cluster="store-042", containerInstance=hosts[1].arn)
    cluster = rig.ecs("DescribeClusters", clusters=["store-042"])["clusters"][0]
    assert cluster["registeredContainerInstancesCount"] == 2


def test_a_cluster_with_instances_cannot_be_deleted(rig: Rig) -> None:
    host = rig.host()
    with pytest.raises(AwsFault) as caught:
        rig.ecs("DeleteCluster", cluster="store-042")
    assert caught.value.code == "ClusterContainsContainerInstancesException"
    rig.ecs("DeregisterContainerInstance", cluster="store-042", containerInstance=host.arn)
    assert rig.ecs("DeleteCluster", cluster="store-042")["cluster"]["status"] == "INACTIVE"


def test_a_deleted_cluster_is_shown_inactive_and_its_name_can_be_used_again(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="a", tags=[{"key": "k", "value": "v"}])
    rig.ecs("DeleteCluster", cluster="a")
    assert rig.ecs("ListClusters")["clusterArns"] == []
    assert rig.ecs("DescribeClusters", clusters=["a"])["clusters"][0]["status"] == "INACTIVE"
    with pytest.raises(AwsFault, match="ClusterNotFoundException"):
        rig.ecs("DeleteCluster", cluster="a")
    again = rig.ecs("CreateCluster", clusterName="a")["cluster"]
    assert (again["status"], again["tags"]) == ("ACTIVE", [])


@given(count=st.integers(0, 25), size=st.integers(1, 10))
def test_pages_hold_every_cluster_once(count: int, size: int) -> None:
    rig = Rig()
    names = [f"store-{number:03}" for number in range(count)]
    for name in names:
        rig.ecs("CreateCluster", clusterName=name)
    seen: list[str] = []
    body: dict[str, Any] = {"maxResults": size}
    while True:
        answer = rig.ecs("ListClusters", **body)
        assert len(answer["clusterArns"]) <= size
        seen += [arn.rpartition("/")[2] for arn in answer["clusterArns"]]
        if "nextToken" not in answer:
            break
        body["nextToken"] = answer["nextToken"]
    assert seen == names
    rig.close()


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("ListServices", {"serviceArns": []}),
        ("ListTasks", {"taskArns": []}),
    ],
)
def test_a_cluster_truthfully_has_no_services_and_no_tasks(
    rig: Rig, action: str, body: dict[str, object]
) -> None:
    rig.ecs("CreateCluster", clusterName="a")
    assert rig.ecs(action, cluster="a") == body


def test_services_and_tasks_asked_for_by_name_are_missing(rig: Rig) -> None:
    rig.ecs("CreateCluster", clusterName="a")
    services = rig.ecs("DescribeServices", cluster="a", services=["vision"])
    tasks = rig.ecs("DescribeTasks", cluster="a", tasks=["0" * 32])
    stem = f"arn:aws:ecs:{REGION}:{EMEA}"
    assert services["failures"] == [{"arn": f"{stem}:service/a/vision", "reason": "MISSING"}]
    assert tasks["failures"] == [{"arn": f"{stem}:task/a/{'0' * 32}", "reason": "MISSING"}]


@pytest.mark.parametrize("action", ["RunTask", "CreateTaskSet", "ExecuteCommand"])
def test_what_is_not_modelled_is_refused_by_name(rig: Rig, action: str) -> None:
    with pytest.raises(AwsFault, match=f"does not model ecs:{action}") as caught:
        rig.ecs(action)
    assert caught.value.code == "UnknownOperationException"


def test_a_parameter_that_would_be_ignored_is_refused(rig: Rig) -> None:
    with pytest.raises(AwsFault, match="does not model capacityProviders of CreateCluster"):
        rig.ecs("CreateCluster", clusterName="a", capacityProviders=["x"])
