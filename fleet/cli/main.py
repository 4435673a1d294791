"""The ``fleet`` command: names the commands, and turns every end into words and an exit code."""

import os
import sys
import traceback
from datetime import UTC, datetime
from typing import Annotated

import typer

from fleet import __version__
from fleet.cli import doctor, installer, inventory, register, sandbox, status, validate
from fleet.cli.options import state_dir
from fleet.errors import FleetError

app = typer.Typer(
    name="fleet",
    help="Register, roll out to and reconcile ECS Anywhere hosts in retail shops.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("register")(register.register)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
app.command("validate")(validate.validate)
app.command("installer")(installer.installer)
app.add_typer(inventory.app, name="inventory", help="List and show what the inventory says.")
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


def main() -> None:
    """Run the command line; the entry point of the console script."""
    try:
        app()
    except FleetError as error:
        typer.echo(f"error: {error}", err=True)
        if error.hint:
            typer.echo(f"hint: {error.hint}", err=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        typer.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # The reader of a pipe went away (`fleet status | head`); say nothing, and keep the
        # interpreter from complaining when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:  # noqa: BLE001 - the last stop: a bug must not print a traceback
        where = _report_crash()
        typer.echo(f"error: a bug in fleet: {type(error).__name__}", err=True)
        typer.echo(
            f"hint: the traceback is in {where}"
            if where
            else "hint: rerun with a writable .fleet/",
            err=True,
        )
        sys.exit(1)
