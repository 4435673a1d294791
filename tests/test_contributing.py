"""What .github/CONTRIBUTING.md names is there, its recipes are short, and CI runs what it says."""

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
FLEET = ROOT / "fleet"
GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")

#: Most files that adding one of these may touch, tests included.
MOST = {
    "A finding": 4,
    "A preflight check on a known fact": 2,
    "A verdict": 6,
    "A command with JSON": 5,
    "An operation of the sandbox": 2,
}
RECIPES = {
    title: (int(files), text)
    for title, files, text in re.findall(
        r"^### ([^:\n]+): (\d+) files\n(.*?)(?=^##)", GUIDE, re.DOTALL | re.MULTILINE
    )
}
COMMAND_LINES = [
    line.split("#")[0].split()
    for block in re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    for line in block.splitlines()
]
#: Programs that are not of this repository.
PROGRAMS = {"pytest", "source", "pre-commit"}


def _paths(text: str) -> list[str]:
    """The files and folders of this repository that are named, ``fleet/model/gate.py``."""
    quoted = re.findall(r"`([^`\s]+)`", text)
    rooted = re.compile(r"\.?(fleet|tests|scripts|github|ci)/")
    return [name for name in quoted if rooted.match(name) or name.endswith(".md")]


@pytest.mark.parametrize("name", sorted(set(_paths(GUIDE))))
def test_every_path_exists(name: str) -> None:
    # Of a file that is still to be written, the folder.
    path = ROOT / (name.rpartition("/")[0] if "<" in name else name)

    assert path.exists()


@pytest.mark.parametrize("words", COMMAND_LINES, ids=" ".join)
def test_every_command_line_can_be_typed(words: list[str]) -> None:
    program, *rest = words

    assert program in PROGRAMS or (ROOT / program).stat().st_mode & 0o100
    assert [word for word in rest if "/" in word and not (ROOT / word).exists()] == []


def test_every_fleet_command_exists() -> None:
    named = {line.split()[1] for line in re.findall(r"`(fleet\s[a-z][^`]*)`", GUIDE)}

    assert named
    assert named <= {row.name for row in COMMANDS}


def test_there_is_a_recipe_for_each_of_these() -> None:
    assert set(RECIPES) == set(MOST)


@pytest.mark.parametrize("title", MOST)
def test_a_recipe_touches_few_files(title: str) -> None:
    said, text = RECIPES[title]
    steps = re.split(r"^\d+\. ", text.partition("```sh")[0], flags=re.MULTILINE)[1:]

    assert len(steps) == said <= MOST[title]
    assert [step for step in steps if not _paths(step)] == []


def test_packages_hold_a_docstring_and_no_code() -> None:
    packages = [path for path in FLEET.rglob("__init__.py") if path.parent != FLEET]
    bodies = {path: ast.parse(path.read_text(encoding="utf-8")) for path in packages}

    assert [path for path, tree in bodies.items() if ast.get_docstring(tree) is None] == []
    assert [path for path, tree in bodies.items() if len(tree.body) > 1] == []


def test_ci_runs_what_everybody_can_run() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    # In YAML 1.1 the key `on` is a boolean.
    workflow: dict[Any, Any] = yaml.safe_load(text)
    (job,) = workflow["jobs"].values()
    uses = [step["uses"] for step in job["steps"] if "uses" in step]

    assert {"push", "pull_request"} <= set(workflow[True])
    assert workflow["permissions"] == {"contents": "read"}
    assert job["container"].startswith("python:3.11")
    assert [step["run"] for step in job["steps"] if "run" in step] == [".ci/run"]
    assert [use for use in uses if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", use)] == []


def test_pre_commit_runs_the_checks() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (hook,) = [hook for repository in config["repos"] for hook in repository["hooks"]]

    assert "scripts/check" in hook["entry"]
    assert hook["language"] == "system"


def test_the_readme_points_here() -> None:
    assert "(.github/CONTRIBUTING.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
