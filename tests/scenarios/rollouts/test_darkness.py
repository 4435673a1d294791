"""Shops that lose their link: by the release, by a carrier, for a moment, for weeks."""

import json
import signal

import pytest

from tests.scenarios.rollouts.conftest import TakeShops, variant_of


@pytest.mark.long
def test_a_release_that_kills_links_halts_and_shops_return_with_what_they_ran_before(
    take: TakeShops,
) -> None:
    shops = take(8)
    # A link that dies is noticed after minutes of silence, and dark for five more.
    shops.policy(min_control=4, bake="15m")
    image = shops.release("1.9.0")
    shops.behave(image, run="kills-link", after_s=5)

    ran = shops.roll("--canary", "--json")

    assert ran.code == 4, ran.err
    assert "updated stores go dark more often" in ran.err
    verdicts = shops.verdicts(ran)
    hit = [store for store, verdict in verdicts.items() if verdict != "to send"]
    assert len(hit) == 4
    assert {shops.runs(store) for store in set(shops.stores) - set(hit)} == {"1.8.3"}
    assert shops.fleet("rollout", "rollback", "--yes").code == 0
    shops.behave(image)
    shops.restore(*hit)
    shops.wait_until(lambda: {shops.serves(store) for store in hit} == {"1.8.3"})


@pytest.mark.long
def test_an_outage_over_updated_and_untouched_shops_alike_is_waited_out(
    take: TakeShops,
) -> None:
    shops = take(8)
    shops.policy(min_control=4, concurrency="100%", settle="5m")
    shops.release("1.9.0")
    shops.pace(20)
    running = shops.start("rollout", "--all", "--yes", "--canary", "--json")
    running.wait_for("sent")
    sent = [
        store for store in shops.stores if f"{store} till-{variant_of(store)} sent" in running.said
    ]
    others = [store for store in shops.stores if store not in sent]
    away = [*sent[:2], *others[:2]]

    shops.cut(*away)
    shops.pace()
    running.wait_for(" dark ")
    shops.restore(*away)

    ran = running.end()
    assert ran.code == 0, ran.err
    assert "halt" not in ran.err
    assert set(shops.verdicts(ran).values()) == {"ok"}
    assert {shops.serves(store) for store in away} == {"1.9.0"}


@pytest.mark.long
def test_shops_whose_links_flap_are_not_called_dark(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(waves=["100%"], concurrency="100%")
    shops.flap(*shops.stores, every_s=300, down_s=100)
    shops.release("1.9.0")

    ran = shops.roll("--json")

    assert ran.code == 0, ran.err
    assert " dark " not in ran.err
    assert "parked" not in ran.err
    shops.restore(*shops.stores)
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}


@pytest.mark.long
def test_a_shop_that_missed_three_releases_catches_up_with_the_newest_only(
    take: TakeShops,
) -> None:
    shops = take(3)
    shops.policy(waves=["100%"], concurrency="100%", settle="5s", bake="5s")
    [lost, *others] = shops.stores
    shops.cut(lost)
    shops.pass_time(900)
    for version in ("1.9.0", "1.9.1", "1.9.2"):
        shops.release(version)
        ran = shops.roll("--json")
        assert ran.code == 0, ran.err
        assert shops.verdicts(ran)[lost] == "parked"
    assert shops.runs(lost) == "1.8.3"

    controller = shops.start("controller")
    shops.restore(lost)
    controller.wait_for("done: 3 ok")
    controller.kill(signal.SIGTERM)

    assert controller.end().code == 0
    assert shops.serves(lost) == "1.9.2"
    assert len(shops.deployments(lost)) == 1
    assert len(shops.deployments(others[0])) == 3


@pytest.mark.long
def test_a_shop_that_comes_back_in_the_middle_joins_the_convoy(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(waves=["100%"], concurrency="100%", bake="30m")
    lost = shops.stores[0]
    shops.cut(lost)
    shops.pass_time(300)
    shops.release("1.9.0")
    running = shops.start("rollout", "--all", "--yes", "--json")
    running.wait_for("parked")

    shops.pace(20)
    shops.restore(lost)
    running.wait_for("is back and joins the convoy")
    shops.pace()

    ran = running.end()
    assert ran.code == 0, ran.err
    assert "is back and joins the convoy" in ran.err
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}


@pytest.mark.long
def test_a_variant_of_which_every_canary_shop_is_away_is_sent_to_no_other_shop(
    take: TakeShops,
) -> None:
    shops = take(8)
    arm64 = shops.of("arm64")
    shops.policy(patience="20m", waves=["100%"])
    shops.release("1.9.0")
    plan = shops.fleet("plan", "--all", "--canary", "--json", "--out", "plan.json")
    assert plan.code in {0, 3}, plan.err
    document = json.loads((shops.folder / "plan.json").read_text(encoding="utf-8"))
    first = [s for s in document["plan"]["waves"][0]["stores"] if s in arm64]
    shops.cut(*first)
    shops.pass_time(120)

    ran = shops.fleet("rollout", "--plan-file", "plan.json", "--yes", "--json")

    assert ran.code == 4, ran.err
    assert "no store has judged arm64" in ran.document["rollout"]["why"]
    assert {shops.runs(store) for store in arm64} == {"1.8.3"}
    shops.restore(*first)
