"""The ``fleet`` command: the table of commands, and the exit code and message of every end."""

import importlib
import os
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from fleet import __version__
from fleet.cli.command_class import CommandGroup
from fleet.errors import FleetError, Interrupted
from fleet.runtime.state_dir import state_dir
from fleet.terminal.streams import hold_standard_streams, settle


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One row of the table of commands.

    Attributes:
        name: of the command and of its module in ``fleet.cli``. The module defines a function of
            that name or, for a command with commands of its own, the Typer ``app``.
        summary: the first line of the command's help, repeated here so that ``fleet --help``
            imports no command.
    """

    name: str
    summary: str


COMMANDS = (
    CommandRow("register", "Register the hosts of stores with SSM and ECS."),
    CommandRow("status", "Show what SSM and ECS say about every host, and how old that is."),
    CommandRow("drift", "Compare the inventory with ECS and SSM, and report differences."),
    CommandRow("cron", "Print what runs `fleet drift` every night: crontab or systemd."),
    CommandRow("hosts", "Show how every host was connected when it was last scanned."),
    CommandRow("history", "Show what happened to a store: outages, findings, rollouts."),
    CommandRow("explain", "Explain a kind of finding, or what is known of a store."),
    CommandRow("plan", "Show what a rollout would change, in which waves, at what cost."),
    CommandRow("doctor", "Check this machine, its credentials and AWS."),
    CommandRow("iam", "Print the IAM policy that lets a command do its work."),
    CommandRow("validate", "Check the inventory, its pins and every template."),
    CommandRow("render", "Show the AWS calls that a rollout would make for a store."),
    CommandRow("installer", "Fetch the ECS Anywhere install script, and pin it."),
    CommandRow("controller", "Advance every active rollout, as a service."),
    CommandRow("rollout", "Change what stores run, wave by wave, and steer rollouts."),
    CommandRow("stop", "Stop every send of every rollout, at once, for all processes."),
    CommandRow("start", "Let rollouts send again after `fleet stop --all`."),
    CommandRow("inventory", "List and show what the inventory says."),
    CommandRow("state", "Rebuild the records of rollouts from AWS."),
    CommandRow("sandbox", "Run a local ECS Anywhere to try things on."),
)

#: Exit code of a command that SIGPIPE ended, as a shell reports it.
READER_GONE = 141


class _NotImported(TyperCommand):
    """Holds the place of a command whose module is not imported yet."""


class LazyCommands(TyperGroup):
    """Imports the module of a command only when the command runs or its own help is shown."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = {
            **{row.name: _NotImported(row.name, help=row.summary) for row in COMMANDS},
            **self.commands,
        }

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command, importing its module; None if there is no such command."""
        if isinstance(self.commands.get(cmd_name), _NotImported):
            self.commands[cmd_name] = _imported(cmd_name)
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the table of commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.summary) for row in COMMANDS])

    def invoke(self, ctx: Any) -> Any:
        """Run the command; handle Ctrl-C and closed pipes before typer words them in its way."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _tell("interrupted")
            raise typer.Exit(Interrupted.exit_code) from None
        except BrokenPipeError:  # `fleet status | head`: nothing is wrong, and nobody listens
            raise typer.Exit(READER_GONE) from None


def _imported(name: str) -> Any:
    module = importlib.import_module(f"fleet.cli.{name}")
    parent = CommandGroup(add_completion=False, rich_markup_mode=None)
    if hasattr(module, "app"):
        parent.add_typer(module.app, name=name)
    else:
        parent.command(name)(getattr(module, name))
    return get_group(parent).commands[name]


app = typer.Typer(
    name="fleet",
    cls=LazyCommands,
    help="Register, roll out to and reconcile ECS Anywhere hosts in retail shops.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"fleet {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def _report_crash() -> str:
    """Write the traceback of a bug to a file; returns its path, or ""."""
    folder = state_dir() / "logs"
    path = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return ""
    return str(path)


def _tell(line: str) -> None:
    """Print a last line to stderr, if anybody still reads it."""
    with suppress(OSError, ValueError):
        typer.echo(line, err=True)


def main() -> None:
    """Run the command line; the entry point of the console script."""
    hold_standard_streams()
    try:
        app()
    except Interrupted as error:
        _tell(str(error))
        sys.exit(error.exit_code)
    except FleetError as error:
        _tell(f"error: {error}")
        if error.hint:
            _tell(f"hint: {error.hint}")
        sys.exit(error.exit_code)
    except BrokenPipeError:  # raised while a usage error was printed
        sys.exit(READER_GONE)
    except Exception as error:  # noqa: BLE001 - the last stop: a bug must not print a traceback
        where = _report_crash()
        _tell(f"error: a bug in fleet: {type(error).__name__}")
        _tell(
            f"hint: the traceback is in {where}" if where else "hint: rerun with a writable .fleet/"
        )
        sys.exit(1)
    finally:
        settle()
