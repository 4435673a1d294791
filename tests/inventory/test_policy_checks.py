"""Alarms and checks of a policy as people write them, and those that mean nothing."""

from decimal import Decimal

import pytest

from fleet.inventory.loader import load_fleet
from fleet.model.policy import Amount, HttpProbe, MetricBaseline, Policy, PolicyCheck
from tests.inventory.conftest import FLEET, Inventory

METRIC = 'namespace: Shops, metric: Latency, dimensions: {Store: "{store}"}'
URL = 'url: "https://x.example"'


def write(inventory: Inventory, words: str) -> None:
    inventory.write("fleet.yaml", f"{FLEET}\npolicies: {{careful: {{{words}}}}}\n")


def policy(inventory: Inventory, words: str) -> Policy:
    write(inventory, words)
    return load_fleet(inventory.root).policies["careful"]


def http(words: str) -> str:
    return f"checks: {{a: {{http: {{{words}}}}}}}"


def metric(words: str) -> str:
    return f"checks: {{a: {{metric: {{{words}}}}}}}"


def test_alarms_are_names_with_what_is_filled_in(inventory: Inventory) -> None:
    made = policy(inventory, 'alarms: [all-errors, "latency-{store}-{region}"]')
    assert made.alarms == ("all-errors", "latency-{store}-{region}")
    assert policy(inventory, "alarms: all-errors").alarms == ("all-errors",)


def test_every_key_of_a_check_may_be_said(inventory: Inventory) -> None:
    made = policy(
        inventory,
        """checks: {
      till answers: {http: {url: "http://till.{store}.example:8080/health", status: 204,
        timeout: 3s}, max_stores: 2%},
      latency: {metric: {namespace: Shops, metric: Latency, dimensions: {Store: "{store}",
        Region: "{region}"}, statistic: p90, period: 10m, weeks: 3, at_most: 1.5x, at_least: 0.5x}}
      }""",
    )
    assert made.checks == (
        PolicyCheck(
            "till answers",
            http=HttpProbe("http://till.{store}.example:8080/health", 204, 3.0),
            max_stores=Amount(percent=Decimal(2)),
        ),
        PolicyCheck(
            "latency",
            metric=MetricBaseline(
                "Shops",
                "Latency",
                (("Region", "{region}"), ("Store", "{store}")),
                statistic="p90",
                period_s=600.0,
                weeks=3,
                at_most=Decimal("1.5"),
                at_least=Decimal("0.5"),
            ),
        ),
    )


def test_what_a_check_does_not_say_has_a_default(inventory: Inventory) -> None:
    assert policy(inventory, http(URL)).checks[0].http == HttpProbe("https://x.example")
    (check,) = policy(inventory, metric(f"{METRIC}, at_most: 2x")).checks
    assert check.metric == MetricBaseline(
        "Shops", "Latency", (("Store", "{store}"),), at_most=Decimal(2)
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ('alarms: ["latency-{shop}"]', '"{shop}" in "latency-{shop}" is filled in by nothing'),
        ('alarms: ["latency-{store"]', "is filled in by nothing"),
        ('alarms: [""]', "is no name of an alarm"),
        (f"alarms: [{'a' * 256}]", "is no name of an alarm"),
        ("checks: {a: {}}", "is either http: or metric:"),
        (
            f"checks: {{a: {{http: {{{URL}}}, metric: {{{METRIC}, at_most: 2x}}}}}}",
            "is either http: or metric:",
        ),
        (http('url: "ftp://x.example"'), "is no URL"),
        (http('url: "https://"'), "is no URL"),
        (http('url: "https://u:p@x.example"'), "no place for secrets"),
        (http('url: "https://{host}.example"'), "is filled in by nothing"),
        (http(f"{URL}, timeout: 31s"), "at most 30s"),
        (metric(METRIC), "says no limit"),
        (metric(f"{METRIC}, at_most: 0.9x"), "below the usual"),
        (metric(f"{METRIC}, at_most: 150%"), "is no multiple"),
        (metric(f"{METRIC}, at_least: 1.1x"), "is no lower limit"),
        (metric(f"{METRIC}, at_most: 2x, period: 60s"), "CloudWatch keeps"),
        (metric(f"{METRIC}, at_most: 2x, period: 2d"), "CloudWatch keeps"),
        (
            metric("namespace: S, metric: M, dimensions: {Store: all}, at_most: 2x"),
            "no dimension has {store}",
        ),
    ],
)
def test_what_means_nothing_is_a_problem_where_it_is_written(
    inventory: Inventory, words: str, message: str
) -> None:
    write(inventory, words)
    problem = inventory.problem()
    assert message in problem.message
    assert problem.path.startswith("policies.careful")
    assert problem.line > 0


@pytest.mark.parametrize(
    ("weeks", "period", "good"),
    [(2, "1m", True), (3, "1m", False), (8, "5m", True), (9, "5m", False), (9, "1h", True)],
)
def test_a_period_is_one_that_cloudwatch_keeps_for_so_long(
    inventory: Inventory, weeks: int, period: str, good: bool
) -> None:
    write(inventory, metric(f"{METRIC}, at_most: 2x, weeks: {weeks}, period: {period}"))
    if good:
        load_fleet(inventory.root)
    else:
        assert "CloudWatch keeps" in inventory.problem().message
