"""`fleet rollout simulate`: its table, its document, its picture, and that it asks nobody."""

import itertools
import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from fleet.cli.rollout_simulate import simulate
from fleet.errors import UsageError

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
Said = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def offline(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody may be asked."""

    def refuse(*_: Any) -> None:
        raise AssertionError("a simulation opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def test_people_read_a_table(capsys: Said) -> None:
    simulate(fails="100%", runs=1, inventory=INVENTORY)
    text = capsys.readouterr().out
    assert "the release crashes in 100 %" in text
    assert "1 halted" in text


def test_programs_read_every_run(capsys: Said) -> None:
    simulate(fails="100%", runs=2, seed=7, json=True, inventory=INVENTORY)
    document = json.loads(capsys.readouterr().out)
    assert (document["kind"], document["version"]) == ("rollout-simulation", 1)
    assert [run["seed"] for run in document["runs"]] == [7, 8]
    assert document["halts"] == 2
    assert document["runs"][0]["bad_reached"] == document["runs"][0]["reached"] == 1


def test_a_picture_is_svg_with_two_lines_for_each_run(tmp_path: Path) -> None:
    file = tmp_path / "runs.svg"
    simulate(fails="100%", runs=1, picture=file, inventory=INVENTORY)
    lines = re.findall(r'<polyline points="([^"]*)"', file.read_text())
    assert len(lines) == 2
    for line in lines:
        points = [point.split(",") for point in line.split()]
        steps = itertools.pairwise(points)
        # A number holds until the next one: no line is drawn aslant.
        assert all(x == x2 or y == y2 for (x, y), (x2, y2) in steps)


@pytest.mark.parametrize(
    "words", [{"darkness": "51%"}, {"fails": "101%"}, {"fails": "-1%"}, {"kills_link": "many"}]
)
def test_a_share_that_cannot_be_is_refused(words: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="is no share"):
        simulate(inventory=INVENTORY, **words)  # type: ignore[arg-type]


def test_recorded_darkness_needs_records() -> None:
    with pytest.raises(UsageError, match="no store-hours are on record"):
        simulate(darkness="recorded", inventory=INVENTORY)
