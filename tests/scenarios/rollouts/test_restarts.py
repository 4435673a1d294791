"""Releases that crash again and again; the agent restarts them, and ECS sees a task RUNNING."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from tests.scenarios.rollouts.conftest import Shops, TakeShops
from tests.scenarios.rollouts.foreground import HALTED, sent_at

SECOND = timedelta(seconds=1)
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


@contextmanager
def told_insights(shops: Shops) -> Iterator[None]:
    """Write RestartCount as time passes, as the agent counts a loop of 90 s: each minute's.

    No value is of a later minute, so that no later scenario of the same shops reads it.
    """
    over = threading.Event()
    cloudwatch = shops.aws("cloudwatch")
    services = {store: shops.service(store)["serviceName"] for store in shops.stores}

    def tell() -> None:
        minute = shops.now().replace(second=0, microsecond=0)
        while not over.wait(0.05):
            while minute < shops.now() - timedelta(minutes=1):
                points = [
                    {
                        "MetricName": "RestartCount",
                        "Dimensions": [
                            {"Name": "ClusterName", "Value": store},
                            {"Name": "ServiceName", "Value": service},
                        ],
                        "Timestamp": minute,
                        "Value": float(minute.minute % 3 > 0),
                    }
                    for store, service in services.items()
                ]
                cloudwatch.put_metric_data(Namespace="ECS/ContainerInsights", MetricData=points)
                minute += timedelta(minutes=1)

    teller = threading.Thread(target=tell)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


@pytest.mark.parametrize(
    "source", [pytest.param("container-insights", marks=pytest.mark.long), "ssh"]
)
def test_container_insights_sees_a_crash_loop_on_hosts_that_nobody_reaches(
    take: TakeShops, source: str
) -> None:
    shops = take(4)
    shops.policy(canary=2, settle="2m", bake="5m", restart_source=source)
    shops.behave(shops.release("1.9.0"), run="crash", after_s=90)

    with told_insights(shops):
        ran = shops.roll("--canary", "--json")

    assert ran.code == HALTED, ran.err
    assert "restarted at least " in ran.err
    assert "max_restarts 1" in ran.err
    assert list(shops.verdicts(ran).values()).count("to send") == 2


def test_a_service_without_the_metric_is_said_not_to_be_seen(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(waves=["100%"], restart_source="container-insights")
    shops.release("1.9.0")

    ran = shops.roll("--json")

    assert ran.code == 0, ran.err
    reasons = [change["reason"] for change in ran.document["changes"]]
    assert len(reasons) == 2
    for reason in reasons:
        assert "restarts not seen: Container Insights has no RestartCount for this serv" in reason


#: Sandbox seconds a second of the table, and those that a tick takes then, readings included.
PACE, TICK_S = 60, 180


@pytest.mark.long
@pytest.mark.parametrize("every_s", [30, 90, 600])
def test_a_crash_loop_reaches_no_shop_after_the_reading_that_shows_it(
    take: TakeShops, every_s: int
) -> None:
    """A loop of ten minutes shows its second restart after 20, when the second wave is sent."""
    shops = take(60)
    shops.reach_hosts()
    shops.policy(**PRODUCTION, restart_source="ssh")
    shops.behave(shops.release("1.9.0"), run="crash", after_s=every_s)
    shops.pace(PACE)

    ran = shops.roll("--canary", "--json")

    assert ran.code == HALTED, ran.err
    sent = [change for change in ran.document["changes"] if change["sends"]]
    failed = [change for change in sent if change["verdict"] == "failed"]
    shown = min(datetime.fromisoformat(change["since"]) for change in failed)
    late = [c["store"] for c in sent if sent_at(shops, c["store"]) > shown + TICK_S * SECOND]
    print(f"a loop of {every_s} s: {len(sent)} of {len(shops.stores)}")  # noqa: T201
    assert late == []
    assert len(sent) < len(shops.stores)


@pytest.mark.long
@pytest.mark.parametrize(("every_s", "reached"), [(30, 4), (90, 60), (600, 60)])
def test_how_many_shops_a_crash_loop_reaches_where_restarts_are_not_read(
    take: TakeShops, every_s: int, reached: int
) -> None:
    shops = take(60)
    shops.policy(**PRODUCTION, restart_source="off")
    shops.behave(shops.release("1.9.0"), run="crash", after_s=every_s)
    shops.pace(PACE)

    shops.roll("--canary", "--json")

    assert len([store for store in shops.stores if shops.deployments(store)]) == reached
