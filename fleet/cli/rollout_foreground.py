"""Going along with a rollout in the foreground: ticks it, shows it, and stops at a safe point."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from fleet.cli.rollout_books import exit_code, look
from fleet.cli.rollout_picture import Picture
from fleet.errors import Interrupted
from fleet.model.overview import Overview
from fleet.model.rollout import RolloutEvent, VerbName
from fleet.rollout.controller import run_until_rest
from fleet.rollout.tick import open_tick_context
from fleet.rollout.view.documents import status_document
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.summary import summary_view
from fleet.runtime.run_record import RunRecord
from fleet.runtime.stopping import stops_safely
from fleet.runtime.wiring import Wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import let_go

#: Words for the end of a run's row, by exit code.
_OUTCOMES = {0: "done", 1: "failed", 3: "awaiting promote", 4: "halted", 130: "stopped"}


def go_along(
    wiring: Wiring,
    rollout_id: str,
    run: RunRecord,
    talk: Console,
    *,
    caller: str,
    as_json: bool = False,
    said: VerbName | None = None,
) -> int:
    """Tick a rollout until it rests or a person stops it; prints its last words.

    Returns:
        The exit code.

    Raises:
        Locked: somebody else ticks it.
        FleetError: an account cannot be worked with; the rollout can be resumed.
    """
    records, clock = wiring.records, wiring.clock
    before = look(records, clock, rollout_id)
    with _shown(wiring, before, talk) as (tell, give_back):
        what = f"fleet rollout {rollout_id}"
        with (
            open_tick_context(
                wiring,
                command=what,
                run_id=run.id,
                caller=caller,
                tell=tell,
                warn=talk.print,
            ) as context,
            stops_safely(
                wiring.stop,
                resume=f"fleet rollout resume {rollout_id}",
                first="the tick that is under way ends first",
                leaving=lambda: _leave(run, give_back),
            ),
        ):
            rested = run_until_rest(context, rollout_id, wiring.stop)
    overview = look(records, clock, rollout_id)
    code = Interrupted.exit_code if rested.stopped else exit_code(overview, said=said)
    run.end(_OUTCOMES.get(code, "failed"))
    print_end(overview, talk, as_json=as_json)
    if rested.stopped:
        talk.print(f"stopped; resume with: fleet rollout resume {rollout_id}")
    return code


def print_end(overview: Overview, talk: Console, *, as_json: bool) -> None:
    """Print the last words; whether anybody takes them does not change what the run came to."""
    try:
        if as_json:
            typer.echo(json.dumps(status_document(overview), indent=2))
        else:
            console = console_for(sys.stdout)
            console.print(summary_view(overview, console.width))
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        talk.print(f"the report could not be written: {error.strerror}")


@contextmanager
def _shown(
    wiring: Wiring, overview: Overview, talk: Console
) -> Iterator[tuple[Callable[[RolloutEvent], None], Callable[[], None]]]:
    """Who is told of every line of the story, and what gives the screen back."""
    if not talk.is_terminal or talk.is_dumb_terminal:
        lines = EventLines(overview.rollout.spec)
        yield lambda event: talk.print(lines.view(event, talk.width)), lambda: None
        return

    def note() -> str:
        stopping = "stopping: the tick that is under way ends first"
        return stopping if wiring.stop.is_set() else "Ctrl-C stops at a safe point"

    id_ = overview.rollout.id
    with Picture(talk, lambda: look(wiring.records, wiring.clock, id_), note) as picture:
        yield lambda _event: None, picture.close  # the picture reads the story from the records


def _leave(run: RunRecord, give_back: Callable[[], None]) -> None:
    run.end("left")
    give_back()
