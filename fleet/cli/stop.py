"""``fleet stop --all REASON``: stops every send of every rollout, without Git or AWS."""

import getpass
import socket
from typing import Annotated

import typer

from fleet.cli.output import talk_console
from fleet.errors import UsageError
from fleet.rollout.view.stop import stop_line
from fleet.runtime.wiring import command_line, open_records_and_clock


def stop(
    reason: Annotated[str, typer.Argument(metavar="REASON", help="Why, for everybody to read.")],
    every: Annotated[
        bool, typer.Option("--all", help="Every rollout; needed, as there is no other stop.")
    ] = False,
) -> None:
    """Stop every send of every rollout, at once, for all processes.

    Writes one row to the database and asks neither the inventory nor AWS. Calls that are under way
    end within seconds. What was sent stays and is watched; gates still halt, and stores may still
    be set back. Shown on every screen until `fleet start` lifts it. To pause a single rollout:
    `fleet rollout pause`. Does nothing when all is stopped already, and says by whom.
    """
    if not every:
        raise UsageError(
            "say that all rollouts are meant; nothing was stopped",
            hint='fleet stop --all "REASON"; a single rollout: fleet rollout pause ID',
        )
    talk = talk_console()
    with open_records_and_clock() as (records, clock):
        found, is_new = records.stops.set(by=operator(), at=clock.now(), why=reason)
        if is_new:
            run = records.start_run(
                "stop", caller_arn=found.by, command=command_line(), at=found.at
            )
            records.audit(
                run, at=found.at, caller_arn=found.by, action="stop all sends", why=reason
            )
            records.finish_run(run, outcome="done", at=clock.now())
        else:
            talk.print("it was stopped before; that stop stays as it is", soft_wrap=True)
        talk.print(stop_line(found, clock.now()), soft_wrap=True)


def operator() -> str:
    """Return who types this, as the machine knows them: AWS is not asked, it may be away."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    return f"{name} on {socket.gethostname()}"
