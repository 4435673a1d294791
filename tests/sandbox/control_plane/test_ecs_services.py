from typing import Any

import pytest

from fleet.sandbox.agents.session import AwsFault
from tests.sandbox.control_plane.rig import Rig
from tests.sandbox.control_plane.works import STORE, Shops, arn_of, configuration


def test_a_service_gets_its_task_and_becomes_stable(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    assert not shops.steady()
    shops.settle()
    assert shops.steady()
    assert len(worker.running) == 1
    (deployment,) = shops.service()["deployments"]
    assert (deployment["status"], deployment["rolloutState"]) == ("PRIMARY", "COMPLETED")
    assert (deployment["runningCount"], deployment["failedTasks"]) == (1, 0)


def test_the_events_are_those_of_aws(shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.settle()
    (task,) = shops.tasks()
    deployment = shops.service()["deployments"][0]["id"]
    assert shops.messages() == [
        f"(service vision) has started 1 tasks: (task {task['taskArn'].rpartition('/')[2]}).",
        f"(service vision) (deployment {deployment}) deployment completed.",
        "(service vision) has reached a steady state.",
    ]


def test_a_new_task_definition_replaces_the_task(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    second = shops.definition("vision:2")
    answer = shops.update(taskDefinition=second)
    assert [d["status"] for d in answer["deployments"]] == ["PRIMARY", "ACTIVE"]
    shops.settle()
    assert shops.steady()
    assert list(worker.running.values()) == ["vision:2"]
    assert shops.service()["taskDefinition"] == second


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"desiredCount": 1},
        {"desiredCount": 2},
        {"taskDefinition": "vision:1"},
        {"deploymentConfiguration": configuration(50, 200, count=2)},
        {"placementConstraints": [{"type": "distinctInstance"}]},
        {"enableECSManagedTags": True},
        {"forceNewDeployment": False},
    ],
)
def test_what_does_not_change_the_revision_begins_no_deployment(
    shops: Shops, change: dict[str, Any]
) -> None:
    shops.host()
    shops.create()
    shops.settle()
    before = shops.service()["deployments"][0]["id"]
    shops.update(**change)
    shops.settle()
    assert [d["id"] for d in shops.service()["deployments"]] == [before]
    assert len(shops.records()) == 1


def test_a_forced_deployment_replaces_the_task_with_the_same(shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.settle()
    before = shops.tasks()[0]
    shops.update(forceNewDeployment=True)
    shops.settle()
    after = shops.tasks()[0]
    assert after["taskArn"] != before["taskArn"]
    assert after["taskDefinitionArn"] == before["taskDefinitionArn"]


def test_the_same_request_again_is_the_same_service(shops: Shops) -> None:
    definition = shops.definition()
    shops.host()
    first = shops.create(taskDefinition=definition)
    assert shops.create(taskDefinition=definition) == first


def test_another_request_of_the_same_name_is_refused(shops: Shops) -> None:
    definition = shops.definition()
    shops.host()
    shops.create(taskDefinition=definition)
    with pytest.raises(AwsFault) as caught:
        shops.create(taskDefinition=definition, desiredCount=2)
    assert (caught.value.code, caught.value.message) == (
        "InvalidParameterException",
        "Creation of service was not idempotent.",
    )


ALARMS = {"enable": True, "alarmNames": [], "rollback": False}


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"launchType": "EC2"}, "EXTERNAL only"),
        ({"launchType": ""}, "EXTERNAL only"),
        ({"loadBalancers": [{"targetGroupArn": "x"}]}, "does not model loadBalancers"),
        ({"taskDefinition": "gone"}, "TaskDefinition not found"),
        ({"desiredCount": None}, "needs a desiredCount"),
        ({"desiredCount": 5001}, "between 0 and 5000"),
        ({"schedulingStrategy": "DAEMON", "desiredCount": 1}, "does not support a desired count"),
        ({"placementStrategy": [{"type": "random"}]}, "does not model placementStrategy"),
        ({"deploymentConfiguration": configuration(100, 100)}, "cannot be 100"),
        ({"deploymentConfiguration": configuration(0, 50)}, "must be 100 or more"),
        ({"deploymentConfiguration": configuration(101, 200)}, "between 0 and 100"),
        ({"deploymentConfiguration": {"alarms": ALARMS}}, "not model deployment alarms"),
        ({"deploymentConfiguration": {"strategy": "BLUE_GREEN"}}, "ROLLING only"),
        ({"deploymentConfiguration": {"lifecycleHooks": [{}]}}, "not model lifecycleHooks"),
        ({"deploymentController": {"type": "CODE_DEPLOY"}}, "controller CODE_DEPLOY"),
        ({"placementConstraints": [{"type": "memberOf"}]}, "not valid"),
        (
            {"placementConstraints": [{"type": "memberOf", "expression": "attribute:a ="}]},
            "Invalid cluster query",
        ),
        ({"serviceName": "größe"}, "is not valid"),
    ],
)
def test_a_service_that_cannot_be_is_refused(shops: Shops, body: dict[str, Any], why: str) -> None:
    shops.host()
    with pytest.raises(AwsFault, match=why):
        shops.create(**body)


def test_the_cluster_and_the_service_have_to_be_there(shops: Shops) -> None:
    with pytest.raises(AwsFault, match="ClusterNotFoundException"):
        shops.create()
    shops.host()
    with pytest.raises(AwsFault, match="ServiceNotFoundException"):
        shops.update(desiredCount=1)


def test_missing_services_are_failures_by_arn(shops: Shops) -> None:
    shops.host()
    answer = shops.rig.ecs("DescribeServices", cluster=STORE, services=["gone"])
    assert answer["services"] == []
    arn = arn_of("service", f"{STORE}/gone")
    assert answer["failures"] == [{"arn": arn, "reason": "MISSING"}]


def test_eleven_services_are_too_many_to_describe(shops: Shops) -> None:
    shops.host()
    with pytest.raises(AwsFault, match="more than 10"):
        shops.rig.ecs("DescribeServices", cluster=STORE, services=["a"] * 11)


def test_services_are_listed_ten_a_page(shops: Shops) -> None:
    shops.host()
    definition = shops.definition()
    for number in range(12):
        shops.create(f"s{number:02}", taskDefinition=definition, desiredCount=0)
    first = shops.rig.ecs("ListServices", cluster=STORE)
    second = shops.rig.ecs("ListServices", cluster=STORE, nextToken=first["nextToken"])
    assert (len(first["serviceArns"]), len(second["serviceArns"])) == (10, 2)
    assert "nextToken" not in second


def test_services_are_listed_by_launch_type_and_strategy(shops: Shops) -> None:
    shops.host()
    shops.create("a", desiredCount=0)
    shops.create("b", schedulingStrategy="DAEMON")

    def listed(**body: str) -> list[str]:
        arns = shops.rig.ecs("ListServices", cluster=STORE, **body)["serviceArns"]
        return [arn.rpartition("/")[2] for arn in arns]

    assert listed(launchType="EXTERNAL") == ["a", "b"]
    assert listed(launchType="FARGATE") == []
    assert listed(schedulingStrategy="DAEMON") == ["b"]


def test_a_scaled_service_is_deleted_by_force_only(shops: Shops) -> None:
    worker = shops.host()
    shops.create()
    shops.settle()
    with pytest.raises(AwsFault, match="scaled above 0"):
        shops.rig.ecs("DeleteService", cluster=STORE, service="vision")
    answer = shops.rig.ecs("DeleteService", cluster=STORE, service="vision", force=True)
    assert answer["service"]["status"] == "DRAINING"
    shops.settle()
    assert shops.service()["status"] == "INACTIVE"
    assert worker.running == {}
    with pytest.raises(AwsFault, match="ServiceNotActiveException"):
        shops.update(desiredCount=1)


def test_the_name_of_a_deleted_service_can_be_used_again(shops: Shops) -> None:
    shops.host()
    shops.create()
    shops.settle()
    shops.rig.ecs("DeleteService", cluster=STORE, service="vision", force=True)
    with pytest.raises(AwsFault, match="still Draining"):
        shops.create()
    shops.settle()
    shops.create()
    shops.settle()
    assert shops.steady()
    assert shops.service()["status"] == "ACTIVE"


def test_a_cluster_counts_its_services_and_tasks_and_is_not_deleted_with_them(
    shops: Shops,
) -> None:
    shops.host()
    shops.create()
    shops.settle()
    cluster = shops.rig.ecs("DescribeClusters", clusters=[STORE])["clusters"][0]
    assert (cluster["activeServicesCount"], cluster["runningTasksCount"]) == (1, 1)
    (instance,) = shops.workers
    shops.rig.ecs(
        "DeregisterContainerInstance", cluster=STORE, containerInstance=instance, force=True
    )
    with pytest.raises(AwsFault, match="ClusterContainsServicesException"):
        shops.rig.ecs("DeleteCluster", cluster=STORE)


def test_tags_of_a_service_are_kept_and_given_to_its_tasks(shops: Shops) -> None:
    shops.host()
    tags = [{"key": "fleet:rollout", "value": "ro-1"}]
    made = shops.create(tags=tags, propagateTags="SERVICE", enableECSManagedTags=True)
    shops.settle()
    shops.rig.ecs(
        "TagResource",
        resourceArn=made["serviceArn"],
        tags=[{"key": "fleet:rollout", "value": "ro-2"}],
    )
    answer = shops.rig.ecs("DescribeServices", cluster=STORE, services=["vision"], include=["TAGS"])
    assert answer["services"][0]["tags"] == [{"key": "fleet:rollout", "value": "ro-2"}]
    assert shops.service()["tags"] == []
    (task,) = shops.rig.ecs("ListTasks", cluster=STORE)["taskArns"]
    shown = shops.rig.ecs("ListTagsForResource", resourceArn=task)["tags"]
    assert {tag["key"]: tag["value"] for tag in shown} == {
        "aws:ecs:clusterName": STORE,
        "aws:ecs:serviceName": "vision",
        "fleet:rollout": "ro-1",
    }


def test_an_account_may_change_fifty_services_at_once_and_five_a_second_after_that() -> None:
    rig = Rig(throttling=True)
    shops = Shops(rig)
    shops.host()
    shops.create(desiredCount=0)
    for _ in range(49):
        shops.update(desiredCount=0)
    with pytest.raises(AwsFault, match="ThrottlingException"):
        shops.update(desiredCount=0)
    rig.clock.advance(1)
    for _ in range(5):
        shops.update(desiredCount=0)
    with pytest.raises(AwsFault, match="ThrottlingException"):
        shops.update(desiredCount=0)
    rig.close()
