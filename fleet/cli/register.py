"""``fleet register``: turns hosts with SSH into healthy ECS hosts."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    StoresArgument,
    WhereOption,
    YesOption,
    choice_of,
)
from fleet.cli.output import (
    CHANGES_PENDING,
    agreed,
    require_terminal,
    show,
    show_report,
    talk_console,
    width,
)
from fleet.errors import FleetError, Interrupted, Locked
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


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """What ``fleet register`` is asked for; the fields are its options."""

    choice: Choice
    hosts: Sequence[str]
    inventory: Path
    plan: bool
    accept_new_host_keys: bool
    set_runtime: bool
    yes: bool
    json: bool


def register(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Only hosts with this name, or STORE/HOST for one host; repeatable.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Show what would be done; change no host and nothing at AWS."),
    ] = False,
    accept_new_host_keys: Annotated[
        bool,
        typer.Option(
            "--accept-new-host-keys",
            help="Pin the SSH host keys of hosts that were never contacted before.",
        ),
    ] = False,
    set_runtime: Annotated[
        bool,
        typer.Option(
            "--set-runtime",
            help="Set docker's default runtime where the hardware needs it; this restarts docker.",
        ),
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Register the hosts of stores with SSM and ECS.

    Reads every host and AWS first, shows what each host is and what will be done, asks, does it,
    and verifies the result on the host, in SSM and in ECS. Finishes a registration that was
    interrupted. Does nothing to a host that is registered already, and says why. `--all` means all
    open stores, and so do conditions and rings that do not mention lifecycle.
    """
    request = RegisterRequest(
        choice=choice_of(stores, where, ring, every),
        hosts=host or [],
        inventory=inventory,
        plan=plan,
        accept_new_host_keys=accept_new_host_keys,
        set_runtime=set_runtime,
        yes=yes,
        json=json,
    )
    raise typer.Exit(register_stores(request))


def register_stores(request: RegisterRequest) -> int:
    """Register what was asked for; returns the exit code.

    Raises:
        FleetError: nothing was done to any host.
    """
    talk = talk_console()
    observers = Observers(PlainProgress(talk))
    pinned: list[str] = []
    wiring = open_wiring(
        request.inventory,
        listen=observers,
        accept_new_host_keys=request.accept_new_host_keys,
        pinned=pinned.append,
        stop=threading.Event(),
    )
    selection = _selection(wiring.fleet, request, talk)
    with leaves_at_once(lambda: "interrupted; nothing was done"):
        shards = check_callers(wiring, selection)
    callers = [view.caller.arn for view in shards.values()]
    with recorded(wiring, "register", callers=callers, tell=talk.print) as run:
        observers.log_to(_log_folder(run.id))
        with _says_which_keys_were_pinned(pinned, talk):
            with leaves_at_once(
                lambda: f"interrupted while reading; {nothing_done(pinned)}",
                leaving=lambda: run.end("interrupted"),
            ):
                _print_stores_and_callers(selection, shards, run.id, talk)
                prepared = prepare(wiring, selection, shards, run.id)
                agrees = request.plan or request.yes or _agrees(prepared, talk)
            if agrees and not request.plan:
                again = _again(selection, request)
                result = _execute(wiring, prepared, again, (observers, talk, run))
                run.end(_outcome(result))
                log = f"{_log_folder(run.id)}/"
                show_report(
                    result_document(result)
                    if request.json
                    else result_view(result, width(), log, again),
                    talk,
                )
                return exit_code(result)
        if request.plan:
            run.end("planned")
            return _show_plan(prepared, pinned, talk, as_json=request.json)
        run.end("declined")
        raise Interrupted(nothing_done(pinned))


def nothing_done(pinned: Sequence[str]) -> str:
    """Say that nothing was done, or that only host keys were pinned while hosts were read."""
    if not pinned:
        return "nothing was done"
    keys = "1 host key was" if len(pinned) == 1 else f"{len(pinned)} host keys were"
    return f"no host was changed; {keys} pinned"


def exit_code(result: RegisterResult) -> int:
    """Return 0 if all are healthy, 130 if stopped, 5 if only other runs hold hosts, else 1."""
    if result.is_good:
        return 0
    if result.stopped:
        return Interrupted.exit_code
    bad = {host.outcome for host in result.hosts if not host.outcome.is_good}
    return Locked.exit_code if bad == {HostOutcome.LOCKED} else FleetError.exit_code


def _selection(fleet: Fleet, request: RegisterRequest, talk: Console) -> HostSelection:
    named = stores_to_change(fleet, request.choice, lambda line: talk.print(line, soft_wrap=True))
    ids = select_hosts(named, request.hosts)
    stores = tuple(s for s in named if not ids or any(h.id in ids for h in s.hosts))
    return HostSelection(stores, ids, request.set_runtime)


def _again(selection: HostSelection, request: RegisterRequest) -> RegisterCommand:
    words = [describe(request.choice), *(f"--host {word}" for word in request.hosts)]
    return RegisterCommand(selection.hosts, selection.set_runtime, " ".join(words))


def _log_folder(run_id: str) -> Path:
    return state_dir() / "logs" / run_id


@contextmanager
def _says_which_keys_were_pinned(pinned: Sequence[str], talk: Console) -> Iterator[None]:
    """Add to an error, which says that no host was changed, that keys were pinned."""
    try:
        yield
    except FleetError:
        if pinned:
            talk.print(nothing_done(pinned))
        raise


def _print_stores_and_callers(
    selection: HostSelection, shards: Mapping[Key, ShardView], run_id: str, talk: Console
) -> None:
    for line in stores_lines(selection.stores, run_id):
        talk.print(line)
    for (account, region), view in shards.items():
        talk.print(caller_line(f"{account}/{region}", view.caller))


def _agrees(prepared: PreparedRun, talk: Console) -> bool:
    """Ask whether to carry out the plan, unless it changes nothing."""
    if changes_nothing(prepared.registrations):
        return True
    talk.print(registrations_view(prepared.registrations, talk.width))
    require_terminal("this changes hosts")
    return agreed(talk)


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
    planned = prepared.registrations
    show(registrations_document(planned) if as_json else registrations_view(planned, width()))
    if pinned:
        talk.print(nothing_done(pinned))
    if not changes_nothing(planned):
        return CHANGES_PENDING
    refused = any(host.refusal for plan in planned for host in plan.hosts)
    return FleetError.exit_code if refused else 0
