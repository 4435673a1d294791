"""Going along with a rollout: lines meanwhile, last words, an exit code by how it rests."""

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fleet.cli import rollout_foreground
from fleet.cli.rollout_foreground import go_along
from fleet.errors import FleetError
from fleet.model.rollout import Phase, VerbName
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
    code = go_along(wiring, "ro-1", run, talk, caller=rollouts.CALLER, **words)
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
