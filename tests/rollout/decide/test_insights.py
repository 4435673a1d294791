"""Container Insights' RestartCount, of which nobody says whether it counts on or per period."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change, ObservedChange, TaskSummary
from fleet.model.desired import TaskDefinition
from fleet.model.restarts import Restarts, RestartSource, RestartsSeen
from fleet.model.signals import MetricSeries, SignalsSeen
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.insights import (
    PERIOD_S,
    insights_reads,
    of_insights,
    restarts_at_least,
    unseen,
)
from fleet.rollout.decide.restarts import RestartRead, counted, note_restarts, restart_signal
from fleet.rollout.decide.signal_reads import PUBLISHED_S
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import BODY, CONTENT, POLICY, SERVICE, after, sent, state

STORE = "store-042"
SHARD = ("emea-prod", "eu-west-1")
READ = RestartRead(STORE, (SERVICE,), {SERVICE: ("cam-1",)})
INSIGHTS = replace(POLICY, restart_source=RestartSource.CONTAINER_INSIGHTS)
NO_METRIC = "restarts not seen: Container Insights has no RestartCount for this service"


def good(**fields: Any) -> Change:
    """A store whose task began at second 20, and that was ok two minutes later."""
    task = TaskSummary("t1", "cam-1", "RUNNING", "UNKNOWN", after(20), None, "", (), "")
    observed = ObservedChange(reason="new task RUNNING 2m", tasks=(task,))
    return sent(STORE, Verdict.OK, **{"ok_at": after(140), "observed": observed, **fields})


def rows(change: Change | None = None, at: float = 600, limit: int = 1, **more: Any) -> TickState:
    policy = replace(INSIGHTS, max_restarts=limit)
    return state(change or good(), at=at, policy=policy, **more)


def series(*values: float, begins: float = 60) -> MetricSeries:
    """One value a minute, by the whole minutes of the clock."""
    return tuple((after(begins + PERIOD_S * n), value) for n, value in enumerate(values))


def said(made: TickState, *values: float, begins: float = 60) -> RestartsSeen:
    found = {f"{STORE}\n{SERVICE}": series(*values, begins=begins)} if values else {}
    (seen,) = of_insights(made, [READ], {SHARD: SignalsSeen(series=found)}).values()
    return seen


def judged(made: TickState, *values: float, **more: Any) -> Change:
    note_restarts(made, {(STORE, SERVICE): said(made, *values, **more)})
    return made.change(STORE, SERVICE)


# What is asked.


def test_the_service_is_asked_from_the_first_minute_that_is_its_own() -> None:
    (asked,) = insights_reads(rows(), [READ])[SHARD].series
    assert asked.dimensions == (("ClusterName", STORE), ("ServiceName", SERVICE))
    assert (asked.namespace, asked.metric) == ("ECS/ContainerInsights", "RestartCount")
    assert (asked.statistic, asked.period_s) == ("Maximum", 60)
    began = after(140 - POLICY.settle_s)
    assert timedelta() <= asked.begins - began < timedelta(minutes=1)
    assert asked.begins.second == 0


def test_tasks_that_ran_before_the_send_are_asked_from_the_send_on() -> None:
    (asked,) = insights_reads(rows(good(ok_at=after(5))), [READ])[SHARD].series
    assert timedelta() <= asked.begins - after(0) < timedelta(minutes=1)


@pytest.mark.parametrize(("early", "asks"), [(1, False), (0, True)])
def test_nothing_is_asked_before_a_minute_has_passed(early: float, asks: bool) -> None:
    (asked,) = insights_reads(rows(), [READ])[SHARD].series
    now = (asked.begins - after(0)).total_seconds() + PERIOD_S - early
    assert bool(insights_reads(rows(at=now), [READ])) is asks


def test_what_hosts_have_said_is_not_asked_again() -> None:
    both = RestartRead(STORE, (SERVICE, "tel"), {SERVICE: ("cam-1",), "tel": ("cam-1",)})
    heard = said(rows(), 0, begins=480)
    seen = {(STORE, SERVICE): heard, (STORE, "tel"): RestartsSeen("", (), "no route")}
    assert unseen([both], seen) == (replace(both, services=("tel",)),)
    assert unseen([READ], {(STORE, SERVICE): heard}) == ()


# How many there were at least.


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([], 0),
        ([0, 0], 0),
        ([0, 1, 2, 2, 3], 3),
        ([1, 0, 1, 1, 0, 1], 3),
        ([3, 0, 2], 5),
        ([1, 1, 1], 1),
    ],
    ids=["none", "no restart", "it counts on", "of periods", "larger", "it may be either"],
)
def test_one_container_was_restarted_as_often_as_its_values_rise(
    values: list[float], count: int
) -> None:
    assert restarts_at_least(values, is_one_container=True) == count


def test_of_several_containers_the_largest_value_counts() -> None:
    """One of them may be missing in a minute, and be back in the next."""
    assert restarts_at_least([3, 0, 3], is_one_container=False) == 3


@given(st.lists(st.integers(0, 5), max_size=30), st.booleans())
def test_there_are_never_more_than_there_were(restarts: list[int], one: bool) -> None:
    periods = [float(count) for count in restarts]
    counts_on = [float(sum(restarts[: n + 1])) for n in range(len(restarts))]
    for values in (periods, counts_on):
        assert restarts_at_least(values, is_one_container=one) <= sum(restarts)


# What follows.


@pytest.mark.parametrize(
    ("limit", "values", "verdict"),
    [
        (1, [0, 0, 0], Verdict.OK),
        (1, [0, 1, 1], Verdict.OK),
        (1, [0, 1, 2], Verdict.FAILED),
        (1, [0, 1, 0, 1], Verdict.FAILED),
        (3, [3], Verdict.OK),
        (3, [4], Verdict.FAILED),
        (0, [1], Verdict.FAILED),
    ],
)
def test_more_than_the_policy_allows_are_a_failure(
    limit: int, values: list[float], verdict: Verdict
) -> None:
    assert judged(rows(limit=limit), *values).verdict is verdict


def test_the_words_say_that_it_is_at_least_so_many() -> None:
    assert judged(rows(), 0, 1, 0, 1).reason.startswith("restarted at least 2 times in 10m")
    assert judged(rows(), 0, 1).reason.endswith("restarted at least once in 10m")


def test_a_service_without_the_metric_is_not_seen() -> None:
    assert judged(rows()).reason == f"new task RUNNING 2m, {NO_METRIC}"


def test_no_restart_is_what_the_source_shows() -> None:
    words = "new task RUNNING 2m, Container Insights shows no restart in 10m"
    assert judged(rows(), 0, begins=480).reason == words


@pytest.mark.parametrize(("late", "is_seen"), [(0, True), (1, False)])
def test_a_metric_that_ends_early_does_not_say_that_there_was_none(
    late: float, is_seen: bool
) -> None:
    ends = 600 - PERIOD_S - PUBLISHED_S - POLICY.fresh_s - late
    seen = said(rows(), 0, begins=ends)
    assert bool(seen.containers) is is_seen
    assert bool(seen.problem) is not is_seen
    assert said(rows(), 2, begins=ends).containers, "a restart was one however long ago"


def test_what_could_not_be_read_says_why() -> None:
    seen = of_insights(rows(), [READ], {SHARD: SignalsSeen(series_unread="no permission")})
    assert seen[STORE, SERVICE].problem == "Container Insights could not be read: no permission"
    nobody = of_insights(rows(), [READ], {})
    assert nobody[STORE, SERVICE].problem == "Container Insights was not asked yet"


def test_a_task_that_was_there_before_the_send_counts_from_the_first_reading_on() -> None:
    old = good(sent_at=after(500), ok_at=after(505))
    first = counted(old, said(rows(old), 7), after(600))
    assert first.count == 0
    again = replace(old, observed=replace(old.observed, restarts=first))
    assert counted(again, said(rows(old), 7, 9), after(700)).count == 2


@pytest.mark.parametrize(("containers", "verdict"), [(1, Verdict.FAILED), (2, Verdict.OK)])
def test_rises_of_two_containers_that_the_agent_restarts_are_not_added(
    containers: int, verdict: Verdict
) -> None:
    both = [{"name": str(n), "restartPolicy": {"enabled": True}} for n in range(containers)]
    body = {**BODY, "containerDefinitions": [*both, {"name": "sidecar"}]}
    definitions = {CONTENT: TaskDefinition(SERVICE, CONTENT, body)}
    made = rows(task_definitions=definitions)
    assert judged(made, 1, 0, 1).verdict is verdict


def test_the_row_of_a_gate_says_that_it_is_at_least_so_many() -> None:
    known = Restarts(count=1, read_at=after(600), tried_at=after(600), source="Container Insights")
    change = good(observed=replace(good().observed, restarts=known))
    made = rows(change, baking_since=after(0))
    assert restart_signal(made, [change]).check.seen == "at least 1 on the worst of 1 store read"
