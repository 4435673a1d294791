"""What a host prints when it is asked, and what is made of it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model.drift import Probe, ProbedContainer
from fleet.model.observed import NotRead
from fleet.ssh.probe_answer import is_whole, read_answer

AT = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
LATER = AT + timedelta(seconds=10)
PULLED = "sha256:" + "9" * 64
IMAGE_ID = "sha256:" + "1" * 64
#: When a container was made, that it has not ended yet, and its task definition.
BORN = "|2026-11-23T01:00:00Z|0001-01-01T00:00:00Z|vision:7"
#: The same of one that ECS did not start.
BARE = "|2026-11-23T01:00:00Z|0001-01-01T00:00:00Z|:"
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
    line = f"c {IMAGE_ID}|2026-11-23T02:00:00.123456789Z|{TASK}|app|/ecs-x|shops/vision:1.9{BORN}"
    images = f"i {IMAGE_ID}|shops/vision@{PULLED} elsewhere/vision@{IMAGE_ID}"

    assert read(block(line, images)).containers == (
        ProbedContainer(
            TASK,
            "app",
            "shops/vision:1.9",
            PULLED,
            datetime(2026, 11, 23, 2, 0, 0, 123456, UTC),
            name="ecs-x",
            created_at=datetime(2026, 11, 23, 1, 0, tzinfo=UTC),
            revision="vision:7",
        ),
    )


def test_a_pinned_reference_says_its_digest_itself() -> None:
    line = f"c {IMAGE_ID}|2026-11-23T02:00:00Z|{TASK}|app|/x|shops/vision@{PULLED}{BORN}"

    assert read(block(line)).containers[0].digest == PULLED


def test_a_container_that_ecs_did_not_start_has_dockers_name() -> None:
    (seen,) = read(block("c x|2026-11-23T02:00:00Z|||/cam-legacy|cam:old" + BARE)).containers

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
    line = f"c x|2026-11-23T02:00:00Z|{TASK}|\x1b[2Japp|/x|shops/vision:1.9{BORN}"

    assert read(block(line)).containers[0].container.isprintable()


@given(st.text())
def test_no_answer_is_an_error(noise: str) -> None:
    read_answer(f"fleet-probe 1\n{noise}\nend", after=AT, before=LATER, via="ssm")


@given(st.integers(0, 400))
def test_no_part_of_an_answer_is_taken_for_the_whole(length: int) -> None:
    text = block().rstrip()
    assert is_whole(text[:length]) == (length >= len(text))


def test_a_container_that_was_started_again_says_how_often_and_how_it_ended() -> None:
    ended = BORN.replace("0001-01-01T00:00:00Z", "2026-11-23T01:59:59Z")
    line = f"c x|2026-11-23T02:00:00Z|{TASK}|app|/ecs-x|v:1{ended}"

    (seen,) = read(block(line, "m /ecs-x|4", "e /ecs-x|3|139")).containers

    assert (seen.restarts, seen.ends, seen.last_exit) == (4, 3, 139)
    assert seen.finished_at == datetime(2026, 11, 23, 1, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize("told", ["m /ecs-x|many", "e /ecs-x|-1|", "e /ecs-x", "m /other|4"])
def test_a_count_that_is_none_is_not_known(told: str) -> None:
    (seen,) = read(block(f"c x|2026-11-23T02:00:00Z|{TASK}|app|/ecs-x|v:1{BORN}", told)).containers

    assert (seen.restarts, seen.ends, seen.last_exit) == (None, None, None)
