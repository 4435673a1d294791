"""Reads CloudWatch alarms and metrics."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from fleet.aws.replies import clean, in_batches, items, part_of, unreadable, utc
from fleet.aws.session import Shard
from fleet.model.aws_actions import DESCRIBE_ALARMS, GET_METRIC_DATA
from fleet.model.observed import Reading
from fleet.model.printable import printable
from fleet.model.signals import AlarmState, AlarmValue, MetricQuery, MetricSeries

#: Most names, and most alarms of a page, of DescribeAlarms (CloudWatch API reference).
ALARMS = 100
#: Most queries of one GetMetricData (CloudWatch API reference).
QUERIES = 500
#: Characters of CloudWatch's words for a state that are kept.
REASON = 200


def describe_alarms(shard: Shard, names: Iterable[str]) -> Reading[dict[str, AlarmState]]:
    """Return the alarms of these names that exist, metric alarms and composite ones."""
    found: dict[str, AlarmState] = {}
    times: list[datetime] = []
    for batch in in_batches(dict.fromkeys(names), ALARMS):
        pages = shard.pages(
            DESCRIBE_ALARMS,
            AlarmNames=list(batch),
            # Without this CloudWatch returns no composite alarms.
            AlarmTypes=["MetricAlarm", "CompositeAlarm"],
            MaxRecords=ALARMS,
        )
        for reply in pages:
            times.append(reply.at)
            composite = reply.body.get("CompositeAlarms") or []
            for one in (*items(reply, DESCRIBE_ALARMS), *composite):
                alarm = _alarm(one)
                found[alarm.name] = alarm
    return Reading(found, shard.oldest(times))


@part_of(DESCRIBE_ALARMS)
def _alarm(one: Any) -> AlarmState:
    reason = printable(one.get("StateReason") or "", limit=REASON)
    # The name is compared with the one that was asked for, so it stays as it is.
    name, value = str(one["AlarmName"]), AlarmValue(one["StateValue"])
    at = one.get("StateTransitionedTimestamp") or one.get("StateUpdatedTimestamp")
    return AlarmState(name, value, reason, utc(at))


def get_metric_values(shard: Shard, queries: Iterable[MetricQuery]) -> Reading[dict[str, float]]:
    """Return the value of each query that has one, by its key.

    A call is for one time, so queries are grouped by when their period begins.
    """
    by_period: dict[tuple[datetime, int], list[MetricQuery]] = {}
    for query in queries:
        by_period.setdefault((query.begins, query.period_s), []).append(query)
    found: dict[str, float] = {}
    times: list[datetime] = []
    for (begins, period_s), mine in sorted(by_period.items()):
        ends = begins + timedelta(seconds=period_s)
        for batch in in_batches(mine, QUERIES):
            keys = {f"q{number}": query.key for number, query in enumerate(batch)}
            asked = [_query(f"q{number}", query) for number, query in enumerate(batch)]
            pages = shard.pages(
                GET_METRIC_DATA, MetricDataQueries=asked, StartTime=begins, EndTime=ends
            )
            for reply in pages:
                times.append(reply.at)
                for one in items(reply, GET_METRIC_DATA):
                    _take(found, keys, one, begins)
    return Reading(found, shard.oldest(times))


def get_metric_series(
    shard: Shard, queries: Iterable[MetricQuery], ends: datetime
) -> Reading[dict[str, MetricSeries]]:
    """Return all values of each query that has one, by its key, from its begin until ``ends``."""
    found: dict[str, dict[datetime, float]] = {}
    times: list[datetime] = []
    for batch in in_batches(list(queries), QUERIES):
        asked = {f"q{number}": query for number, query in enumerate(batch)}
        pages = shard.pages(
            GET_METRIC_DATA,
            MetricDataQueries=[_query(name, query) for name, query in asked.items()],
            StartTime=min(query.begins for query in batch),
            EndTime=ends,
        )
        for reply in pages:
            times.append(reply.at)
            for one in items(reply, GET_METRIC_DATA):
                _take_all(found, asked, one)
    series = {key: tuple(sorted(values.items())) for key, values in found.items()}
    return Reading(series, shard.oldest(times))


def _query(name: str, query: MetricQuery) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in query.dimensions]
    metric = {"Namespace": query.namespace, "MetricName": query.metric, "Dimensions": dimensions}
    stat = {"Metric": metric, "Period": query.period_s, "Stat": query.statistic}
    return {"Id": name, "MetricStat": stat}


@part_of(GET_METRIC_DATA)
def _take(found: dict[str, float], keys: dict[str, str], one: Any, begins: datetime) -> None:
    """Take the value of the period that begins then; the end of the time asked for is another."""
    for at, value in _points(one):
        if at == begins:
            found[keys[one["Id"]]] = value


@part_of(GET_METRIC_DATA)
def _take_all(
    found: dict[str, dict[datetime, float]], asked: dict[str, MetricQuery], one: Any
) -> None:
    """Take the values from the query's own begin on; a call is for the earliest of its batch."""
    query = asked[one["Id"]]
    for at, value in _points(one):
        if at >= query.begins:
            found.setdefault(query.key, {})[at] = value


def _points(one: Any) -> Iterator[tuple[datetime, float]]:
    if one["StatusCode"] in {"InternalError", "Forbidden"}:
        raise unreadable(GET_METRIC_DATA, f"{clean(one['StatusCode'])} for a metric")
    for at, value in zip(one["Timestamps"], one["Values"], strict=True):
        yield at.astimezone(UTC), float(value)
