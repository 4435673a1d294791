"""Shops that are switched off at closing: no window by night, no alarm, and a release by day."""

from datetime import timedelta

from tests.scenarios.rollouts.conftest import TakeShops, variant_of
from tests.scenarios.rollouts.foreground import sent_at, slowed
from tests.scenarios.rollouts.test_windows import HOUR, MINUTE, at, whole

QUARTER = timedelta(minutes=15)


def test_a_shop_without_power_in_its_window_is_said_to_have_none_and_what_to_write(
    take: TakeShops,
) -> None:
    shops = take(2)
    closed, other = shops.stores
    shops.policy(window="closed")
    begins = whole(shops.now())
    night = {"daily": f"{at(begins + 3 * HOUR)}-{at(begins + 9 * HOUR)}"}
    for store in (closed, other):
        shops.shop(store, hours=night)
    shops.shop(closed, powered="opening-hours")
    shops.release("1.9.0")

    validated, planned = shops.fleet("validate"), shops.fleet("plan", "--all", "--json")

    said = f"{closed} has no window: hosts have no power while the store is closed"
    assert said in " ".join((validated.out + validated.err).split())
    reasons = {one["store"]: one for one in planned.document["plan"]["changes"]}
    assert reasons[closed]["kind"] == "left"
    assert "give it after_opening: 1h" in reasons[closed]["reason"]
    assert reasons[other]["kind"] != "left"


def test_a_shop_that_is_switched_off_is_no_finding_and_gets_its_release_when_it_opens(
    take: TakeShops,
) -> None:
    shops = take(2)
    off, other = shops.stores
    shops.policy(window="closed", after_opening="1h", finish_by="2m", waves=["100%"])
    begins = whole(shops.now())
    closes, opens = begins - HOUR, begins + 2 * HOUR
    shops.shop(off, powered="opening-hours", hours={"daily": f"{at(opens)}-{at(closes)}"})
    shops.shop(other, hours={"daily": f"{at(closes - HOUR)}-{at(closes)}"})
    shops.control("cut", {"target": off})
    shops.pass_time(1200)

    status, drift = shops.fleet("status", off, "--json"), shops.fleet("drift", "--json")
    shops.release("1.9.0")
    foreground = shops.start("rollout", "--all", "--yes")
    foreground.wait_for(f"{other} {variant_of(other)} ok ")
    shops.pass_time((opens - 5 * MINUTE - shops.now()).total_seconds())
    shops.control("restore", {"target": off})
    shops.control("reboot", {"host": f"{off}/box-1"})  # power: its agents start anew

    words = f"powered off since {at(closes)} (planned), back at {at(opens)}"
    (host,) = status.document["stores"][0]["hosts"]
    assert (host["health"], host["reason"], host["fix"]) == ("powered-off", words, "")
    assert [one["code"] for one in drift.document["findings"] if one["store"] == off] == []
    assert any(words in note for note in drift.document["notes"])
    ended = foreground.end()
    assert ended.code == 0, ended.err
    assert sent_at(shops, off) >= opens
    assert "parked" not in ended.out + ended.err
    assert set(shops.verdicts().values()) == {"ok"}


def test_a_shop_that_does_not_come_back_at_opening_is_dark_from_then_on(take: TakeShops) -> None:
    shops = take(1)
    [shop] = shops.stores
    begins = whole(shops.now())
    opens = begins + 40 * MINUTE
    shops.shop(shop, powered="opening-hours", hours={"daily": f"{at(opens)}-{at(begins - MINUTE)}"})
    shops.control("cut", {"target": shop})
    shops.pass_time((opens + MINUTE - shops.now()).total_seconds())
    with slowed(shops):
        early = shops.fleet("status", shop, "--json")
    shops.pass_time(QUARTER.total_seconds())

    late, drift = shops.fleet("status", shop, "--json"), shops.fleet("drift", "--json")

    (before,), (after,) = (ran.document["stores"][0]["hosts"] for ran in (early, late))
    assert before["health"] == "powered-off"
    assert after["health"] == "dark"
    (finding,) = (one for one in drift.document["findings"] if one["store"] == shop)
    assert finding["code"] == "SITE_DARK"
    assert finding["since"] == f"{opens:%Y-%m-%dT%H:%M:%SZ}"
