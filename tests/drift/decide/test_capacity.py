"""Room: does what is wanted fit its hosts, alone and together?"""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.capacity import demand_of, of_capacity
from fleet.model.desired import Release, TaskDefinition
from fleet.model.drift import Finding
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead
from tests import build
from tests.drift.decide import shop
from tests.drift.decide.shop import case, host
from tests.rollout.decide import plans

ROOM = {"CPU": 1024, "MEMORY": 1000}


def body(family: str, **container: Any) -> TaskDefinition:
    one = {"name": "main", "image": plans.NEW_IMAGE, **container}
    return TaskDefinition.of({"family": family, "containerDefinitions": [one]})


def found_for(
    *definitions: TaskDefinition, room: dict[str, int] = ROOM, **changes: Any
) -> list[Finding]:
    """Of services named like the families, all on the one host."""
    release = replace(
        plans.release([build.store()]),
        task_definitions={d.content: d for d in definitions},
        shapes={d.family: replace(plans.SHAPE, name=d.family) for d in definitions},
    )
    services = tuple(shop.desired(d.family, d.content) for d in definitions)
    small = host(instances=(plans.instance(registered=room),))
    return of_capacity(
        case(
            **{"hosts": [small], "want": {"services": services}, "release": release, **changes},
        )
    )


def test_what_fits_alone_and_together_is_no_finding() -> None:
    assert found_for(body("a", memory=500, cpu=512), body("b", memory=500, cpu=512)) == []


def test_a_task_with_more_memory_than_its_host_never_fits() -> None:
    (found,) = found_for(body("a", memory=1001))
    assert (found.code, found.host, found.subject) == ("TASK_NEVER_FITS", "tel-1", "a/memory")
    assert found.cause == (
        "a task of a asks for 1001 MiB and tel-1 has registered 1000: ECS can never place it there"
    )
    assert found.fix == "fleet render store-042 telemetry"


def test_tasks_that_fit_alone_and_not_together_are_short_of_room() -> None:
    (found,) = found_for(body("a", memory=600), body("b", memory=600))
    assert (found.code, found.subject) == ("CAPACITY_SHORT", "memory")
    assert "1200 MiB together (a 600 and b 600)" in found.cause


def test_a_task_that_never_fits_takes_no_room_from_the_others() -> None:
    (found,) = found_for(body("a", memory=1001), body("b", memory=600))
    assert found.code == "TASK_NEVER_FITS"


def test_one_fixed_port_for_two_services_of_a_host_clashes() -> None:
    ports = {"memory": 1, "portMappings": [{"containerPort": 80, "hostPort": 8080}]}
    (found,) = found_for(body("a", **ports), body("b", **ports))
    assert (found.code, found.subject) == ("PORT_CLASH", "8080/tcp")


def test_one_port_of_two_protocols_and_ports_that_docker_chooses_do_not_clash() -> None:
    one = {"memory": 1, "portMappings": [{"containerPort": 80, "hostPort": 53}]}
    other = [{"containerPort": 80, "hostPort": 53, "protocol": "udp"}, {"containerPort": 80}]
    third = {"memory": 1, "portMappings": [{"containerPort": 80, "hostPort": 0}]}
    assert found_for(body("a", **one), body("b", memory=1, portMappings=other)) == []
    assert found_for(body("a", **third), body("b", memory=1, portMappings=other[1:])) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"seen": {"instances": shop.NOT_READ}},
        {"release": NotRead("templates")},
        {"store": {"lifecycle": Lifecycle.CLOSED}},
        {"room": {}},
        {"hosts": [host(instances=())]},
    ],
    ids=["not read", "no release", "closed", "ECS names no resources", "not registered"],
)
def test_without_both_sides_nothing_is_concluded(changes: dict[str, Any]) -> None:
    assert found_for(body("a", memory=1001), **changes) == []


def test_a_reservation_counts_and_its_limit_does_not() -> None:
    containers = [{"memoryReservation": 100, "memory": 900, "cpu": 10}, {"memory": 50}]
    assert demand_of({"containerDefinitions": containers}).room == {"CPU": 10, "MEMORY": 150}


@pytest.mark.parametrize(
    ("cpu", "memory", "room"),
    [
        ("512", "1024", (512, 1024)),
        ("0.5 vCPU", "2 GB", (512, 2048)),
        ("1vcpu", "1gb", (1024, 1024)),
        ("much", "", (7, 9)),
    ],
)
def test_sizes_of_a_task_as_a_whole_go_before_those_of_its_containers(
    cpu: str, memory: str, room: tuple[int, int]
) -> None:
    one = {"cpu": cpu, "memory": memory, "containerDefinitions": [{"cpu": 7, "memory": 9}]}
    assert tuple(demand_of(one).room.values()) == room


def test_on_the_hosts_network_the_containers_port_is_the_hosts() -> None:
    one = {"containerDefinitions": [{"portMappings": [{"containerPort": 80}]}]}
    assert demand_of(one).ports == frozenset()
    assert demand_of({**one, "networkMode": "host"}).ports == {"80/tcp"}


@given(sizes=st.lists(st.integers(1, 700), min_size=1, max_size=4))
def test_room_is_short_exactly_when_the_sum_is_more_than_the_host_has(sizes: list[int]) -> None:
    found = found_for(*(body(f"s{n}", memory=size) for n, size in enumerate(sizes)))
    assert [one.code for one in found] == (["CAPACITY_SHORT"] if sum(sizes) > 1000 else [])


def test_the_release_is_not_asked_for_what_it_does_not_hold() -> None:
    empty: Release = replace(plans.release([build.store()]), task_definitions={})
    assert found_for(release=empty, want={"services": (shop.desired("a", "c"),)}) == []


def test_a_task_as_big_as_its_host_fits_and_says_what_the_host_has_when_it_does_not() -> None:
    assert found_for(body("a", memory=1000, cpu=1024)) == []
    (found,) = found_for(body("a", cpu=1025))
    assert [one.words for one in found.evidence] == [
        "registered CPU 1024, MEMORY 1000",
        "a asks for 1025 CPU units",
    ]
