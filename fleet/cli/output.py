"""What commands share on the terminal: results to stdout, messages to stderr, the question.

Talk is never an error: work on hosts does not end because nobody reads stderr any more.
"""

import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TextIO, cast

import typer
from rich.console import Console, RenderableType

from fleet.errors import UsageError
from fleet.model.progress import Event, Note
from fleet.model.spans import clock
from fleet.rollout.view.stop import stop_line
from fleet.terminal.documents import Document, document_text
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk, let_go

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Exit code of a plan that would change something.
CHANGES_PENDING = 3


def talk_console() -> Console:
    """Return the console on stderr; writing to it never raises."""
    return console_for(cast("TextIO", Talk(sys.stderr)))


def width() -> int:
    """Return the columns of stdout."""
    return console_for(sys.stdout).width


def show(result: Document | RenderableType) -> None:
    """Print a document or a view to stdout.

    Raises:
        BrokenPipeError: the reader went away.
    """
    if isinstance(result, Document):
        typer.echo(document_text(result))
    else:
        console_for(sys.stdout).print(result)


def show_foreign(document: Mapping[str, Any]) -> None:
    """Print JSON of a form that others define, for example an IAM policy."""
    typer.echo(document_text(document))


def show_report(result: Document | RenderableType, talk: Console) -> None:
    """Print what a run has done. The exit code of the run stands even if nobody can read it."""
    try:
        show(result)
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        talk.print(f"the report could not be written: {error.strerror}")


def require_terminal(changes: str, *, hint: str = "add --yes") -> None:
    """Refuse to ask a question that nobody can answer.

    Args:
        changes: what the command does, for example ``this changes hosts``.

    Raises:
        UsageError: stdin is no terminal.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"{changes}, and there is no terminal to ask on", hint=hint)


def agreed(talk: Console) -> bool:
    """Ask whether to go on; Ctrl-D means no."""
    try:
        return typer.confirm("Go on?", err=True)
    except typer.Abort:  # the cursor is still behind the question
        talk.print()
        return False


def notes_to(talk: Console) -> Callable[[Event], None]:
    """Return a listener that prints the notes of a run."""

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            talk.print(f"{clock(event.at)} {event.text}")

    return listen


def tell_stop(records: "Records", now: datetime, talk: Console) -> None:
    """Print that every send of every rollout is stopped, while that is so."""
    stop = records.stops.in_force()
    if stop is not None:
        talk.print(stop_line(stop, now), style="bold red", soft_wrap=True)


def ignore_events(_event: Event) -> None:
    """Print nothing; for commands that show only their result."""
