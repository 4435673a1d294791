"""Releases that crash again and again; the agent restarts them, and ECS sees a task RUNNING."""

from tests.scenarios.rollouts.conftest import TakeShops


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
