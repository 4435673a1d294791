"""Going along with a rollout: lines meanwhile, last words, an exit code by how it rests."""

import io
import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fleet.cli import rollout_foreground
from fleet.cli.rollout_foreground import Picture, advance
from fleet.errors import FleetError, RecordsError
from fleet.model.overview import Overview
from fleet.model.rollout import Phase, VerbName
from fleet.model.verdicts import Verdict
from fleet.rollout.controller import Rested
from fleet.runtime.run_record import RunRecord
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import console_for
from tests import rollouts
from tests.cli.rollout_desk import begin

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
Said = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("desk")


@pytest.fixture
def wiring(desk: Path) -> Wiring:
    return open_wiring(INVENTORY, listen=lambda _event: None, stop=threading.Event())


def ticks(
    monkeypatch: pytest.MonkeyPatch, *, stopped: bool = False, then: Callable[[], object] = int
) -> list[Any]:
    """One line is told, and then it rests; returns the crews."""
    crews: list[Any] = []

    def run_until_rest(crew: Any, id_: str, _stop: threading.Event) -> Rested:
        crews.append(crew)
        crew.tell(replace(rollouts.event("wave", "canary begins"), rollout=id_))
        then()
        return Rested(crew.wiring.records.rollouts.load(id_), (), stopped)

    monkeypatch.setattr(rollout_foreground, "run_until_rest", run_until_rest)
    return crews


def along(wiring: Wiring, **words: Any) -> tuple[int, str]:
    """Goes along with ro-1; the exit code, and the outcome in the run's row."""
    talk = console_for(sys.stderr)
    run_id = wiring.records.start_run(
        "rollout", caller_arn=rollouts.CALLER, command="x", at=wiring.clock.now()
    )
    run = RunRecord(wiring, run_id, talk.print)
    code = advance(wiring, "ro-1", run, talk, caller=rollouts.CALLER, **words)
    return code, wiring.records.runs()[0].outcome


@pytest.mark.parametrize(
    ("phase", "code", "outcome"),
    [
        (Phase.DONE, 0, "done"),
        (Phase.AWAITING, 3, "awaiting promote"),
        (Phase.HALTED, 4, "halted"),
        (Phase.PAUSED, 4, "halted"),
        (Phase.ROLLED_BACK, 1, "failed"),
        (Phase.ABORTED, 1, "failed"),
    ],
)
def test_it_ends_as_the_rollout_rests(
    wiring: Wiring, phase: Phase, code: int, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(phase=phase)
    ticks(monkeypatch)

    assert along(wiring) == (code, outcome)


@pytest.mark.parametrize(
    ("phase", "verb"), [(Phase.ROLLED_BACK, VerbName.ROLLBACK), (Phase.ABORTED, VerbName.ABORT)]
)
def test_what_somebody_wanted_is_no_failure(
    wiring: Wiring, phase: Phase, verb: VerbName, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(phase=phase)
    ticks(monkeypatch)

    assert along(wiring, said=verb) == (0, "done")


def test_lines_are_talk_and_the_last_words_are_data(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    begin(phase=Phase.DONE)
    ticks(monkeypatch)

    along(wiring)

    said = capsys.readouterr()
    assert said.err == "01:14:20Z canary begins\n"
    assert "ro-1 done" in said.out
    assert "\x1b" not in said.out + said.err


def test_as_json_the_last_words_are_one_document(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    begin(phase=Phase.HALTED)
    ticks(monkeypatch)

    along(wiring, as_json=True)

    document = json.loads(capsys.readouterr().out)
    assert document["rollout"]["phase"] == "halted"


def test_stopped_by_a_person_it_says_what_resumes_it(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    begin()
    ticks(monkeypatch, stopped=True)

    assert along(wiring) == (130, "stopped")

    assert "resume with: fleet rollout resume ro-1" in capsys.readouterr().err


def test_stopped_while_one_store_of_a_halted_rollout_is_retried_nothing_more_is_proposed(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    begin(rollouts.changes(store_002=Verdict.FAILED), phase=Phase.HALTED)
    ticks(monkeypatch, stopped=True)

    along(wiring, said=VerbName.RETRY)

    assert "resume with: fleet controller --once\n" in capsys.readouterr().err


def test_the_crew_acts_in_the_name_of_who_asked(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(phase=Phase.DONE)
    crews = ticks(monkeypatch)

    along(wiring)

    assert crews[0].caller == rollouts.CALLER
    assert crews[0].owner.startswith("fleet rollout ro-1 on ")


def test_trouble_goes_up_and_the_report_is_left_out(
    wiring: Wiring, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    def trouble() -> None:
        raise FleetError("ro-1 goes no further", hint="fleet rollout resume ro-1")

    begin()
    ticks(monkeypatch, then=trouble)

    with pytest.raises(FleetError, match="goes no further"):
        along(wiring)

    assert capsys.readouterr().out == ""


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollout_foreground, "READ_EVERY_S", 0.01)


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
