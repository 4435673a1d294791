"""Releases that crash again and again; the agent restarts them, and ECS sees a task RUNNING."""

import pytest

from tests.scenarios.rollouts.conftest import TakeShops

#: Thresholds as in production; only the window is not waited for.
PRODUCTION = {"settle": "2m", "bake": "10m", "concurrency": "10%"}


def test_a_crash_loop_that_the_agent_hides_from_ecs_fails_the_canary(take: TakeShops) -> None:
    shops = take(6)
    shops.reach_hosts()
    shops.policy(canary=2, settle="2m", bake="10m", concurrency="10%")
    shops.behave(shops.release("1.9.0"), run="crash", after_s=90, exit_code=3)

    ran = shops.roll("--canary", "--json")

    assert ran.code == 4, ran.err
    assert "restarted" in ran.err
    assert "last exit 3" in ran.err
    assert "max_restarts 1" in ran.err
    verdicts = list(shops.verdicts(ran).values())
    assert verdicts.count("failed") >= 1
    assert verdicts.count("to send") == 4
    # Nothing in ECS says so: the shop goes on serving, and its task has been RUNNING all the time.
    failed = [store for store, verdict in shops.verdicts(ran).items() if verdict == "failed"]
    assert shops.serves(failed[0]) == "1.9.0"

    shops.pace(10)
    night = shops.fleet("drift", "--deep", "--json")

    assert night.code == 3, night.err
    loops = [one for one in night.document["findings"] if one["code"] == "CRASH_LOOP"]
    assert {one["store"] for one in loops} >= set(failed)
    assert all("last exit 3 (limit 3 a day)" in one["cause"] for one in loops)


@pytest.mark.long
@pytest.mark.parametrize(
    ("every_s", "source", "reached"),
    [
        (30, "ssh", 4),
        (90, "ssh", 4),
        (600, "ssh", 15),
        (30, "off", 4),
        (90, "off", 60),
        (600, "off", 60),
    ],
)
def test_how_many_of_60_shops_a_crash_loop_reaches(
    take: TakeShops, every_s: int, source: str, reached: int
) -> None:
    """A loop of ten minutes shows its second restart after 20, when the second wave is sent."""
    shops = take(60)
    shops.reach_hosts()
    shops.policy(**PRODUCTION, restart_source=source)
    shops.behave(shops.release("1.9.0"), run="crash", after_s=every_s)
    shops.pace(60)

    shops.roll("--canary", "--json")

    sent = [store for store in shops.stores if shops.deployments(store)]
    assert len(sent) <= reached
    assert source == "ssh" or len(sent) == reached
