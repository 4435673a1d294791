import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.aws.calls import Timeouts
from fleet.aws.clusters import describe_clusters
from fleet.aws.interning import Interner
from fleet.aws.service_deployments import read_service_deployments
from fleet.aws.services import describe_services, list_services, scan_services
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.store_view import read_store
from fleet.aws.tasks import read_tasks
from fleet.errors import AwsError, AwsUnreachable
from fleet.model.observed import Cluster
from fleet.model.services import StoreView
from tests.aws import bodies
from tests.aws.canned import Canned, fault, html, reply, reset
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops, configuration


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


NONE = reply({"services": [], "failures": []})


def view(shard: Shard, *names: str, **more: Any) -> StoreView:
    return read_store(shard, STORE, STORE, services=list(names) or None, **more)


PASSING = [
    fault("ThrottlingException", "Rate exceeded"),
    fault("ServerException", status=500),
    reset,
    reply(b'{"services": [', length=1000),
]


READS: dict[str, tuple[Callable[[Shard], object], list[dict[str, Any]]]] = {
    "services": (lambda s: describe_services(s, "a", ["b"]), [{"services": []}]),
    "services_of_cluster": (lambda s: list_services(s, "a"), [{"serviceArns": []}]),
    "tasks": (lambda s: read_tasks(s, "a", None), [{"taskArns": []}]),
    "service_deployments": (
        lambda s: read_service_deployments(s, "a", "b"),
        [{"serviceDeployments": []}],
    ),
}


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


def test_a_service_is_read_with_its_deployments_tags_and_settings(
    shard: Shard, shops: Shops
) -> None:
    shops.host()
    constraints = [{"type": "distinctInstance"}]
    shops.create(
        placementConstraints=constraints,
        deploymentConfiguration=configuration(count=1),
        tags=[{"key": "fleet:rollout", "value": "ro-1"}],
    )
    shops.settle()
    (seen,) = describe_services(shard, STORE, ["vision"]).value
    assert (seen.cluster, seen.name, seen.status, seen.scheduling) == (
        STORE,
        "vision",
        "ACTIVE",
        "REPLICA",
    )
    assert (seen.desired, seen.running, seen.pending) == (1, 1, 0)
    assert seen.tags == {"fleet:rollout": "ro-1"}
    assert seen.settings["placementConstraints"] == constraints
    assert seen.settings["launchType"] == "EXTERNAL"
    assert seen.settings["deploymentConfiguration"]["deploymentCircuitBreaker"]["enable"] is True
    (deployment,) = seen.deployments
    assert (deployment.status, deployment.rollout_state) == ("PRIMARY", "COMPLETED")
    assert deployment.task_definition == seen.task_definition
    assert "steady state" in seen.events[0][1]


def test_the_primary_deployment_comes_first(canned: Canned, open_shard: Open) -> None:
    deployments = [
        {"id": "old", "status": "ACTIVE", "taskDefinition": "a", "createdAt": 100},
        {"id": "new", "status": "PRIMARY", "taskDefinition": "b", "createdAt": 50},
        {"id": "older", "status": "ACTIVE", "taskDefinition": "c", "createdAt": 10},
    ]
    canned.answers = [reply({"services": [bodies.service(deployments=deployments)]})]
    (seen,) = describe_services(open_shard(), STORE, ["a"]).value
    assert [one.id for one in seen.deployments] == ["new", "old", "older"]


def test_the_newest_events_are_kept(canned: Canned, open_shard: Open) -> None:
    events = [{"id": str(n), "createdAt": 1_000 + n, "message": f"event {n}"} for n in range(100)]
    canned.answers = [reply({"services": [bodies.service(events=events)]})]
    (seen,) = describe_services(open_shard(), STORE, ["a"]).value
    assert [text for _, text in seen.events] == [f"event {n}" for n in range(99, 89, -1)]


def test_services_are_asked_for_ten_at_a_time_and_each_once(
    canned: Canned, open_shard: Open
) -> None:
    canned.answers = [NONE]
    names = [f"s{n}" for n in range(23)]
    describe_services(open_shard(), STORE, [*names, *names])
    sent = [json.loads(body)["services"] for body in canned.bodies]
    assert [len(batch) for batch in sent] == [10, 10, 3]
    assert [name for batch in sent for name in batch] == names


def test_a_service_that_is_not_there_is_left_out(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    seen = describe_services(shard, STORE, ["nothing", "vision"]).value
    assert [service.name for service in seen] == ["vision"]


def test_a_cluster_that_is_not_there_has_no_services_and_no_tasks(shard: Shard, rig: Rig) -> None:
    assert describe_services(shard, "nowhere", ["a"]).value == ()
    assert list_services(shard, "nowhere").value == ()
    assert read_tasks(shard, "nowhere", None).value == ()
    assert read_service_deployments(shard, "nowhere", "a").value == ()


def test_every_service_of_a_cluster_is_found_over_all_pages(shard: Shard, shops: Shops) -> None:
    shops.host()
    shared = shops.definition()
    names = [f"service-{n:03}" for n in range(103)]
    for name in names:
        shops.create(name, taskDefinition=shared, desiredCount=0)
    shops.rig.ecs("DeleteService", cluster=STORE, service="service-000", force=True)
    shops.settle()
    seen = list_services(shard, STORE).value
    assert sorted(service.name for service in seen) == names[1:]


def test_a_deleted_service_is_not_in_a_view(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.rig.ecs("DeleteService", cluster=STORE, service="vision", force=True)
    shops.settle()
    assert view(shard, "vision").services == ()
    assert [one.status for one in describe_services(shard, STORE, ["vision"]).value] == ["INACTIVE"]


@pytest.mark.parametrize("read", READS)
def test_a_read_outlives_passing_failures(canned: Canned, open_shard: Open, read: str) -> None:
    call, answers = READS[read]
    canned.answers = [*PASSING, *map(reply, answers)]
    call(open_shard())
    assert len(canned.asked) > len(PASSING)


@pytest.mark.parametrize("read", READS)
def test_an_answer_without_its_list_is_an_error_and_no_empty_list(
    canned: Canned, open_shard: Open, read: str
) -> None:
    canned.answers = [reply(body) for body in (b"", b"{}", b"[]", b"<html>", b"{}", b"{}")]
    with pytest.raises(AwsUnreachable, match="garbled, after 6 attempts"):
        READS[read][0](open_shard())


def test_a_read_that_hangs_is_given_up(canned: Canned, open_shard: Open) -> None:
    canned.answers = [canned.hang, html(503)]
    with pytest.raises(AwsUnreachable, match="HTTP 503"):
        describe_services(open_shard(timeouts=Timeouts(read_s=0.1)), "a", ["b"])


@pytest.mark.parametrize(
    "raw",
    [
        5,
        {},
        bodies.service(desiredCount="many"),
        bodies.service(deployments=[{}]),
        bodies.service(events=[{"createdAt": 1, "message": 5}, 7]),
    ],
)
def test_a_service_that_makes_no_sense_is_an_error(
    canned: Canned, open_shard: Open, raw: Any
) -> None:
    canned.answers = [reply({"services": [raw]})]
    with pytest.raises(AwsError, match="ecs:DescribeServices"):
        describe_services(open_shard(), "a", ["b"])


def test_times_are_those_of_aws(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    created = datetime.fromtimestamp(shops.rig.clock.now(), UTC)
    shops.settle()
    reading = describe_services(shard, STORE, ["vision"])
    assert reading.value[0].created_at == created
    assert reading.at == created + timedelta(seconds=60)
