"""One register run from its words to its exit code. Imported when it runs, never for help."""

import json
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import typer
from rich.console import Console

from fleet.errors import FleetError, Interrupted, Locked, UsageError
from fleet.inventory.decide.selection import Choice, describe, stores_to_change
from fleet.model.inventory import Fleet
from fleet.model.registration import HostOutcome, RegisterCommand, RegisterResult
from fleet.register.decide.host_selection import select_hosts
from fleet.register.register import (
    HostSelection,
    Key,
    PreparedRun,
    changes_nothing,
    check_callers,
    execute,
    prepare,
)
from fleet.register.view.progress import LiveProgress, PlainProgress
from fleet.register.view.register import (
    caller_line,
    registrations_document,
    registrations_view,
    result_document,
    result_view,
    stores_lines,
)
from fleet.runtime.ledgers import ShardView
from fleet.runtime.run_log import Observers
from fleet.runtime.run_record import RunRecord, recorded
from fleet.runtime.state_dir import state_dir
from fleet.runtime.stopping import leaves_at_once, stops_safely
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk, let_go

#: Exit code of a plan that would change something.
CHANGES_PENDING = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of the command, as its options explain them."""

    choice: Choice
    hosts: Sequence[str]
    inventory: Path
    plan: bool
    accept_new_host_keys: bool
    set_runtime: bool
    yes: bool
    json: bool


def register_stores(asked: Asked) -> int:
    """Register what was asked for; returns the exit code.

    Raises:
        FleetError: nothing was done to any host.
    """
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    observers = Observers(PlainProgress(talk))
    pinned: list[str] = []
    wiring = open_wiring(
        asked.inventory,
        listen=observers,
        accept_new_host_keys=asked.accept_new_host_keys,
        pinned=pinned.append,
        stop=threading.Event(),
    )
    selection = _selection(wiring.fleet, asked, talk)
    with leaves_at_once(lambda: "interrupted; nothing was done"):
        shards = check_callers(wiring, selection)
    callers = [view.caller.arn for view in shards.values()]
    with recorded(wiring, "register", callers=callers, tell=talk.print) as run:
        observers.log_to(_log_folder(run.id))
        with _says_what_was_pinned(pinned, talk):
            with leaves_at_once(
                lambda: f"interrupted while reading; {nothing_done(pinned)}",
                leaving=lambda: run.end("interrupted"),
            ):
                _say_who_and_where(selection, shards, run.id, talk)
                prepared = prepare(wiring, selection, shards, run.id)
                agreed = asked.plan or asked.yes or _agreed(prepared, talk)
            if agreed and not asked.plan:
                again = _again(selection, asked)
                result = _execute(wiring, prepared, again, (observers, talk, run))
                run.end(_outcome(result))
                _print_result(result, again, talk, as_json=asked.json)
                return exit_code(result)
        if asked.plan:
            run.end("planned")
            return _show_plan(prepared, pinned, talk, as_json=asked.json)
        run.end("declined")
        raise Interrupted(nothing_done(pinned))


def nothing_done(pinned: Sequence[str]) -> str:
    """That nothing was done, or all that was: new host keys are pinned while hosts are read."""
    if not pinned:
        return "nothing was done"
    keys = "1 host key was" if len(pinned) == 1 else f"{len(pinned)} host keys were"
    return f"no host was changed; {keys} pinned"


def exit_code(result: RegisterResult) -> int:
    """0 all healthy, 130 stopped before that, 5 only other runs in the way, else 1."""
    if result.is_good:
        return 0
    if result.stopped:
        return Interrupted.exit_code
    bad = {host.outcome for host in result.hosts if not host.outcome.is_good}
    return Locked.exit_code if bad == {HostOutcome.LOCKED} else FleetError.exit_code


def _selection(fleet: Fleet, asked: Asked, talk: Console) -> HostSelection:
    named = stores_to_change(fleet, asked.choice, lambda line: talk.print(line, soft_wrap=True))
    ids = select_hosts(named, asked.hosts)
    stores = tuple(s for s in named if not ids or any(h.id in ids for h in s.hosts))
    return HostSelection(stores, ids, asked.set_runtime)


def _again(selection: HostSelection, asked: Asked) -> RegisterCommand:
    words = [describe(asked.choice), *(f"--host {word}" for word in asked.hosts)]
    return RegisterCommand(selection.hosts, selection.set_runtime, " ".join(words))


def _log_folder(run_id: str) -> Path:
    return state_dir() / "logs" / run_id


@contextmanager
def _says_what_was_pinned(pinned: Sequence[str], talk: Console) -> Iterator[None]:
    """Errors that end a run before it changed a host say so of themselves, but not of keys."""
    try:
        yield
    except FleetError:
        if pinned:
            talk.print(nothing_done(pinned))
        raise


def _say_who_and_where(
    selection: HostSelection, shards: Mapping[Key, ShardView], run_id: str, talk: Console
) -> None:
    for line in stores_lines(selection.stores, run_id):
        talk.print(line)
    for (account, region), view in shards.items():
        talk.print(caller_line(f"{account}/{region}", view.caller))


def _agreed(prepared: PreparedRun, talk: Console) -> bool:
    """Whether a person agrees to the plan; one that does nothing is not asked about."""
    if changes_nothing(prepared.registrations):
        return True
    talk.print(registrations_view(prepared.registrations, talk.width))
    if not sys.stdin.isatty():
        raise UsageError("this changes hosts, and there is no terminal to ask on", hint="add --yes")
    try:
        return typer.confirm("Go on?", err=True)
    except typer.Abort:  # Ctrl-D, which leaves the cursor behind the question
        talk.print()
        return False


def _execute(
    wiring: Wiring,
    prepared: PreparedRun,
    again: RegisterCommand,
    shown: tuple[Observers, Console, RunRecord],
) -> RegisterResult:
    observers, talk, run = shown
    draws = talk.is_terminal and not talk.is_dumb_terminal
    progress = LiveProgress(talk, prepared.registrations) if draws else PlainProgress(talk)
    observers.show_with(progress)

    def leaving() -> None:
        run.end("left")
        progress.close()

    resume = again.text([s.id for s in prepared.selection.stores])
    try:
        with stops_safely(wiring.stop, resume=resume, leaving=leaving):
            return execute(wiring, prepared)
    finally:
        progress.close()


def _outcome(result: RegisterResult) -> str:
    words = {0: "done", Interrupted.exit_code: "stopped", Locked.exit_code: "locked"}
    return words.get(exit_code(result), "failed")


def _show_plan(
    prepared: PreparedRun, pinned: Sequence[str], talk: Console, *, as_json: bool
) -> int:
    if as_json:
        typer.echo(json.dumps(registrations_document(prepared.registrations), indent=2))
    else:
        console = console_for(sys.stdout)
        console.print(registrations_view(prepared.registrations, console.width))
    if pinned:
        talk.print(nothing_done(pinned))
    if not changes_nothing(prepared.registrations):
        return CHANGES_PENDING
    refused = any(host.refusal for plan in prepared.registrations for host in plan.hosts)
    return FleetError.exit_code if refused else 0


def _print_result(
    result: RegisterResult, again: RegisterCommand, talk: Console, *, as_json: bool
) -> None:
    """Print the report; whether anybody takes it does not change what the run came to."""
    try:
        if as_json:
            typer.echo(json.dumps(result_document(result), indent=2))
        else:
            console = console_for(sys.stdout)
            log = f"{_log_folder(result.run_id)}/"
            console.print(result_view(result, console.width, log, again))
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        talk.print(f"the report could not be written: {error.strerror}")
