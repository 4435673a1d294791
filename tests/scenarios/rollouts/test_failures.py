"""Releases that fail, and what of it is whose fault."""

from typing import Any

import pytest

from tests.notify.receivers import hook
from tests.scenarios.rollouts.conftest import TEMPLATE, Shops, TakeShops

#: A container that nobody restarts on the host, so that ECS sees each of its ends.
UNAIDED: dict[str, Any] = {
    **TEMPLATE,
    "containerDefinitions": [
        {**TEMPLATE["containerDefinitions"][0], "restartPolicy": {"enabled": False}}
    ],
}


@pytest.mark.long
def test_an_image_that_crashes_on_one_variant_halts_and_every_shop_goes_on_serving(
    take: TakeShops,
) -> None:
    shops = take(8)
    shops.behave(shops.release("1.9.0"), run="crash", log="libfoo.so missing", on=["arm64"])

    ran = shops.roll("--canary", "--json")

    assert ran.code == 4, ran.err
    assert "every failure is arm64" in ran.err
    verdicts = shops.verdicts(ran)
    failed = [store for store, verdict in verdicts.items() if verdict == "failed"]
    ok = [store for store, verdict in verdicts.items() if verdict == "ok"]
    assert (len(failed), len(ok)) == (2, 2)
    assert set(failed) < set(shops.of("arm64"))
    assert {shops.serves(store) for store in ok} == {"1.9.0"}
    others = set(shops.stores) - set(ok)
    assert {shops.serves(store) for store in others} == {"1.8.3"}
    assert [store for store in others - set(failed) if shops.deployments(store)] == []


def test_a_halted_rollout_is_the_first_thing_that_drift_reports(take: TakeShops) -> None:
    shops = take(4)
    shops.behave(shops.release("1.9.0"), run="crash")
    assert shops.roll("--canary").code == 4

    ran = shops.fleet("drift", "--report", "out")
    part = shops.fleet("drift", shops.stores[0])

    assert (ran.code, part.code) == (3, 3), ran.out
    for out in (ran.out, part.out):
        first = out.partition("DO FIRST\n")[2].splitlines()
        assert first[0].split()[:6] == ["1", "NEW", "high", "the", "fleet", "ROLLOUT_WAITS"] or (
            out is part.out and "ROLLOUT_WAITS" in first[0]
        )
        assert "fleet rollout status ro-1" in "\n".join(first[:8])
    page = (shops.folder / "out" / "latest.html").read_text()
    assert "ROLLOUT_WAITS" in page
    assert shops.fleet("rollout", "rollback", "--yes").code == 0
    after = shops.fleet("drift", "--json").document
    assert "ROLLOUT_WAITS" not in {finding["code"] for finding in after["findings"]}
    assert "ROLLOUT_WAITS" in {past["code"] for past in after["resolved"]}


def test_the_chat_is_told_that_a_rollout_began_and_that_it_halted(take: TakeShops) -> None:
    shops = take(2)
    shops.behave(shops.release("1.9.0"), run="crash")
    with hook() as chat:
        shops.notify(chat={"webhook": {"url_env": "FLEET_CHAT_URL"}})
        ran = shops.fleet("rollout", "--all", "--yes", env={"FLEET_CHAT_URL": chat.url})

    assert ran.code == 4, ran.err
    told = [body["blocks"][0]["text"]["text"] for body in chat.posted]
    assert told == ["[fleet] ro-1 till: started", "[fleet] ro-1 till: HALTED"]
    assert {body["thread_key"] for body in chat.posted} == {"ro-1"}
    assert chat.url not in ran.err + ran.out


@pytest.mark.long
def test_what_the_breaker_restored_is_told_as_the_breakers_doing(take: TakeShops) -> None:
    shops = take(2)
    shops.behave(shops.release("1.9.0"), run="crash", exit_code=7)

    ran = shops.roll("--json")

    assert ran.code == 4
    [change, *_] = [c for c in ran.document["changes"] if c["verdict"] == "failed"]
    assert "breaker restored till-" in change["reason"]
    assert "exit 7" in change["reason"]
    assert "by hand" not in ran.err + ran.out
    latest = shops.deployments(change["store"])[-1]
    assert latest["status"] == "ROLLBACK_SUCCESSFUL"
    assert latest["deploymentCircuitBreaker"]["status"] == "TRIGGERED"


@pytest.mark.long
def test_a_failure_during_the_bake_halts(take: TakeShops) -> None:
    shops = take(4)
    shops.template(UNAIDED)
    shops.policy(canary=2, bake="10m", max_failures=0)
    shops.behave(shops.release("1.9.0"), run="crash", after_s=150)

    ran = shops.roll("--canary", "--json")

    assert ran.code == 4, ran.err
    assert "after it was ok" in ran.err
    verdicts = list(shops.verdicts(ran).values())
    assert "failed" in verdicts
    assert verdicts.count("to send") == 2


@pytest.mark.long
def test_a_lossy_registry_is_tried_again_until_the_image_is_there(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(pull_wait="60s", waves=["100%"], concurrency="100%")
    shops.behave(shops.release("1.9.0"), pull_fails=1)

    ran = shops.roll()

    assert ran.code == 0, ran.err + ran.out
    assert "undelivered" in ran.err
    assert {shops.serves(store) for store in shops.stores} == {"1.9.0"}


@pytest.mark.long
def test_an_image_that_never_arrives_is_neither_ok_nor_failed(take: TakeShops) -> None:
    shops = take(6)
    shops.policy(pull_wait="30s", pulls=1, waves=["100%"], coverage="60%", min_sample=2)
    shops.behave(shops.release("1.9.0"), pull="missing", on=[shops.stores[0]])

    ran = shops.roll("--json")

    verdicts = shops.verdicts(ran)
    assert ran.code == 0, ran.err
    assert verdicts.pop(shops.stores[0]) == "undelivered"
    assert set(verdicts.values()) == {"ok"}
    assert shops.serves(shops.stores[0]) == "1.8.3"


@pytest.mark.long
def test_a_change_by_hand_is_found_and_left_until_somebody_says_so(take: TakeShops) -> None:
    shops = take(2)
    [mine, other] = shops.stores
    old = shops.service(mine)["taskDefinition"]
    shops.policy(waves=["100%"], concurrency="100%", bake="10m", patience="10m")
    shops.release("1.9.0")
    running = shops.start("rollout", "--all", "--yes", "--json")
    running.wait_for(f"{mine} amd64 ok")

    shops.aws("ecs").update_service(cluster=mine, service="till-amd64", taskDefinition=old)

    ran = running.end()
    assert "changed by hand" in ran.err
    assert shops.verdicts(ran) == {mine: "by hand", other: "ok"}
    assert shops.runs(mine) == "1.8.3"
    ran = shops.fleet("rollout", "retry", "--store", mine)
    assert ran.code == 0, ran.err + ran.out
    assert shops.serves(mine) == "1.9.0"


@pytest.mark.long
def test_what_was_changed_by_hand_is_left_out_of_a_plan_unless_it_may_be_overwritten(
    take: TakeShops,
) -> None:
    shops = take(2)
    [mine, other] = shops.stores
    first = shops.service(mine)["taskDefinition"]
    shops.policy(waves=["100%"], concurrency="100%")
    shops.release("1.8.4")
    assert shops.roll().code == 0
    ecs = shops.aws("ecs")
    hand = ecs.describe_task_definition(taskDefinition=first)
    body = hand["taskDefinition"]["containerDefinitions"]
    body[0]["environment"] = [{"name": "VERSION", "value": "by hand"}]
    made = ecs.register_task_definition(
        family="till-amd64", requiresCompatibilities=["EXTERNAL"], containerDefinitions=body
    )
    arn = made["taskDefinition"]["taskDefinitionArn"]
    ecs.update_service(cluster=mine, service="till-amd64", taskDefinition=arn)
    shops.release("1.9.0")

    ran = shops.roll()

    assert ran.code == 0, ran.err + ran.out
    assert "changed by hand since ro-1" in ran.err
    assert (shops.runs(mine), shops.runs(other)) == ("by hand", "1.9.0")
    assert shops.roll("--overwrite").code == 0
    assert shops.runs(mine) == "1.9.0"


def test_a_release_that_fails_after_its_rollout_is_recalled_by_the_nightly_scan(
    take: TakeShops,
) -> None:
    shops = take(2)
    shops.policy(deadline="5m")
    image = shops.release("1.9.0")
    rolled = shops.roll()
    assert rolled.code == 0, rolled.err
    assert "when `fleet drift` runs" in rolled.out
    before = shops.fleet("drift", "--json").document
    assert "RELEASE_RECALLED" not in {finding["code"] for finding in before["findings"]}

    shops.behave(image, run="crash")
    for store in shops.stores:
        [task] = shops.tasks(store)
        shops.aws("ecs").stop_task(cluster=store, task=task["taskArn"])
    shops.pass_time(1800)

    first = recalled_tonight(shops)
    assert "1 of 1 amd64 store that ro-1 sent is in trouble" in first["cause"]
    assert first["fix"] == "fleet rollout rollback ro-1"
    assert shops.fleet("drift", shops.stores[0]).code == 3

    back = shops.fleet(*first["fix"].split()[1:], "--yes")
    assert back.code == 0, back.err
    after = shops.fleet("drift", "--json").document
    assert "RELEASE_RECALLED" in {past["code"] for past in after["resolved"]}
    assert {shops.runs(store) for store in shops.stores} == {"1.8.3"}


@pytest.mark.long
def test_a_release_whose_shops_go_dark_after_its_rollout_is_recalled_by_the_nightly_scan(
    take: TakeShops,
) -> None:
    shops = take(2)
    shops.release("1.9.0")
    rolled = shops.roll()
    assert rolled.code == 0, rolled.err

    shops.cut(*shops.stores)
    shops.pass_time(3600)

    first = recalled_tonight(shops)
    assert "2 of 2 stores that ro-1 sent are dark since, coverage 0/2=0 %" in first["cause"]

    shops.restore(*shops.stores)
    shops.wait_until(lambda: "RELEASE_RECALLED" not in codes(shops))


def codes(shops: Shops) -> set[str]:
    """What a scan finds now."""
    return {finding["code"] for finding in shops.fleet("drift", "--json").document["findings"]}


def recalled_tonight(shops: Shops) -> dict[str, Any]:
    """The first finding of a scan, which is that the first release is recalled."""
    night = shops.fleet("drift", "--json")
    assert night.code == 3, night.err
    first: dict[str, Any] = night.document["findings"][0]
    assert (first["code"], first["subject"]) == ("RELEASE_RECALLED", "ro-1")
    return first
