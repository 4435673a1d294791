"""What cron, systemd and logrotate are given: run as they would, whatever paths look like."""

import shlex
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.drift.view import cron
from fleet.drift.view.cron import Job, crontab, files, logrotate, secrets_template, service, timer
from fleet.errors import UsageError

JOB = Job(
    fleet=("/srv/venv/bin/fleet",),
    folder="/srv/shops",
    inventory="/srv/shops/inventory",
    report="/var/lib/fleet/reports",
    log="/srv/shops/.fleet/logs/drift.log",
    secrets="/srv/shops/.fleet/cron.env",
    state="",
    at=(3, 30),
    time_zone="Europe/London",
    jitter_s=600,
    notify=True,
    user="fleet",
    group="fleet",
    own=False,
)
#: Names that a shell, cron, systemd or logrotate might take for something else.
NAMES = st.text(
    st.sampled_from("aZ9 .,-_%$'\"`&;|<>()*?[]#!~+=:@üé"), min_size=1, max_size=12
).filter(lambda name: name == name.strip() and name not in {".", ".."})
FAKE = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word" >>told; done
printf '%s\\n' "secret=$FLEET_SECRET state=$FLEET_STATE" >>told
echo out; echo err >&2
exit $(cat code)
"""


def line_of(text: str) -> str:
    return text.splitlines()[-1]


def as_cron_does(command: str) -> str:
    """What cron hands to the shell: up to the first % that is not escaped (crontab(5))."""
    parts = command.replace("\\%", "\0").split("%")
    return parts[0].replace("\0", "%")


def settled(job: Job, folder: Path, name: str = "shop") -> Job:
    """The job in a real folder, with a fleet that writes down what it was told."""
    home = folder / name
    home.mkdir()
    program = home / "fleet"
    program.write_text(FAKE)
    program.chmod(0o755)
    (home / "code").write_text("0")
    return replace(
        job,
        fleet=(str(program),),
        folder=str(home),
        inventory=f"{home}/inventory",
        report=f"{home}/reports",
        log=f"{home}/logs/drift.log",
        secrets=f"{home}/cron.env",
    )


def run(job: Job) -> "subprocess.CompletedProcess[str]":
    """The command of the crontab as cron runs it: /bin/sh, hardly any environment, from home."""
    minute, hour, *_, command = line_of(crontab(job)).split(maxsplit=5)
    assert (int(hour), int(minute)) == job.at
    return subprocess.run(
        ["/bin/sh", "-c", as_cron_does(command)],
        env={"HOME": "/", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )


def told(job: Job) -> list[str]:
    return Path(job.folder, "told").read_text().splitlines()


def test_cron_runs_it_with_absolute_paths_and_keeps_what_it_says(tmp_path: Path) -> None:
    job = settled(JOB, tmp_path)
    ran = run(job)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert told(job) == [
        *("drift", "--inventory", job.inventory, "--report", job.report),
        *("--jitter", "600s", "--notify", "secret= state="),
    ]
    assert Path(job.log).read_text() == "out\nerr\n"


def test_cron_reads_the_secrets_and_says_where_the_state_is(tmp_path: Path) -> None:
    job = replace(settled(JOB, tmp_path), state="/elsewhere/state")
    Path(job.secrets).write_text("FLEET_SECRET='a b$c'\n")
    run(job)

    assert told(job)[-1] == "secret=a b$c state=/elsewhere/state"


@pytest.mark.parametrize(("code", "mails"), [(0, ""), (3, ""), (1, "1"), (2, "2"), (130, "130")])
def test_only_an_end_that_somebody_must_see_to_is_mailed(
    tmp_path: Path, code: int, mails: str
) -> None:
    job = settled(JOB, tmp_path)
    Path(job.folder, "code").write_text(str(code))
    ran = run(job)

    assert ran.returncode == code
    said = f"fleet drift ended with {mails}, see {job.log}\n" if mails else ""
    assert ran.stdout == said


def test_a_scan_does_not_begin_while_the_one_before_is_still_at_work(tmp_path: Path) -> None:
    job = settled(JOB, tmp_path)
    with subprocess.Popen(
        ["flock", job.folder, "sh", "-c", "echo ready; read _"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        ran = run(job)
        other.communicate(b"\n")

    assert ran.returncode == 5
    assert "ended with 5" in ran.stdout
    assert not Path(job.folder, "told").exists()


def test_a_folder_that_is_gone_is_mailed(tmp_path: Path) -> None:
    ran = run(replace(settled(JOB, tmp_path), folder=f"{tmp_path}/gone"))

    assert ran.returncode != 0
    assert "ended with" in ran.stdout


@settings(max_examples=25)
@given(NAMES)
def test_cron_runs_it_wherever_it_is(name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        job = settled(JOB, Path(folder), name)
        ran = run(job)

        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
        assert told(job)[:5] == ["drift", "--inventory", job.inventory, "--report", job.report]


@given(st.lists(NAMES, min_size=3, max_size=3))
def test_systemd_reads_the_words_that_were_meant(names: list[str]) -> None:
    program, folder, report = (f"/{name}/x" for name in names)
    job = replace(JOB, fleet=(program,), folder=folder, report=report, state=folder)
    said = dict(
        line.split("=", 1) for line in service(job).splitlines() if line and line[0].isalpha()
    )

    words = [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(said["ExecStart"])]
    assert tuple(words[words[0] == "/usr/bin/env" :]) == job.words(jitter=False)
    assert said["WorkingDirectory"].replace("%%", "%") == folder
    assert shlex.split(said["Environment"]) == [f"FLEET_STATE={folder.replace('%', '%%')}"]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, own: bool) -> None:
    job = replace(settled(JOB, tmp_path, "a shop's 100% $HOME"), own=own, user="root", state="/x y")
    for name, text in files(job, "systemd").items():
        (tmp_path / name).write_text(text)
    ran = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "fleet-drift.timer"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert [line for line in ran.stderr.splitlines() if "fleet-drift" in line] == []


def test_systemd_waits_at_random_itself_and_takes_found_drift_for_a_success() -> None:
    assert "--jitter" not in service(JOB)
    assert "RandomizedDelaySec=600s\n" in timer(JOB)
    assert "OnCalendar=*-*-* 03:30:00 Europe/London\n" in timer(JOB)
    assert "\nSuccessExitStatus=3\n" in service(JOB)


def test_without_a_zone_and_jitter_neither_is_said() -> None:
    job = replace(JOB, time_zone="", jitter_s=0)

    assert "CRON_TZ" not in crontab(job)
    assert "--jitter" not in crontab(job)
    assert "OnCalendar=*-*-* 03:30:00\n" in timer(job)
    assert "Randomized" not in timer(job)


def test_a_zone_is_said_before_the_line() -> None:
    assert crontab(JOB).splitlines()[-2] == "CRON_TZ=Europe/London"


def test_a_persons_own_units_need_no_root() -> None:
    own = replace(JOB, own=True)

    assert "User=" not in service(own)
    assert "network-online" not in service(own)
    assert "systemctl --user enable --now fleet-drift.timer" in timer(own)
    assert "enable-linger fleet" in timer(own)
    assert "    su " not in logrotate(own)


def test_the_log_is_rotated_as_its_owner() -> None:
    assert '"/srv/shops/.fleet/logs/drift.log" {\n    su fleet fleet\n' in logrotate(JOB)


def test_logrotate_takes_no_path_for_a_pattern() -> None:
    assert '"/a [*] b/[?][[]c].log" {' in logrotate(replace(JOB, log="/a * b/?[c].log"))
    with pytest.raises(UsageError, match="braces"):
        logrotate(replace(JOB, log="/a{b}"))


@pytest.mark.parametrize("path", ["/a\\b", "/a\nb", "/a\tb", "/a ", "/\x1b[31m"])
@pytest.mark.parametrize("field", ["folder", "inventory", "report", "log", "secrets"])
def test_a_path_that_some_reader_cannot_be_told_is_refused(field: str, path: str) -> None:
    with pytest.raises(UsageError, match="cannot be written for cron"):
        files(replace(JOB, **cast("Any", {field: path})), "all")


def test_a_command_that_is_longer_than_cron_takes_is_refused() -> None:
    with pytest.raises(UsageError, match="cron takes 998") as caught:
        crontab(replace(JOB, folder="/" + "x" * 900))
    assert "--format systemd" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("form", "names"),
    [
        ("crontab", ["fleet-drift.crontab"]),
        ("systemd", ["fleet-drift.service", "fleet-drift.timer"]),
        ("logrotate", ["fleet-drift.logrotate"]),
        (
            "all",
            [
                "fleet-drift.crontab",
                "fleet-drift.service",
                "fleet-drift.timer",
                "fleet-drift.logrotate",
            ],
        ),
    ],
)
def test_each_form_has_its_files(form: str, names: list[str]) -> None:
    assert list(files(JOB, form)) == names


def test_the_template_of_secrets_holds_names_alone() -> None:
    assert secrets_template(["A", "B"]).splitlines()[-2:] == ["#A=''", "#B=''"]


def test_a_pythons_own_fleet_may_take_several_words() -> None:
    job = replace(JOB, fleet=("/usr/bin/python3", "-m", "fleet"))

    assert "/usr/bin/python3 -m fleet drift" in crontab(job)
    assert 'ExecStart="/usr/bin/python3" "-m" "fleet" "drift"' in service(job)
    assert cron.NAME == "fleet-drift"
