"""What hosts say themselves: disk, heat, clock, and which containers docker really runs."""

from dataclasses import replace
from typing import Any

import pytest

from fleet.drift.decide.probed_hosts import of_hosts
from fleet.model.drift import Finding, Probe, ProbedContainer
from fleet.model.drift_settings import DriftSettings, Severity
from fleet.model.inventory import Lifecycle
from fleet.model.observed import NotRead, Reading
from fleet.model.services import TaskState
from tests.drift.decide import shop
from tests.drift.decide.shop import ago, case, container, dark, host, only, task
from tests.rollout.decide import plans

DIGEST = plans.NEW_IMAGE.rpartition("@")[2]
OTHER = "sha256:" + "e" * 64


def ran(name: str = "t1", **changes: Any) -> ProbedContainer:
    """A container of a task, as docker says."""
    value = ProbedContainer(task(name).arn, "ingest", plans.NEW_IMAGE, DIGEST, ago(days=3))
    return replace(value, **changes)


def probe(*containers: ProbedContainer, **changes: Any) -> Probe:
    value = Probe(containers, 20_000, 64_000, 51.0, 0.4)
    return replace(value, **changes)


def found_in(
    answer: Probe | NotRead, *tasks: TaskState, at: Any = shop.NOW, **changes: Any
) -> list[Finding]:
    seen: dict[str, Any] = {
        "probes": {"tel-1": answer if isinstance(answer, NotRead) else Reading(answer, at)},
        "tasks": Reading(tasks, shop.NOW),
    }
    return of_hosts(case(**{"seen": {**seen, **changes.pop("seen", {})}, "deep": True, **changes}))


def test_a_host_on_which_all_is_well_is_no_finding() -> None:
    assert found_in(probe(ran()), task()) == []


@pytest.mark.parametrize(
    ("said", "codes"),
    [
        ({"restarts": 3, "created_at": ago(hours=12)}, []),
        ({"restarts": 4, "created_at": ago(hours=12)}, ["CRASH_LOOP"]),
        ({"restarts": 9, "created_at": ago(days=3)}, []),
        ({"restarts": 10, "created_at": ago(days=3)}, ["CRASH_LOOP"]),
        ({"ends": 3, "created_at": ago(days=30)}, []),
        ({"ends": 4, "created_at": ago(days=30)}, ["CRASH_LOOP"]),
        ({"finished_at": ago(hours=1), "created_at": ago(days=3)}, []),
    ],
    ids=[
        "at the limit of a day",
        "above it",
        "at the limit of three days",
        "above that",
        "today at the limit",
        "today above it",
        "once",
    ],
)
def test_more_restarts_than_the_limit_of_a_day_are_a_crash_loop(
    said: dict[str, Any], codes: list[str]
) -> None:
    assert [one.code for one in found_in(probe(ran(**said)), task(started_at=ago(days=3)))] == codes


def test_a_crash_loop_is_told_while_a_rollout_is_at_work() -> None:
    looping = probe(ran(restarts=900, created_at=ago(days=1), last_exit=139))
    found = only(found_in(looping, task(), want={"rolling": {shop.SERVICE: "ro-118"}}))
    assert (found.code, found.severity) == ("CRASH_LOOP", Severity.HIGH)
    assert "900 times in 24h, last exit 139" in found.cause


def test_a_host_that_could_not_be_asked_gives_no_finding() -> None:
    assert found_in(NotRead("no answer within 60 s"), task()) == []


@pytest.mark.parametrize(
    ("free", "severity"), [(2047, Severity.MEDIUM), (1024, Severity.MEDIUM), (921, Severity.HIGH)]
)
def test_little_disk_is_told_and_very_little_is_for_today(free: int, severity: Severity) -> None:
    found = only(found_in(probe(disk_free_mb=free)))
    assert (found.code, found.severity) == ("DISK_LOW", severity)
    assert found.evidence[0].words == f"{free} MiB free on / (by ssm)"


def test_disk_heat_and_clock_at_their_limits_are_well() -> None:
    settings = DriftSettings(disk_free_mb=100, temperature_c=70, clock_s=10)
    edge = probe(disk_free_mb=100, temperature_c=70.0, clock_offset_s=-10.0)
    beyond = probe(disk_free_mb=99, temperature_c=70.1, clock_offset_s=-10.1)
    assert found_in(edge, settings=settings) == []
    found = found_in(beyond, settings=settings)
    assert [one.code for one in found] == ["DISK_LOW", "HOT", "CLOCK_WRONG"]


def test_a_clock_says_which_way_it_is_wrong() -> None:
    found = only(found_in(probe(clock_offset_s=-4000.0)))
    assert found.cause == "the clock of tel-1 is 1h06m behind (limit 5m)"


def test_a_host_without_a_thermometer_is_not_hot() -> None:
    assert found_in(probe(temperature_c=None)) == []


def test_disk_is_told_of_a_host_that_is_not_connected_too() -> None:
    assert only(found_in(probe(disk_free_mb=1), hosts=[dark()])).code == "DISK_LOW"


def test_a_container_that_docker_does_not_run_is_missing() -> None:
    found = only(found_in(probe(), task()))
    assert (found.code, found.severity) == ("CONTAINER_MISSING", Severity.HIGH)
    assert found.subject == "telemetry-amd64/ingest"
    assert found.evidence[0].words == "docker runs nothing (by ssm)"


@pytest.mark.parametrize(
    ("missing", "changes"),
    [
        (task(started_at=ago(minutes=4)), {}),
        (task(started_at=None), {}),
        (task(desired_status="STOPPED"), {}),
        (task(containers=(container(status="STOPPED"),)), {}),
        (task(), {"hosts": [dark()]}),
        (task(), {"seen": {"tasks": None}}),
        (task(), {"at": ago(minutes=-31)}),
        (task(), {"want": {"rolling": {shop.SERVICE: "ro-118"}}}),
        (task(host="elsewhere"), {}),
    ],
    ids=[
        "young",
        "not started",
        "stopping",
        "it ended",
        "dark",
        "tasks not read",
        "tasks read long before",
        "a rollout is at work",
        "another host",
    ],
)
def test_a_container_that_may_be_on_its_way_is_not_missing(
    missing: TaskState, changes: dict[str, Any]
) -> None:
    assert found_in(probe(), missing, **changes) == []


def test_a_task_that_was_replaced_after_ecs_was_asked_is_neither_missing_nor_unknown() -> None:
    new = ran("t2", started_at=ago(minutes=1))
    assert found_in(probe(new), task()) == []


def test_a_container_whose_task_ecs_does_not_have_is_told_with_how_to_stop_it() -> None:
    found = only(found_in(probe(ran(), ran("t9")), task()))
    assert (found.code, found.subject) == ("CONTAINER_UNKNOWN", "t9/ingest")
    assert "label=com.amazonaws.ecs.task-arn=arn:aws:ecs:" in found.fix
    assert found.since == ago(days=3)


def test_a_task_that_is_still_stopping_and_was_not_listed_is_not_unknown() -> None:
    busy = host(instances=(plans.instance(running_tasks=2),))
    assert found_in(probe(ran(), ran("t9")), task(), hosts=[busy]) == []


def test_a_label_with_shell_words_in_it_does_not_reach_the_command() -> None:
    evil = ran(task_arn="arn:aws:ecs:x/$(reboot);'\"")
    found = only(found_in(probe(ran(), evil), task()))
    assert not set("$;\"'") & set(found.fix.partition("task-arn=")[2].partition(" ")[0])


def test_containers_that_ecs_did_not_start_and_those_of_the_agent_are_not_unknown() -> None:
    own = ran("t9", container="~internal~ecs~pause")
    assert found_in(probe(ran(), ran(task_arn="", container="cam-legacy"), own), task()) == []


def test_another_digest_on_the_host_is_told_as_the_hosts_word() -> None:
    found = only(found_in(probe(ran(digest=OTHER)), task()))
    assert (found.code, found.severity) == ("CONTAINER_OLD_IMAGE", Severity.INFO)
    assert "--task t1" in found.fix


def test_what_ecs_reports_itself_is_told_once() -> None:
    drifted = task(containers=(container(image_digest=OTHER),))
    assert found_in(probe(ran(digest=OTHER)), drifted, digests=True) == []
    assert only(found_in(probe(ran(digest=OTHER)), drifted)).code == "CONTAINER_OLD_IMAGE"


def test_tasks_that_stopped_do_not_make_up_for_one_that_was_not_listed() -> None:
    counted = host(instances=(plans.instance(running_tasks=1),))
    found = found_in(probe(ran(), ran("t9")), task(), hosts=[counted])
    assert [one.code for one in found] == ["CONTAINER_UNKNOWN"]
    over = task("t0", last_status="STOPPED", desired_status="STOPPED")
    busy = host(instances=(plans.instance(running_tasks=2),))
    assert found_in(probe(ran(), ran("t9")), task(), over, hosts=[busy]) == []


def test_only_a_young_container_of_the_same_name_stands_for_a_missing_one() -> None:
    other = ran("t1", container="sidecar", started_at=ago(minutes=1))
    old = ran("t1", container="sidecar")
    codes = [[one.code for one in found_in(probe(one), task())] for one in (other, old)]
    assert codes == [["CONTAINER_MISSING"], ["CONTAINER_MISSING"]]


def test_a_closed_stores_host_is_let_be() -> None:
    assert found_in(probe(disk_free_mb=1), store={"lifecycle": Lifecycle.CLOSED}) == []
