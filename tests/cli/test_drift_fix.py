"""From the findings of a night to what is done about them, and to the exit code."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli import drift as command
from fleet.cli import drift_fix, output
from fleet.cli.main import app
from fleet.errors import Interrupted, UsageError
from fleet.model.fixing import Already, Fix, Fixed, FixPlan, Outcome
from fleet.model.scan_result import ScanResult
from fleet.runtime.wiring import Wiring
from tests.drift.decide import fix_parts as parts

INVENTORY = Path(__file__).resolve().parents[2] / "inventory"
TWIN = parts.twin()
NIGHT = replace(parts.night_with(TWIN), caller="arn:me")
FIX = Fix(TWIN, "deregister it", (), "it is dead")
PLAN = FixPlan("drift-1", (FIX,))


class Desk:
    """A scan that finds what it is told, and an engine that does what it is told."""

    def __init__(self) -> None:
        self.night: ScanResult = NIGHT
        self.planned = PLAN
        self.outcome = Outcome.DONE
        self.done: list[str] = []

    def carry_out(self, _wiring: Wiring, plan: FixPlan, run: str) -> tuple[Fixed, ...]:
        self.done.append(run)
        return tuple(Fixed(fix, self.outcome, "as told") for fix in plan.fixes)

    def run(self, *words: str, says: str = "") -> Any:
        return CliRunner().invoke(
            app, ["drift", "--inventory", str(INVENTORY), *words], input=says or None
        )


@pytest.fixture
def fixed(monkeypatch: pytest.MonkeyPatch, desk: Path) -> Desk:
    made = Desk()
    monkeypatch.setattr(command, "scan", lambda *_: made.night)
    monkeypatch.setattr(drift_fix, "plan", lambda *_: made.planned)
    monkeypatch.setattr(drift_fix, "carry_out", made.carry_out)
    return made


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits there."""
    monkeypatch.setattr(drift_fix, "check_can_ask", lambda _request: None)
    monkeypatch.setattr(command, "check_can_ask", lambda _request: None)


def test_a_plan_is_shown_and_nothing_is_done_and_it_ends_with_3(fixed: Desk) -> None:
    ran = fixed.run("--fix", "--plan")
    assert ran.exit_code == 3
    assert "deregister it" in ran.stdout
    assert "exit 3: there is something to fix; nothing was done" in ran.stderr
    assert fixed.done == []


def test_a_plan_of_nothing_ends_with_0(fixed: Desk) -> None:
    fixed.planned = FixPlan("drift-1")
    assert fixed.run("--fix", "--plan").exit_code == 0


def test_a_plan_after_a_partial_scan_ends_with_1(fixed: Desk) -> None:
    fixed.night = replace(NIGHT, scan=replace(NIGHT.scan, complete=False))
    ran = fixed.run("--fix", "--plan")
    assert ran.exit_code == 1
    assert "not everything could be read" in ran.stderr


def test_with_yes_it_is_done_and_what_is_gone_counts_no_more(fixed: Desk) -> None:
    ran = fixed.run("--fix", "--yes")
    assert ran.exit_code == 0
    assert "1 done · run fix-" in ran.stdout
    assert "fixed: 1 done" in ran.stderr
    assert len(fixed.done) == 1


def test_what_is_left_ends_with_3_as_any_finding_does(fixed: Desk) -> None:
    fixed.night = replace(parts.night_with(TWIN, parts.ghost()), caller="arn:me")
    ran = fixed.run("--fix", "--yes")
    assert ran.exit_code == 3
    assert "exit 3: 1 finding of severity low or more" in ran.stderr


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REFUSED])
def test_what_failed_or_changed_ends_with_1(fixed: Desk, outcome: Outcome) -> None:
    fixed.outcome = outcome
    ran = fixed.run("--fix", "--yes")
    assert ran.exit_code == 1
    assert f"fixed: 1 {outcome.value}" in ran.stderr


def test_one_that_was_stopped_ends_with_130_and_says_what_was_done(fixed: Desk) -> None:
    fixed.outcome = Outcome.NOT_BEGUN
    ran = fixed.run("--fix", "--yes")
    assert isinstance(ran.exception, Interrupted)
    assert str(ran.exception) == "stopped: 1 not-begun"


def test_nothing_is_asked_or_recorded_when_there_is_nothing_to_fix(fixed: Desk) -> None:
    fixed.planned = FixPlan("drift-1", already=(Already(TWIN, "gone"),))
    ran = fixed.run("--fix", "--yes")
    assert (ran.exit_code, fixed.done) == (0, [])
    assert "nothing to fix" in ran.stderr


def test_without_a_terminal_it_asks_for_yes_before_anything_is_read(fixed: Desk) -> None:
    fixed.night = None  # type: ignore[assignment] # nobody may look at it
    ran = fixed.run("--fix")
    assert isinstance(ran.exception, UsageError)
    assert "no terminal to ask on" in str(ran.exception)


@pytest.mark.usefixtures("terminal")
def test_a_person_who_agrees_is_obeyed(fixed: Desk) -> None:
    ran = fixed.run("--fix", says="y\n")
    assert ran.exit_code == 0
    assert "deregister it" in ran.stderr
    assert len(fixed.done) == 1


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("says", ["n\n", ""])
def test_a_person_who_does_not_agree_has_nothing_done(fixed: Desk, says: str) -> None:
    ran = fixed.run("--fix", says=says)
    assert isinstance(ran.exception, Interrupted)
    assert str(ran.exception) == "nothing was fixed"
    assert fixed.done == []


@pytest.mark.parametrize("words", [["--plan"], ["--yes"]])
def test_json_is_one_document_of_the_fixes(fixed: Desk, words: list[str]) -> None:
    document = json.loads(fixed.run("--fix", "--json", *words).stdout)
    assert document["kind"] == "drift-fixes"
    assert [one["outcome"] for one in document["fixes"]] == (
        [None] if words == ["--plan"] else ["done"]
    )


def test_json_of_nothing_to_fix_is_one_document_too(fixed: Desk) -> None:
    fixed.planned = FixPlan("drift-1")
    assert json.loads(fixed.run("--fix", "--json", "--yes").stdout)["fixes"] == []


@pytest.mark.parametrize("words", [["--plan"], ["--yes"], ["--fix", "--yes", "--format", "md"]])
def test_words_that_do_not_go_together_are_refused(fixed: Desk, words: list[str]) -> None:
    ran = fixed.run(*words)
    assert isinstance(ran.exception, UsageError)
    assert fixed.done == []


def test_a_reader_that_went_away_does_not_end_the_fixing(
    fixed: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any, **__: Any) -> None:
        raise BrokenPipeError

    def nowhere(_stream: object) -> None:
        pass

    monkeypatch.setattr(output, "show", gone)
    monkeypatch.setattr(output, "let_go", nowhere)
    ran = fixed.run("--fix", "--yes")
    assert (ran.exit_code, len(fixed.done)) == (0, 1)
