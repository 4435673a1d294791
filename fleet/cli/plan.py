"""``fleet plan``: shows what a rollout would do; changes nothing."""

import io
from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    CanaryOption,
    InventoryOption,
    JsonOption,
    OverrideFreezeOption,
    OverwriteOption,
    PlanFormat,
    PolicyOption,
    RingOption,
    SeedOption,
    StoreOption,
    WhereOption,
    WorkloadsArgument,
    choice_of,
)
from fleet.cli.output import CHANGES_PENDING, notes_to, show, talk_console, tell_stop, width
from fleet.errors import FleetError
from fleet.model.plan import Plan
from fleet.rollout.plan_request import PlanRequest, plan_document, plan_for
from fleet.rollout.view.plan import plan_markdown, plan_view
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring
from fleet.terminal.documents import document_text
from fleet.terminal.screen import UNWRAPPED, console_for


def plan(
    workloads: WorkloadsArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    store: StoreOption = None,
    canary: CanaryOption = None,
    policy: PolicyOption = "",
    seed: SeedOption = None,
    override_freeze: OverrideFreezeOption = "",
    overwrite: OverwriteOption = False,
    form: Annotated[
        PlanFormat,
        typer.Option(
            "--format", help="Form: text for people, md for a pull request, json for a file."
        ),
    ] = PlanFormat.TEXT,
    json: JsonOption = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write to this file instead of stdout."),
    ] = None,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show what a rollout would change, in which waves, at what cost.

    Plans all workloads in all open stores unless you choose some. Ends with 3 when something would
    be changed, 0 when nothing would, 1 when the plan must not be run. What `--json` prints can be
    saved and run: `fleet rollout --plan-file FILE`.
    """
    request = PlanRequest(
        workloads=tuple(workloads or ()),
        choice=choice_of(store, where, ring, every),
        policy=policy,
        canary=canary,
        seed=seed,
        override_freeze=override_freeze,
        overwrite=overwrite,
    )
    talk = talk_console()
    wiring = open_wiring(inventory, listen=notes_to(talk))
    with leaves_at_once(lambda: "interrupted while reading; nothing was changed"):
        made = plan_for(wiring, request, tell=talk.print)
    tell_stop(wiring.records, wiring.clock.now(), talk)
    form = PlanFormat.JSON if json else form
    if out is not None:
        _save(made, form, out)
        talk.print(f"the plan is in {out}")
    elif form is PlanFormat.TEXT:
        show(plan_view(made, width()))
    else:
        typer.echo(_text(made, form))
    raise typer.Exit(exit_code(made))


def exit_code(plan: Plan) -> int:
    """Return 1 when the plan must not be run, 3 when it would change something, else 0."""
    if plan.refusals:
        return FleetError.exit_code
    return CHANGES_PENDING if any(change.kind.is_change for change in plan.changes) else 0


def _text(plan: Plan, form: PlanFormat) -> str:
    if form is PlanFormat.JSON:
        return document_text(plan_document(plan))
    if form is PlanFormat.MARKDOWN:
        return plan_markdown(plan)
    text = io.StringIO()
    console_for(text).print(plan_view(plan, UNWRAPPED))
    return text.getvalue()


def _save(plan: Plan, form: PlanFormat, out: Path) -> None:
    try:
        out.write_text(_text(plan, form).rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{out}: {error.strerror}") from error
