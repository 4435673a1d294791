"""Alarms and metrics of CloudWatch, through the sandbox, set by boto3."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from fleet.aws.cloudwatch import (
    ALARMS,
    QUERIES,
    describe_alarms,
    get_metric_series,
    get_metric_values,
)
from fleet.aws.session import Shard
from fleet.errors import AccessDenied, AwsError, Throttled
from fleet.model.signals import AlarmState, AlarmValue, MetricQuery
from tests.aws.conftest import REGION
from tests.sandbox.control_plane.rig import Rig

BEGINS = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@pytest.fixture
def cloudwatch(rig: Rig) -> Iterator[Any]:
    client = boto3.session.Session().client("cloudwatch", region_name=REGION)
    yield client
    client.close()


def put_alarm(cloudwatch: Any, name: str, state: str = "OK", reason: str = "set by hand") -> None:
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


def put_value(cloudwatch: Any, store: str, at: datetime, value: float) -> None:
    dimensions = [{"Name": "Store", "Value": store}]
    one = {"MetricName": "Latency", "Dimensions": dimensions, "Timestamp": at, "Value": value}
    cloudwatch.put_metric_data(Namespace="Shops", MetricData=[one])


def query(store: str, begins: datetime = BEGINS, **more: Any) -> MetricQuery:
    given = {"statistic": "Average", "period_s": 300, **more}
    return MetricQuery(
        f"{store} {begins:%d}", "Shops", "Latency", (("Store", store),), begins=begins, **given
    )


def test_the_alarms_that_exist_are_returned_with_their_states(
    shard: Shard, cloudwatch: Any
) -> None:
    put_alarm(cloudwatch, "cw-fires", "ALARM", "3 errors\x1b[31m")
    put_alarm(cloudwatch, "cw-fine")
    put_alarm(cloudwatch, "cw-new", "INSUFFICIENT_DATA")

    found = describe_alarms(shard, ["cw-fires", "cw-fine", "cw-new", "cw-none"]).value

    fires = found["cw-fires"]
    assert fires.changed_at is not None
    assert replace(fires, changed_at=None) == AlarmState(
        "cw-fires", AlarmValue.ALARM, "3 errors[31m"
    )
    assert {name: alarm.value.value for name, alarm in found.items()} == {
        "cw-fires": "ALARM",
        "cw-fine": "OK",
        "cw-new": "INSUFFICIENT_DATA",
    }


def test_a_hundred_names_are_asked_in_one_call(shard: Shard, cloudwatch: Any) -> None:
    names = [f"cw-many-{number}" for number in range(ALARMS + 1)]
    put_alarm(cloudwatch, names[-1], "ALARM")
    before = shard.counter.attempts.get("cloudwatch:DescribeAlarms", 0)

    assert list(describe_alarms(shard, names).value) == [names[-1]]
    assert shard.counter.attempts["cloudwatch:DescribeAlarms"] - before == 2
    assert describe_alarms(shard, []).value == {}


def test_a_value_is_that_of_the_period_asked_for(shard: Shard, cloudwatch: Any) -> None:
    put_value(cloudwatch, "cw-1", BEGINS + timedelta(seconds=10), 4.0)
    put_value(cloudwatch, "cw-1", BEGINS + timedelta(seconds=290), 6.0)
    put_value(cloudwatch, "cw-1", BEGINS + timedelta(seconds=300), 100.0)
    put_value(cloudwatch, "cw-1", BEGINS - timedelta(seconds=1), 100.0)
    put_value(cloudwatch, "cw-1", BEGINS - timedelta(days=7), 3.0)

    week_ago = BEGINS - timedelta(days=7)
    asked = [query("cw-1"), query("cw-1", week_ago), query("cw-none")]

    assert get_metric_values(shard, asked).value == {"cw-1 24": 5.0, "cw-1 17": 3.0}


def test_five_hundred_queries_are_one_call(shard: Shard, rig: Rig) -> None:
    before = shard.counter.attempts.get("cloudwatch:GetMetricData", 0)
    asked = [query(f"cw-five-{number}") for number in range(QUERIES + 1)]

    assert get_metric_values(shard, asked).value == {}
    assert shard.counter.attempts["cloudwatch:GetMetricData"] - before == 2


def test_a_series_has_all_values_from_its_own_begin_on(shard: Shard, cloudwatch: Any) -> None:
    for minutes, value in ((-1, 9.0), (0, 1.0), (1, 0.0), (3, 2.0), (5, 9.0)):
        put_value(cloudwatch, "cw-series", BEGINS + timedelta(minutes=minutes), value)
    later = BEGINS + timedelta(minutes=1)
    more: dict[str, Any] = {"statistic": "Maximum", "period_s": 60}
    first, second = query("cw-series", **more), query("cw-series", later, **more)
    second = replace(second, key="later")
    none = query("cw-none", **more)

    found = get_metric_series(shard, [first, second, none], BEGINS + timedelta(minutes=5)).value

    points = tuple((BEGINS + timedelta(minutes=n), v) for n, v in ((0, 1.0), (1, 0.0), (3, 2.0)))
    assert found == {first.key: points, "later": points[1:]}


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [("AccessDenied", 403, AccessDenied), ("ThrottlingException", 400, Throttled)],
)
def test_a_refusal_is_an_error(
    shard: Shard, rig: Rig, code: str, status: int, error: type[AwsError]
) -> None:
    rig.plane.faults.add("monitoring", "DescribeAlarms", code, status, count=50)
    with pytest.raises(error, match="cloudwatch:DescribeAlarms"):
        describe_alarms(shard, ["cw-fine"])
    rig.plane.faults.clear()
