"""Releases that go well."""

from tests.scenarios.rollouts.conftest import TakeShops


def test_a_good_release_reaches_every_shop(take: TakeShops) -> None:
    shops = take(8)
    shops.release("1.9.0")

    ran = shops.roll("--canary")

    assert ran.code == 0, ran.err + ran.out
    assert set(shops.verdicts().values()) == {"ok"}
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}
