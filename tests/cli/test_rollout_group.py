"""`fleet rollout`: the first word is a verb, or the start of what is rolled out."""

import re

import pytest
from typer.testing import CliRunner

from fleet.cli.main import app
from fleet.cli.rollout import app as rollout
from fleet.cli.rollout_group import VERBS

RUNNER = CliRunner()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What `fleet rollout` was asked for."""
    asked: list[object] = []

    def roll_out(words: object) -> int:
        asked.append(words)
        return 0

    monkeypatch.setattr("fleet.cli.rolling.roll_out", roll_out)
    return asked


@pytest.mark.parametrize(
    ("words", "workloads", "canary"),
    [
        ([], [], False),
        (["--canary"], [], True),
        (["vision"], ["vision"], False),
        (["vision", "telemetry", "--canary"], ["vision", "telemetry"], True),
        (["--canary", "vision"], ["vision"], True),
        (["start", "vision"], ["vision"], False),
        (["start", "start"], ["start"], False),
    ],
)
def test_words_that_are_no_verb_are_workloads(
    started: list[object], words: list[str], workloads: list[str], canary: bool
) -> None:
    ran = RUNNER.invoke(app, ["rollout", *words])

    assert ran.exit_code == 0, ran.output
    chosen = started[0].chosen  # type: ignore[attr-defined]  # of the fake
    assert (list(chosen.workloads), chosen.canary) == (workloads, canary)


def test_a_verb_is_itself(started: list[object], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | None] = []

    def watch(given: str | None) -> int:
        seen.append(given)
        return 0

    monkeypatch.setattr("fleet.cli.rollout_looking.watch_rollout", watch)

    RUNNER.invoke(app, ["rollout", "watch", "ro-7"])

    assert (seen, started) == (["ro-7"], [])


def test_the_verbs_are_the_commands_of_the_group() -> None:
    assert [command.name for command in rollout.registered_commands] == list(VERBS)


def test_help_shows_both_forms_and_every_verb() -> None:
    text = RUNNER.invoke(app, ["rollout", "--help"]).output

    assert "rollout [WORKLOAD...] [OPTIONS]" in text
    assert "rollout VERB [ID] [OPTIONS]" in text
    assert "--canary" in text
    for verb in ("status", "watch", "wait", "pause", "resume", "promote", "retry", "skip"):
        assert re.search(rf"^  {verb} ", text, re.MULTILINE)


def test_help_behind_a_workload_is_that_of_the_form_without_a_verb() -> None:
    text = RUNNER.invoke(app, ["rollout", "vision", "--help"]).output

    assert "Shows the plan, asks" in text
