"""`fleet cron`: from words to files, with absolute paths and no secret in any of them."""

import getpass
import os
import shutil
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from fleet.cli.cron import CronRequest, cron, job_of, variables_needed
from fleet.errors import FleetError, UsageError
from fleet.inventory.loader import load_fleet

EXAMPLE = Path(__file__).parents[2]
SECRETS = {"FLEET_DATABASE_URL": "postgresql://fleet:s3cr3t@db/fleet", "AWS_PROFILE": "s3cr3t"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder that we stand in, told of by nothing in the environment."""
    for name in ("inventory", "templates"):
        shutil.copytree(EXAMPLE / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for name in variables_needed(None, os.environ):
        monkeypatch.delenv(name)
    return tmp_path


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(cron)
    return CliRunner().invoke(app, arguments)


def tell_somebody(here: Path) -> None:
    with (here / "inventory" / "fleet.yaml").open("a") as file:
        file.write("\nnotify: {chat: {webhook: {url_env: FLEET_CHAT_URL}}}\n")


def test_everything_is_printed_with_absolute_paths(here: Path) -> None:
    ran = run("--report", "out", "--tz", "Europe/London", "--at", "4:05")

    assert (ran.exit_code, ran.stderr) == (0, "")
    fleet = Path(sys.executable).parent / "fleet"
    words = f"{fleet} drift --inventory {here}/inventory --report {here}/out --jitter 600s"
    assert f' {words} >>"$l" 2>&1;' in ran.stdout
    state = f"{here}/.fleet"
    paths = f"d={here} e={state}/cron.env l={state}/logs/drift.log"
    assert f"\nCRON_TZ=Europe/London\n5 4 * * * {paths}; " in ran.stdout
    assert "OnCalendar=*-*-* 04:05:00 Europe/London" in ran.stdout
    assert f"\nUser={getpass.getuser()}\n" in ran.stdout
    assert f"EnvironmentFile=-{here}/.fleet/cron.env" in ran.stdout
    assert f'"{here}/.fleet/logs/drift.log" {{' in ran.stdout


def test_what_is_looked_at_every_night_is_said_like_to_the_scan_itself(here: Path) -> None:
    ran = run("--digests", "--deep", "--fail-on", "medium", "--report", "out")

    assert f"--inventory {here}/inventory --digests --deep --fail-on medium --report" in ran.stdout
    assert '"--digests" "--deep" "--fail-on" "medium"' in ran.stdout


def test_a_severity_that_is_none_is_refused(here: Path) -> None:
    assert run("--fail-on", "bad").exit_code == 2


def test_variables_that_it_needs_are_named_and_never_shown(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell_somebody(here)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)

    ran = run("--notify", "--write", "made")

    assert ran.stderr == (
        "cron does not pass on your environment: put what the scan needs of AWS_PROFILE, "
        "FLEET_CHAT_URL, FLEET_DATABASE_URL "
        f"into {here}/.fleet/cron.env (NAME='value', chmod 600)\n"
    )
    files = sorted(Path("made").iterdir())
    assert [file.name for file in files] == [
        "cron.env.example",
        "fleet-drift.crontab",
        "fleet-drift.logrotate",
        "fleet-drift.service",
        "fleet-drift.timer",
    ]
    assert ran.stdout.split() == [
        f"made/{name}"
        for name in (
            "fleet-drift.crontab",
            "fleet-drift.service",
            "fleet-drift.timer",
            "fleet-drift.logrotate",
            "cron.env.example",
        )
    ]
    assert not any("s3cr3t" in file.read_text() for file in files)
    assert "#FLEET_CHAT_URL=''\n" in files[0].read_text()


def test_nobody_to_tell_is_said_before_the_first_night(here: Path) -> None:
    assert isinstance(run("--notify").exception, UsageError)


def test_a_state_folder_of_its_own_goes_with_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_STATE", "elsewhere")
    job = job_of(CronRequest(Path("inventory")))

    assert job.state == f"{here}/elsewhere"
    assert job.log == f"{here}/elsewhere/logs/drift.log"
    assert job.secrets == f"{here}/elsewhere/cron.env"


def test_without_a_fleet_beside_it_this_python_runs_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/opt/python/bin/python3")

    assert job_of(CronRequest(Path("inventory"))).fleet == (
        "/opt/python/bin/python3",
        "-m",
        "fleet",
    )


def test_a_person_without_a_name_has_a_number(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 3_999_999_999)

    assert job_of(CronRequest(Path("inventory"))).user == "3999999999"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--at", "24:00"), '--at "24:00" is not a time of day'),
        (("--at", "half past"), "is not a time of day"),
        (("--tz", "Europe/Leeds"), '--tz "Europe/Leeds" is not an IANA time zone'),
        (("--tz", "../etc"), "is not an IANA time zone"),
        (("--jitter", "soon"), "is no time"),
        (("--jitter", "7h"), "too long"),
        (("--inventory", "gone"), "there is no such folder"),
    ],
)
def test_a_word_that_means_nothing_is_refused(
    here: Path, arguments: tuple[str, ...], words: str
) -> None:
    ran = run(*arguments)

    assert isinstance(ran.exception, UsageError)
    assert words in str(ran.exception)


def test_a_folder_that_cannot_be_written_is_said(here: Path) -> None:
    Path("made").write_text("")

    ran = run("--write", "made")

    assert isinstance(ran.exception, FleetError)
    assert "made cannot be written" in str(ran.exception)


def test_the_example_needs_nothing_while_it_tells_nobody(here: Path) -> None:
    assert (
        variables_needed(load_fleet(here / "inventory"), {"HOME": "/", "FLEET_INVENTORY": "x"})
        == ()
    )
