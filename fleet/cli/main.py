"""The ``fleet`` command: names the commands, and turns every end into words and an exit code."""

import os
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fleet import __version__
from fleet.cli import (
    controller,
    cron,
    doctor,
    drift,
    explain,
    history,
    hosts,
    installer,
    inventory,
    plan,
    register,
    render,
    rollout,
    sandbox,
    state,
    status,
    validate,
)
from fleet.errors import FleetError, Interrupted
from fleet.runtime.state_dir import state_dir
from fleet.terminal.streams import hold_standard_streams, settle

#: What a shell says of a command that SIGPIPE ended.
READER_GONE = 141


class _Commands(TyperGroup):
    """Ends what a person or a pipe breaks off before typer words it in its own way."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _tell("interrupted")
            raise typer.Exit(Interrupted.exit_code) from None
        except BrokenPipeError:  # `fleet status | head`: nothing is wrong, and nobody listens
            raise typer.Exit(READER_GONE) from None


app = typer.Typer(
    name="fleet",
    cls=_Commands,
    help="Register, roll out to and reconcile ECS Anywhere hosts in retail shops.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("register")(register.register)
app.command("status")(status.status)
app.command("drift")(drift.drift)
app.command("cron")(cron.cron)
app.command("hosts")(hosts.hosts)
app.command("history")(history.history)
app.command("explain")(explain.explain)
app.command("plan")(plan.plan)
app.command("doctor")(doctor.doctor)
app.command("validate")(validate.validate)
app.command("render")(render.render)
app.command("installer")(installer.installer)
app.add_typer(
    rollout.app,
    name="rollout",
    help="Change what shops run, wave by wave; watch it, and tell it what to do.",
)
app.command("controller")(controller.controller)
app.add_typer(inventory.app, name="inventory", help="List and show what the inventory says.")
app.add_typer(state.app, name="state", help="The records of runs and rollouts themselves.")
app.add_typer(sandbox.app, name="sandbox", help="A local ECS Anywhere to try things on.")


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
    """Write the traceback of a bug where it can be sent from; returns the path, or ""."""
    folder = state_dir() / "logs"
    path = folder / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
    except OSError:
        return ""
    return str(path)


def _tell(line: str) -> None:
    """Say a last line, if anybody still listens."""
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
    except BrokenPipeError:  # raised while words that were not understood were being explained
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
