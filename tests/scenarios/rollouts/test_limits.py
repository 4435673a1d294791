"""What AWS refuses or loses: throttles, expired credentials, replies that never come."""

import pytest

from tests.scenarios.rollouts.conftest import TEMPLATE, TakeShops
from tests.scenarios.rollouts.foreground import TWO_FIRST, began, running, sends

ALWAYS = 10_000


@pytest.mark.long
def test_a_throttled_account_slows_it_down_and_nothing_is_sent_twice(take: TakeShops) -> None:
    shops = take(4)
    shops.release("1.9.0")
    for action, count in (("UpdateService", 5), ("DescribeServices", 5)):
        shops.fault(f"ecs:{action}", "ThrottlingException", status=400, count=count)

    ran = shops.roll()

    assert ran.code == 0, ran.err
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1, 1, 1]


@pytest.mark.long
def test_credentials_that_expire_half_way_are_named_and_it_is_resumed(take: TakeShops) -> None:
    shops = take(4)
    shops.policy(**TWO_FIRST)
    shops.release("1.9.0")
    foreground = began(shops)

    shops.fault("*:*", "ExpiredTokenException", status=400, count=ALWAYS)
    ended = foreground.end()
    shops.control("faults", {"clear": True})

    assert ended.code == 1
    assert "emea-prod" in ended.err
    assert "expired" in ended.err
    assert "fleet rollout resume ro-1" in ended.err
    assert len(running(shops, "1.9.0")) == 2
    resumed = shops.fleet("rollout", "resume")
    assert resumed.code == 0, resumed.err
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1, 1, 1]


@pytest.mark.long
def test_expired_credentials_stop_a_rollout_before_it_begins(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    shops.fault("*:*", "ExpiredTokenException", status=400, count=ALWAYS)

    ran = shops.roll()
    shops.control("faults", {"clear": True})

    assert ran.code == 2
    assert "expired" in ran.err
    assert shops.fleet("rollout", "history", "--json").document["rollouts"] == []
    assert running(shops, "1.8.3") == shops.stores


@pytest.mark.long
def test_a_reply_that_is_lost_is_looked_after_and_not_sent_again(take: TakeShops) -> None:
    shops = take(2)
    shops.release("1.9.0")
    shops.fault("ecs:UpdateService", "ConnectionReset", when="after", count=2)

    ran = shops.roll()

    assert ran.code == 0, ran.err
    assert running(shops, "1.9.0") == shops.stores
    assert sends(shops) == [1, 1]


@pytest.mark.long
def test_a_template_of_many_bodies_gives_every_shop_its_own(take: TakeShops) -> None:
    shops = take(6)
    [container] = TEMPLATE["containerDefinitions"]
    variables = [*container["environment"], {"name": "SHOP", "value": "of the shop"}]
    shops.template({**TEMPLATE, "containerDefinitions": [{**container, "environment": variables}]})
    template = shops.folder / "templates" / "till.json.j2"
    template.write_text(template.read_text().replace('"of the shop"', "{{ store.id }}"))
    shops.release("1.9.0")

    planned = shops.fleet("plan", "--all")
    ran = shops.roll()

    assert "ecs task definition modify   emea-prod/eu-west-1  6 " in planned.out
    assert ran.code == 0, ran.err
    named = {}
    for store in shops.stores:
        arn = shops.service(store)["taskDefinition"]
        said = shops.aws("ecs").describe_task_definition(taskDefinition=arn)
        [container] = said["taskDefinition"]["containerDefinitions"]
        named[store] = {e["name"]: e["value"] for e in container["environment"]}["SHOP"]
    assert named == {store: store for store in shops.stores}
