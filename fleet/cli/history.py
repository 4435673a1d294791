"""``fleet history``: what happened to a store, in order."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption


def history(
    store: Annotated[str, typer.Argument(metavar="STORE", help="Id of the store.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How far back.")] = 30,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show what happened to a store: outages, findings, rollouts.

    Lists scans and changes too, oldest first. Reads the records only. Ends with 1 when the store
    was not scanned in this time.
    """
    from fleet.cli.looking_back import show_history

    raise typer.Exit(show_history(store, days, inventory, as_json=json))
