"""Status while a shop is well, dark, and not readable."""

import pytest

from tests.scenarios.conftest import Registered, World
from tests.scenarios.test_register import NEW, TakeStore


def test_a_shop_that_was_cut_off_is_dark_and_its_ages_say_since_when(
    world: World, store: TakeStore
) -> None:
    shop = store()
    assert world.fleet("register", shop, *NEW).code == 0
    world.control("cut", {"target": shop})
    world.control("clock/advance", {"seconds": 1200})

    ran = world.fleet("status", shop, "--json")

    world.control("restore", {"target": shop})
    assert ran.code == 0
    hosts = ran.document["stores"][0]["hosts"]
    assert {h["health"] for h in hosts} == {"dark"}
    assert {h["ledgers"]["ssm"]["state"] for h in hosts} == {"ConnectionLost"}
    assert all(h["ledgers"]["ssm"]["as_of"] < ran.document["at"] for h in hosts)
    assert all(h["fix"] for h in hosts)


def test_a_ledger_that_cannot_be_read_is_said_first_and_shown_as_recorded(
    world: World, registered: Registered
) -> None:
    shop = registered.store
    world.fault("ssm:DescribeInstanceInformation", "AccessDeniedException", status=400, count=99)

    ran = world.fleet("status", shop)

    world.control("faults", {"clear": True})
    assert ran.code == 1
    assert ran.out.startswith(f"NOT READ  {shop}: SSM nodes: ")
    assert "Online" in ran.out
    assert "(recorded)" in ran.out
    assert "healthy" not in ran.out


@pytest.mark.long
def test_a_node_that_lost_its_tags_is_found_by_id_and_register_puts_them_back(
    world: World, store: TakeStore
) -> None:
    shop = store()
    assert world.fleet("register", shop, *NEW).code == 0
    ssm = world.aws("ssm", shop)
    shown = world.fleet("status", shop, "--json").document["stores"][0]["hosts"]
    for host in shown:
        ssm.remove_tags_from_resource(
            ResourceType="ManagedInstance",
            ResourceId=host["managed_instance_id"],
            TagKeys=["fleet:store", "fleet:fleet"],
        )

    seen = world.fleet("status", shop, "--json").document["stores"][0]["hosts"]
    ran = world.fleet("register", shop, "--yes")

    assert {h["health"] for h in seen} == {"healthy"}
    assert ran.code == 0
    assert "repaired" in ran.out
    assert "already here" in world.fleet("register", shop).out
