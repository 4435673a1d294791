from itertools import pairwise
from typing import Any

import pytest

from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import RESOURCES, STORE, Shops, Worker, configuration

ONE_EACH = [{"type": "distinctInstance"}]


def on_arch(arch: str) -> list[dict[str, str]]:
    return [{"type": "memberOf", "expression": f"attribute:ecs.cpu-architecture == {arch}"}]


def drain(shops: Shops, worker: Worker) -> None:
    shops.rig.ecs(
        "UpdateContainerInstancesState",
        cluster=STORE,
        containerInstances=[instance_of(worker)],
        status="DRAINING",
    )


def instance_of(worker: Worker) -> str:
    return worker.host.arn


def go_dark(shops: Shops, worker: Worker) -> None:
    """Cut a host off until the control plane has noticed."""
    worker.cut()
    shops.settle(600)


def test_tasks_go_to_instances_of_their_architecture(shops: Shops) -> None:
    arm, amd = shops.host(arch="arm64"), shops.host(arch="x86_64")
    shops.create(placementConstraints=on_arch("x86_64"))
    shops.settle()
    assert (len(arm.running), len(amd.running)) == (0, 1)


def test_constraints_of_the_task_definition_hold_too(shops: Shops) -> None:
    arm, amd = shops.host(arch="arm64"), shops.host(arch="x86_64")
    shops.create(taskDefinition=shops.definition(placementConstraints=on_arch("arm64")))
    shops.settle()
    assert (len(arm.running), len(amd.running)) == (1, 0)


def test_no_two_tasks_of_a_service_share_an_instance_that_is_to_be_distinct(shops: Shops) -> None:
    workers = [shops.host(), shops.host()]
    shops.create(desiredCount=3, placementConstraints=ONE_EACH)
    shops.settle()
    assert [len(worker.running) for worker in workers] == [1, 1]
    assert "DistinctInstance placement constraint unsatisfied" in shops.messages()[-1]


def test_a_service_in_an_empty_cluster_says_so_once(shops: Shops) -> None:
    shops.rig.ecs("CreateCluster", clusterName=STORE)
    shops.create()
    shops.settle(3600)
    (message,) = shops.messages()
    assert "No Container Instances were found in your cluster." in message


@pytest.mark.parametrize(
    ("container", "why"),
    [
        ({"cpu": 5000}, "has insufficient CPU units available."),
        ({"memory": 9000}, "has insufficient memory available."),
        ({"portMappings": [{"containerPort": 22, "hostPort": 22}]}, "is already using a port"),
    ],
)
def test_a_task_that_does_not_fit_is_explained(
    shops: Shops, container: dict[str, Any], why: str
) -> None:
    shops.host()
    shops.create(taskDefinition=shops.definition(container=container))
    shops.settle()
    assert why in shops.messages()[-1]
    assert shops.service()["pendingCount"] == 0


def test_what_tasks_take_is_missing_from_the_remaining_resources(shops: Shops) -> None:
    worker = shops.host()
    container = {"cpu": 512, "portMappings": [{"containerPort": 80, "hostPort": 8080}]}
    shops.create(taskDefinition=shops.definition(container=container))
    shops.settle()
    answer = shops.rig.ecs(
        "DescribeContainerInstances", cluster=STORE, containerInstances=[instance_of(worker)]
    )
    instance = answer["containerInstances"][0]
    left = {part["name"]: part for part in instance["remainingResources"]}
    assert left["CPU"]["integerValue"] == 4096 - 512
    assert left["MEMORY"]["integerValue"] == 8000 - 256
    assert left["PORTS"]["stringSetValue"] == ["22", "8080"]
    registered = {part["name"]: part for part in instance["registeredResources"]}
    assert registered["CPU"]["integerValue"] == 4096
    assert (instance["runningTasksCount"], instance["pendingTasksCount"]) == (1, 0)


def test_tasks_are_spread_over_the_instances(shops: Shops) -> None:
    workers = [shops.host(), shops.host()]
    shops.create("spread", desiredCount=2)
    shops.settle()
    assert sorted(len(worker.running) for worker in workers) == [1, 1]


def test_a_fixed_port_is_free_again_once_the_task_before_has_stopped(shops: Shops) -> None:
    shops.host()
    container = {"portMappings": [{"containerPort": 80, "hostPort": 8080}]}
    shops.create(taskDefinition=shops.definition(container=container))
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2", container=container))
    shops.settle()
    assert shops.steady()


def test_a_fixed_port_deadlocks_a_deployment_that_may_not_stop_first(shops: Shops) -> None:
    worker = shops.host()
    container = {"portMappings": [{"containerPort": 80, "hostPort": 8080}]}
    shops.create(
        taskDefinition=shops.definition(container=container),
        deploymentConfiguration=configuration(100, 200),
    )
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2", container=container))
    shops.settle(3600)
    assert list(worker.running.values()) == ["vision:1"]
    assert shops.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"


def test_with_room_the_new_task_comes_before_the_old_one_goes(shops: Shops) -> None:
    worker = shops.host()
    shops.create(deploymentConfiguration=configuration(100, 200))
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle(30)
    assert sorted(worker.running.values()) == ["vision:1", "vision:2"]
    shops.settle(60)
    assert list(worker.running.values()) == ["vision:2"]


def test_a_service_is_scaled_up_and_down(shops: Shops) -> None:
    worker = shops.host()
    shops.create(desiredCount=1)
    shops.settle()
    shops.update(desiredCount=3)
    shops.settle()
    assert len(worker.running) == 3
    shops.update(desiredCount=0)
    shops.settle()
    assert worker.running == {}
    assert shops.steady()
    (stopped, *_) = shops.tasks("STOPPED")
    assert stopped["stopCode"] == "ServiceSchedulerInitiated"
    assert stopped["stoppedReason"].startswith("Scaling activity initiated by (deployment ecs-svc/")


def test_a_task_that_ends_is_replaced(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (arn,) = worker.running
    worker.stop(arn, 1)
    shops.settle()
    assert len(worker.running) == 1
    assert arn not in worker.running
    (stopped,) = shops.tasks("STOPPED")
    assert stopped["stopCode"] == "EssentialContainerExited"
    assert stopped["containers"][0]["exitCode"] == 1


def test_a_task_that_ends_again_and_again_waits_longer_each_time(shops: Shops) -> None:
    shops.host()
    shops.fate["vision:1"] = "crash"
    shops.create()
    shops.settle(3600)
    started = sorted(task["createdAt"] for task in shops.tasks("STOPPED"))
    gaps = [later - earlier for earlier, later in pairwise(started)]
    assert gaps == sorted(gaps)
    assert len(started) < 12
    assert sum("unable to consistently start tasks" in text for text in shops.messages()) == 1


def test_without_a_breaker_a_bad_deployment_is_in_progress_for_ever(shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.settle()
    shops.fate["bad:1"] = "crash"
    shops.update(taskDefinition=shops.definition("bad:1"))
    shops.settle(86_400)
    assert shops.service()["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert shops.service()["deployments"][0]["failedTasks"] > 20


def test_draining_moves_the_tasks_to_the_other_instance(shops: Shops) -> None:
    leaving, staying = shops.host(), shops.host()
    shops.create(desiredCount=2, placementConstraints=ONE_EACH)
    shops.settle()
    drain(shops, leaving)
    shops.update(desiredCount=1)
    shops.settle()
    assert (len(leaving.running), len(staying.running)) == (0, 1)
    assert shops.steady()


def test_a_forced_deregistration_orphans_the_tasks_and_replaces_them(shops: Shops) -> None:
    leaving, staying = shops.host(), shops.host(arch="x86_64")
    shops.create()
    shops.settle()
    if staying.running:
        leaving, staying = staying, leaving
    body = {"cluster": STORE, "containerInstance": instance_of(leaving)}
    with pytest.raises(Exception, match="Found running tasks on the instance"):
        shops.rig.ecs("DeregisterContainerInstance", **body)
    shops.rig.ecs("DeregisterContainerInstance", **body, force=True)
    shops.settle()
    assert len(leaving.running) == 1
    assert len(staying.running) == 1
    assert shops.steady()


def test_a_daemon_runs_once_on_every_matching_instance(shops: Shops) -> None:
    arm = [shops.host(), shops.host()]
    amd = shops.host(arch="x86_64")
    shops.create(schedulingStrategy="DAEMON", placementConstraints=on_arch("arm64"))
    shops.settle()
    assert [len(worker.running) for worker in [*arm, amd]] == [1, 1, 0]
    assert shops.service()["desiredCount"] == 2
    arm.append(shops.host())
    shops.settle()
    assert [len(worker.running) for worker in arm] == [1, 1, 1]
    assert shops.steady()


def test_a_daemon_leaves_a_draining_instance_and_one_that_matches_no_longer(shops: Shops) -> None:
    draining, changed, same = shops.host(), shops.host(), shops.host()
    constraint = [{"type": "memberOf", "expression": "attribute:ring != off"}]
    shops.create(schedulingStrategy="DAEMON", placementConstraints=constraint)
    shops.settle()
    drain(shops, draining)
    off = {"name": "ring", "value": "off", "targetId": instance_of(changed)}
    shops.rig.ecs("PutAttributes", cluster=STORE, attributes=[off])
    shops.settle()
    assert [len(worker.running) for worker in (draining, changed, same)] == [0, 0, 1]
    assert shops.service()["desiredCount"] == 1


def test_a_daemon_is_updated_one_task_after_the_other_stopped(shops: Shops) -> None:
    workers = [shops.host(), shops.host()]
    shops.create(schedulingStrategy="DAEMON")
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle()
    assert [list(worker.running.values()) for worker in workers] == [["vision:2"], ["vision:2"]]
    assert shops.steady()


def test_tasks_of_a_dark_host_stay_as_last_heard_and_are_not_replaced(shops: Shops) -> None:
    dark, bright = shops.host(), shops.host()
    shops.create(desiredCount=2, placementConstraints=ONE_EACH)
    shops.settle()
    go_dark(shops, dark)
    assert len(bright.running) == 1
    assert shops.service()["runningCount"] == 2
    states = {task["connectivity"]: task["lastStatus"] for task in shops.tasks()}
    assert states == {"CONNECTED": "RUNNING", "DISCONNECTED": "RUNNING"}


def test_nothing_is_placed_on_a_dark_host_and_the_event_says_agent(shops: Shops) -> None:
    dark = shops.host()
    go_dark(shops, dark)
    shops.create()
    shops.settle()
    assert 'encountered error "AGENT".' in shops.messages()[-1]
    assert shops.service()["pendingCount"] == 0
    dark.restore()
    shops.settle()
    assert shops.steady()


def test_a_dark_instance_counts_for_a_daemon(shops: Shops) -> None:
    dark, bright = shops.host(), shops.host()
    go_dark(shops, dark)
    shops.create(schedulingStrategy="DAEMON")
    shops.settle()
    assert shops.service()["desiredCount"] == 2
    assert len(bright.running) == 1


def test_an_update_of_a_dark_store_waits_until_the_host_is_back(shops: Shops) -> None:
    worker = shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle()
    go_dark(shops, worker)
    shops.update(taskDefinition=shops.definition("vision:2"))
    shops.settle(3 * 86_400)
    service = shops.service()
    assert service["deployments"][0]["rolloutState"] == "IN_PROGRESS"
    assert service["deployments"][0]["failedTasks"] == 0
    assert (service["runningCount"], len(service["deployments"])) == (1, 2)
    (old,) = shops.tasks("STOPPED")
    assert (old["lastStatus"], old["desiredStatus"]) == ("RUNNING", "STOPPED")
    worker.restore()
    shops.settle(90)
    assert list(worker.running.values()) == ["vision:2"]
    assert shops.steady()


def test_a_revision_that_was_taken_back_in_the_dark_never_runs(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    go_dark(shops, worker)
    shops.update(taskDefinition=shops.definition("bad:1"))
    shops.settle()
    shops.update(taskDefinition="vision:1")
    shops.settle()
    seen: list[str] = []
    take = worker._take

    def watch(task: Any) -> None:
        seen.extend(part["image"] for part in task.get("containers", ()))
        take(task)

    worker._take = watch  # type: ignore[method-assign]  # to see every image it is sent
    worker.restore()
    shops.settle(90)
    assert list(worker.running.values()) == ["vision:1"]
    assert seen == ["vision:1"]
    assert shops.steady()


def test_what_runs_but_is_not_wanted_is_stopped_through_the_manifest(shops: Shops) -> None:
    worker = shops.host()
    shops.settle(5)
    worker.running["arn:aws:ecs:eu-west-1:111122223333:task/store-042/ghost"] = "old:1"
    shops.create()
    shops.settle()
    assert len(worker.running) == 2
    worker.report = lambda *_, **__: None  # type: ignore[method-assign]  # nobody knows the ghost
    worker.reconnect()
    shops.settle()
    assert list(worker.running.values()) == ["vision:1"]


def test_an_intent_that_was_lost_on_the_way_is_sent_again(shops: Shops) -> None:
    worker = shops.host()
    shops.settle(5)
    worker.cut()
    shops.create()
    shops.settle(20)
    assert shops.service()["pendingCount"] == 1
    worker.up = True
    shops.settle(120)
    assert len(worker.running) == 1


def test_a_payload_that_is_repeated_starts_nothing_twice(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    (before,) = worker.running
    worker.reconnect()
    shops.settle(120)
    assert list(worker.running) == [before]


def test_a_task_that_was_told_to_stop_by_hand_is_replaced(shops: Shops) -> None:
    worker = shops.host()
    shops.create(deploymentConfiguration=configuration(count=1))
    shops.settle(10)
    (arn,) = worker.running
    shops.rig.ecs("StopTask", cluster=STORE, task=arn, reason="by hand")
    shops.settle(90)
    assert len(worker.running) == 1
    (stopped,) = shops.tasks("STOPPED")
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "by hand")
    assert shops.service()["deployments"][0]["rolloutState"] == "COMPLETED"


def test_an_idle_service_costs_no_timers(shops: Shops) -> None:
    shops.host()
    shops.settle(120)
    before = len(shops.rig.schedule)
    shops.create()
    shops.settle(300)
    assert len(shops.rig.schedule) == before


def test_a_restart_keeps_services_tasks_and_what_was_under_way(tmp_path: Any) -> None:
    rig = Rig(tmp_path / "plane.db")
    shops = Shops(rig)
    worker = shops.host()
    shops.create()
    shops.settle()
    shops.update(taskDefinition=shops.definition("vision:2"))
    before = (shops.service(), shops.tasks(), shops.records())
    rig.close()
    again = Rig(tmp_path / "plane.db", start=rig.clock.now())
    shops.rig = again
    assert shops.service() == before[0]
    assert shops.records() == before[2]
    assert [task["taskArn"] for task in shops.tasks()] == [task["taskArn"] for task in before[1]]
    worker.reconnect()
    shops.settle(90)
    assert list(worker.running.values()) == ["vision:2"]
    assert shops.steady()
    again.close()


def test_stopped_tasks_are_seen_for_an_hour(shops: Shops) -> None:
    worker = shops.host(totalResources=RESOURCES)
    shops.create()
    shops.settle()
    (arn,) = worker.running
    worker.stop(arn, 1)
    shops.settle(3590)
    assert [task["taskArn"] for task in shops.tasks("STOPPED")] == [arn]
    shops.settle(20)
    assert shops.tasks("STOPPED") == []
    answer = shops.rig.ecs("DescribeTasks", cluster=STORE, tasks=[arn])
    assert answer["failures"] == [{"arn": arn, "reason": "MISSING"}]
