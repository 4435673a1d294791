"""A plan from its words to its exit code. Imported when it runs, never for help."""

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, cast

import typer
from rich.console import Console

from fleet.cli.plan_words import Chosen, check_workloads, stores_of
from fleet.cli.rollout_options import Format
from fleet.errors import FleetError, UsageError
from fleet.model.plan import Plan
from fleet.model.progress import Event, Note
from fleet.model.rates import call_share
from fleet.model.spans import clock
from fleet.rollout.plan import Request, make_plan
from fleet.rollout.view.plan import (
    plan_document,
    plan_from_document,
    plan_markdown,
    plan_view,
)
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import UNWRAPPED, console_for
from fleet.terminal.streams import Talk

#: Exit code of a plan that would change something.
CHANGES_PENDING = 3


def show_plan(chosen: Chosen, form: Format, out: Path | None) -> int:
    """``fleet plan``; returns the exit code."""
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(chosen.inventory, listen=notes_to(talk))
    with leaves_at_once(lambda: "interrupted while reading; nothing was changed"):
        plan = plan_for(wiring, chosen, talk)
    if out is None:
        console = console_for(sys.stdout)
        if form is Format.TEXT:
            console.print(plan_view(plan, console.width))
        else:
            typer.echo(_text(plan, form))
    else:
        _save(plan, form, out)
        talk.print(f"the plan is in {out}")
    return exit_code(plan)


def plan_for(wiring: Wiring, chosen: Chosen, talk: Console) -> Plan:
    """Read what there is and plan; changes nothing.

    Raises:
        UsageError: a word means nothing to the inventory.
        FleetError: AWS could not be read at all.
    """
    fleet = wiring.fleet
    check_workloads(fleet, chosen.workloads)
    stores = stores_of(fleet, chosen, tell=talk.print)
    request = Request(
        workloads=tuple(chosen.workloads),
        stores=stores,
        selection=chosen.selection,
        policy=chosen.policy,
        seed=chosen.seed,
        canary=chosen.canary,
        override=chosen.override_freeze,
        overwrite=chosen.overwrite,
        share=_share(),
    )
    return make_plan(wiring, request)


def plan_again(wiring: Wiring, saved: Plan, *, override: str, overwrite: bool) -> Plan:
    """The plan that the words of a saved one give now.

    Raises:
        UsageError: the inventory does not have one of its stores or workloads any more.
    """
    check_workloads(wiring.fleet, saved.workloads)
    known = {store.id: store for store in wiring.fleet.stores}
    named = sorted({change.store for change in saved.changes} | saved.unread.keys())
    gone = [store for store in named if store not in known]
    if gone:
        raise UsageError(
            f"the plan is about {', '.join(gone[:5])}, which the inventory does not have any more",
            hint="plan again: fleet plan --json",
        )
    request = Request(
        workloads=saved.workloads,
        stores=tuple(known[store] for store in named),
        selection=saved.selection,
        policy=saved.policy.name,
        seed=saved.seed,
        canary=saved.canary,
        override=override,
        overwrite=overwrite,
        share=_share(),
    )
    return make_plan(wiring, request)


def _share() -> float:
    return call_share(os.environ.get("FLEET_CALL_SHARE"))


def exit_code(plan: Plan) -> int:
    """1 when it must not be run, 3 when it would change something, else 0."""
    if plan.refusals:
        return FleetError.exit_code
    return CHANGES_PENDING if any(change.kind.is_change for change in plan.changes) else 0


def notes_to(talk: Console) -> Callable[[Event], None]:
    """Prints what planning tells while it reads."""

    def listen(event: Event) -> None:
        if isinstance(event, Note):
            talk.print(f"{clock(event.at)} {event.text}")

    return listen


def read_plan(path: Path) -> Plan:
    """A plan that was saved as JSON.

    Raises:
        UsageError: the file cannot be read or holds no plan.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(
            f"{path} is no JSON: {error}", hint=f"fleet plan --json > {path}"
        ) from error
    try:
        return plan_from_document(document)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no plan of this version of fleet: {type(error).__name__}: {error}",
            hint=f"fleet plan --json > {path}",
        ) from error


def _text(plan: Plan, form: Format) -> str:
    if form is Format.JSON:
        return json.dumps(plan_document(plan), indent=2)
    if form is Format.MARKDOWN:
        return plan_markdown(plan)
    text = io.StringIO()
    console_for(text).print(plan_view(plan, UNWRAPPED))
    return text.getvalue()


def _save(plan: Plan, form: Format, out: Path) -> None:
    try:
        out.write_text(_text(plan, form).rstrip("\n") + "\n", encoding="utf-8")
    except OSError as error:
        raise FleetError(f"{out}: {error.strerror}") from error
