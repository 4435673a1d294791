"""Looking at rollouts: status, history, watch and wait. Reads the records and changes nothing."""

import json
import re
import sys
import threading
from difflib import get_close_matches
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from fleet.cli.rollout_books import books, exit_code, look, rests, which
from fleet.cli.rollout_picture import Picture
from fleet.errors import FleetError, Interrupted, UsageError
from fleet.model.clock import Clock
from fleet.model.overview import Overview
from fleet.model.rollout import RolloutEvent
from fleet.rollout.view.documents import history_document, status_document
from fleet.rollout.view.history import history_view
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.rollout import status_view
from fleet.rollout.view.store import store_view
from fleet.rollout.view.summary import summary_view
from fleet.runtime.stopping import leaves_at_once, stops_quietly
from fleet.terminal.screen import console_for

if TYPE_CHECKING:
    from fleet.records.records import Records

#: Wall seconds between two looks at the records.
POLL_S = 1.0

#: Lines of the story so far that watching begins with.
BEFORE = 20

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def show_status(given: str | None, *, store: str, events: bool, as_json: bool) -> int:
    """``fleet rollout status``."""
    with books() as (records, clock), leaves_at_once(lambda: "interrupted while reading"):
        id_ = which(records, given)
        overview = look(records, clock, id_)
        if store:
            check_stores(overview, [store])
        told = records.rollouts.events(id_, store=store) if store or events else ()
    if as_json:
        typer.echo(json.dumps(status_document(overview, store, told), indent=2))
        return 0
    console = console_for(sys.stdout)
    if store:
        console.print(store_view(overview, store, told, console.width))
        return 0
    if events:
        _print_events(console, overview, told)
    console.print(status_view(overview, console.width))
    return 0


def check_stores(overview: Overview, stores: list[str]) -> None:
    """Refuse stores that are not in the rollout, before anything is said to it."""
    known = overview.rollout.spec.places
    missing = [store for store in stores if store not in known]
    if missing:
        near = get_close_matches(missing[0], known, n=3)
        raise UsageError(
            f"{overview.rollout.id} changes no store {missing[0]!r} ({len(known)} stores)",
            hint=f"did you mean {', '.join(near)}?" if near else None,
        )


def show_history(*, limit: int, as_json: bool) -> int:
    """``fleet rollout history``."""
    with books() as (records, clock):
        rollouts = records.rollouts.history(limit)
        now = clock.now()
    if as_json:
        typer.echo(json.dumps(history_document(rollouts), indent=2))
    else:
        console = console_for(sys.stdout)
        console.print(history_view(rollouts, now, console.width))
    return 0


def watch_rollout(given: str | None) -> int:
    """``fleet rollout watch``."""
    console = console_for(sys.stdout)
    stop = threading.Event()
    with books() as (records, clock), stops_quietly(stop):
        id_ = which(records, given)
        if console.is_terminal and not console.is_dumb_terminal:
            overview = _draw(records, clock, id_, console, stop)
        else:
            overview = _follow(records, clock, id_, console, stop)
    console.print(summary_view(overview, console.width))
    return 0 if overview.rollout.finished_at is not None else Interrupted.exit_code


def wait_for(given: str | None, *, timeout: str) -> int:
    """``fleet rollout wait``."""
    limit = seconds_of(timeout) if timeout else None
    with books() as (records, clock), leaves_at_once(lambda: "interrupted; the rollout goes on"):
        id_ = which(records, given)
        began = clock.now()
        pause = threading.Event()
        while not rests(overview := look(records, clock, id_)):
            if limit is not None and (clock.now() - began).total_seconds() >= limit:
                raise FleetError(
                    f"{id_} is still {overview.rollout.phase.value} after {timeout}",
                    hint=f"fleet rollout status {id_}",
                )
            pause.wait(POLL_S)
    console = console_for(sys.stdout)
    console.print(summary_view(overview, console.width))
    return exit_code(overview)


def seconds_of(text: str) -> float:
    """``90s``, ``30m``, ``2h`` or a plain number of seconds.

    Raises:
        UsageError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no time", hint="as 90s, 30m or 2h")
    return float(match[1]) * _UNITS[match[2]]


def _print_events(console: Console, overview: Overview, events: tuple[RolloutEvent, ...]) -> None:
    lines = EventLines(overview.rollout.spec)
    for event in events:
        console.print(lines.view(event, console.width))


def _draw(
    records: "Records", clock: Clock, id_: str, console: Console, stop: threading.Event
) -> Overview:
    """Draw the rollout until it has ended or the person leaves."""
    leave = "Ctrl-C leaves; the rollout goes on"
    with Picture(console, lambda: look(records, clock, id_), lambda: leave) as picture:
        while not stop.is_set():
            overview = picture.latest()
            if overview is not None and overview.rollout.finished_at is not None:
                break
            stop.wait(POLL_S)
    return look(records, clock, id_)


def _follow(
    records: "Records", clock: Clock, id_: str, console: Console, stop: threading.Event
) -> Overview:
    """Print the story line by line until it has ended or the reader leaves."""
    overview = look(records, clock, id_)
    told = records.rollouts.latest_events(id_, limit=BEFORE)
    seen = 0
    while True:
        _print_events(console, overview, told)
        seen = told[-1].id if told else seen
        if stop.is_set() or overview.rollout.finished_at is not None:
            return overview
        stop.wait(POLL_S)
        overview = look(records, clock, id_)
        # The story is read after the state, so that its last lines come before the summary.
        told = records.rollouts.events(id_, after=seen)
