"""``fleet start``: lifts ``fleet stop --all``."""

import typer

from fleet.cli.options import YesOption
from fleet.cli.output import agreed, require_terminal, talk_console
from fleet.cli.stop import operator
from fleet.errors import Interrupted
from fleet.model.spans import age
from fleet.rollout.overview import overview
from fleet.rollout.view.summary import what_goes_on
from fleet.runtime.wiring import command_line, open_records_and_clock


def start(yes: YesOption = False) -> None:
    """Let rollouts send again after `fleet stop --all`.

    Shows what goes on, and asks. Rollouts continue where they were; the time after which a person
    is asked begins anew. Does nothing when nothing is stopped.
    """
    talk = talk_console()
    with open_records_and_clock() as (records, clock):
        stop = records.stops.in_force()
        if stop is None:
            talk.print("nothing is stopped")
            return
        talk.print(f"{stop.words} ({age(stop.at, clock.now())})", soft_wrap=True)
        active = [overview(records, id_, clock.now()) for id_ in records.rollouts.active()]
        talk.print(what_goes_on(active))
        if not yes:
            require_terminal("this lets rollouts send again")
            if not agreed(talk):
                raise Interrupted("everything stays stopped")
        lifted = records.stops.lift(by=operator(), at=clock.now())
        if lifted is None or lifted.lifted_at is None:
            talk.print("somebody else has lifted it meanwhile")
            return
        run = records.start_run(
            "start", caller_arn=lifted.lifted_by, command=command_line(), at=lifted.lifted_at
        )
        records.audit(
            run,
            at=lifted.lifted_at,
            caller_arn=lifted.lifted_by,
            action="lift the stop of all sends",
            why=f"it was set by {lifted.by}: {lifted.why}",
        )
        records.finish_run(run, outcome="done", at=clock.now())
    typer.echo("sending goes on", err=True)
