"""What is made of the words of ``install.sh``: a report, or why there is none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest

from fleet.errors import FleetError, HostCommandFailed, Locked
from fleet.model.secret import Secret
from fleet.ssh.connection import Ended
from fleet.ssh.install import COMMAND, STOPPED, InstallOrder, InstallReport, StepDone, install
from tests import build

IDS = ("@result managed_instance_id mi-1", "@result container_instance_arn arn:one")
WHOLE = ("@begin", "@step upload", "@step docker", *IDS, "@done")
ORDER = InstallOrder("eu-west-1", "store-042", None, b"#!/bin/sh\n", "A=1\n", "B=2\n", "{}\n")


@dataclass
class Host:
    """A host that says these lines and ends with this status."""

    said: Sequence[str]
    status: int = 0
    host: Any = field(default_factory=build.host)
    asked: str = ""

    def run(self, command: str, *, on_line: Callable[[str], None], **_: Any) -> Ended:
        self.asked = command
        for line in self.said:
            on_line(line)
        return Ended(self.status, tuple(self.said[-2:]), 12.5)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second after the one before."""
    ticks = count(100)
    monkeypatch.setattr("fleet.ssh.install.time.monotonic", lambda: float(next(ticks)))


def ran(*said: str, status: int = 0, **more: Any) -> InstallReport:
    words: dict[str, Any] = {"code": None, "on_line": lambda _: None, "timeout_s": 60.0, **more}
    return install(Host(said, status), ORDER, **words)  # type: ignore[arg-type] # as far as it is used


def refused(*said: str, status: int = 0) -> FleetError:
    with pytest.raises(FleetError) as caught:
        ran(*said, status=status)
    return caught.value


def test_a_whole_report_names_ids_versions_and_the_seconds_of_each_step() -> None:
    versions = (
        "@result ssm_agent_version SSM Agent version: 3.3.4108.0",
        "@result ecs_agent_version Amazon ECS Agent - v1.89.0 (abc)",
        "@result docker_version 27.1",
    )
    report = ran(*WHOLE[:-1], *versions, "@done")

    assert (report.managed_instance_id, report.container_instance_arn) == ("mi-1", "arn:one")
    assert report.ssm_agent_version == "3.3.4108.0"
    assert report.ecs_agent_version == "1.89.0"
    assert report.docker_version == "27.1"
    # The third look at the clock is the end mark.
    assert report.steps == (StepDone("upload", 1.0), StepDone("docker", 1.0))
    assert report.seconds == 12.5


def test_a_host_that_had_everything_reports_no_steps() -> None:
    assert ran("@begin", *IDS, "@done").steps == ()


def test_versions_that_are_not_told_are_empty() -> None:
    report = ran(*WHOLE)

    assert (report.ssm_agent_version, report.ecs_agent_version, report.docker_version) == ("",) * 3


def test_a_report_without_its_end_mark_is_none() -> None:
    error = refused(*WHOLE[:-1])

    assert isinstance(error, HostCommandFailed)
    assert "the install stopped at docker: it ended with status 0" in str(error)


@pytest.mark.parametrize("status", [1, -1, 71, 255])
def test_a_report_with_a_status_that_is_not_zero_is_none(status: int) -> None:
    error = refused(*WHOLE, status=status)

    assert isinstance(error, HostCommandFailed)
    assert error.status == status


@pytest.mark.parametrize("left_out", [0, 1])
def test_a_report_without_one_of_its_ids_is_none(left_out: int) -> None:
    assert isinstance(refused("@begin", IDS[left_out], "@done"), HostCommandFailed)
    empty = IDS[left_out].rpartition(" ")[0]
    assert isinstance(refused("@begin", IDS[1 - left_out], empty, "@done"), HostCommandFailed)


def test_a_failure_says_why_and_what_to_do() -> None:
    error = refused("@begin", "@step docker", "@fail docker did not start", status=70)

    assert str(error).startswith("store-042/tel-1: the install stopped at starting services: ")
    assert "docker did not start" in str(error)
    assert error.hint == STOPPED[70][1]


def test_a_status_that_is_not_known_stops_at_the_last_step() -> None:
    assert "stopped at upload:" in str(refused("@begin", "@step upload", status=99))
    assert "stopped at start:" in str(refused("@begin", status=99))


def test_a_script_that_never_began_could_not_become_root() -> None:
    error = refused("sudo: a password is required", status=1)

    assert "could not start as root (status 1)" in str(error)
    assert error.hint == STOPPED[65][1]


def test_a_host_on_which_another_run_installs_is_locked() -> None:
    error = refused("@begin", "@fail another install runs since 12:00", status=75)

    assert isinstance(error, Locked)
    assert "another install runs" in str(error)


@pytest.mark.parametrize(("said", "status"), [((), 75), (("@fail no",), 74), (("@fail no",), 76)])
def test_only_the_status_and_the_words_of_a_lock_are_one(
    said: tuple[str, ...], status: int
) -> None:
    assert isinstance(refused("@begin", *said, status=status), HostCommandFailed)


def test_what_programs_print_is_passed_on_and_steps_are_told() -> None:
    lines: list[str] = []
    steps: list[str] = []
    said = ("@begin", "@step docker", "| pulling", "|", "| @done", "not framed", *IDS, "@done")

    ran(*said, on_line=lines.append, on_step=steps.append)

    assert lines == ["pulling", "@done", "not framed"]
    assert steps == ["docker"]


def test_the_installer_cannot_say_that_it_is_done() -> None:
    assert isinstance(refused("@begin", *IDS, "| @done"), HostCommandFailed)


def test_the_activation_code_is_never_passed_on() -> None:
    lines: list[str] = []
    order = InstallOrder("eu-west-1", "store-042", "act-1", b"x", "", "", "")
    host = Host(("@begin", "| code s3cr3t-code here", *IDS, "@done"))

    install(
        host,  # type: ignore[arg-type] # as far as it is used
        order,
        code=Secret("s3cr3t-code"),
        on_line=lines.append,
        timeout_s=60.0,
    )

    assert host.asked == COMMAND
    assert "s3cr3t-code" not in lines[0]
