"""What hosts say themselves: disk, heat, clock, and which containers docker really runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.drift.decide.probed_hosts import is_whole, of_hosts, read_answer
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


AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=10)
PULLED = "sha256:" + "9" * 64
IMAGE_ID = "sha256:" + "1" * 64
TASK = "arn:aws:ecs:eu-west-1:111122223333:task/store-042/0123"


def block(*lines: str, at: datetime = AT + timedelta(seconds=5), docker: str = "ok") -> str:
    told = ["fleet-probe 1", f"time {at.timestamp():.3f}", "boot 1763870000"]
    measured = ["disk 5242880 52428800", "temperature 61500", "machine abc"]
    return "\n".join([*told, *measured, *lines, f"docker {docker}", "end\n"])


def read(text: str) -> Probe:
    answer = read_answer(text, after=AT, before=LATER, via="ssm")
    assert isinstance(answer, Probe)
    return answer


def test_a_whole_answer_is_read_in_its_units() -> None:
    said = read(block())

    assert (said.disk_free_mb, said.disk_total_mb) == (5120, 51200)
    assert said.temperature_c == 61.5
    assert said.booted_at == datetime.fromtimestamp(1763870000, UTC)
    assert (said.machine_id, said.via, said.containers) == ("abc", "ssm", ())


def test_a_container_has_its_task_its_reference_and_the_digest_it_was_pulled_by() -> None:
    line = f"c {IMAGE_ID}|2026-11-23T02:00:00.123456789Z|{TASK}|app|/ecs-x|shops/vision:1.9"
    images = f"i {IMAGE_ID}|shops/vision@{PULLED} elsewhere/vision@{IMAGE_ID}"

    assert read(block(line, images)).containers == (
        ProbedContainer(
            TASK,
            "app",
            "shops/vision:1.9",
            PULLED,
            datetime(2026, 11, 23, 2, 0, 0, 123456, UTC),
        ),
    )


def test_a_pinned_reference_says_its_digest_itself() -> None:
    line = f"c {IMAGE_ID}|2026-11-23T02:00:00Z|{TASK}|app|/x|shops/vision@{PULLED}"

    assert read(block(line)).containers[0].digest == PULLED


def test_a_container_that_ecs_did_not_start_has_dockers_name() -> None:
    (seen,) = read(block("c x|2026-11-23T02:00:00Z|||/cam-legacy|cam:old")).containers

    assert (seen.task_arn, seen.container, seen.digest) == ("", "cam-legacy", "")


@pytest.mark.parametrize(
    ("at", "offset"),
    [
        (AT, 0.0),
        (LATER, 0.0),
        (AT - timedelta(seconds=400), -400.0),
        (LATER + timedelta(60), 5184000),
    ],
)
def test_a_clock_is_wrong_only_by_what_cannot_be_the_way_there_and_back(
    at: datetime, offset: float
) -> None:
    assert read(block(at=at)).clock_offset_s == pytest.approx(offset, abs=0.01)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cut off or is none"),
        (block()[:-6], "cut off"),
        (block(docker="silent"), "docker on it"),
        (block().replace("disk 5242880 52428800", "disk ? ?"), "makes no sense"),
    ],
)
def test_what_is_no_answer_is_said_to_be_none(text: str, why: str) -> None:
    answer = read_answer(text, after=AT, before=LATER, via="ssm")

    assert isinstance(answer, NotRead)
    assert why in answer.why


def test_noise_before_the_block_does_not_matter() -> None:
    assert read(f"Welcome to store-042!\n{block()}").temperature_c == 61.5


def test_nothing_that_a_terminal_would_obey_comes_through() -> None:
    line = f"c x|2026-11-23T02:00:00Z|{TASK}|\x1b[2Japp|/x|shops/vision:1.9"

    assert read(block(line)).containers[0].container.isprintable()


@given(st.text())
def test_no_answer_is_an_error(noise: str) -> None:
    read_answer(f"fleet-probe 1\n{noise}\nend", after=AT, before=LATER, via="ssm")


@given(st.integers(0, 400))
def test_no_part_of_an_answer_is_taken_for_the_whole(length: int) -> None:
    text = block().rstrip()
    assert is_whole(text[:length]) == (length >= len(text))
