"""``fleet rollout status|watch|wait|history``: reads the records and changes nothing."""

import sys
import threading
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fleet.cli.options import IdArgument, JsonOption, seconds_of
from fleet.cli.output import show, width
from fleet.cli.rollout_foreground import Picture
from fleet.errors import FleetError, Interrupted
from fleet.model.clock import Clock
from fleet.model.overview import Overview
from fleet.model.rollout import RolloutEvent
from fleet.rollout.overview import exit_code, find_rollout, overview, rests
from fleet.rollout.verbs import check_stores
from fleet.rollout.view.documents import history_document, status_document
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.rollout import status_view
from fleet.rollout.view.store import store_view
from fleet.rollout.view.summary import history_view, summary_view
from fleet.runtime.stopping import leaves_at_once, stops_quietly
from fleet.runtime.wiring import open_records_and_clock
from fleet.terminal.screen import console_for

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Wall seconds between two reads of the records.
POLL_S = 1.0
#: Events that ``watch`` begins with.
EVENTS_BEFORE = 20


def status(
    rollout: IdArgument = None,
    store: Annotated[
        str, typer.Option("--store", metavar="ID", help="Show only this store, in detail.")
    ] = "",
    events: Annotated[bool, typer.Option("--events", help="Print all events first.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what a rollout does and why, its waves and its gate.

    Names every store that needs a person; with --store, shows all that is known of one store.
    """
    with (
        open_records_and_clock() as (records, clock),
        leaves_at_once(lambda: "interrupted while reading"),
    ):
        id_ = find_rollout(records, rollout)
        seen = overview(records, id_, clock.now())
        if store:
            check_stores(seen, [store])
        told = records.rollouts.events(id_, store=store) if store or events else ()
    if json:
        show(status_document(seen, store, told))
    elif store:
        show(store_view(seen, store, told, width()))
    else:
        console = console_for(sys.stdout)
        if events:
            _print_events(console, seen, told)
        console.print(status_view(seen, console.width))


def history(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rollouts to list.")] = 20,
) -> None:
    """List rollouts, the latest first."""
    with open_records_and_clock() as (records, clock):
        rollouts, stop = records.rollouts.history(limit), records.stops.in_force()
        now = clock.now()
    if json:
        show(history_document(rollouts, stop))
    else:
        show(history_view(rollouts, now, width(), stop))


def watch(rollout: IdArgument = None) -> None:
    """Watch a rollout until it has ended.

    Redraws the screen on a terminal, prints lines elsewhere. Ctrl-C leaves; the rollout goes on.
    """
    console = console_for(sys.stdout)
    stop = threading.Event()
    with open_records_and_clock() as (records, clock), stops_quietly(stop):
        id_ = find_rollout(records, rollout)
        if console.is_terminal and not console.is_dumb_terminal:
            seen = _draw(records, clock, id_, console, stop)
        else:
            seen = _follow(records, clock, id_, console, stop)
    console.print(summary_view(seen, console.width))
    if seen.rollout.finished_at is None:
        raise typer.Exit(Interrupted.exit_code)


def wait(
    rollout: IdArgument = None,
    timeout: Annotated[
        str,
        typer.Option(
            "--timeout", metavar="TIME", help="Give up after this time, as 90s, 30m or 2h."
        ),
    ] = "",
) -> None:
    """Wait until a rollout ends or needs a person.

    Ends with the exit code with which `fleet rollout` itself would have ended.
    """
    limit = seconds_of(timeout) if timeout else None
    with (
        open_records_and_clock() as (records, clock),
        leaves_at_once(lambda: "interrupted; the rollout goes on"),
    ):
        id_ = find_rollout(records, rollout)
        began = clock.now()
        pause = threading.Event()
        while not rests(seen := overview(records, id_, clock.now())):
            if limit is not None and (clock.now() - began).total_seconds() >= limit:
                raise FleetError(
                    f"{id_} is still {seen.rollout.phase.value} after {timeout}",
                    hint=f"fleet rollout status {id_}",
                )
            pause.wait(POLL_S)
    show(summary_view(seen, width()))
    raise typer.Exit(exit_code(seen))


def _print_events(console: Console, seen: Overview, events: tuple[RolloutEvent, ...]) -> None:
    lines = EventLines(seen.rollout.spec)
    for event in events:
        console.print(lines.view(event, console.width))


def _draw(
    records: "Records", clock: Clock, id_: str, console: Console, stop: threading.Event
) -> Overview:
    """Draw the rollout until it has ended or the person leaves."""
    leave = "Ctrl-C leaves; the rollout goes on"
    with Picture(console, lambda: overview(records, id_, clock.now()), lambda: leave) as picture:
        while not stop.is_set():
            seen = picture.latest()
            if seen is not None and seen.rollout.finished_at is not None:
                break
            stop.wait(POLL_S)
    return overview(records, id_, clock.now())


def _follow(
    records: "Records", clock: Clock, id_: str, console: Console, stop: threading.Event
) -> Overview:
    """Print events line by line until the rollout has ended or the reader leaves."""
    seen = overview(records, id_, clock.now())
    told = records.rollouts.latest_events(id_, limit=EVENTS_BEFORE)
    last = 0
    while True:
        _print_events(console, seen, told)
        last = told[-1].id if told else last
        if stop.is_set() or seen.rollout.finished_at is not None:
            return seen
        stop.wait(POLL_S)
        seen = overview(records, id_, clock.now())
        # Events are read after the state, so that the last ones come before the summary.
        told = records.rollouts.events(id_, after=last)
