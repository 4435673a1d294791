from dataclasses import replace
from datetime import UTC, datetime

from fleet.aws.interning import EVENTS_AT_REST, Interner
from fleet.model.services import ContainerState, Deployment, ServiceState, TaskState
from tests import build

AT = datetime(2026, 11, 23, tzinfo=UTC)


def text(value: str) -> str:
    """An equal text that is another object."""
    return "".join(list(value))


def service(state: str = "COMPLETED", running: int = 1) -> ServiceState:
    deployment = Deployment("1", "PRIMARY", text("arn:1"), 1, 0, 1, 0, text(state))
    return ServiceState(
        cluster="store-042",
        name=text("vision-arm64"),
        arn="arn",
        status="ACTIVE",
        task_definition=text("arn:1"),
        scheduling="REPLICA",
        desired=1,
        running=running,
        pending=0,
        deployments=(deployment,),
        events=tuple((AT, text("reached a steady state")) for _ in range(5)),
        settings={"deploymentConfiguration": {"maximumPercent": 100}},
    )


def test_what_is_shared_says_the_same() -> None:
    interner = Interner()
    instance = build.instance(attributes={"a": "b"}, registered={"CPU": 4096})
    assert interner.instance(instance) == instance
    assert interner.node(build.node()) == build.node()
    moving = service("IN_PROGRESS")
    assert interner.service(moving) == moving
    task = TaskState(
        "arn", "s", "i", "t", "RUNNING", "RUNNING", containers=(ContainerState("a", "R"),)
    )
    assert interner.task(task) == task


def test_equal_texts_and_sizes_of_two_hosts_are_one_object() -> None:
    interner = Interner()
    one, other = (
        interner.instance(
            build.instance(
                agent_version=text("1.105.1"),
                attributes={text("ecs.os-type"): text("linux")},
                registered={"CPU": 4096},
            )
        )
        for _ in range(2)
    )
    assert one.agent_version is other.agent_version
    assert one.attributes["ecs.os-type"] is other.attributes["ecs.os-type"]
    assert one.registered is other.registered


def test_equal_settings_of_two_services_are_one_object() -> None:
    interner = Interner()
    one, other = interner.service(service()), interner.service(service())
    assert one.settings is other.settings
    assert one.task_definition is other.task_definition


def test_settings_that_differ_stay_apart() -> None:
    interner = Interner()
    other = replace(service(), settings={"deploymentConfiguration": {"maximumPercent": 200}})
    assert interner.service(service()).settings != interner.service(other).settings


def test_a_service_at_rest_keeps_few_events_and_one_in_trouble_all() -> None:
    interner = Interner()
    assert len(interner.service(service()).events) == EVENTS_AT_REST
    assert len(interner.service(service("FAILED")).events) == 5
    assert len(interner.service(service(running=0)).events) == 5
