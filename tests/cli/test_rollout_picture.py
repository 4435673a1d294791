"""The picture on a terminal: it looks again by itself, survives what cannot be read, and ends."""

import io
import threading

import pytest
from rich.console import Console

from fleet.cli import rollout_picture
from fleet.cli.rollout_picture import Picture
from fleet.errors import RecordsError
from fleet.model.overview import Overview
from tests import rollouts


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_picture, "LOOK_S", 0.01)


class Looks:
    """Answers each look with the next value, and with the last one for ever."""

    def __init__(self, *answers: Overview | RecordsError) -> None:
        self._answers = list(answers)
        self.seen_through = threading.Event()

    def __call__(self) -> Overview:
        answer = self._answers[0]
        if len(self._answers) > 1:
            self._answers.pop(0)
        else:
            if self._twice:
                self.seen_through.set()
            self._twice = True
        if isinstance(answer, RecordsError):
            raise answer
        return answer

    _twice = False


def drawn(looks: Looks) -> tuple[str, Overview | None]:
    """What is on the screen once every answer was given and taken, and what was seen last."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100, height=20, color_system=None)
    with Picture(console, looks, lambda: "Ctrl-C leaves") as picture:
        assert looks.seen_through.wait(10)
        seen = picture.latest()
        picture._live.refresh()
    return out.getvalue(), seen


def test_it_takes_the_screen_and_gives_it_back() -> None:
    text, _ = drawn(Looks(rollouts.overview()))

    assert text.index("\x1b[?1049h") < text.index("ro-118") < text.rindex("\x1b[?1049l")


def test_it_looks_again_by_itself() -> None:
    later = rollouts.overview(tick=13)

    _, seen = drawn(Looks(rollouts.overview(), later))

    assert seen == later


def test_what_cannot_be_read_leaves_the_last_picture_and_says_so() -> None:
    text, seen = drawn(Looks(rollouts.overview(), RecordsError("the database is locked")))

    assert seen == rollouts.overview()
    assert "NOT READ since 01:14:20Z: the database is locked" in text


def test_before_anything_was_read_it_says_what_is_wrong() -> None:
    text, seen = drawn(Looks(RecordsError("the database is locked")))

    assert seen is None
    assert "NOT READ: the database is locked" in text


def test_closing_twice_does_no_harm() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=20)
    with Picture(console, rollouts.overview, lambda: "") as picture:
        picture.close()
    picture.close()
