"""Containers that are started again on their hosts while ECS shows their tasks as RUNNING."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change, ObservedChange, TaskSummary
from fleet.model.drift import Probe, ProbedContainer
from fleet.model.gate import GateAnswer, Mark
from fleet.model.observed import NotRead, Reading
from fleet.model.restarts import ContainerSeen, Restarts, RestartSource, RestartsSeen
from fleet.model.services import revision
from fleet.model.verdicts import Stage, Verdict
from fleet.rollout.decide.restarts import (
    AGAIN_S,
    EVERY,
    READS_PER_TICK,
    counted,
    note_restarts,
    of_hosts,
    restart_reads,
    restart_signal,
)
from fleet.rollout.decide.tick_state import TickState
from tests.rollout.decide.tick_states import NEW, POLICY, SERVICE, after, sent, state

BAKED = POLICY.bake_s


def good(number: int = 42, wave: int = 0, *, tried: float | None = None, **fields: Any) -> Change:
    """A good store whose restarts were read at a second, or not yet."""
    known = Restarts()
    if tried is not None:
        known = Restarts(since=after(0), read_at=after(tried), tried_at=after(tried), source="ssh")
    observed = ObservedChange(reason="new task RUNNING 2m", restarts=known)
    told = {"ok_at": after(120), "target": NEW, "observed": observed, "wave": wave, **fields}
    return sent(f"store-{number:03}", Verdict.OK, **told)


def due(rows: TickState, *looked: str) -> list[str]:
    return [read.store for read in restart_reads(rows, looked)]


def ran(**said: Any) -> ProbedContainer:
    """A container of what was sent, made at second 30 and never started again."""
    told: dict[str, Any] = {
        "task_arn": "arn:aws:ecs:eu-west-1:111122223333:task/store-042/t1",
        "container": "vision",
        "image": "vision:13",
        "name": "ecs-vision-1",
        "revision": revision(NEW),
        "created_at": after(30),
        "started_at": after(31),
    }
    return ProbedContainer(**{**told, **said})


def answer(*containers: ProbedContainer, offset_s: float = 0.0) -> Reading[Probe]:
    return Reading(Probe(containers, 20_000, 64_000, None, offset_s, via="ssh"), after(600))


def at_least(*containers: ProbedContainer, change: Change | None = None, **said: Any) -> int:
    """How many restarts one answer of a host comes to."""
    change = change or good()
    seen = of_hosts(change, ["cam-1"], {(change.store, "cam-1"): answer(*containers, **said)})
    return counted(change, seen, after(600)).count


def seen(restarts: int, **said: Any) -> RestartsSeen:
    told = {"created_at": after(30), "started_at": after(31), **said}
    return RestartsSeen("ssh", (ContainerSeen("cam-1/vision", restarts, **told),))


# When they are read.


def test_they_are_read_as_soon_as_a_store_is_ok() -> None:
    assert due(state(good())) == ["store-042"]


@pytest.mark.parametrize(
    "change",
    [
        sent(verdict=Verdict.WAITING),
        sent(verdict=Verdict.FAILED),
        sent(verdict=Verdict.DARK),
        good(stage=Stage.UNDONE),
    ],
    ids=["waiting", "failed", "dark", "set back"],
)
def test_they_are_not_read_of_a_store_that_is_not_ok(change: Change) -> None:
    assert due(state(change)) == []


@pytest.mark.parametrize(("at", "reads"), [(-1, 0), (0, 1), (1, 1)])
def test_they_are_read_again_when_the_bake_is_over(at: float, reads: int) -> None:
    rows = state(good(tried=BAKED - 1), at=BAKED + at, baking_since=after(0))
    assert len(due(rows)) == reads


def test_what_was_read_when_the_bake_was_over_is_not_read_again() -> None:
    assert due(state(good(tried=BAKED), at=BAKED + 1, baking_since=after(0))) == []


@pytest.mark.parametrize(("age", "reads"), [(-1, 0), (0, 1)])
def test_a_store_whose_wave_has_passed_is_read_now_and_then_when_it_is_looked_at(
    age: float, reads: int
) -> None:
    rows = state(good(tried=0), at=EVERY * POLICY.watch_every_s + age, wave=1)
    assert len(due(rows, "store-042")) == reads
    assert due(rows) == []


@pytest.mark.parametrize(("waited", "reads"), [(AGAIN_S - 1, 0), (AGAIN_S, 1)])
def test_what_could_not_be_seen_once_is_tried_once_more(waited: float, reads: int) -> None:
    change = counted_by(good(), RestartsSeen("", (), "cam-1: no route"), at=600)
    assert len(due(state(change, at=600 + waited))) == reads
    twice = counted_by(change, RestartsSeen("", (), "cam-1: no route"), at=600)
    assert due(state(twice, at=600 + waited)) == []


def counted_by(change: Change, said: RestartsSeen, at: float) -> Change:
    restarts = counted(change, said, after(at))
    return replace(change, observed=replace(change.observed, restarts=restarts))


def test_a_policy_may_ask_nobody() -> None:
    off = replace(POLICY, restart_source=RestartSource.OFF)
    assert due(state(good(), policy=off)) == []


def test_a_tick_reads_no_more_than_it_has_time_for_and_the_unread_ones_first() -> None:
    rows = [good(n, tried=0) for n in range(20)] + [good(n) for n in range(20, 60)]
    found = due(state(*rows, at=BAKED, baking_since=after(0), canary=True))
    assert len(found) == READS_PER_TICK
    assert found == [f"store-{n:03}" for n in range(20, 20 + READS_PER_TICK)]


# Whose.


def test_all_of_the_canary_are_read() -> None:
    assert len(due(state(*(good(n) for n in range(8)), canary=True))) == 8


def test_of_a_wave_a_few_are_read_the_same_ones_each_time() -> None:
    rows = [good(n, wave=1) for n in range(40)]
    first = due(state(*rows, wave=1))
    assert len(first) == POLICY.restart_sample
    assert due(state(*reversed(rows), wave=1)) == first
    assert due(state(*rows, wave=1, seed=7)) != first


def test_dark_stores_are_not_drawn() -> None:
    rows = [good(n, wave=1) for n in range(40)]
    first = due(state(*rows, wave=1))
    away = [replace(c, verdict=Verdict.DARK) if c.store in first else c for c in rows]
    assert len(due(state(*away, wave=1))) == POLICY.restart_sample
    assert not set(due(state(*away, wave=1))) & set(first)


def test_once_one_of_a_wave_loops_all_of_it_are_read() -> None:
    rows = [good(n, wave=1) for n in range(10)]
    looping = replace(rows[0].observed, restarts=Restarts(count=POLICY.max_restarts + 1))
    rows[0] = replace(rows[0], verdict=Verdict.FAILED, observed=looping)
    assert len(due(state(*rows, wave=1))) == 9


# What counts as a restart.


@pytest.mark.parametrize(
    ("container", "count"),
    [
        (ran(), 0),
        (ran(restarts=0), 0),
        (ran(restarts=4), 4),
        (ran(ends=3, last_exit=139), 3),
        (ran(restarts=4, ends=3), 4),
        (ran(restarts=2, ends=3), 3),
        (ran(finished_at=after(200), started_at=after(201)), 1),
        (ran(revision="vision-arm64:12", restarts=9), 0),
        (ran(revision="", restarts=9), 0),
    ],
    ids=[
        "none",
        "the agent counts none",
        "the agent counts",
        "docker remembers",
        "docker remembers less",
        "docker remembers more",
        "it has ended before",
        "another revision",
        "not ECS's",
    ],
)
def test_every_sign_of_a_restart_counts_and_the_largest_wins(
    container: ProbedContainer, count: int
) -> None:
    assert at_least(container) == count


@pytest.mark.parametrize(("later", "count"), [(60, 0), (61, 1)])
def test_a_container_that_runs_since_long_after_its_task_began_was_started_again(
    later: float, count: int
) -> None:
    task = TaskSummary("t1", "cam-1", "RUNNING", "UNKNOWN", after(31), None, "", (), "")
    change = good()
    change = replace(change, observed=replace(change.observed, tasks=(task,)))
    assert at_least(ran(started_at=after(31 + later)), change=change) == count
    # By the host's clock, which is an hour ahead.
    skewed = ran(created_at=after(3630), started_at=after(3631 + later))
    assert at_least(skewed, change=change, offset_s=3600.0) == count


def test_what_was_there_before_the_send_counts_from_the_first_reading_on() -> None:
    change = good(sent_at=after(5000))
    change = counted_by(change, seen(7), at=5100)
    assert change.observed.restarts.count == 0
    assert counted(change, seen(9), after(5700)).count == 2


def test_a_source_that_cannot_count_is_compared_with_its_last_reading() -> None:
    change = counted_by(good(), seen(1, started_at=after(100)), at=120)
    assert counted(change, seen(1, started_at=after(100)), after(200)).count == 1
    assert counted(change, seen(1, started_at=after(190)), after(200)).count == 2


def test_a_container_that_replaced_another_is_counted_by_itself() -> None:
    change = counted_by(good(), seen(1), at=120)
    other = RestartsSeen("ssh", (ContainerSeen("cam-1/next", 1, after(300), after(301)),))
    assert counted(change, other, after(400)).count == 1


def test_a_host_that_does_not_answer_leaves_what_is_known() -> None:
    change = counted_by(good(), seen(1), at=120)
    silent = of_hosts(change, ["cam-1"], {("store-042", "cam-1"): NotRead("no route to it")})
    known = counted(change, silent, after(600))
    assert (known.count, known.read_at, known.tried_at) == (1, after(120), after(600))
    assert known.problem == "cam-1: no route to it"


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 900)), max_size=8))
def test_restarts_never_become_fewer(readings: list[tuple[int, int]]) -> None:
    change, last = good(), 0
    for count, started in readings:
        change = counted_by(change, seen(count, started_at=after(started)), at=900)
        assert change.observed.restarts.count >= last
        last = change.observed.restarts.count


# What follows.


@pytest.mark.parametrize(
    ("limit", "restarts", "verdict"),
    [
        (1, 0, Verdict.OK),
        (1, 1, Verdict.OK),
        (1, 2, Verdict.FAILED),
        (0, 0, Verdict.OK),
        (0, 1, Verdict.FAILED),
        (3, 3, Verdict.OK),
        (3, 4, Verdict.FAILED),
    ],
)
def test_more_restarts_than_the_policy_allows_are_a_failure(
    limit: int, restarts: int, verdict: Verdict
) -> None:
    rows = state(good(), at=600, policy=replace(POLICY, max_restarts=limit))
    note_restarts(rows, {("store-042", SERVICE): seen(restarts)})
    assert rows.change("store-042", SERVICE).verdict is verdict


def test_the_reason_says_how_often_in_which_time_and_how_it_ended() -> None:
    rows = state(good(), at=480)
    note_restarts(rows, {("store-042", SERVICE): seen(4, last_exit=1)})
    change = rows.change("store-042", SERVICE)
    assert change.reason == (
        "restarted 4 times in 8m, last exit 1, max_restarts 1; late, 6m after it was ok"
    )
    assert change.observed.cause == "restarts, exit 1"
    assert rows.events[0].data["late"] is True


@pytest.mark.parametrize(("wave", "is_late"), [(0, False), (1, True)])
def test_a_loop_that_is_seen_after_its_wave_has_passed_is_a_late_failure(
    wave: int, is_late: bool
) -> None:
    rows = state(good(), at=600, wave=wave)
    note_restarts(rows, {("store-042", SERVICE): seen(2)})
    assert rows.change("store-042", SERVICE).is_late is is_late


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (seen(0), "new task RUNNING 2m, no restart in 8m"),
        (seen(1), "new task RUNNING 2m, restarted once in 8m"),
        (
            RestartsSeen("", (), "cam-1: no route"),
            "new task RUNNING 2m, restarts not seen: cam-1: no route",
        ),
    ],
)
def test_an_ok_store_says_what_was_seen_of_its_restarts(said: RestartsSeen, words: str) -> None:
    rows = state(good(), at=480)
    note_restarts(rows, {("store-042", SERVICE): said})
    assert rows.change("store-042", SERVICE).reason == words


@pytest.mark.parametrize(
    ("tried", "answer", "mark"),
    [
        (None, GateAnswer.WAIT, Mark.WAIT),
        (BAKED - 1, GateAnswer.WAIT, Mark.WAIT),
        (BAKED, GateAnswer.ADVANCE, Mark.OK),
    ],
    ids=["never", "before the end", "at the end"],
)
def test_a_gate_waits_for_a_reading_from_the_end_of_the_bake(
    tried: float | None, answer: GateAnswer, mark: Mark
) -> None:
    change = good(tried=tried)
    signal = restart_signal(state(change, at=BAKED + 5, baking_since=after(0)), [change])
    assert (signal.answer, signal.check.mark) == (answer, mark)


@pytest.mark.parametrize(("late", "answer"), [(-1, GateAnswer.WAIT), (0, GateAnswer.ADVANCE)])
def test_a_gate_does_not_wait_for_ever(late: float, answer: GateAnswer) -> None:
    change = good(tried=BAKED - 1)
    rows = state(change, at=BAKED + POLICY.fresh_s + late, baking_since=after(0))
    assert restart_signal(rows, [change]).answer is answer


def test_a_gate_does_not_wait_for_hosts_that_do_not_answer() -> None:
    no = RestartsSeen("", (), "cam-1: no route")
    change = counted_by(counted_by(good(), no, at=BAKED), no, at=BAKED + 1)
    signal = restart_signal(state(change, at=BAKED + 5, baking_since=after(0)), [change])
    assert (signal.answer, signal.check.mark) == (GateAnswer.ADVANCE, Mark.UNCLEAR)
    assert signal.check.seen == "not seen"
    assert "no route" in signal.check.detail


def test_the_row_of_a_gate_says_the_worst_and_how_many_were_read() -> None:
    rows = [counted_by(good(n), seen(n), at=BAKED) for n in (0, 1)]
    signal = restart_signal(state(*rows, at=BAKED, baking_since=after(0)), rows)
    assert (signal.check.seen, signal.check.needed) == (
        "at most 1 on 2 stores read",
        "max_restarts 1",
    )


def test_a_store_that_is_sent_again_is_read_anew() -> None:
    change = counted_by(good(), seen(1), at=120)
    assert change.observed.before_a_send().restarts == Restarts()
