from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.works import STORE, Shops, Worker, configuration

CHECKED = {"healthCheck": {"command": ["CMD", "true"]}}


@pytest.fixture
def worker(shops: Shops) -> Worker:
    """A shop whose service completed its first deployment, with a breaker of two failures."""
    worker = shops.host()
    shops.fate["bad:1"] = "crash"
    shops.fate["gone:1"] = "unpullable"
    shops.create(deploymentConfiguration=configuration(count=2))
    shops.settle()
    return worker


def stop(shops: Shops, **body: str) -> None:
    arn = shops.records()[0]["serviceDeploymentArn"]
    shops.rig.ecs("StopServiceDeployment", serviceDeploymentArn=arn, **body)


def revision_of(shops: Shops, arn: str) -> Any:
    return shops.rig.ecs("DescribeServiceRevisions", serviceRevisionArns=[arn])["serviceRevisions"][
        0
    ]


@pytest.mark.parametrize("image", ["bad:1", "gone:1"])
def test_the_breaker_goes_back_to_the_last_completed_revision(
    shops: Shops, worker: Worker, image: str
) -> None:
    shops.update(taskDefinition=shops.definition(image))
    shops.settle(30)
    primary, *_ = shops.service()["deployments"]
    assert primary["taskDefinition"].endswith("vision:1")
    assert "circuit breaker: rolling back to deploymentId ecs-svc/" in primary["rolloutStateReason"]
    shops.settle()
    assert list(worker.running.values()) == ["vision:1"]
    assert shops.steady()
    assert shops.service()["taskDefinition"].endswith("vision:1")


def test_the_record_tells_that_it_was_the_breaker(shops: Shops, worker: Worker) -> None:
    first = shops.service()["currentServiceRevisions"][0]["arn"]
    shops.update(taskDefinition=shops.definition("bad:1"))
    shops.settle(120)
    record = shops.records()[0]
    assert record["status"] == "ROLLBACK_SUCCESSFUL"
    assert record["deploymentCircuitBreaker"] == {
        "status": "TRIGGERED",
        "failureCount": 2,
        "threshold": 2,
    }
    assert record["rollback"]["serviceRevisionArn"] == first
    assert "circuit breaker" in record["rollback"]["reason"]
    target = revision_of(shops, record["targetServiceRevision"]["arn"])
    assert target["taskDefinition"].endswith("vision:2")
    assert target["containerImages"] == [{"containerName": "app", "image": "bad:1"}]


def test_the_events_of_a_rollback_are_those_of_aws(shops: Shops, worker: Worker) -> None:
    first = shops.service()["deployments"][0]["id"]
    second = shops.update(taskDefinition=shops.definition("bad:1"))["deployments"][0]["id"]
    shops.settle(120)
    messages = shops.messages()
    failed = f"(service vision) (deployment {second}) deployment failed: tasks failed to start."
    assert failed in messages
    assert messages[messages.index(failed) + 1] == (
        f"(service vision) rolling back to deployment {first}."
    )


def test_a_failed_deployment_shows_its_failed_tasks(shops: Shops, worker: Worker) -> None:
    shops.update(
        taskDefinition=shops.definition("bad:1"),
        deploymentConfiguration=configuration(count=2, rollback=False),
    )
    shops.settle(120)
    (primary,) = shops.service()["deployments"]
    assert (primary["rolloutState"], primary["failedTasks"]) == ("FAILED", 2)
    assert primary["rolloutStateReason"] == (
        "ECS deployment circuit breaker: tasks failed to start."
    )
    assert shops.records()[0]["status"] == "STOPPED"


def test_a_failed_deployment_without_rollback_starts_nothing_more(
    shops: Shops, worker: Worker
) -> None:
    shops.update(
        taskDefinition=shops.definition("bad:1"),
        deploymentConfiguration=configuration(count=2, rollback=False),
    )
    shops.settle(120)
    before = len(shops.tasks("STOPPED"))
    shops.settle(600)
    assert len(shops.tasks("STOPPED")) == before
    assert worker.running == {}


def test_a_first_deployment_that_fails_has_nothing_to_go_back_to(shops: Shops) -> None:
    shops.host()
    shops.fate["vision:1"] = "crash"
    shops.create(deploymentConfiguration=configuration(count=2))
    shops.settle(120)
    (record,) = shops.records()
    assert record["status"] == "ROLLBACK_FAILED"
    assert "No rollback candidate was found" in record["statusReason"]
    assert shops.service()["deployments"][0]["rolloutState"] == "FAILED"


def test_a_rollback_that_fails_too_is_the_end(shops: Shops, worker: Worker) -> None:
    shops.fate["vision:1"] = "crash"
    shops.update(taskDefinition=shops.definition("bad:1"))
    shops.settle(300)
    assert shops.records()[0]["status"] == "ROLLBACK_FAILED"
    assert len(shops.records()) == 2
    assert shops.service()["deployments"][0]["rolloutState"] == "FAILED"


def test_a_healthy_task_takes_the_failures_back(shops: Shops, worker: Worker) -> None:
    shops.fate["bad:1"] = "ok"
    shops.update(taskDefinition=shops.definition("bad:1"), desiredCount=2)
    shops.settle(10)
    first, second = worker.running
    worker.stop(first, 1)
    assert shops.service()["deployments"][0]["failedTasks"] == 1
    shops.settle(45)
    assert second in worker.running
    assert shops.service()["deployments"][0]["failedTasks"] == 0


def test_a_task_that_ends_late_is_not_the_breakers(shops: Shops, worker: Worker) -> None:
    for _ in range(5):
        (arn,) = worker.running
        worker.stop(arn, 1)
        shops.settle(120)
    (primary,) = shops.service()["deployments"]
    assert (primary["rolloutState"], primary["failedTasks"]) == ("COMPLETED", 0)


def test_failing_health_checks_replace_the_task_and_trip_the_breaker(
    shops: Shops, worker: Worker
) -> None:
    shops.update(taskDefinition=shops.definition("vision:2", container=CHECKED))
    for _ in range(2):
        shops.settle(15)
        worker.health("UNHEALTHY")
    shops.settle(120)
    stopped = [task for task in shops.tasks("STOPPED") if task["healthStatus"] == "UNHEALTHY"]
    assert {(task["stopCode"], task["stoppedReason"]) for task in stopped} == {
        ("ServiceSchedulerInitiated", "Task failed container health checks")
    }
    assert list(worker.running.values()) == ["vision:1"]
    assert shops.records()[0]["status"] == "ROLLBACK_SUCCESSFUL"
    assert any("failed container health checks" in message for message in shops.messages())


def test_a_deployment_with_a_health_check_completes_when_it_is_healthy(
    shops: Shops, worker: Worker
) -> None:
    shops.update(taskDefinition=shops.definition("vision:2", container=CHECKED))
    shops.settle(600)
    assert shops.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    worker.health("HEALTHY")
    shops.settle(5)
    assert shops.service()["deployments"][0]["rolloutState"] == "COMPLETED"
    assert shops.tasks()[0]["healthStatus"] == "HEALTHY"


def test_a_deployment_in_progress_is_superseded_by_the_next(shops: Shops, worker: Worker) -> None:
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle(5)
    shops.update(taskDefinition=shops.definition("vision:3"))
    shops.settle(120)
    assert [record["status"] for record in shops.records()] == [
        "SUCCESSFUL",
        "STOPPED",
        "SUCCESSFUL",
    ]
    assert list(worker.running.values()) == ["vision:3"]


def test_records_are_listed_newest_first_and_by_status(shops: Shops, worker: Worker) -> None:
    shops.update(taskDefinition=shops.definition("bad:1"))
    shops.settle(120)

    def listed(**body: Any) -> list[str]:
        ask = {"cluster": STORE, "service": "vision", **body}
        answer = shops.rig.ecs("ListServiceDeployments", **ask)
        return [record["status"] for record in answer["serviceDeployments"]]

    assert listed() == ["ROLLBACK_SUCCESSFUL", "SUCCESSFUL"]
    assert listed(status=["SUCCESSFUL"]) == ["SUCCESSFUL"]
    with pytest.raises(AwsFault, match="has the value 'DONE'"):
        listed(status=["DONE"])


def test_pages_of_records_hold_each_once(shops: Shops, worker: Worker) -> None:
    for _ in range(4):
        shops.update(forceNewDeployment=True)
        shops.settle(1)
    seen: list[str] = []
    body: dict[str, Any] = {"cluster": STORE, "service": "vision", "maxResults": 2}
    while True:
        answer = shops.rig.ecs("ListServiceDeployments", **body)
        seen += [record["serviceDeploymentArn"] for record in answer["serviceDeployments"]]
        if "nextToken" not in answer:
            break
        body["nextToken"] = answer["nextToken"]
    assert len(seen) == len(set(seen)) == 5
    assert seen == [record["serviceDeploymentArn"] for record in shops.records()]


@pytest.mark.parametrize(
    ("action", "name", "kind"),
    [
        ("DescribeServiceDeployments", "serviceDeploymentArns", "service-deployment"),
        ("DescribeServiceRevisions", "serviceRevisionArns", "service-revision"),
    ],
)
def test_records_that_are_not_there_are_failures(
    shops: Shops, action: str, name: str, kind: str
) -> None:
    arn = f"arn:aws:ecs:eu-west-1:111122223333:{kind}/store-042/vision/1"
    body: dict[str, Any] = {name: [arn]}
    answer = shops.rig.ecs(action, **body)
    assert answer["failures"] == [{"arn": arn, "reason": "MISSING"}]
    with pytest.raises(AwsFault, match="more than 20"):
        shops.rig.ecs(action, **{**body, name: [arn] * 21})
