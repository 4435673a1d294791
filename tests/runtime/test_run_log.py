"""Whoever listens to a run never ends it."""

from pathlib import Path

import pytest

from fleet.model.progress import Event, HostEvent, HostLine, HostPhase, Note
from fleet.runtime.run_log import Observers
from tests.build import NOW


def test_every_host_has_a_file_of_its_own(tmp_path: Path) -> None:
    observers = Observers(lambda _event: None)
    observers.log_to(tmp_path / "reg-1")

    observers(HostEvent(NOW, "store-042/cam-1", HostPhase.INSTALLING, "upload"))
    observers(HostLine(NOW, "store-042/cam-1", "Unpacking docker"))
    observers(Note(NOW, "a new key"))

    host = (tmp_path / "reg-1" / "store-042-cam-1.log").read_text()
    assert host == "02:00:00Z installing upload\n02:00:00Z | Unpacking docker\n"
    assert (tmp_path / "reg-1" / "run.log").read_text() == "02:00:00Z a new key\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(5, "EIO"), ValueError("closed")])
def test_a_screen_that_is_gone_is_not_tried_again_and_the_log_goes_on(
    tmp_path: Path, error: Exception
) -> None:
    tried: list[Event] = []

    def show(event: Event) -> None:
        tried.append(event)
        raise error

    observers = Observers(show)
    observers.log_to(tmp_path)

    observers(Note(NOW, "one"))
    observers(Note(NOW, "two"))

    assert tried == [Note(NOW, "one")]
    assert len((tmp_path / "run.log").read_text().splitlines()) == 2


def test_a_log_that_cannot_be_written_is_said_once(tmp_path: Path) -> None:
    shown: list[Event] = []
    (tmp_path / "file").touch()
    observers = Observers(shown.append)
    observers.log_to(tmp_path / "file" / "reg-1")

    observers(Note(NOW, "one"))
    observers(Note(NOW, "two"))

    texts = [event.text for event in shown]
    assert texts[0] == "one"
    assert texts[1].startswith("no log is kept: ")
    assert texts[2:] == ["two"]
