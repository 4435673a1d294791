"""The command line as a whole: fast to help, clear about what it was not understood."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EDGES = ["boto3", "botocore", "paramiko", "sqlalchemy", "pydantic", "moto", "yaml", "rich"]
COMMANDS = ["", "register", "status", "doctor", "validate", "installer", "inventory", "sandbox"]


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


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_no_edge(command: str) -> None:
    code = (
        "import sys, json, fleet.cli.main as m\n"
        "try: m.app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )

    ran = subprocess.run(
        [sys.executable, "-c", code, *command.split(), "--help"],
        check=True,
        capture_output=True,
        text=True,
    )

    assert "Usage:" in ran.stdout
    loaded = json.loads(ran.stdout.splitlines()[-1])
    assert [name for name in EDGES if name in loaded] == []


def test_the_version_is_the_changelogs() -> None:
    version = fleet("--version").stdout.split()[1]

    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["regster"], "No such command"),
        (["register"], "Missing argument"),
        (["register", "store-042", "--hots", "x"], "--host"),
        (["register", "store-24"], "did you mean"),
        (["register", "store-042", "--host", "cam-9"], "hosts there: "),
        (["status", "--inventory", "nowhere"], "nowhere"),
    ],
)
def test_wrong_words_end_with_2_and_say_what_was_not_understood(
    words: list[str], said: str, tmp_path: Path
) -> None:
    ran = fleet(*words, FLEET_STATE=str(tmp_path))

    assert ran.returncode == 2
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stdout == ""


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
