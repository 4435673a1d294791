"""Killed at random moments, again and again: every shop ends with one of everything."""

import random
import time

import pytest

from tests.scenarios.conftest import World
from tests.scenarios.test_register import NEW, TakeStore
from tests.scenarios.witness import truth

KILLS = 24
SEED = 42


@pytest.mark.long
def test_killed_at_random_moments_every_shop_is_registered_once(
    world: World, store: TakeStore
) -> None:
    chance = random.Random(SEED)
    shops = [store(), store(), store()]
    for kill in range(KILLS):
        shop = shops[kill % len(shops)]
        started = world.start("register", shop, *NEW)
        started.wait_for("reading facts")
        time.sleep(chance.uniform(0, 1.5))
        started.kill()
        started.end()

    for shop in shops:
        ran = world.fleet("register", shop, *NEW)
        if ran.code:
            world.control("clock/advance", {"seconds": 1200})
            ran = world.fleet("register", shop, *NEW)
        assert ran.code == 0, ran.out + ran.err
        truth(world, shop).assert_registered_once(world.hosts(shop))
