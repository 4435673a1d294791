"""What the README says is so: its commands exist, its two commands run, its files are there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLOCKS = re.findall(r"```(?:sh|console)\n(.*?)```", README, re.DOTALL)
INLINE = re.findall(r"`(fleet [a-z][^`]*)`", README)


def _typed() -> list[str]:
    """Every ``fleet ...`` that the README shows, without comments, plain or as a transcript."""
    lines = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
    found = [line.split("#")[0].strip() for line in lines if line.startswith("fleet ")]
    return sorted({*found, *INLINE})


@pytest.mark.parametrize("typed", _typed())
def test_every_command_of_the_readme_has_its_words_in_the_help(typed: str) -> None:
    words = typed.replace(" again", "").split()[1:]
    options = [word.split("=")[0] for word in words if word.startswith("--")]
    command = words[:1] + ([words[1]] if words[0] in {"sandbox", "inventory"} else [])

    ran = subprocess.run(
        [sys.executable, "-m", "fleet", *command, "--help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert ran.returncode == 0, ran.stderr
    assert [option for option in options if option not in ran.stdout] == []


def test_the_readme_is_short_and_its_main_job_comes_first() -> None:
    lines = README.splitlines()

    assert len(lines) <= 150
    assert lines.index("```console") < 20
    assert lines.index("## Try it") < 50


def test_the_layout_names_every_room() -> None:
    rooms = {p.name for p in (ROOT / "fleet").iterdir() if (p / "__init__.py").is_file()}

    assert [room for room in sorted(rooms) if f"{room}/" not in README] == []


def test_the_quickstart_registers_a_shop_and_reads_it_back(tmp_path: Path) -> None:
    ran = subprocess.run(
        [ROOT / "scripts" / "quickstart"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "FLEET_QUICKSTART": str(tmp_path / "quickstart")},
        timeout=240,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 of 2 hosts registered." in ran.stdout
    assert "1 store: 2 healthy" in ran.stdout
    assert "already here" in ran.stdout


def test_the_quickstart_refuses_words_it_does_not_know() -> None:
    ran = subprocess.run(
        [ROOT / "scripts" / "quickstart", "--kep"], check=False, capture_output=True, text=True
    )

    assert ran.returncode == 2
    assert "usage:" in ran.stderr
