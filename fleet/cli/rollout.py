"""``fleet rollout``: changes what stores run, wave by wave; its first word may be a verb."""

import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from fleet.cli import rollout_simulate, rollout_status, rollout_verbs
from fleet.cli.command_class import CommandGroup
from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    CanaryOption,
    InventoryOption,
    JsonOption,
    OverrideFreezeOption,
    OverwriteOption,
    PlanFileOption,
    PolicyOption,
    RingOption,
    SeedOption,
    StoreOption,
    WhereOption,
    WorkloadsArgument,
    YesOption,
    choice_of,
)
from fleet.cli.output import agreed, notes_to, require_terminal, show, talk_console, width
from fleet.cli.rollout_foreground import advance
from fleet.errors import FleetError, Interrupted
from fleet.model.plan import Plan
from fleet.rollout.overview import overview
from fleet.rollout.plan_request import (
    PlanRequest,
    check_controller,
    check_free,
    check_may_send,
    plan_document,
    plan_for,
    shards_of,
)
from fleet.rollout.start import start as start_rollout
from fleet.rollout.view.documents import status_document
from fleet.rollout.view.plan import plan_view
from fleet.runtime.callers import callers
from fleet.runtime.run_record import RunRecord, recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring

#: The verb that may be left out.
START = "start"


class RolloutGroup(TyperGroup):
    """Reads ``fleet rollout vision`` as ``fleet rollout start vision``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the verb if it was left out."""
        spoken = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if spoken else [START, *args])

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        """Write both forms."""
        formatter.write_usage(ctx.command_path, "[WORKLOAD...] [OPTIONS]")
        formatter.write_usage(ctx.command_path, "VERB [ID] [OPTIONS]")

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options of the form without a verb, then the verbs."""
        start = self.get_command(ctx, START)
        if start is not None:
            inner = start.context_class(start, info_name=START, parent=ctx)
            records = (param.get_help_record(inner) for param in start.get_params(inner))
            with formatter.section("Without a verb"):
                formatter.write_dl([record for record in records if record is not None])
        self.format_commands(ctx, formatter)


app = CommandGroup(
    cls=RolloutGroup,
    help="Change what stores run, wave by wave, and steer rollouts.",
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command(START)
def start(
    workloads: WorkloadsArgument = None,
    canary: CanaryOption = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    store: StoreOption = None,
    policy: PolicyOption = "",
    seed: SeedOption = None,
    plan_file: PlanFileOption = None,
    override_freeze: OverrideFreezeOption = "",
    overwrite: OverwriteOption = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave the rollout to a running `fleet controller`.")
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Start a rollout; this verb may be left out.

    Shows the plan, asks, and runs in the foreground until every wave has passed, a gate stops it,
    or it needs a person. Ends with 0 when it is done, 3 when it waits for `promote`, 4 when it is
    halted or paused, 5 when another rollout holds one of the stores.
    """
    request = PlanRequest(
        workloads=tuple(workloads or ()),
        choice=choice_of(store, where, ring, every),
        policy=policy,
        canary=canary,
        seed=seed,
        override_freeze=override_freeze,
        overwrite=overwrite,
        plan_file=plan_file,
    )
    raise typer.Exit(roll_out(request, inventory, detach=detach, yes=yes, as_json=json))


app.command()(rollout_simulate.simulate)
app.command()(rollout_status.status)
app.command()(rollout_status.watch)
app.command()(rollout_status.wait)
app.command()(rollout_status.history)
app.command()(rollout_verbs.pause)
app.command()(rollout_verbs.resume)
app.command()(rollout_verbs.promote)
app.command()(rollout_verbs.retry)
app.command()(rollout_verbs.skip)
app.command()(rollout_verbs.abort)
app.command()(rollout_verbs.rollback)


def roll_out(
    request: PlanRequest, inventory: Path, *, detach: bool, yes: bool, as_json: bool
) -> int:
    """Roll out what was asked for; returns the exit code.

    Raises:
        UsageError: an option or the plan file is wrong; nothing was sent.
        Locked: another rollout holds one of the stores.
        FleetError: nothing was sent, or the rollout can be resumed; the hint says how.
    """
    talk = talk_console()
    wiring = open_wiring(inventory, listen=notes_to(talk), stop=threading.Event())
    check_may_send(wiring)
    if detach:
        check_controller(wiring)
    with leaves_at_once(lambda: "interrupted; nothing was sent"):
        plan = plan_for(wiring, request, tell=talk.print)
        check_free(wiring, plan)
        if plan.refusals or not any(change.kind.is_change for change in plan.changes):
            return _show_only(plan, talk, as_json=as_json)
        arns = callers(wiring, shards_of(wiring, plan))
    with recorded(wiring, "rollout", callers=arns, tell=talk.print) as run:
        with leaves_at_once(
            lambda: "interrupted; nothing was sent", leaving=lambda: run.end("interrupted")
        ):
            talk.print(plan_view(plan, talk.width))
            for arn in sorted(set(arns)):
                talk.print(f"as {arn} · run {run.id}")
            if not yes:
                require_terminal("this changes stores")
                if not agreed(talk):
                    run.end("declined")
                    raise Interrupted("nothing was sent")
        check_may_send(wiring)
        caller = ", ".join(sorted(set(arns)))
        rollout = start_rollout(
            wiring,
            plan,
            caller=caller,
            run_id=run.id,
            override_freeze=request.override_freeze,
        )
        if detach:
            return _leave_to_controller(wiring, rollout.id, run, talk, as_json=as_json)
        return advance(wiring, rollout.id, run, talk, caller=caller, as_json=as_json)


def _leave_to_controller(
    wiring: Wiring, rollout_id: str, run: RunRecord, talk: Console, *, as_json: bool
) -> int:
    run.end("detached")
    talk.print(f"{rollout_id} is left to the controller: fleet rollout watch {rollout_id}")
    if as_json:
        show(status_document(overview(wiring.records, rollout_id, wiring.clock.now())))
    else:
        typer.echo(rollout_id)
    return 0


def _show_only(plan: Plan, talk: Console, *, as_json: bool) -> int:
    """Show a plan that cannot be run, or that changes nothing."""
    show(plan_document(plan) if as_json else plan_view(plan, width()))
    if plan.refusals:
        talk.print("the plan cannot be run; nothing was sent")
        return FleetError.exit_code
    talk.print("nothing to roll out; nothing was sent")
    return 0
