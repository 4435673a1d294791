"""The agents against the real control plane: services that run, fail, are cut off and return."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import UsageError
from fleet.sandbox.clock import SandboxClock
from tests.sandbox.bare_fleet import BareFleet, mixed_specs

START = 1_800_000_000.0
STORE, CAM, TEL = "store-0000", "store-0000/cam-1", "store-0000/tel-1"
GOOD, BAD = "shops/vision:1", "shops/vision:2"


class World:
    def __init__(self, folder: Path, stores: int = 1) -> None:
        self.chain = BareFleet(
            folder,
            mixed_specs(stores),
            clock=SandboxClock(0.0, START),
            attributes=lambda spec: {"fleet.hardware": spec.hardware},
            tags=lambda spec: {"fleet:store": spec.store},
        )
        self.chain.start()

    def ecs(self, action: str, store: str = STORE, **body: Any) -> dict[str, Any]:
        where = self.chain.hosts[f"{store}/cam-1"].spec
        return self.chain.call(where, "ecs", action, **body)

    def define(self, image: str, **fields: Any) -> str:
        part = {"name": "app", "image": image, "memory": 64, "essential": True, **fields}
        made = self.ecs(
            "RegisterTaskDefinition",
            family="vision",
            requiresCompatibilities=["EXTERNAL"],
            networkMode="bridge",
            containerDefinitions=[part],
        )
        return str(made["taskDefinition"]["taskDefinitionArn"])

    def serve(self, image: str = GOOD, **fields: Any) -> None:
        self.ecs(
            "CreateService",
            cluster=STORE,
            serviceName="vision",
            taskDefinition=self.define(image, **fields),
            desiredCount=1,
            launchType="EXTERNAL",
            deploymentConfiguration={
                "minimumHealthyPercent": 0,
                "maximumPercent": 100,
                "deploymentCircuitBreaker": {
                    "enable": True,
                    "rollback": True,
                    "thresholdConfiguration": {"type": "COUNT", "value": 2},
                },
            },
            placementConstraints=[
                {
                    "type": "memberOf",
                    "expression": "attribute:ecs.cpu-architecture == arm64",
                }
            ],
        )
        self.chain.clock.advance(90)

    def update(self, image: str, seconds: float = 120, **fields: Any) -> None:
        self.ecs(
            "UpdateService",
            cluster=STORE,
            service="vision",
            taskDefinition=self.define(image, **fields),
        )
        self.chain.clock.advance(seconds)

    def service(self) -> dict[str, Any]:
        (found,) = self.ecs("DescribeServices", cluster=STORE, services=["vision"])["services"]
        return dict(found)

    def images(self, host: str = CAM) -> list[str]:
        return [c.image for c in self.chain.hosts[host].containers.all(running=True)]

    def stopped(self) -> list[dict[str, Any]]:
        arns = self.ecs("ListTasks", cluster=STORE, desiredStatus="STOPPED")["taskArns"]
        if not arns:
            return []
        return list(self.ecs("DescribeTasks", cluster=STORE, tasks=arns)["tasks"])


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.chain.close()


def test_every_host_is_registered_connected_and_known_by_its_attributes(tmp_path: Path) -> None:
    world = World(tmp_path, stores=6)
    for spec in mixed_specs(6):
        found = world.chain.call(
            spec,
            "ecs",
            "ListContainerInstances",
            cluster=spec.store,
            filter=f"attribute:fleet.hardware == {spec.hardware}",
        )
        assert len(found["containerInstanceArns"]) == 1
    assert len(world.chain.hosts) == 10
    world.chain.close()


def test_a_service_runs_where_it_belongs(world: World) -> None:
    world.serve()
    assert world.images() == [GOOD]
    assert world.images(TEL) == []
    assert world.service()["runningCount"] == 1
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["COMPLETED"]


def test_a_new_release_replaces_the_old_one(world: World) -> None:
    world.serve()
    world.update(BAD)
    assert world.images() == [BAD]
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["COMPLETED"]


def test_a_release_that_crashes_is_rolled_back_by_the_breaker(world: World) -> None:
    world.serve()
    world.chain.images.tell({BAD: {"run": "crash", "exit_code": 1, "on": ["arm64"]}})
    world.update(BAD, seconds=1200)
    assert world.images() == [GOOD]
    crashed = [t for t in world.stopped() if t["containers"][0].get("exitCode") == 1]
    assert crashed
    assert {t["stopCode"] for t in crashed} == {"EssentialContainerExited"}


def test_an_image_for_the_wrong_architecture_says_so(world: World) -> None:
    world.chain.images.tell({BAD: {"architectures": ["amd64"]}})
    world.serve(BAD)
    task = world.stopped()[0]
    assert task["stopCode"] == "TaskFailedToStart"
    assert "no matching manifest for linux/arm64" in task["containers"][0]["reason"]


def test_a_health_check_reaches_the_service(world: World) -> None:
    world.serve(healthCheck={"command": ["CMD", "true"], "interval": 10})
    (arn,) = world.ecs("ListTasks", cluster=STORE)["taskArns"]
    (task,) = world.ecs("DescribeTasks", cluster=STORE, tasks=[arn])["tasks"]
    assert task["healthStatus"] == "HEALTHY"


def test_what_is_wanted_of_a_host_that_is_cut_off_happens_when_it_returns(world: World) -> None:
    world.serve()
    world.chain.cut(STORE)
    world.chain.clock.advance(600)
    world.update(BAD, seconds=3600)
    assert world.images() == [GOOD]
    assert world.service()["runningCount"] == 1
    world.chain.restore(STORE)
    # After more than an hour the credentials are gone, and SSM's agent asks every 30 minutes.
    world.chain.clock.advance(2400)
    assert world.images() == [BAD]
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["COMPLETED"]


def test_a_release_that_kills_the_link_stays_until_the_link_is_restored(world: World) -> None:
    world.serve()
    world.chain.images.tell({BAD: {"run": "kills-link", "after_s": 60}})
    world.update(BAD, seconds=900)
    assert world.chain.hosts[CAM].conditions.cut_by == ["image"]
    assert world.chain.hosts[TEL].conditions.cut_by == []
    world.update(GOOD, seconds=600)
    assert world.images() == [BAD]
    world.chain.restore(CAM)
    world.chain.clock.advance(900)
    assert world.images() == [GOOD]


def test_a_reboot_during_an_outage_is_made_good_after_it(world: World) -> None:
    world.serve()
    world.chain.cut(STORE)
    world.chain.hosts[CAM].reboot()
    world.chain.clock.advance(3600)
    assert world.images() == []
    world.chain.restore(STORE)
    world.chain.clock.advance(2400)
    assert world.images() == [GOOD]


def test_a_deregistered_instances_containers_run_on(world: World) -> None:
    world.serve()
    arn = world.chain.hosts[CAM].ecs_agent.metadata()
    assert arn is not None
    world.ecs(
        "DeregisterContainerInstance",
        cluster=STORE,
        containerInstance=arn["ContainerInstanceArn"],
        force=True,
    )
    world.chain.clock.advance(7200)
    assert world.images() == [GOOD]


def test_a_flapping_link_is_down_at_the_end_of_each_period(world: World) -> None:
    links, box = world.chain.links, world.chain.hosts[CAM]
    links.flap(CAM, 300, 120)
    world.chain.clock.advance(301 - world.chain.clock.now() % 300)
    seen = []
    for _ in range(10):
        world.chain.clock.advance(60)
        seen.append(bool(box.conditions.cut))
    assert seen == [False, False, True, True, False] * 2
    links.restore(CAM)
    world.chain.clock.advance(3600)
    assert (box.conditions.flap, box.conditions.cut) == ([], False)


def test_a_slow_link_is_slow_until_told_otherwise(world: World) -> None:
    world.chain.links.slow(STORE, 0.5)
    world.serve()
    assert world.images() == []
    world.chain.links.slow(STORE, None)
    world.chain.clock.advance(30)
    assert world.images() == [GOOD]


@pytest.mark.parametrize("target", ["store-9", "store-0000/cam-9"])
def test_a_link_that_is_not_there_is_refused(world: World, target: str) -> None:
    with pytest.raises(UsageError, match=target):
        world.chain.cut(target)


@pytest.mark.parametrize(("every", "down"), [(60, 60), (60, 0), (0, 0), (60, -5)])
def test_a_link_cannot_flap_without_both_states(world: World, every: float, down: float) -> None:
    with pytest.raises(UsageError, match="flap"):
        world.chain.links.flap(CAM, every, down)


def test_boxes_that_boot_one_after_the_other_do_not_ping_together(tmp_path: Path) -> None:
    world = World(tmp_path, stores=4)
    hosts = list(world.chain)

    def pinged() -> list[float]:
        found: list[float] = []
        for host in hosts:
            told = world.chain.call(host.spec, "ssm", "DescribeInstanceInformation")
            (mine,) = [n for n in told["InstanceInformationList"] if n["Name"] == host.id]
            found.append(mine["LastPingDateTime"])
        return found

    world.chain.clock.advance(600)
    assert max(pinged()) - min(pinged()) < 1
    world.chain.stagger(300)
    world.chain.clock.advance(600)
    gaps = [after - before for before, after in itertools.pairwise(sorted(pinged()))]
    assert gaps == pytest.approx([300 / len(hosts)] * (len(hosts) - 1), abs=1)
