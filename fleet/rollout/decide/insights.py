"""Reads restarts out of Container Insights' metric RestartCount.

AWS documents neither whether the metric counts on or is what each period had, nor that a period
without a restart has a value. The agent sends differences (``getRestartStatsSet`` in
``agent/stats/queue.go`` of amazon-ecs-agent). Only what holds for both meanings is concluded: a
number that there were at least, and nothing at all where there is no value.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from fleet.model.changes import Change
from fleet.model.desired import TaskDefinition
from fleet.model.printable import printable
from fleet.model.restarts import INSIGHTS, ContainerSeen, RestartsSeen
from fleet.model.signals import MetricQuery, MetricSeries, SignalsRead, SignalsSeen
from fleet.rollout.decide.restarts import RestartRead
from fleet.rollout.decide.signal_reads import PUBLISHED_S, Shard
from fleet.rollout.decide.tick_state import TickState

#: Seconds of a value; Container Insights has one a minute.
PERIOD_S = 60


def insights_reads(state: TickState, reads: Iterable[RestartRead]) -> dict[Shard, SignalsRead]:
    """Return the series to read by account and region; none of a service that is too young."""
    queries: dict[Shard, list[MetricQuery]] = {}
    for read in reads:
        place = state.rollout.spec.places[read.store]
        for service in read.services:
            begins = _begins(state, state.change(read.store, service))
            if begins + timedelta(seconds=PERIOD_S) > state.now:
                continue
            query = MetricQuery(
                key=_key(read.store, service),
                namespace="ECS/ContainerInsights",
                metric="RestartCount",
                dimensions=(("ClusterName", place.cluster), ("ServiceName", service)),
                statistic="Maximum",
                period_s=PERIOD_S,
                begins=begins,
            )
            queries.setdefault((place.account, place.region), []).append(query)
    return {
        shard: SignalsRead(series=tuple(mine), series_end=state.now)
        for shard, mine in queries.items()
    }


def of_insights(
    state: TickState, reads: Iterable[RestartRead], seen: Mapping[Shard, SignalsSeen]
) -> dict[tuple[str, str], RestartsSeen]:
    """Return by store and service what Container Insights says of their restarts.

    Args:
        seen: by account and region; one that gave no answer is missing.
    """
    found = {}
    for read in reads:
        place = state.rollout.spec.places[read.store]
        answer = seen.get((place.account, place.region))
        for service in read.services:
            change = state.change(read.store, service)
            if answer is None:
                said = RestartsSeen("", (), f"{INSIGHTS} was not asked yet")
            elif answer.series_unread:
                why = printable(answer.series_unread, limit=160)
                said = RestartsSeen("", (), f"{INSIGHTS} could not be read: {why}")
            else:
                said = _said(state, change, answer.series.get(_key(read.store, service), ()))
            found[read.store, service] = said
    return found


def unseen(
    reads: Iterable[RestartRead], seen: Mapping[tuple[str, str], RestartsSeen]
) -> tuple[RestartRead, ...]:
    """Return what is left to read: the services of which the hosts have said nothing."""
    left = (
        replace(r, services=tuple(s for s in r.services if not seen[r.store, s].containers))
        for r in reads
    )
    return tuple(read for read in left if read.services)


def restarts_at_least(values: Sequence[float], *, is_one_container: bool) -> int:
    """Return how many restarts there were at least, whatever the values mean.

    The largest value is one such number. Where all values are of one container, all rises together
    are another: a value that counts on never falls, so that a series that does is of periods.

    Args:
        values: in the order of time; the first is of a container that has just begun.
    """
    if is_one_container:
        steps = zip((0.0, *values), values, strict=False)
        return int(sum(max(0.0, now - before) for before, now in steps))
    return int(max(values, default=0.0))


def _said(state: TickState, change: Change, series: MetricSeries) -> RestartsSeen:
    if not series:
        return RestartsSeen("", (), f"{INSIGHTS} has no RestartCount for this service")
    spec = state.rollout.spec
    hosts = spec.places[change.store].hosts.get(change.service, ())
    reporting = _restarted_by_agent(spec.task_definitions.get(change.content))
    is_one = max(reporting, change.desired_count, len(hosts)) <= 1
    count = restarts_at_least([value for _, value in series], is_one_container=is_one)
    late_s = (state.now - series[-1][0]).total_seconds()
    problem = ""
    if late_s > PERIOD_S + PUBLISHED_S + spec.policy.fresh_s:
        problem = f"{INSIGHTS} has no RestartCount for this service since {series[-1][0]:%H:%M}Z"
        if not count:
            return RestartsSeen("", (), problem)
    began = [t.started_at for t in change.observed.tasks if t.started_at and not t.stopped_at]
    one = ContainerSeen(INSIGHTS, count, created_at=min(began, default=None))
    return RestartsSeen(INSIGHTS, (one,), problem)


def _begins(state: TickState, change: Change) -> datetime:
    """Return the first whole minute in which only tasks of what was sent ran.

    A store is ok once they have run for ``settle``; those before them had ended by then.
    """
    sent_at = change.sent_at or state.now
    settled = timedelta(seconds=state.rollout.spec.policy.settle_s)
    since = max(sent_at, change.ok_at - settled) if change.ok_at else sent_at
    return datetime.fromtimestamp(math.ceil(since.timestamp() / PERIOD_S) * PERIOD_S, UTC)


def _restarted_by_agent(definition: TaskDefinition | None) -> int:
    """Return how many containers the agent starts again: of others there is no RestartCount."""
    if definition is None:
        return 0
    containers = definition.body.get("containerDefinitions", ())
    return sum(bool((c.get("restartPolicy") or {}).get("enabled")) for c in containers)


def _key(store: str, service: str) -> str:
    return f"{store}\n{service}"
