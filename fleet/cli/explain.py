"""``fleet explain``: what a finding means, or the whole story of a store."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="CODE|STORE", help="A code of `fleet drift`, as TWIN, or the id of a store."
        ),
    ],
    host: Annotated[
        str, typer.Argument(metavar="[HOST]", help="Only of this host of the store.")
    ] = "",
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Explain a kind of finding, or what is known of a store.

    Reads the records only, and shows how old they are. Ends with 1 when the store was never
    scanned.
    """
    from fleet.cli.looking_back import show_explained

    raise typer.Exit(show_explained(what, host, inventory, as_json=json))
