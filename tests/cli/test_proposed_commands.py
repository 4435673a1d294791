"""A command that a finding proposes is one that the command line understands."""

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from fleet.cli.main import app
from fleet.model.commands import Command
from tests.drift.decide.world import world

CASES = sorted((Path(__file__).parents[1] / "cases" / "findings").glob("*.yaml"))
#: What the verbs of AWS's commands begin with that change nothing.
READING = ("describe-", "list-")


def proposed() -> list[Command]:
    told = (yaml.safe_load(path.read_text()) for path in CASES)
    findings = [one for each in told for one in world(each).reconciled().findings]
    assert all(command.words in one.fix for one in findings for command in one.commands)
    return sorted({c for one in findings for c in one.commands}, key=lambda one: one.words)


COMMANDS = proposed()
#: Calls of AWS; what Run Command does on a host is the host's command's matter.
CALLS = [c for c in COMMANDS if c.words.startswith("aws ") and " send-command " not in c.words]


def parse(command: Any, name: str, words: list[str], parent: Any = None) -> None:
    """Parse the words as the command does, down to the command that would run."""
    context = command.make_context(name, words, parent=parent)
    if hasattr(command, "resolve_command"):
        rest = [*context._protected_args, *context.args]
        sub_name, sub, left = command.resolve_command(context, rest)
        parse(sub, sub_name, left, context)


@pytest.mark.parametrize("words", [c.words for c in COMMANDS if c.words.startswith("fleet ")])
def test_what_is_proposed_is_understood(words: str) -> None:
    parse(get_command(app), "fleet", shlex.split(words)[1:])


@pytest.mark.parametrize("command", CALLS, ids=str)
def test_a_call_that_only_reads_does_not_send(command: Command) -> None:
    verb = command.words.split()[2]

    assert command.sends is not verb.startswith(READING)
