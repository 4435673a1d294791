"""A rollout from its words to its exit code. Imported when it runs, never for help."""

import json
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO, cast

import typer
from rich.console import Console

from fleet.cli.plan_words import Chosen
from fleet.cli.planning import notes_to, plan_again, plan_for, read_plan
from fleet.cli.rollout_books import look
from fleet.cli.rollout_foreground import go_along
from fleet.errors import FleetError, Interrupted, UsageError
from fleet.model.plan import Kind, Plan
from fleet.model.rollout import Rollout
from fleet.rollout.controller import CONTROLLER
from fleet.rollout.decide.fingerprint import differences
from fleet.rollout.start import start
from fleet.rollout.view.documents import status_document
from fleet.rollout.view.plan import plan_document, plan_view
from fleet.runtime.callers import callers
from fleet.runtime.lease import holder_of
from fleet.runtime.run_record import RunRecord, recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk

#: Most lines about what has moved since a plan was made.
MOVED_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of the command, as its options explain them."""

    chosen: Chosen
    plan_file: Path | None
    detach: bool
    yes: bool
    json: bool


def roll_out(asked: Asked) -> int:
    """Roll out what was asked for; returns the exit code.

    Raises:
        UsageError: the words or the plan file are wrong; nothing was sent.
        Locked: another rollout holds one of the stores.
        FleetError: nothing was sent, or the rollout can be resumed; the hint says how.
    """
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(asked.chosen.inventory, listen=notes_to(talk), stop=threading.Event())
    if asked.detach:
        _check_controller(wiring)
    with leaves_at_once(lambda: "interrupted; nothing was sent"):
        plan = _plan(wiring, asked, talk)
        _check_free(wiring, plan)
        if plan.refusals or not any(change.kind.is_change for change in plan.changes):
            return _show_only(plan, talk, as_json=asked.json)
        arns = callers(wiring, _shards(wiring, plan))
    with recorded(wiring, "rollout", callers=arns, tell=talk.print) as run:
        with leaves_at_once(
            lambda: "interrupted; nothing was sent", leaving=lambda: run.end("interrupted")
        ):
            talk.print(plan_view(plan, talk.width))
            for arn in sorted(set(arns)):
                talk.print(f"as {arn} · run {run.id}")
            if not (asked.yes or _agreed(talk)):
                run.end("declined")
                raise Interrupted("nothing was sent")
        return _begin(wiring, plan, asked, run, talk, caller=", ".join(sorted(set(arns))))


def _begin(
    wiring: Wiring, plan: Plan, asked: Asked, run: RunRecord, talk: Console, *, caller: str
) -> int:
    reason = asked.chosen.override_freeze
    rollout = start(wiring, plan, caller=caller, run_id=run.id, override_freeze=reason)
    _audit(wiring, rollout, run.id, caller, reason)
    if not asked.detach:
        return go_along(wiring, rollout.id, run, talk, caller=caller, as_json=asked.json)
    run.end("detached")
    talk.print(f"{rollout.id} is left to the controller: fleet rollout watch {rollout.id}")
    if asked.json:
        overview = look(wiring.records, wiring.clock, rollout.id)
        typer.echo(json.dumps(status_document(overview), indent=2))
    else:
        typer.echo(rollout.id)
    return 0


def _plan(wiring: Wiring, asked: Asked, talk: Console) -> Plan:
    """The plan to run: made now; one that was saved is only run while the world is the same."""
    if asked.plan_file is None:
        return plan_for(wiring, asked.chosen, talk)
    if asked.chosen.says_what:
        raise UsageError(
            "a plan file says what is rolled out where, so no other words may",
            hint=f"fleet rollout --plan-file {asked.plan_file}",
        )
    saved = read_plan(asked.plan_file)
    plan = plan_again(
        wiring,
        saved,
        override=asked.chosen.override_freeze,
        overwrite=asked.chosen.overwrite,
    )
    moved = differences(saved, plan)
    if moved:
        more = f"\n  and {len(moved) - MOVED_SHOWN} more" if len(moved) > MOVED_SHOWN else ""
        lines = "".join(f"\n  {line}" for line in moved[:MOVED_SHOWN])
        raise UsageError(
            f"the world has moved since the plan was made ({saved.stamped}); nothing was sent"
            f"{lines}{more}",
            hint=f"plan again: fleet plan --json --out {asked.plan_file}",
        )
    return plan


def _check_free(wiring: Wiring, plan: Plan) -> None:
    """A plan leaves alone what another rollout holds; a rollout that was asked for it says no.

    Going round these stores in silence would end well, and they would not have the release.
    """
    left = ((c.store, c.workload) for c in plan.changes if c.kind is Kind.LEFT)
    wiring.records.rollouts.check_free(left)


def _check_controller(wiring: Wiring) -> None:
    """Somebody must be there who ticks what is left alone."""
    if holder_of(wiring.records, CONTROLLER) is None:
        raise UsageError(
            "no controller is alive, so nobody would go on with it; nothing was sent",
            hint="start one: fleet controller; or leave --detach out",
        )


def _show_only(plan: Plan, talk: Console, *, as_json: bool) -> int:
    """A plan that cannot be run, or has nothing to do, is all there is to say."""
    if as_json:
        typer.echo(json.dumps(plan_document(plan), indent=2))
    else:
        console = console_for(sys.stdout)
        console.print(plan_view(plan, console.width))
    if plan.refusals:
        talk.print("the plan cannot be run; nothing was sent")
        return FleetError.exit_code
    talk.print("nothing to roll out; nothing was sent")
    return 0


def _shards(wiring: Wiring, plan: Plan) -> set[tuple[str, str]]:
    """Accounts and regions in which something would be changed."""
    touched = {change.store for change in plan.changes if change.kind.is_change}
    return {(s.account.name, s.region) for s in wiring.fleet.stores if s.id in touched}


def _agreed(talk: Console) -> bool:
    if not sys.stdin.isatty():
        raise UsageError(
            "this changes stores, and there is no terminal to ask on", hint="add --yes"
        )
    try:
        return typer.confirm("Go on?", err=True)
    except typer.Abort:  # Ctrl-D, which leaves the cursor behind the question
        talk.print()
        return False


def _audit(wiring: Wiring, rollout: Rollout, run_id: str, caller: str, override: str) -> None:
    wiring.records.audit(
        run_id,
        at=wiring.clock.now(),
        caller_arn=caller,
        action="start rollout",
        why=f"in spite of freezes: {override}" if override else rollout.spec.title,
        detail={
            "rollout": rollout.id,
            "release": rollout.spec.release,
            "selection": rollout.spec.selection,
            "policy": rollout.spec.policy.name,
            "override_freeze": override,
        },
    )
