"""What the README says is so: its commands exist, its two commands run, its files are there."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fleet.cli.main import app
from fleet.inventory.loader import load_fleet
from fleet.model.policy import Policy
from fleet.model.selection import parse

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"```(?:sh|console)\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`(fleet [a-z][^`]*)`", README)
#: Commands that have commands below them.
GROUPS = {"inventory", "rollout", "sandbox", "state"}


def _typed() -> list[str]:
    """Every ``fleet ...`` that the README shows, without comments, plain or as a transcript."""
    lines = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
    found = [line.split("#")[0].strip() for line in lines if line.startswith("fleet ")]
    return sorted({*found, *INLINE})


@pytest.mark.parametrize("typed", _typed())
def test_every_command_of_the_readme_has_its_words_in_the_help(typed: str) -> None:
    words = typed.replace(" again", "").split()[1:]
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    below = words[1:2] if words[0] in GROUPS and not words[1:2][0].startswith("--") else []
    command = [words[0], *below]

    ran = CliRunner().invoke(app, [*command, "--help"])

    assert ran.exit_code == 0, ran.stderr
    assert [option for option in options if option not in ran.stdout] == []


def test_the_readme_is_short_and_its_main_job_comes_first() -> None:
    lines = README.splitlines()

    assert len(lines) <= 240
    assert lines.index("```console") < 20
    assert lines.index("## Try it") < 50


def test_the_built_in_policy_is_what_the_readme_says(tmp_path: Path) -> None:
    (said,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    shutil.copytree(ROOT / "inventory", tmp_path / "inventory")
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    fleet = tmp_path / "inventory" / "fleet.yaml"
    without = re.sub(r"(?ms)^policies:\n.*?\n\n", "", fleet.read_text())
    fleet.write_text(f"{without}\npolicies:\n  {said.strip()}\n")

    # Only that it is written differs: a policy that says canary gets one.
    assert load_fleet(fleet.parent).policies == {
        "standard": Policy("standard", begins_with_canary=True)
    }


def test_conditions_of_the_readme_are_understood() -> None:
    conditions = re.findall(r"--where '([^']+)'", README)

    assert [parse(condition).text for condition in conditions] == conditions


def test_every_variable_that_is_named_is_read_somewhere() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "fleet").rglob("*.py"))
    named = set(re.findall(r"FLEET_[A-Z_]+", README))

    assert "FLEET_DATABASE_URL" in named
    assert {name for name in named if f'"{name}"' not in sources} == set()


def test_the_extras_that_are_named_can_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert set(re.findall(r"'\.\[([a-z]+)\]'", README)) == set(project["optional-dependencies"])


def test_the_layout_names_every_room() -> None:
    rooms = {p.name for p in (ROOT / "fleet").iterdir() if (p / "__init__.py").is_file()}

    assert [room for room in sorted(rooms) if f"{room}/" not in README] == []


@pytest.mark.long
def test_the_quickstart_ends_with_every_shop_at_the_release(tmp_path: Path) -> None:
    ran = subprocess.run(
        [ROOT / "scripts" / "quickstart"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "FLEET_QUICKSTART": str(tmp_path / "quickstart")},
        timeout=300,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = [
        "13 of 13 hosts registered.",
        "1 store: 2 healthy",
        "1 store: 2 dark",
        "owed  by 1 store: store-017",
        "ro-1 done (7 ok)",
        "convoy  1       1 ",
        "0 of 7 stores change",
    ]
    places = [ran.stdout.find(words) for words in told]
    assert -1 not in places, ran.stdout + ran.stderr
    assert places == sorted(places)


def test_the_quickstart_refuses_words_it_does_not_know() -> None:
    ran = subprocess.run(
        [ROOT / "scripts" / "quickstart", "--kep"], check=False, capture_output=True, text=True
    )

    assert ran.returncode == 2
    assert "usage:" in ran.stderr
