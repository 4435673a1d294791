"""``fleet state``: rebuilds the records."""

import typer

from fleet.cli.command_class import CommandGroup
from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import notes_to, show, talk_console, width
from fleet.errors import FleetError
from fleet.rollout.rebuild import rebuild_records
from fleet.rollout.view.rebuild import rebuilt_document, rebuilt_view
from fleet.runtime.callers import fleet_callers
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring

app = CommandGroup(
    help="Rebuild the records of rollouts from AWS.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    # A callback keeps `rebuild` a word of its own.
    pass


@app.command("rebuild")
def rebuild(
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Restore what rollouts did, from AWS alone.

    For when the database is lost: every service says which rollout changed it and what it ran
    before, so that stores can be set back. AWS does not know whether more stores were planned:
    nothing counts as owed, and `fleet plan` shows which stores are behind. Changes nothing at AWS,
    and nothing that the records know. Ends with 1 when a store could not be read.
    """
    talk = talk_console()
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
                detail={
                    "added": sorted(one.id for one in restored.rollouts if one.added),
                    "not_read": sorted(restored.unread),
                },
            )
            run.end("partial" if restored.unread else "done")
    if json:
        show(rebuilt_document(restored.rollouts, restored.unread))
    else:
        show(rebuilt_view(restored.rollouts, restored.unread, wiring.clock.now(), width()))
    if restored.unread:
        raise typer.Exit(FleetError.exit_code)
