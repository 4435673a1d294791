"""A rebuild of the records from its words to its exit code."""

import json
import sys
from pathlib import Path
from typing import TextIO, cast

import typer

from fleet.cli.planning import notes_to
from fleet.cli.rollout_crew import fleet_callers
from fleet.errors import FleetError
from fleet.rollout.rebuild import rebuild_records
from fleet.rollout.view.rebuilt import Found, rebuilt_document, rebuilt_view
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk


def rebuild_state(inventory: Path, *, as_json: bool) -> int:
    """``fleet state rebuild``; returns the exit code.

    Raises:
        AwsError: nothing could be read.
    """
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(inventory, listen=notes_to(talk))
    with leaves_at_once(lambda: "interrupted while reading; run it again"):
        arns = fleet_callers(wiring, tell=talk.print)
        caller = ", ".join(sorted(set(arns)))
        with recorded(wiring, "rebuild", callers=arns, tell=talk.print) as run:
            restored = rebuild_records(wiring, caller=caller)
            wiring.records.audit(
                run.id,
                at=wiring.clock.now(),
                caller_arn=caller,
                action="rebuild records",
                why="from the tags of services at AWS",
                detail={"added": sorted(restored.added), "not_read": sorted(restored.unread)},
            )
            run.end("partial" if restored.unread else "done")
    found = [
        Found(one.id, one.id in restored.added, one.began, one.spec.title, one.changes)
        for one in restored.rollouts
    ]
    if as_json:
        typer.echo(json.dumps(rebuilt_document(found, restored.unread), indent=2))
    else:
        console = console_for(sys.stdout)
        now = wiring.clock.now()
        console.print(rebuilt_view(found, restored.unread, now, console.width))
    return FleetError.exit_code if restored.unread else 0
