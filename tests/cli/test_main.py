"""The command line as a whole: fast to help, clear about what it was not understood."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fleet.cli.main import COMMANDS, CommandRow, app, main

ROOT = Path(__file__).resolve().parents[2]
#: Heavy libraries, which no help needs. Rich is not among them: the views make its tables and are
#: imported with their command, which takes 30 ms; only `fleet --help` does without.
HEAVY = [
    "boto3",
    "botocore",
    "paramiko",
    "sqlalchemy",
    "pydantic",
    "moto",
    "yaml",
    "jinja2",
    "distributed",
]
GROUPS = ["", "rollout", "inventory", "state", "sandbox"]


def fleet(*words: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fleet", *words],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **env},
        timeout=60,
    )


def modules_for_help(*command: str) -> set[str]:
    """What is imported when the help of a command is shown."""
    code = (
        "import sys, json, fleet.cli.main as m\n"
        "try: m.app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert "Usage:" in ran.stdout
    return set(json.loads(ran.stdout.splitlines()[-1]))


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_help_loads_no_edge(row: CommandRow) -> None:
    loaded = modules_for_help(row.name)

    assert [name for name in HEAVY if name in loaded] == []


def test_help_of_fleet_imports_no_command() -> None:
    loaded = {name for name in modules_for_help() if name.startswith("fleet.")}

    assert {name for name in loaded if name.startswith("fleet.cli.")} == {
        "fleet.cli.main",
        "fleet.cli.command_class",
    }
    assert len(loaded) < 10


def test_help_of_fleet_does_without_rich() -> None:
    assert "rich" not in modules_for_help()


def command_of(row: CommandRow) -> Any:
    group = get_command(app)
    return group.get_command(None, row.name)  # type: ignore[attr-defined]  # it is a group


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_the_summary_is_the_first_line_of_the_commands_own_help(row: CommandRow) -> None:
    assert command_of(row).help.splitlines()[0] == row.summary


@pytest.mark.parametrize("group", GROUPS)
def test_every_summary_fits_in_80_columns(group: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")

    text = CliRunner().invoke(app, [*group.split(), "--help"]).output

    summaries = text.partition("Commands:\n")[2].splitlines()
    assert summaries
    assert [line for line in summaries if re.fullmatch(r"  \S+ +\S.*[^.]\.|", line) is None] == []


def test_the_version_is_the_changelogs() -> None:
    version = fleet("--version").stdout.split()[1]

    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["regster"], "No such command"),
        (["register"], "no store was chosen"),
        (["register", "store-042", "--hots", "x"], "--host"),
        (["register", "store-24"], "did you mean"),
        (["register", "store-042", "--host", "cam-9"], "hosts there: "),
        (["status", "--inventory", "nowhere"], "nowhere"),
        (["rollout", "staus"], "did you mean status, start"),
        (["drift", "--jitter", "soon"], "'soon' is no time"),
        (["drift", "--notify"], "names nobody to tell"),
        (["explain", "TWINS"], "did you mean TWIN?"),
        (["explain", "store-042", "cam-9"], "hosts there: "),
        (["rollout", "--detach"], "no controller is alive"),
    ],
)
def test_wrong_words_end_with_2_and_say_what_was_not_understood(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("FLEET_STATE", str(tmp_path))
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr("sys.argv", ["fleet", *words])

    with pytest.raises(SystemExit) as ended:
        main()

    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert said in err
    assert "Traceback" not in err
    assert out == ""


def test_a_bug_is_one_line_on_the_screen_and_a_traceback_in_a_file(tmp_path: Path) -> None:
    code = (
        "import fleet.cli.main as m\n"
        "def broken(): raise RuntimeError('a detail that may hold anything')\n"
        "m.app = broken\n"
        "m.main()"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "FLEET_STATE": str(tmp_path)},
    )

    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0] == "error: a bug in fleet: RuntimeError"
    [crash] = (tmp_path / "logs").iterdir()
    assert "in broken" in crash.read_text()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m fleet inventory list --json | head -1"],
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FLEET_STATE": str(tmp_path)},
    )

    assert (ran.stdout, ran.stderr) == ("{\n", "")


def fleet_with(command: str, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `fleet broken`, a command whose body is given."""
    code = (
        "import sys, typer, fleet.cli.main as m\n"
        "@m.app.command('broken')\n"
        f"def broken():\n    {command}\n"
        "m.main()"
    )
    return subprocess.run(
        [sys.executable, "-c", code, "broken", *words],
        check=False,
        text=True,
        timeout=60,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
    )


def test_ctrl_c_ends_with_130_and_a_word() -> None:
    ran = fleet_with("raise KeyboardInterrupt")

    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "interrupted\n")


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The end to write to of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def test_output_that_nobody_takes_ends_as_sigpipe_would(closed_pipe: int) -> None:
    ran = fleet_with("typer.echo('data')", stdout=closed_pipe)

    assert (ran.returncode, ran.stderr) == (141, "")


def test_output_that_was_still_held_back_is_let_go_in_silence(closed_pipe: int) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": ""}

    ran = fleet_with("sys.stdout.write('data'); raise typer.Exit(3)", stdout=closed_pipe, env=env)

    assert (ran.returncode, ran.stderr) == (3, "")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("m.FleetError('x', hint='y')", 1),
        ("m.Interrupted('nothing was done')", 130),
        ("KeyboardInterrupt", 130),
        ("RuntimeError", 1),
    ],
)
def test_an_error_that_nobody_reads_keeps_its_exit_code(
    closed_pipe: int, error: str, code: int, tmp_path: Path
) -> None:
    env = {**os.environ, "FLEET_STATE": str(tmp_path)}

    ran = fleet_with(f"raise {error}", stderr=closed_pipe, env=env)

    assert (ran.returncode, ran.stdout) == (code, "")


def test_wrong_words_that_nobody_is_told_of_end_in_silence(closed_pipe: int) -> None:
    ran = fleet_with("pass", "--no-such-option", stderr=closed_pipe)

    assert (ran.returncode, ran.stdout) == (141, "")


def test_what_a_person_broke_off_is_no_error() -> None:
    ran = fleet_with("raise m.Interrupted('nothing was done')")

    assert (ran.returncode, ran.stderr) == (130, "nothing was done\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_closed_from_the_start_is_never_taken_by_a_file(
    closed: str, tmp_path: Path
) -> None:
    script = tmp_path / "opens.py"
    script.write_text(
        "import fleet.cli.main as m\n"
        "@m.app.command('opens')\n"
        "def opens(number: str):\n"
        "    with open(number, 'w') as file: file.write(str(file.fileno()))\n"
        "m.main()\n"
    )
    number = tmp_path / "number"

    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} {script} opens {number} {closed}"],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
    )

    assert ran.returncode == 0
    assert int(number.read_text()) > 2
