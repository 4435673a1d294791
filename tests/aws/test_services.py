import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.aws.calls import CallCounter, Timeouts
from fleet.aws.clusters import describe_clusters
from fleet.aws.service_deployments import read_service_deployments
from fleet.aws.services import describe_services, list_services
from fleet.aws.session import AwsAccess, Shard
from fleet.aws.store_view import read_store
from fleet.aws.tasks import read_tasks
from fleet.errors import AwsError, AwsUnreachable, CredentialsError, Throttled
from fleet.model.services import StoreView
from tests.aws import bodies
from tests.aws.canned import Answer, Canned, fault, html, reply, reset
from tests.aws.conftest import ACCOUNT, REGION, Open, SandboxTime
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops, configuration

NONE = reply({"services": [], "failures": []})
EXPIRED = fault("ExpiredTokenException", "The security token included in the request is expired")
PASSING = [
    fault("ThrottlingException", "Rate exceeded"),
    fault("ServerException", status=500),
    reset,
    reply(b'{"services": [', length=1000),
]


def view(shard: Shard, *names: str, **more: Any) -> StoreView:
    return read_store(shard, STORE, STORE, services=list(names) or None, **more)


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


def test_tasks_are_read_with_what_became_of_their_containers(shard: Shard, shops: Shops) -> None:
    shops.fate["vision:2"] = "crash"
    worker = shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle()
    seen = read_tasks(shard, STORE, "vision").value
    ages = [task.created_at.timestamp() for task in seen if task.created_at]
    assert ages == sorted(ages, reverse=True)
    failed = next(task for task in seen if task.stop_code == "EssentialContainerExited")
    assert (failed.last_status, failed.desired_status) == ("STOPPED", "STOPPED")
    assert [(one.name, one.exit_code) for one in failed.containers] == [("app", 1)]
    assert failed.started_at is not None
    assert failed.stopped_at is not None
    alive = next(task for task in seen if task.last_status == "RUNNING")
    assert (alive.service, alive.container_instance_arn) == ("vision", worker.host.arn)
    assert alive.containers[0].image_digest == "sha256:1"
    assert alive.containers[0].exit_code is None


def test_tasks_of_one_service_are_told_from_those_of_another(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create("vision")
    shops.create("telemetry")
    shops.settle()
    assert {t.service for t in read_tasks(shard, STORE, None).value} == {"vision", "telemetry"}
    assert {t.service for t in read_tasks(shard, STORE, "vision").value} == {"vision"}


def test_more_tasks_than_a_call_takes_are_all_read(canned: Canned, open_shard: Open) -> None:
    running = [f"arn:r{n}" for n in range(100)]
    stopped = [f"arn:s{n}" for n in range(30)]
    canned.answers = [
        reply({"taskArns": running, "nextToken": "t"}),
        reply({"taskArns": ["arn:r100"]}),
        # One that was told to stop between the two listings is in both.
        reply({"taskArns": ["arn:r100", *stopped]}),
        reply({"tasks": []}),
    ]
    read_tasks(open_shard(), STORE, None)
    sent = [json.loads(body) for body in canned.bodies]
    assert [one.get("desiredStatus") for one in sent[:3]] == ["RUNNING", "RUNNING", "STOPPED"]
    assert [len(one["tasks"]) for one in sent[3:]] == [100, 31]


def test_a_task_that_no_service_started_belongs_to_none(canned: Canned, open_shard: Open) -> None:
    lone = bodies.task(group="family:vision")
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": [lone], "failures": [{"arn": "arn:gone", "reason": "MISSING"}]}),
    ]
    (seen,) = read_tasks(open_shard(), STORE, None).value
    assert seen.service == ""


def test_records_of_deployments_name_their_target_and_who_ended_them(
    shard: Shard, shops: Shops
) -> None:
    shops.fate["vision:2"] = "crash"
    shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle()
    bad = shops.definition("vision:2")
    shops.update(taskDefinition=bad)
    shops.settle(300)
    newest, first = read_service_deployments(shard, STORE, "vision").value
    assert (newest.task_definition, newest.breaker) == (bad, "TRIGGERED")
    assert newest.status.startswith("ROLLBACK")
    assert newest.failures >= 1
    assert newest.reason
    assert (first.status, first.task_definition == bad) == ("SUCCESSFUL", False)


def test_only_the_newest_records_are_read(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    for number in range(5):
        shops.settle()
        shops.update(taskDefinition=shops.definition(f"vision:1{number}"))
    shops.settle()
    seen = read_service_deployments(shard, STORE, "vision", 2).value
    assert [one.arn for one in seen] == [r["serviceDeploymentArn"] for r in shops.records()[:2]]


def test_a_record_from_before_revisions_has_no_target(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply({"serviceDeployments": [{"serviceDeploymentArn": bodies.RECORD_ARN}]}),
        reply({"serviceDeployments": [bodies.record()]}),
        reply(
            {
                "serviceRevisions": [],
                "failures": [{"arn": bodies.REVISION_ARN, "reason": "MISSING"}],
            }
        ),
    ]
    (seen,) = read_service_deployments(open_shard(), STORE, "vision-arm64").value
    assert seen.task_definition == ""


def test_a_shallow_view_costs_two_calls_and_leaves_unread_what_it_did_not_ask(
    rig: Rig, shops: Shops, sandbox_time: SandboxTime
) -> None:
    shops.host()
    shops.create()
    counter = CallCounter()
    with AwsAccess(sandbox_time, on_call=counter) as access:
        seen = view(access.shard(ACCOUNT, REGION), "vision")
    assert counter.attempts == {"ecs:DescribeClusters": 1, "ecs:DescribeServices": 1}
    assert seen.services is not None
    assert [service.name for service in seen.services] == ["vision"]
    assert (seen.instances, seen.tasks, seen.deployments, seen.problem) == (None, None, None, "")


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


def test_a_store_without_a_cluster_has_nothing_and_no_problem(shard: Shard) -> None:
    seen = read_store(shard, STORE, "nowhere", services=["vision"])
    assert (seen.cluster, seen.services, seen.problem) == (None, (), "")
    assert (seen.instances, seen.tasks, seen.deployments) == (None, None, None)


def test_a_deleted_service_is_not_in_a_view(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.rig.ecs("DeleteService", cluster=STORE, service="vision", force=True)
    shops.settle()
    assert view(shard, "vision").services == ()
    assert [one.status for one in describe_services(shard, STORE, ["vision"]).value] == ["INACTIVE"]


def test_a_view_is_as_old_as_its_oldest_part(canned: Canned, open_shard: Open) -> None:
    first, second = "Sun, 22 Nov 2026 12:00:00 GMT", "Sun, 22 Nov 2026 12:05:00 GMT"
    canned.answers = [
        reply({"clusters": [bodies.CLUSTER]}, date=second),
        reply({"services": []}, date=first),
    ]
    assert view(open_shard(), "a").at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_where_ecs_keeps_no_records_of_deployments_there_are_none_and_no_problem(
    shard: Shard, shops: Shops
) -> None:
    shops.host()
    shops.create()
    shops.settle()
    shops.rig.plane.faults.add(
        "ecs", "ListServiceDeployments", "UnsupportedFeatureException", 400, 2
    )
    assert read_service_deployments(shard, STORE, "vision").value == ()


@pytest.mark.parametrize(
    "code", ["AccessDeniedException", "InvalidParameterException", "ServerException"]
)
def test_what_aws_refuses_of_one_store_is_its_problem(
    canned: Canned, open_shard: Open, code: str
) -> None:
    status = 500 if code == "ServerException" else 400
    canned.answers = [reply({"clusters": [bodies.CLUSTER]}), fault(code, "no", status)]
    seen = view(open_shard(), "vision")
    assert "ecs:DescribeServices" in seen.problem
    assert (seen.services, seen.tasks) == (None, None)
    assert seen.at == datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def test_a_half_answer_is_a_problem_and_no_finding(canned: Canned, open_shard: Open) -> None:
    canned.answers = [
        reply({"clusters": [bodies.CLUSTER]}),
        reply({"services": [], "failures": [{"arn": "arn:a", "reason": "ACCESS_DENIED"}]}),
    ]
    seen = view(open_shard(), "vision")
    assert "ACCESS_DENIED" in seen.problem
    assert seen.services is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (EXPIRED, CredentialsError),
        (fault("ThrottlingException", "Rate exceeded"), Throttled),
        (reset, AwsUnreachable),
    ],
    ids=["expired", "throttled", "no answer"],
)
def test_what_concerns_the_whole_account_is_raised(
    canned: Canned, open_shard: Open, answer: Answer, kind: type[AwsError]
) -> None:
    canned.answers = [reply({"clusters": [bodies.CLUSTER]}), answer]
    with pytest.raises(kind):
        view(open_shard(), "vision")


def test_expired_credentials_end_it_at_once(canned: Canned, open_shard: Open) -> None:
    canned.answers = [EXPIRED]
    with pytest.raises(CredentialsError, match="expired"):
        view(open_shard(), "vision")
    assert len(canned.asked) == 1


READS: dict[str, tuple[Callable[[Shard], object], list[dict[str, Any]]]] = {
    "services": (lambda s: describe_services(s, "a", ["b"]), [{"services": []}]),
    "services_of_cluster": (lambda s: list_services(s, "a"), [{"serviceArns": []}]),
    "tasks": (lambda s: read_tasks(s, "a", None), [{"taskArns": []}]),
    "service_deployments": (
        lambda s: read_service_deployments(s, "a", "b"),
        [{"serviceDeployments": []}],
    ),
}


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


def test_what_a_container_says_cannot_write_to_the_terminal(
    canned: Canned, open_shard: Open
) -> None:
    container = {"name": "app", "lastStatus": "STOPPED", "reason": "\x1b[2Jgone\r\n"}
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": [bodies.task(stoppedReason="\x1b]0;x\x07", containers=[container])]}),
    ]
    (seen,) = read_tasks(open_shard(), STORE, None).value
    assert (seen.stopped_reason, seen.containers[0].reason) == ("]0;x", "[2Jgone")


def test_a_task_tells_since_when_it_is_to_stop(canned: Canned, open_shard: Open) -> None:
    both = [bodies.task(stoppingAt=1_790_000_000.5), bodies.task()]
    canned.answers = [
        reply({"taskArns": ["arn"]}),
        reply({"taskArns": []}),
        reply({"tasks": both}),
    ]
    seen = read_tasks(open_shard(), STORE, None).value
    since = datetime.fromtimestamp(1_790_000_000.5, UTC)
    assert {task.stopping_at for task in seen} == {since, None}


def test_times_are_those_of_aws(shard: Shard, shops: Shops) -> None:
    shops.host()
    shops.create()
    created = datetime.fromtimestamp(shops.rig.clock.now(), UTC)
    shops.settle()
    reading = describe_services(shard, STORE, ["vision"])
    assert reading.value[0].created_at == created
    assert reading.at == created + timedelta(seconds=60)
