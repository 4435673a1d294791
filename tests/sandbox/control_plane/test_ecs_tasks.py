from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.works import STORE, Shops


def listed(shops: Shops, **body: Any) -> int:
    return len(shops.rig.ecs("ListTasks", cluster=STORE, **body)["taskArns"])


def test_a_running_task_shows_what_its_agent_said(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (task,) = shops.tasks()
    assert (task["lastStatus"], task["desiredStatus"], task["connectivity"]) == (
        "RUNNING",
        "RUNNING",
        "CONNECTED",
    )
    assert task["group"] == "service:vision"
    assert task["startedBy"] == shops.service()["deployments"][0]["id"]
    assert task["containerInstanceArn"] == worker.host.arn
    assert task["launchType"] == "EXTERNAL"
    assert task["startedAt"] >= task["createdAt"]
    (container,) = task["containers"]
    assert (container["name"], container["image"]) == ("app", "vision:1")
    assert (container["imageDigest"], container["runtimeId"]) == ("sha256:1", "r1")


def test_a_task_whose_image_cannot_be_pulled_failed_to_start(shops: Shops) -> None:
    shops.host()
    shops.fate["vision:1"] = "unpullable"
    shops.create()
    shops.settle(5)
    task = shops.tasks("STOPPED")[0]
    assert (task["stopCode"], task["stoppedReason"]) == (
        "TaskFailedToStart",
        "Task failed to start",
    )
    assert "startedAt" not in task
    assert task["containers"][0]["reason"].startswith("CannotPullContainerError")


def test_a_task_that_nobody_took_yet_is_stopped_at_once(shops: Shops) -> None:
    worker = shops.host()
    shops.settle(5)
    worker.cut()
    shops.create()
    shops.settle(5)
    (task,) = shops.tasks()
    assert task["lastStatus"] == "PROVISIONING"
    shops.rig.ecs("StopTask", cluster=STORE, task=task["taskArn"])
    (stopped, *_) = shops.tasks("STOPPED")
    assert (stopped["lastStatus"], stopped["stoppedReason"]) == ("STOPPED", "Task stopped by user")


def test_an_agent_that_runs_what_was_given_up_is_told_to_stop_it(shops: Shops) -> None:
    worker = shops.host()
    shops.settle(5)
    worker.cut()
    shops.create(desiredCount=1)
    shops.settle(5)
    (arn,) = [task["taskArn"] for task in shops.tasks()]
    shops.update(desiredCount=0)
    shops.settle(5)
    worker.up = True
    worker.running[arn] = "vision:1"
    worker.report(arn, "RUNNING")
    shops.settle(5)
    assert worker.running == {}


def test_repeated_and_late_reports_change_nothing(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (arn,) = worker.running
    before = shops.tasks()[0]
    worker.report(arn, "RUNNING")
    after = shops.tasks()[0]
    assert after["startedAt"] == before["startedAt"]
    worker.stop(arn, 1)
    ended = shops.tasks("STOPPED")[0]
    worker.report(arn, "STOPPED", exitCode=7)
    assert shops.tasks("STOPPED")[0] == ended


def test_a_host_reports_its_own_tasks_only(shops: Shops) -> None:
    worker, other = shops.host(), shops.host()
    shops.create()
    shops.settle()
    if other.running:
        worker, other = other, worker
    (arn,) = worker.running
    with pytest.raises(AwsFault, match="not on a container instance of the caller"):
        other.report(arn, "STOPPED")
    with pytest.raises(AwsFault, match="The referenced task was not found"):
        worker.report(arn[:-1] + "x", "STOPPED")
    other.running[arn] = "vision:1"
    with pytest.raises(AwsFault, match="not on a container instance of the caller"):
        other.health("UNHEALTHY")


def test_tasks_are_listed_by_each_filter(shops: Shops) -> None:
    worker = shops.host()
    shops.create("vision", desiredCount=2)
    shops.create("telemetry")
    shops.settle()
    deployment = shops.service()["deployments"][0]["id"]
    assert listed(shops) == 3
    assert listed(shops, serviceName="vision") == 2
    assert listed(shops, family="telemetry") == 1
    assert listed(shops, containerInstance=worker.host.arn) == 3
    assert listed(shops, startedBy=deployment) == 2
    assert listed(shops, launchType="FARGATE") == 0
    assert listed(shops, desiredStatus="STOPPED") == 0
    with pytest.raises(AwsFault, match="only filter"):
        listed(shops, startedBy=deployment, family="vision")
    with pytest.raises(AwsFault, match="ServiceNotFoundException"):
        listed(shops, serviceName="gone")


def test_tasks_of_another_cluster_are_not_seen_by_part_of_its_name(shops: Shops) -> None:
    shops.host("store-1")
    shops.host("store-10")
    shops.create(cluster="store-10")
    shops.settle()
    assert shops.tasks(cluster="store-1") == []
    assert len(shops.tasks(cluster="store-10")) == 1


def test_stopping_a_task_that_is_not_there_is_refused(shops: Shops) -> None:
    shops.host()
    with pytest.raises(AwsFault, match="The referenced task was not found"):
        shops.rig.ecs("StopTask", cluster=STORE, task="0" * 32)


def test_connectivity_is_told_with_its_time(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    since = shops.tasks()[0]["connectivityAt"]
    worker.reconnect()
    assert shops.tasks()[0]["connectivityAt"] == since
    worker.cut()
    heard_at = shops.rig.clock.now()
    shops.settle(600)
    task = shops.tasks()[0]
    assert task["connectivity"] == "DISCONNECTED"
    assert heard_at < task["connectivityAt"] <= heard_at + 200


def started(shops: Shops, *instances: str, **body: Any) -> dict[str, Any]:
    definition = shops.service()["taskDefinition"]
    return shops.rig.ecs(
        "StartTask",
        cluster=STORE,
        taskDefinition=definition,
        containerInstances=list(instances),
        **body,
    )


def test_a_task_started_by_itself_is_of_no_service_and_is_not_started_again(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (task,) = started(shops, worker.host.arn, startedBy="somebody")["tasks"]
    assert (task["group"], task["startedBy"]) == ("family:vision", "somebody")
    shops.settle()
    assert listed(shops, startedBy="somebody") == 1
    assert shops.service()["runningCount"] == 1
    shops.rig.ecs("StopTask", cluster=STORE, task=task["taskArn"])
    shops.settle()
    assert listed(shops) == 1


def test_a_task_is_not_started_where_nobody_would_start_it(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    worker.cut()
    shops.settle(240)
    answer = started(shops, worker.host.arn, "0" * 32)
    assert answer["tasks"] == []
    assert [failure["reason"] for failure in answer["failures"]] == ["AGENT", "MISSING"]
