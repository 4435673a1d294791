import threading
from itertools import pairwise

import pytest

from fleet.sandbox.agents import ecs, identity
from fleet.sandbox.agents.registration import STATE, read_state
from fleet.sandbox.hosts.shop_host import ShopHost
from tests.sandbox.shop import REGION, Shop


def test_it_registers_with_the_node_it_runs_on_and_connects(shop: Shop, member: ShopHost) -> None:
    (instance,) = shop.instances()
    registration = identity.read_registration(member)
    assert registration is not None
    assert instance["ec2InstanceId"] == registration.instance_id
    assert instance["agentConnected"] is True
    assert instance["versionInfo"]["agentVersion"] == ecs.VERSION
    assert instance["versionInfo"]["dockerVersion"] == "24.0.7"


def test_its_metadata_names_its_container_instance(shop: Shop, member: ShopHost) -> None:
    metadata = member.ecs_agent.metadata()
    assert metadata is not None
    assert metadata["ContainerInstanceArn"] == shop.instances()[0]["containerInstanceArn"]
    assert metadata["Cluster"] == "store-042"


def test_a_restart_keeps_the_container_instance(shop: Shop, member: ShopHost) -> None:
    before = shop.instances()[0]["containerInstanceArn"]
    member.units.restart("ecs")
    assert member.ecs_agent.metadata() is None
    shop.clock.advance(10)
    assert [i["containerInstanceArn"] for i in shop.instances()] == [before]
    assert shop.instances()[0]["agentConnected"] is True


def test_attributes_and_tags_count_only_before_the_first_start(shop: Shop, node: ShopHost) -> None:
    shop.configure(node, 'ECS_INSTANCE_ATTRIBUTES={"fleet.ring":"canary"}')
    node.units.start("ecs")
    shop.clock.advance(10)
    shop.configure(node, 'ECS_INSTANCE_ATTRIBUTES={"fleet.ring":"standard"}')
    node.units.restart("ecs")
    shop.clock.advance(10)
    attributes = {a["name"]: a.get("value") for a in shop.instances()[0]["attributes"]}
    assert attributes["fleet.ring"] == "canary"


def test_stopping_it_disconnects_at_once(shop: Shop, member: ShopHost) -> None:
    member.units.stop("ecs")
    assert shop.instances()[0]["agentConnected"] is False
    assert member.ecs_agent.metadata() is None


def test_a_cut_link_is_seen_after_the_silence_and_healed_after_the_cut(
    shop: Shop, member: ShopHost
) -> None:
    member.set_conditions({"cut_by": ["store"]})
    shop.clock.advance(60)
    assert shop.instances()[0]["agentConnected"] is True
    shop.clock.advance(240)
    assert shop.instances()[0]["agentConnected"] is False
    member.set_conditions({"cut_by": []})
    shop.clock.advance(150)
    assert shop.instances()[0]["agentConnected"] is True


def test_a_short_cut_goes_unnoticed(shop: Shop, member: ShopHost) -> None:
    member.set_conditions({"cut_by": ["store"]})
    shop.clock.advance(20)
    member.set_conditions({"cut_by": []})
    shop.clock.advance(60)
    assert shop.instances()[0]["agentConnected"] is True
    assert "closing the session" not in member.path(ecs.LOG).read_text()


def test_its_tries_to_reconnect_grow_further_apart(shop: Shop, member: ShopHost) -> None:
    member.set_conditions({"cut_by": ["host"]})
    shop.clock.advance(1800)
    waits = [
        float(line.split("next try in ")[1].split()[0])
        for line in member.path(ecs.LOG).read_text().splitlines()
        if "next try in" in line
    ]
    assert waits[0] < 1
    assert max(waits) <= 120 * 1.2
    assert waits[-1] > waits[0]


def test_it_stays_connected_over_hours(shop: Shop, member: ShopHost) -> None:
    for _ in range(8):
        shop.clock.advance(1800)
        assert shop.instances()[0]["agentConnected"] is True


def test_another_cluster_with_old_state_is_terminal(shop: Shop, member: ShopHost) -> None:
    member.units.stop("ecs")
    shop.configure(member, cluster="store-999")
    member.units.start("ecs")
    shop.clock.advance(5)
    assert "does not match configured cluster 'store-999'" in member.path(ecs.LOG).read_text()
    assert not member.units.active("ecs")


def test_the_debs_unit_tries_again_for_ever(shop: Shop, member: ShopHost) -> None:
    member.units.stop("ecs")
    shop.configure(member, cluster="store-999")
    member.units.start("ecs")
    shop.clock.advance(100)
    assert member.units.state("ecs").restarts > 3


def deregister(shop: Shop) -> str:
    arn = str(shop.instances()[0]["containerInstanceArn"])
    shop.call(
        "ecs", "DeregisterContainerInstance", cluster="store-042", containerInstance=arn, force=True
    )
    return arn


def test_a_deregistered_instance_waits_and_never_registers_itself_anew(
    shop: Shop, member: ShopHost
) -> None:
    deregister(shop)
    shop.clock.advance(2 * 3600)
    assert shop.instances() == []
    assert "instance is inactive" in member.path(ecs.LOG).read_text()
    assert member.units.active("ecs")


def test_a_deregistered_instance_that_restarts_with_old_state_exits(
    shop: Shop, member: ShopHost
) -> None:
    deregister(shop)
    member.units.restart("ecs")
    shop.clock.advance(5)
    assert "exit 5" in member.path(ecs.LOG).read_text()


def test_a_deregistered_instance_asks_again_once_an_hour(shop: Shop, member: ShopHost) -> None:
    deregister(shop)
    shop.clock.advance(3 * 3600)
    asked = [
        float(line.split()[0])
        for line in member.path(ecs.LOG).read_text().splitlines()
        if "instance is inactive" in line
    ]
    assert [round(b - a) for a, b in pairwise(asked)] == [3600] * (len(asked) - 1)
    assert len(asked) == 3


def test_a_deregistered_instance_still_names_itself_to_its_host(
    shop: Shop, member: ShopHost
) -> None:
    arn = deregister(shop)
    shop.clock.advance(2 * 3600)
    assert (member.ecs_agent.metadata() or {})["ContainerInstanceArn"] == arn


def test_a_deregistered_instance_can_be_told_from_a_living_one_at_once(
    shop: Shop, member: ShopHost
) -> None:
    arn = deregister(shop)
    found = shop.call(
        "ecs", "DescribeContainerInstances", cluster="store-042", containerInstances=[arn]
    )["containerInstances"]
    assert [(i["status"], i["agentConnected"]) for i in found] == [("INACTIVE", False)]


def test_a_deregistered_node_keeps_its_container_instance_while_its_token_lives(
    shop: Shop, member: ShopHost
) -> None:
    registration = identity.read_registration(member)
    assert registration is not None
    shop.call("ssm", "DeregisterManagedInstance", InstanceId=registration.instance_id)
    shop.clock.advance(1700)
    assert shop.instances()[0]["agentConnected"] is True
    shop.clock.advance(3 * 3600)
    assert shop.instances()[0]["agentConnected"] is False
    assert shop.instances()[0]["status"] == "ACTIVE"
    assert member.units.active("ecs")


def test_it_has_state_before_it_is_registered(shop: Shop, node: ShopHost) -> None:
    shop.plane.faults.add("ecs", "RegisterContainerInstance", "ServerException", 500, count=2)
    node.units.start("ecs")
    shop.clock.advance(3)
    assert node.path(STATE).exists()
    assert read_state(node) is None
    assert node.ecs_agent.metadata() is None
    shop.clock.advance(30)
    assert read_state(node) is not None
    assert len(shop.instances()) == 1


def test_state_without_a_registration_belongs_to_no_cluster(shop: Shop, node: ShopHost) -> None:
    shop.configure(node, cluster="store-999")
    node.units.start("ecs")
    shop.clock.advance(5)
    node.units.stop("ecs")
    shop.configure(node, 'ECS_INSTANCE_ATTRIBUTES={"fleet.ring":"canary"}')
    node.units.start("ecs")
    shop.clock.advance(10)
    attributes = {a["name"]: a.get("value") for a in shop.instances()[0]["attributes"]}
    assert attributes["fleet.ring"] == "canary"


@pytest.mark.parametrize("broken", ["docker", "region"])
def test_an_agent_that_ends_before_it_opens_its_state_leaves_none(
    shop: Shop, node: ShopHost, broken: str
) -> None:
    if broken == "region":
        node.path("/var/lib/ecs/ecs.config").unlink()
    node.units.start("ecs")
    if broken == "docker":
        node.units.stop("docker")
        node.ecs_agent.start()
    shop.clock.advance(5)
    assert "exit 1" in node.path(ecs.LOG).read_text()
    assert not node.path(STATE).exists()


def test_without_its_state_it_registers_as_a_new_instance(shop: Shop, member: ShopHost) -> None:
    member.units.stop("ecs")
    member.path(STATE).unlink()
    member.units.start("ecs")
    shop.clock.advance(10)
    assert len(shop.instances()) == 2


def test_without_credentials_it_waits_for_them(shop: Shop) -> None:
    shop.cluster()
    host = shop.host()
    host.install("amazon-ecs-init")
    shop.configure(host)
    host.units.start("ecs")
    shop.clock.advance(60)
    assert "no credentials found" in host.path(ecs.LOG).read_text()
    assert host.units.active("ecs")


def test_shadowing_credentials_keep_it_from_registering(shop: Shop, node: ShopHost) -> None:
    shop.configure(node, "AWS_ACCESS_KEY_ID=AKIALEFTOVER", "AWS_SECRET_ACCESS_KEY=x")
    node.units.start("ecs")
    shop.clock.advance(30)
    assert shop.instances() == []
    assert "UnrecognizedClientException" in node.path(ecs.LOG).read_text()


def test_an_aws_that_fails_for_a_while_is_waited_for(shop: Shop, node: ShopHost) -> None:
    shop.plane.faults.add("ecs", "RegisterContainerInstance", "ServerException", 500, count=2)
    node.units.start("ecs")
    shop.clock.advance(30)
    assert len(shop.instances()) == 1


def test_without_a_region_it_exits_and_its_unit_tries_again(shop: Shop, node: ShopHost) -> None:
    node.path("/var/lib/ecs/ecs.config").unlink()
    node.units.start("ecs")
    shop.clock.advance(5)
    assert "unable to retrieve a region" in node.path(ecs.LOG).read_text()
    assert node.units.state("ecs").active == "activating"


def test_agents_need_no_threads_of_their_own(shop: Shop) -> None:
    before = threading.active_count()
    for number in range(20):
        host = shop.host(f"h{number}")
        host.install("amazon-ssm-agent")
        host.install("amazon-ecs-init")
        host.units.start("ecs")
    shop.clock.advance(60)
    assert threading.active_count() == before


def test_stopping_docker_takes_it_along(shop: Shop, member: ShopHost) -> None:
    member.units.stop("docker")
    assert not member.units.active("ecs")
    assert shop.instances()[0]["agentConnected"] is False


def test_restarting_docker_restarts_it(shop: Shop, member: ShopHost) -> None:
    member.units.restart("docker")
    shop.clock.advance(10)
    assert member.units.active("ecs")
    assert shop.instances()[0]["agentConnected"] is True
    assert len(shop.instances()) == 1


@pytest.mark.parametrize("again", [False, True])
def test_a_reboot_brings_back_only_what_is_enabled(
    shop: Shop, member: ShopHost, again: bool
) -> None:
    if not again:
        member.units.disable("ecs")
    member.reboot()
    shop.clock.advance(10)
    assert shop.instances()[0]["agentConnected"] is again


def test_the_blocked_endpoint_of_another_region_does_not_matter(
    shop: Shop, member: ShopHost
) -> None:
    member.set_conditions({"blocked": [f"ecs.{REGION}1.amazonaws.com"]})
    member.units.restart("ecs")
    shop.clock.advance(10)
    assert shop.instances()[0]["agentConnected"] is True
