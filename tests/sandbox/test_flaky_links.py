"""Links as shops have them, and the cheap way through a day."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.sandbox.clock import SandboxClock
from fleet.sandbox.control_plane.ssm_nodes import TIER
from fleet.sandbox.hosts.simulated_host import SimulatedHost
from tests.sandbox.bare_fleet import BareFleet, mixed_specs
from tests.sandbox.flaky_links import FlakyLinks

START = 1_800_000_000.0
HOUR = 3600.0


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[BareFleet]:
    chain = BareFleet(tmp_path, mixed_specs(20), clock=SandboxClock(0.0, START))
    chain.start()
    yield chain
    chain.close()


def flaky_links(chain: BareFleet, **more: float) -> FlakyLinks:
    boxes: list[SimulatedHost] = list(chain)
    made = FlakyLinks(chain.clock, chain.schedule, boxes, **more)  # type: ignore[arg-type] # seed is a number too
    made.start()
    return made


def connected(chain: BareFleet) -> dict[str, bool]:
    return {
        host.id: found["agentConnected"]
        for host in chain
        for found in chain.call(
            host.spec,
            "ecs",
            "DescribeContainerInstances",
            cluster=host.spec.store,
            containerInstances=chain.call(
                host.spec, "ecs", "ListContainerInstances", cluster=host.spec.store
            )["containerInstanceArns"],
        )["containerInstances"]
        if found["ec2InstanceId"] == node_of(chain, host.id)
    }


def node_of(chain: BareFleet, host: str) -> str:
    spec = chain.hosts[host].spec
    nodes = chain.call(spec, "ssm", "DescribeInstanceInformation", MaxResults=50)
    return next(str(n["InstanceId"]) for n in nodes["InstanceInformationList"] if n["Name"] == host)


def pings(chain: BareFleet) -> dict[str, str]:
    return {
        node["Name"]: node["PingStatus"]
        for region in ("eu-west-1", "eu-central-1")
        for node in chain.plane.call(
            "ssm",
            "DescribeInstanceInformation",
            {"MaxResults": 50},
            account="111122223333",
            region=region,
        )["InstanceInformationList"]
    }


@pytest.mark.long
def test_every_host_breaks_about_as_often_as_was_said(chain: BareFleet) -> None:
    sky = flaky_links(chain)
    chain.clock.advance(4 * HOUR)
    assert 30 * 8 * 0.75 <= sky.breaks <= 30 * 8 * 1.25


@pytest.mark.long
def test_now_and_then_an_agent_is_away_when_one_looks_and_is_back_soon(chain: BareFleet) -> None:
    sky = flaky_links(chain, every_s=600.0, usual_s=60.0)
    away: set[str] = set()
    for _ in range(20):
        chain.clock.advance(300)
        away |= {host for host, is_there in connected(chain).items() if not is_there}
    sky.stop()
    chain.clock.advance(300)
    assert away
    assert all(connected(chain).values())


def test_no_break_lets_a_node_look_lost(chain: BareFleet) -> None:
    flaky_links(chain, every_s=600.0)
    for _ in range(20):
        chain.clock.advance(300)
        assert set(pings(chain).values()) == {"Online"}


def test_the_same_seed_brings_the_same_weather(chain: BareFleet, tmp_path: Path) -> None:
    other = BareFleet(tmp_path / "other", mixed_specs(20), clock=SandboxClock(0.0, START))
    other.start()
    skies = [flaky_links(one, seed=7) for one in (chain, other)]
    for one in (chain, other):
        one.clock.advance(HOUR)
    other.close()
    assert skies[0].breaks == skies[1].breaks > 0


def test_a_link_that_somebody_cut_stays_cut_when_the_weather_ends(chain: BareFleet) -> None:
    chain.cut("store-0000")
    sky = flaky_links(chain, every_s=60.0)
    chain.clock.advance(600)
    sky.stop()
    assert [host.id for host in chain if host.conditions.cut] == [
        "store-0000/cam-1",
        "store-0000/tel-1",
    ]


def test_after_a_doze_everybody_is_there_but_who_was_cut_off_before_it(chain: BareFleet) -> None:
    chain.cut("store-0000")
    chain.doze(20 * HOUR)
    chain.clock.advance(900)
    gone = {host for host, ping in pings(chain).items() if ping != "Online"}
    assert gone == {"store-0000/cam-1", "store-0000/tel-1"}
    assert {host for host, there in connected(chain).items() if not there} == gone


def test_a_chain_that_the_standard_tier_cannot_hold_chooses_the_advanced_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.sandbox.bare_fleet.STANDARD_LIMIT", 10)
    chain = BareFleet(tmp_path, mixed_specs(20), clock=SandboxClock(0.0, START))
    chain.start()
    where = next(iter(chain)).spec
    setting = chain.call(where, "ssm", "GetServiceSetting", SettingId=TIER)["ServiceSetting"]
    assert setting["SettingValue"] == "advanced"
    chain.close()


def test_tags_of_a_cluster_and_of_its_instances_are_there_from_the_start(tmp_path: Path) -> None:
    chain = BareFleet(
        tmp_path,
        mixed_specs(1),
        clock=SandboxClock(0.0, START),
        tags=lambda spec: {"host": spec.name},
        cluster_tags=lambda spec: {"store": spec.store},
    )
    chain.start()
    where = next(iter(chain)).spec
    (cluster,) = chain.call(
        where, "ecs", "DescribeClusters", clusters=["store-0000"], include=["TAGS"]
    )["clusters"]
    arns = chain.call(where, "ecs", "ListContainerInstances", cluster="store-0000")[
        "containerInstanceArns"
    ]
    found = chain.call(
        where,
        "ecs",
        "DescribeContainerInstances",
        cluster="store-0000",
        containerInstances=arns,
        include=["TAGS"],
    )["containerInstances"]
    chain.close()
    assert cluster["tags"] == [{"key": "store", "value": "store-0000"}]
    assert sorted(i["tags"][0]["value"] for i in found) == ["cam-1", "tel-1"]
