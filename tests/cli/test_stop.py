"""`fleet stop --all` and `fleet start`, and the screens that tell of a stop."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fleet.cli.main import app
from fleet.errors import SendingStopped, UsageError
from fleet.runtime.wiring import records_from_environment
from tests import rollouts
from tests.cli.rollout_desk import begin
from tests.inventory.conftest import EXAMPLE

RUNNER = CliRunner()
WHY = "1.9.0 kills tills"


@pytest.fixture(autouse=True)
def there(desk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLE)
    del desk


def typed(*words: str) -> Any:
    return RUNNER.invoke(app, list(words))


def stopped() -> None:
    ran = typed("stop", "--all", WHY)
    assert ran.exit_code == 0, ran.stderr


def test_a_stop_says_who_since_when_why_and_how_to_lift_it() -> None:
    ran = typed("stop", "--all", WHY)

    assert ran.exit_code == 0
    assert "ALL SENDING IS STOPPED since" in ran.stderr
    assert all(word in ran.stderr for word in (WHY, "fleet start", "fleet rollout rollback"))


def test_a_stop_is_recorded_in_the_audit() -> None:
    stopped()

    with records_from_environment() as records:
        (run,) = records.runs()
        (entry,) = records.audit_of(run.id)
    assert (run.kind, run.outcome, entry.action, entry.why) == (
        "stop",
        "done",
        "stop all sends",
        WHY,
    )
    assert entry.caller_arn == run.caller_arn != ""


def test_a_second_stop_changes_nothing_and_is_no_error() -> None:
    stopped()

    ran = typed("stop", "--all", "me too")

    assert ran.exit_code == 0
    assert "it was stopped before" in ran.stderr
    assert WHY in ran.stderr


def test_a_stop_without_all_stops_nothing() -> None:
    ran = typed("stop", WHY)

    assert isinstance(ran.exception, UsageError)
    with records_from_environment() as records:
        assert records.stops.latest() is None


def test_a_start_says_what_goes_on_and_lifts_the_stop() -> None:
    begin([rollouts.planned("store-042"), rollouts.planned("store-043")])
    stopped()

    ran = typed("start", "--yes")

    assert ran.exit_code == 0
    assert "goes on" in ran.stderr
    assert "ro-1" in ran.stderr
    assert "2 to send" in ran.stderr
    with records_from_environment() as records:
        assert records.stops.in_force() is None
        assert records.audit_of(records.runs()[0].id)[0].action == "lift the stop of all sends"


def test_a_start_that_nobody_agrees_to_leaves_everything_stopped() -> None:
    stopped()

    assert isinstance(typed("start").exception, UsageError)
    with records_from_environment() as records:
        assert records.stops.in_force() is not None


def test_a_start_without_a_stop_does_nothing() -> None:
    ran = typed("start")

    assert (ran.exit_code, ran.stderr.strip()) == (0, "nothing is stopped")


@pytest.mark.parametrize(
    "words",
    [
        ("rollout", "status"),
        ("rollout", "status", "--store", "store-001"),
        ("rollout", "history"),
        ("hosts",),
    ],
)
def test_a_screen_tells_of_a_stop_until_it_is_lifted(words: tuple[str, ...]) -> None:
    begin([rollouts.planned("store-001")])
    before = typed(*words).output
    stopped()
    during = typed(*words).output
    typed("start", "--yes")
    after = typed(*words).output

    told = ["ALL SENDING IS STOPPED" in " ".join(out.split()) for out in (before, during, after)]
    assert told == [False, True, False]


@pytest.mark.parametrize("words", [("rollout", "status"), ("rollout", "history")])
def test_a_document_tells_of_a_stop(words: tuple[str, ...]) -> None:
    begin([rollouts.planned("store-001")])
    stopped()

    assert f'"why": "{WHY}"' in typed(*words, "--json").stdout


def test_no_rollout_is_started_while_every_send_is_stopped() -> None:
    stopped()

    ran = typed("rollout", "--all", "--yes")

    assert isinstance(ran.exception, SendingStopped)
    assert ran.exception.exit_code == 4
    assert WHY in str(ran.exception)
