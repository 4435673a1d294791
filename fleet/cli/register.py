"""``fleet register``: from boxes with SSH to healthy ECS hosts."""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption, YesOption, state_dir

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from fleet.cli.run_log import Observers
    from fleet.engine.ledgers import ShardView
    from fleet.engine.register import Key, Prepared
    from fleet.engine.wiring import Wiring
    from fleet.model.inventory import Store
    from fleet.model.progress import RegisterResult


def register(
    stores: Annotated[list[str], typer.Argument(metavar="STORE...", help="Ids of stores.")],
    host: Annotated[
        list[str] | None,
        typer.Option("--host", metavar="HOST", help="Only this host of the store; repeatable."),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done, and do nothing.")
    ] = False,
    accept_new_host_keys: Annotated[
        bool,
        typer.Option(
            "--accept-new-host-keys",
            help="Pin the SSH host keys of hosts never contacted before.",
        ),
    ] = False,
    set_runtime: Annotated[
        bool,
        typer.Option(
            "--set-runtime",
            help="Set docker's default runtime where the hardware needs it; restarts docker.",
        ),
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Register the hosts of stores with SSM and ECS, or finish what was left half done.

    Reads every host and AWS first, says what each host is and what will be done, asks, does it, and
    verifies it on the host, in SSM and in ECS. Running it again does nothing and says why.
    """
    import sys
    import threading

    from fleet.cli.run_log import Observers
    from fleet.cli.selecting import select, select_hosts
    from fleet.cli.stopping import leaves_at_once
    from fleet.cli.wiring import open_wiring
    from fleet.engine.register import Selection, arrive, prepare
    from fleet.errors import FleetError, Interrupted
    from fleet.report.progress import PlainProgress
    from fleet.report.screen import console_for

    talk = console_for(sys.stderr)
    observers = Observers(PlainProgress(talk))
    wiring = open_wiring(
        inventory,
        listen=observers,
        accept_new_host_keys=accept_new_host_keys,
        stop=threading.Event(),
    )
    named = select(wiring.fleet, stores)
    ids = select_hosts(named, host or [])
    chosen = tuple(s for s in named if not ids or any(h.id in ids for h in s.hosts))
    selection = Selection(chosen, ids, set_runtime)
    with leaves_at_once("interrupted while reading; nothing was done"):
        shards = arrive(wiring, selection)
        run_id = _begin(wiring, shards)
        _say_who_and_where(chosen, shards, run_id, talk)
        observers.log_to(state_dir() / "logs" / run_id)
        try:
            prepared = prepare(wiring, selection, shards, run_id)
            agreed = plan or yes or _agreed(prepared, talk)
        except FleetError:
            wiring.records.finish_run(run_id, outcome="failed", at=wiring.clock.now())
            raise
        if not agreed:
            wiring.records.finish_run(run_id, outcome="declined", at=wiring.clock.now())
            raise Interrupted("nothing was done")
    if plan:
        wiring.records.finish_run(run_id, outcome="planned", at=wiring.clock.now())
        _end_with_plan(prepared, as_json=json)
    result = _run(wiring, prepared, observers, talk)
    _print_result(result, as_json=json)
    if result.stopped:
        raise typer.Exit(130)
    if not result.is_good:
        raise typer.Exit(1)


def _end_with_plan(prepared: "Prepared", *, as_json: bool) -> None:
    import json
    import sys

    from fleet.engine.register import unchanged
    from fleet.report.plan import plan_view, plans_document
    from fleet.report.screen import console_for

    if as_json:
        typer.echo(json.dumps(plans_document(prepared.plans), indent=2))
    else:
        console = console_for(sys.stdout)
        console.print(plan_view(prepared.plans, console.width))
    if not unchanged(prepared.plans):
        raise typer.Exit(3)
    if any(host.refusal for plan in prepared.plans for host in plan.hosts):
        raise typer.Exit(1)
    raise typer.Exit(0)


def _say_who_and_where(
    stores: "tuple[Store, ...]", shards: "Mapping[Key, ShardView]", run_id: str, talk: "Console"
) -> None:
    from fleet.report.plan import caller_line, store_line

    for store in stores:
        talk.print(store_line(store, run_id))
    for (account, region), view in shards.items():
        talk.print(caller_line(f"{account}/{region}", view.caller, view.tier))


def _begin(wiring: "Wiring", shards: "Mapping[Key, ShardView]") -> str:
    from fleet.cli.wiring import command_line

    callers = {view.caller.arn for view in shards.values()}
    return wiring.records.start_run(
        "register",
        caller_arn=", ".join(sorted(callers)),
        command=command_line(),
        at=wiring.clock.now(),
    )


def _agreed(prepared: "Prepared", talk: "Console") -> bool:
    """Whether a person agrees to the plan; one that does nothing is not asked about."""
    import sys

    from fleet.engine.register import unchanged
    from fleet.errors import UsageError
    from fleet.report.plan import plan_view

    if unchanged(prepared.plans):
        return True
    talk.print(plan_view(prepared.plans, talk.width))
    if not sys.stdin.isatty():
        raise UsageError("this changes hosts, and there is no terminal to ask on", hint="add --yes")
    return typer.confirm("Go on?", err=True)


def _run(
    wiring: "Wiring", prepared: "Prepared", observers: "Observers", talk: "Console"
) -> "RegisterResult":
    from fleet.cli.stopping import stops_safely
    from fleet.engine.register import execute
    from fleet.report.progress import LiveProgress, PlainProgress

    resume = f"fleet register {' '.join(plan.store.id for plan in prepared.plans)}"
    progress: LiveProgress | PlainProgress = (
        LiveProgress(talk, prepared.plans) if talk.is_terminal else PlainProgress(talk)
    )
    observers.show_with(progress)
    try:
        with stops_safely(wiring.stop, resume=resume):
            result = execute(wiring, prepared)
    finally:
        progress.close()
    outcome = "stopped" if result.stopped else "done" if result.is_good else "failed"
    wiring.records.finish_run(prepared.run_id, outcome=outcome, at=wiring.clock.now())
    return result


def _print_result(result: "RegisterResult", *, as_json: bool) -> None:
    import json
    import sys

    from fleet.report.register import result_document, result_view
    from fleet.report.screen import console_for

    if as_json:
        typer.echo(json.dumps(result_document(result), indent=2))
        return
    console = console_for(sys.stdout)
    log = state_dir() / "logs" / result.run_id
    console.print(result_view(result, console.width, f"{log}/"))
