"""Shops that matter more than others: too much of the business is never risked at once."""

from itertools import pairwise

import pytest

from tests.scenarios.rollouts.conftest import TakeShops
from tests.scenarios.rollouts.foreground import running, sent_at


@pytest.mark.long
def test_the_heavy_shop_goes_alone_and_every_shop_gets_the_release(take: TakeShops) -> None:
    shops = take(5)
    heavy, *light = shops.stores
    shops.shop(heavy, weight=60)
    for store in light:
        shops.shop(store, weight=10)
    shops.policy(waves=["100%"], bake="1s", max_weight_in_flight="10%", max_weight_per_wave="20%")
    shops.release("1.9.0")

    plan = shops.fleet("plan")
    ran = shops.roll("--json")

    assert plan.code == 3
    assert "at most 10% of the weight in flight" in plan.out
    assert f"heavier than max_weight_per_wave, 20%: {heavy} (60 %)" in plan.out
    assert ran.code == 0, ran.err
    waves = ran.document["rollout"]["waves"]
    assert [len(wave["stores"]) for wave in waves] == [2, 2, 1]
    assert waves[2]["stores"] == [heavy]
    assert running(shops, "1.9.0") == shops.stores
    # One at a time: each shop had settled, which takes 60 s, before the next was sent anything.
    times = sorted(sent_at(shops, store) for store in shops.stores)
    assert all((later - first).total_seconds() >= 60 for first, later in pairwise(times))
    assert [wave["weight"] for wave in ran.document["waves"]] == ["20 %", "20 %", "60 %"]
