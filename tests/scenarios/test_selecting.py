"""Many shops at once, chosen by what they are."""

import pytest

from tests.scenarios.conftest import World
from tests.scenarios.witness import truth

NEW = ("--accept-new-host-keys", "--yes")


def test_a_condition_registers_the_open_shops_that_it_holds_for(world: World) -> None:
    ran = world.fleet("register", "--where", "market=de and store=store-*", *NEW)

    assert ran.code == 0, ran.err
    assert "left out, not open: store-109 paused" in ran.err
    for shop in ("store-101", "store-104"):
        truth(world, shop).assert_registered_once(world.hosts(shop))
    assert truth(world, "store-109").nodes == {}


def test_what_holds_for_no_shop_touches_nothing(world: World) -> None:
    ran = world.fleet("register", "--where", "market=de and link.kind=fibre", "--ring", "canary")

    assert (ran.code, ran.out) == (2, "")
    assert "no store of the" in ran.err


@pytest.mark.long
def test_the_example_fleet_is_registered_at_once_with_what_is_wrong_by_cause(
    world: World,
) -> None:
    full = ["store-011/cam-1", "store-017/cam-1"]
    for host in full:
        world.conditions(host, disk_free_mb=900)

    ran = world.fleet("register", "--all", "--where", "store=store-*", *NEW)

    assert ran.code == 1
    assert "2 x FAIL disk" in ran.out
    assert f"on   {', '.join(full)}\n" in ran.out
    assert "20 of 22 hosts registered. PARTIAL: store-011, store-017." in ran.out
    assert "fleet register store-011 store-017 (20 healthy left alone)" in ran.out
    for host in full:
        world.conditions(host, disk_free_mb=38912)
    again = world.fleet("register", "--all", "--where", "store=store-*", *NEW)
    assert again.code == 0, again.out
