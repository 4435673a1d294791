"""``fleet history``: shows what happened to a store, in order."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import show, width
from fleet.drift.history import history_of
from fleet.drift.view.history import history_document, history_view
from fleet.errors import FleetError
from fleet.inventory.decide.selection import Choice, choose
from fleet.runtime.wiring import open_history


def history(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Id of the store.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How many days back.")] = 30,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show what happened to a store: outages, findings, rollouts.

    Lists scans and changes too, oldest first. Reads the records only. Ends with 1 when the store
    was not scanned in this time.
    """
    with open_history(inventory) as (fleet, records, clock):
        (chosen,) = choose(fleet, Choice((store,)))
        found = history_of(records, chosen, clock.now(), days=days)
    show(history_document(found) if json else history_view(found, width()))
    if found.scan is None:
        raise typer.Exit(FleetError.exit_code)
