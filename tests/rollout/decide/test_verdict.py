"""Judging a change: properties, the shallow look, and how a change ends."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.changes import Change, HostContact, NextSend, ObservedChange
from fleet.model.desired import TaskDefinition
from fleet.model.restarts import RestartSource
from fleet.model.verdicts import Verdict
from fleet.rollout.decide.change_facts import ChangeFacts
from fleet.rollout.decide.judgement import Judgement, progress, retry_at, undelivered
from fleet.rollout.decide.task_failures import counted, failures
from fleet.rollout.decide.tick_state import TickState, mark_sent
from fleet.rollout.decide.verdict import has_health_check, judge
from tests import rollouts
from tests.rollout.decide.verdicts import (
    POLICY,
    SENT,
    after,
    change,
    look,
    place,
    revision,
    task,
    view,
)

exits = st.fixed_dictionaries(
    {
        "stopped": st.integers(10, 100),
        "code": st.sampled_from(
            ["EssentialContainerExited", "TaskFailedToStart", "UserInitiated", ""]
        ),
        "exit": st.sampled_from([None, 0, 1, 137]),
        "said": st.sampled_from(["", "CannotPullContainerError: i/o timeout", "OutOfMemoryError"]),
        "rev": st.sampled_from([12, 13]),
    }
)
running = st.fixed_dictionaries(
    {
        "started": st.integers(-500, 500),
        "rev": st.sampled_from([12, 13]),
        "host": st.sampled_from(["cam-1", "cam-2", "elsewhere"]),
        "health": st.sampled_from(["HEALTHY", "UNHEALTHY", "UNKNOWN"]),
    }
)
services = st.one_of(
    st.just("absent"),
    st.fixed_dictionaries(
        {
            "rev": st.sampled_from([9, 12, 13, 13, 13]),
            "desired": st.sampled_from([1, 1, 1, 2]),
            "running": st.integers(0, 2),
            "failed": st.integers(0, 3),
            "state": st.sampled_from(["IN_PROGRESS", "COMPLETED", "FAILED"]),
        }
    ),
)
hosts = st.fixed_dictionaries(
    {
        "cam-1": st.fixed_dictionaries(
            {"connected": st.booleans(), "status": st.sampled_from(["ACTIVE", "DRAINING"])}
        )
    }
)
worlds = st.fixed_dictionaries(
    {
        "service": services,
        "hosts": hosts,
        "tasks": st.lists(exits | running, max_size=4),
        "records": st.lists(
            st.fixed_dictionaries(
                {
                    "rev": st.sampled_from([9, 12, 13]),
                    "status": st.sampled_from(["SUCCESSFUL", "ROLLBACK_SUCCESSFUL", "STOPPED"]),
                    "breaker": st.sampled_from(["TRIGGERED", "MONITORING", ""]),
                    "created": st.integers(-100, 400),
                }
            ),
            max_size=3,
        ),
        "view": st.sampled_from(["deep", "shallow"]),
    }
)
stories = st.lists(st.tuples(st.integers(1, 900), worlds), min_size=1, max_size=5)


def play(story: list[tuple[int, dict[str, Any]]]) -> list[tuple[Change, dict[str, Any], int]]:
    """Judge look upon look, deeper where that is asked for; the rows with what led to them."""
    row, at, rows = change(), 0, []
    for step, world in story:
        at += step
        said = world
        got = look(row, view({**said, "at": at}))
        if got.deeper:
            assert said["view"] == "shallow", "a deep view answered with a wish for a deeper one"
            said = {**world, "view": "deep"}
            got = look(row, view({**said, "at": at}))
            assert not got.deeper
        row = got.changed(after(at))
        rows.append((row, said, at))
    return rows


@given(stories)
def test_whatever_is_seen_there_is_one_verdict_with_a_reason(
    story: list[tuple[int, dict[str, Any]]],
) -> None:
    for row, _, at in play(story):
        assert row.reason
        assert row.since is not None
        assert row.since <= after(at)


@given(stories)
def test_nothing_is_ok_but_a_settled_task_of_the_target_on_a_connected_host(
    story: list[tuple[int, dict[str, Any]]],
) -> None:
    before = Verdict.WAITING
    for row, said, at in play(story):
        if row.verdict is Verdict.OK and before is not Verdict.OK:
            assert said["hosts"]["cam-1"] == {"connected": True, "status": "ACTIVE"}
            assert any(
                t.get("rev") == 13 and t.get("host") == "cam-1" and at - t["started"] >= 120
                for t in said["tasks"]
                if "started" in t
            )
        before = row.verdict


@given(stories)
def test_a_failed_change_stays_failed(story: list[tuple[int, dict[str, Any]]]) -> None:
    verdicts = [row.verdict for row, _, _ in play(story)]

    if Verdict.FAILED in verdicts:
        assert set(verdicts[verdicts.index(Verdict.FAILED) :]) == {Verdict.FAILED}


@given(stories)
def test_judging_the_same_view_again_changes_nothing(
    story: list[tuple[int, dict[str, Any]]],
) -> None:
    row, said, at = play(story)[-1]
    seen = view({**said, "at": at})
    got = look(row, seen)

    if not got.deeper:
        again = got.changed(seen.at)
        assert (again.verdict, again.since, again.away_since, again.pulls_failed) == (
            row.verdict,
            row.since,
            row.away_since,
            row.pulls_failed,
        )


@given(worlds, st.text(min_size=1, max_size=40))
def test_a_store_that_was_not_read_keeps_its_verdict(world: dict[str, Any], problem: str) -> None:
    for verdict in Verdict:
        row = change(verdict=verdict)
        got = look(row, view({**world, "at": 100, "problem": problem}))
        assert got.change.verdict is verdict
        assert got.change.looked_at == row.looked_at


@given(worlds)
def test_what_a_shallow_look_concludes_a_deep_one_does_not_contradict(
    world: dict[str, Any],
) -> None:
    told = look(change(), view({**world, "at": 60, "view": "shallow"}))

    if not told.deeper and told.change.verdict is not Verdict.WAITING:
        assert (
            look(change(), view({**world, "at": 60, "view": "deep"})).change.verdict
            is told.change.verdict
        )


def test_a_new_try_begins_with_none_of_the_old_ones_evidence() -> None:
    first = look(change(), view({"at": 130})).changed(after(130))
    rows = TickState(rollouts.rollout(), [first], after(200))
    again = mark_sent(
        rows, first, "sent", target=first.target, sent_at=after(200), look_at=after(215)
    )

    assert first.was_applied
    assert not again.was_applied
    got = look(again, view({"at": 210, "tasks": [], "service": {"deployed": 200}}))
    assert got.change.observed.hosts["cam-1"].tried_s == 10
    assert got.change.ok_at is None


def test_a_planned_change_keeps_what_is_known_for_its_next_send() -> None:
    row = change(stage="planned", sends=0, sent_at=None, next_send=NextSend(overwrite=True))

    assert look(row, view({"at": 0})).changed(after(0)).next_send == NextSend(overwrite=True)


def test_an_absence_is_as_long_as_the_row_says_where_the_row_was_moved_alone() -> None:
    stale = {"cam-1": HostContact(connected=False, away_since=after(-3600))}
    row = change(away_since=None, observed=ObservedChange(hosts=stale))

    got = look(row, view({"at": 50, "hosts": {"cam-1": {"connected": False}}}))

    assert got.change.away_since == after(50)


def test_a_view_without_instances_leaves_absences_as_they_were() -> None:
    row = change(away_since=after(10))
    seen = replace(view({"at": 60, "service": {"running": 0}}), instances=None, tasks=None)

    got = judge(row, seen, place(), POLICY, seen.at, health_check=False)

    assert got.change.away_since == after(10)
    assert got.change.verdict is Verdict.WAITING


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ({"healthCheck": {"command": ["CMD", "true"]}}, True),
        ({"healthCheck": {"command": ["CMD", "true"]}, "essential": False}, False),
        ({}, False),
    ],
    ids=["essential", "sidecar", "none"],
)
def test_ecs_tells_the_health_of_essential_containers_with_a_check(
    container: dict[str, Any], *, expected: bool
) -> None:
    body = {"family": "vision", "containerDefinitions": [{"name": "vision", **container}]}

    assert has_health_check(TaskDefinition.of(body)) is expected


@pytest.mark.parametrize(("failed", "again"), [(1, True), (3, True), (4, False)])
def test_an_image_is_tried_again_as_often_as_the_policy_says(failed: int, *, again: bool) -> None:
    row = change(verdict=Verdict.UNDELIVERED, pulls_failed=failed)

    wanted = SENT + timedelta(seconds=POLICY.pull_wait_s) if again else None
    assert retry_at(row, POLICY) == wanted


def test_a_dark_store_that_was_ok_owes_nothing() -> None:
    good = look(change(), view({"at": 130})).changed(after(130))

    dark = replace(good, verdict=Verdict.DARK)

    assert not dark.owes


def test_failures_are_counted_in_their_own_words_the_most_frequent_first() -> None:
    code = "EssentialContainerExited"
    tasks = [
        task(1, stopped=30, code=code, exit=137),
        task(2, stopped=40, code=code, exit=1, said="boom\x1b[2J"),
        task(3, stopped=50, code=code, exit=1, said="boom\x1b[2J"),
    ]

    assert counted(failures(tasks, revision(13), SENT)) == "exit 1 x2: boom[2J; exit 137"


def test_of_two_containers_the_one_with_words_is_blamed() -> None:
    ended = task(1, stopped=30, code="EssentialContainerExited", exit=1, said="no licence")
    (culprit,) = ended.containers
    sidecar = replace(culprit, name="logs", exit_code=143, reason="")
    both = replace(ended, containers=(sidecar, culprit))

    assert counted(failures([both], revision(13), SENT)) == "exit 1: vision: no licence"


def test_a_good_store_whose_tasks_were_never_read_is_read_before_it_stays_good() -> None:
    row = change(verdict=Verdict.OK, ok_at=after(100), since=after(100))
    assert look(row, view({"at": 200, "view": "shallow"})).deeper


@pytest.mark.parametrize(("at", "read"), [(-1, False), (0, True), (1, True)])
def test_a_view_counts_from_the_moment_at_which_the_change_was_sent(at: int, *, read: bool) -> None:
    assert (
        "not read since it was sent" not in look(change(), view({"at": at})).change.reason
    ) is read


@pytest.mark.parametrize(("lag_s", "read"), [(299, True), (300, True), (301, False)])
def test_a_view_is_fresh_up_to_its_limit(lag_s: float, *, read: bool) -> None:
    got = look(change(), view({"at": 100}), lag_s=lag_s)
    assert ("not read lately" not in got.change.reason) is read
    assert (got.change.looked_at is not None) is read


@pytest.mark.parametrize(("length", "whole"), [(199, True), (200, True), (201, False)])
def test_what_aws_says_is_shown_up_to_a_length(length: int, *, whole: bool) -> None:
    got = look(change(), view({"at": 100, "problem": "x" * length}))
    assert ("x" * length in got.change.reason) is whole


@pytest.mark.parametrize(("at", "verdict"), [(1799, Verdict.WAITING), (1800, Verdict.FAILED)])
def test_without_a_pull_the_deadline_is_that_of_the_policy(at: int, verdict: Verdict) -> None:
    known = HostContact(connected=True, tried_s=at - 1.0)
    row = change(observed=ObservedChange(hosts={"cam-1": known}, hosts_read_at=after(at - 1)))
    seen = view({"at": at, "tasks": [], "service": {"running": 0, "state": "IN_PROGRESS"}})
    got = judge(row, seen, place(), POLICY, seen.at, health_check=False)
    assert got.change.verdict is verdict


def test_a_good_store_says_whether_restarts_are_seen() -> None:
    seen = view({"at": 200})
    assert look(change(), seen).change.reason == "new task RUNNING 3m18s, hosts connected"
    blind = replace(POLICY, restart_source=RestartSource.OFF)
    got = look(change(), seen, policy=blind).change.reason
    assert got == "new task RUNNING 3m18s, hosts connected, restarts not seen"
    checked = look(
        change(),
        view({"at": 200, "tasks": [{"health": "HEALTHY"}]}),
        policy=blind,
        health_check=True,
    )
    assert checked.change.reason == "new task RUNNING 3m18s, healthy, hosts connected"
    waits = look(change(), view({"at": 60, "tasks": []}), policy=blind).change.reason
    assert "restarts" not in waits


@pytest.mark.parametrize(
    ("at", "next_s"), [(20, 15), (60, 15), (64, 16), (400, 100), (480, 120), (500, 120)]
)
def test_a_store_in_progress_is_looked_at_less_often_the_longer_it_takes(
    at: int, next_s: float
) -> None:
    got = look(change(), view({"at": at, "tasks": [], "service": {"running": 0}}))
    assert got.next_look_s == pytest.approx(next_s)


@pytest.mark.parametrize(
    ("at", "next_s"), [(100, 120), (180, 120), (181, 119), (299, 1), (300, 120), (301, 120)]
)
def test_an_image_that_could_not_be_pulled_is_looked_at_when_it_is_due_again(
    at: int, next_s: float
) -> None:
    row = change(verdict=Verdict.UNDELIVERED, since=after(0), pulls_failed=1)
    row = replace(row, observed=replace(row.observed, pull_counted=True))
    assert undelivered(facts_of(row, {"at": at}), "cannot be pulled").next_look_s == pytest.approx(
        next_s
    )


CRASHED = {"stopped": 50, "code": "EssentialContainerExited", "exit": 3}
NOT_PULLED = {
    "stopped": 50,
    "started": None,
    "code": "TaskFailedToStart",
    "said": "CannotPullContainerError: i/o timeout",
}


@pytest.mark.parametrize(
    ("tasks", "cause"),
    [
        ([CRASHED], "exit 3"),
        ([NOT_PULLED], "image not pulled: CannotPull"),
        ([NOT_PULLED, CRASHED], "exit 3"),
    ],
)
def test_the_cause_is_that_of_tasks_that_ran_before_that_of_those_that_did_not(
    tasks: list[dict[str, Any]], cause: str
) -> None:
    got = look(change(), view({"at": 60, "tasks": [*tasks, {"created": 55, "started": 56}]}))
    assert got.change.observed.cause.startswith(cause)


UNABLE = (
    "was unable to place a task because no container instance met all of its requirements. "
    "The closest matching has insufficient memory"
)


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([(50, UNABLE)], "no instance meets the placement: The closest matching has insufficient"),
        ([(50, "was unable to place a task")], "no instance meets the placement: was unable to"),
        ([(50, "encountered error X")], "ECS cannot place a task: encountered error X"),
        ([(60, "is steady"), (50, UNABLE), (40, "encountered error")], "no instance meets"),
        ([(50, UNABLE), (40, "has started 1 tasks")], "no instance meets"),
        ([(50, "has started 1 tasks"), (40, UNABLE)], "no task on cam-1 yet, 1m30s after sending"),
        ([(-500, UNABLE)], "no task on cam-1 yet"),
    ],
)
def test_ecs_s_latest_words_since_it_was_sent_say_why_no_task_is_placed(
    events: list[tuple[int, str]], words: str
) -> None:
    told = {"at": 90, "tasks": [], "service": {"running": 0, "events": events}}
    assert look(change(), view(told)).change.reason.startswith(words)


@pytest.mark.parametrize(("length", "whole"), [(199, True), (200, True), (201, False)])
def test_why_no_task_is_placed_is_shown_up_to_a_length(length: int, *, whole: bool) -> None:
    why = "x" * length
    events = [(50, f"was unable to place a task because {why}")]
    told = {"at": 90, "tasks": [], "service": {"running": 0, "events": events}}
    assert (why in look(change(), view(told)).change.reason) is whole


@pytest.mark.parametrize(("at", "ran"), [(-1, "0s"), (0, "0s"), (1, "1s"), (119, "1m59s")])
def test_what_settles_without_its_tasks_being_read_says_for_how_long_it_has(
    at: int, ran: str
) -> None:
    row = change(observed=ObservedChange(settles_at=after(120)))
    words, next_s, settles = progress(facts_of(row, {"at": at, "view": "shallow"}))
    assert (words, next_s, settles) == (f"RUNNING {ran} of 2m", 120 - at, after(120))


def test_a_service_without_a_deployment_runs_no_task() -> None:
    told = {"at": 9, "view": "shallow", "service": "absent"}
    assert progress(facts_of(change(), told))[0] == "0 of 1 tasks RUNNING"


def facts_of(row: Change, told: dict[str, Any]) -> ChangeFacts:
    seen = view(told)
    return ChangeFacts(row, seen, place(), POLICY, seen.at, False, 0.0, "ro-118")


def test_the_exit_codes_of_its_tasks_are_kept_for_people() -> None:
    ended = {"stopped": 50, "code": "EssentialContainerExited", "exit": 3}
    got = look(change(), view({"at": 60, "tasks": [ended, {"created": 55, "started": 56}]}))
    assert [one.exit_codes for one in got.change.observed.tasks] == [(), (3,)]


def test_the_next_look_is_so_many_seconds_from_now() -> None:
    assert Judgement(change(), 90.0).changed(SENT).look_at == after(90)
    assert Judgement(change(look_at=SENT), None).changed(SENT).look_at is None
