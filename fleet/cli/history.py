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
    """Show a store's nights, outages, findings, rollouts and changes, oldest first.

    Reads the records and asks nobody. Ends with 1 when no scan has looked at the store in this
    time.
    """
    from fleet.cli.looking_back import show_history

    raise typer.Exit(show_history(store, days, inventory, as_json=json))
