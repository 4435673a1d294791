"""No command takes an empty word for one that was left out: that would select everything."""

from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from fleet.cli.command_class import FleetCommand
from fleet.cli.main import app
from fleet.errors import UsageError

RUNNER = CliRunner()


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree, with its words."""
    if not hasattr(command, "commands"):
        yield path, command
        return
    for name in command.commands:
        yield from commands(command.get_command(None, name), (*path, name))


TREE = list(commands(get_command(app)))
#: Words that the parser needs before it looks at anything else.
WORD = "store-042"


def takes_words() -> Iterator[Any]:
    """Every option and argument that takes a word, of every command."""
    for path, command in TREE:
        for param in command.params:
            if not getattr(param, "is_flag", False) and param.name != "help":
                yield pytest.param(path, param, id=" ".join([*path, param.opts[-1]]))


def words_for(param: Any, word: str, *, command: Any) -> list[str]:
    """The words that give ``word`` to an option or argument, and others to what comes before."""
    if param.param_type_name == "option":
        return [param.opts[-1], word]
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    return [*(WORD for _ in arguments[: arguments.index(param)]), word]


def test_every_command_is_of_the_class_that_refuses_empty_words() -> None:
    assert [path for path, command in TREE if not isinstance(command, FleetCommand)] == []
    assert {("rollout", "start"), ("drift",), ("state", "rebuild")} <= {path for path, _ in TREE}


@pytest.mark.parametrize(("path", "param"), list(takes_words()))
@pytest.mark.parametrize("word", ["", " \t"])
def test_an_empty_word_is_refused_by_name(path: tuple[str, ...], param: Any, word: str) -> None:
    (command,) = [one for where, one in TREE if where == path]

    ran = RUNNER.invoke(app, [*path, *words_for(param, word, command=command)])

    assert isinstance(ran.exception, UsageError)
    assert ran.exception.exit_code == 2
    assert "is empty; nothing was done" in str(ran.exception)
    assert (param.opts[-1] if param.param_type_name == "option" else "") in str(ran.exception)
    assert "shell variable" in str(ran.exception.hint)


@pytest.mark.parametrize("words", [["--where="], ["--all", "--store", "store-042", "--store="]])
def test_an_option_with_nothing_behind_its_sign_is_empty_too(words: list[str]) -> None:
    ran = RUNNER.invoke(app, ["rollout", "start", *words])

    assert isinstance(ran.exception, UsageError)
    assert f"{words[-1][:-1]} is empty" in str(ran.exception)


def test_an_empty_workload_after_others_is_refused() -> None:
    ran = RUNNER.invoke(app, ["rollout", "vision", ""])

    assert "WORKLOAD is empty" in str(ran.exception)


def test_what_a_shell_leaves_of_an_unset_variable_in_a_condition_is_refused() -> None:
    ran = RUNNER.invoke(app, ["plan", "--where", "ring="])

    assert isinstance(ran.exception, UsageError)
    assert ran.exception.hint == "is a shell variable not set?"
