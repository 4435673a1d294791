"""Alarms, probes and metrics from outside of a rollout, set by boto3 and on loopback."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.scenarios.rollouts.conftest import Shops, TakeShops
from tests.scenarios.rollouts.foreground import HALTED, TWO_FIRST, began, running, slowed


def alarm(shops: Shops, store: str, state: str = "OK", reason: str = "Threshold Crossed") -> None:
    """Set the alarm of a shop's till as CloudWatch would."""
    cloudwatch, name = shops.aws("cloudwatch"), f"till-errors-{store}"
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Shops",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason=reason)


def test_an_alarm_of_a_shop_that_fires_during_the_bake_halts(take: TakeShops) -> None:
    shops = take(4)
    for store in shops.stores:
        alarm(shops, store)
    shops.policy(**TWO_FIRST, alarms=["till-errors-{store}"])
    shops.release("1.9.0")
    foreground = began(shops)
    with slowed(shops):
        sent = running(shops, "1.9.0")
        alarm(shops, sent[0], "ALARM", "5 errors in a minute")
    ran = foreground.end()

    assert ran.code == HALTED, ran.err
    assert f"alarm till-errors-{sent[0]} (5 errors in a minute) fires" in ran.err
    assert running(shops, "1.9.0") == sent, "the next wave was not sent"
    rows = {row["name"]: row for row in shops.status()["gate"]["checks"]}
    assert rows["alarm till-errors-{store}"]["seen"] == "1/2 firing"
    assert rows["alarm till-errors-{store}"]["mark"] == "OVER"
    resumed = shops.fleet("rollout", "resume")
    assert resumed.code == 0, resumed.err
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_an_alarm_that_fires_after_the_rollout_was_done_recalls_it(take: TakeShops) -> None:
    shops = take(2)
    for store in shops.stores:
        alarm(shops, store)
    shops.policy(waves=["100%"], concurrency="100%", alarms=["till-errors-{store}"])
    shops.release("1.9.0")
    rolled = shops.roll()
    assert rolled.code == 0, rolled.err

    controller = shops.start("controller")
    controller.wait_for("controller on ")
    alarm(shops, shops.stores[1], "ALARM", "5 errors in a minute")
    controller.wait_for("recalled: ")
    controller.kill(signal.SIGTERM)

    assert controller.end().code == 0
    status = shops.status()["rollout"]
    assert status["phase"] == "done"
    assert status["recalled"] == f"alarm till-errors-{shops.stores[1]} (5 errors in a minute) fires"


@pytest.mark.long
def test_an_alarm_that_fires_already_is_told_by_the_plan_and_asked_about(take: TakeShops) -> None:
    shops = take(2)
    for store in shops.stores:
        alarm(shops, store, "ALARM", "since yesterday")
    shops.policy(waves=["100%"], concurrency="100%", alarms=["till-errors-{store}"])
    shops.release("1.9.0")

    plan = shops.fleet("plan")
    ran = shops.roll()

    assert "fires already" in plan.out
    assert ran.code == HALTED
    assert "fires already, before anything was sent" in ran.err
    assert running(shops, "1.8.3") == shops.stores
    resumed = shops.fleet("rollout", "resume")
    assert resumed.code == 0, resumed.err
    assert running(shops, "1.9.0") == shops.stores


@pytest.mark.long
def test_an_alarm_that_may_not_be_read_asks_before_anything_is_sent(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(alarms=["till-errors-{store}"])
    shops.release("1.9.0")
    shops.fault("monitoring:DescribeAlarms", "AccessDenied", status=403, count=1000)

    plan = shops.fleet("plan")
    ran = shops.roll()
    shops.control("faults", {"clear": True})

    assert "cloudwatch:DescribeAlarms" in plan.out
    assert ran.code == HALTED
    assert "could not be read" in ran.err
    assert "cloudwatch:DescribeAlarms" in ran.err
    assert running(shops, "1.8.3") == shops.stores


@pytest.mark.long
def test_a_pattern_that_no_alarm_has_is_told_by_the_plan_and_asked_about(take: TakeShops) -> None:
    shops = take(2)
    shops.policy(alarms=["misspelt-{store}"])
    shops.release("1.9.0")

    plan = shops.fleet("plan")
    ran = shops.roll()

    assert "misspelt-{store}" in plan.out
    assert "CloudWatch has no alarm of this name" in plan.out
    assert ran.code == HALTED
    assert "CloudWatch has no alarm of this name" in ran.err


class _Till(BaseHTTPRequestHandler):
    """The health endpoint of all tills."""

    status = 200

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(type(self).status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def tills() -> Iterator[str]:
    _Till.status = 200
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Till)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_a_probe_that_answers_500_during_the_bake_halts(take: TakeShops) -> None:
    shops = take(4)
    with tills() as url:
        checks = {"till answers": {"http": {"url": f"{url}/{{store}}/health", "timeout": "2s"}}}
        shops.policy(**TWO_FIRST, checks=checks)
        shops.release("1.9.0")
        foreground = began(shops)
        foreground.wait_for(" ok ")
        _Till.status = 500
        ran = foreground.end()

    assert ran.code == HALTED, ran.err
    assert "without HTTP 200, limit 0" in ran.err
    assert "HTTP 500" in ran.err
    assert len(running(shops, "1.9.0")) == 2


@pytest.mark.long
@pytest.mark.parametrize(("value", "code"), [(140.0, 0), (160.0, HALTED)])
def test_a_metric_is_compared_with_the_shops_own_weeks_before(
    take: TakeShops, value: float, code: int
) -> None:
    shops = take(2)
    metric: dict[str, Any] = {
        "namespace": f"Shops{value}",
        "metric": "CheckoutMs",
        "dimensions": {"Store": "{store}"},
        "period": "5m",
        "weeks": 2,
        "at_most": "1.5x",
    }
    shops.policy(
        waves=["100%"], concurrency="100%", checks={"checkout latency": {"metric": metric}}
    )
    shops.release("1.9.0")
    now = shops.now()
    for store in shops.stores:
        for week, seen in ((0, value), (1, 90.0), (2, 110.0)):
            # Every five minutes of the hour to come, and of the same one a week and two before.
            points = [
                {
                    "MetricName": "CheckoutMs",
                    "Dimensions": [{"Name": "Store", "Value": store}],
                    "Timestamp": now - timedelta(weeks=week) + timedelta(minutes=5 * step),
                    "Value": seen,
                }
                for step in range(24)
            ]
            shops.aws("cloudwatch").put_metric_data(Namespace=f"Shops{value}", MetricData=points)

    ran = shops.roll("--json")

    assert ran.code == code, ran.err
    rows = {row["name"]: row for row in _last_gate(ran.document)["checks"]}
    seen = rows["checkout latency"]["seen"]
    assert seen == f"{0 if code == 0 else 2}/2 stores over 1.5x of their usual"


def _last_gate(document: dict[str, Any]) -> dict[str, Any]:
    gates = [event["data"] for event in document["events"] if event["kind"] == "gate"]
    last: dict[str, Any] = gates[-1]
    return last
