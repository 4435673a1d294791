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
    """Explain a kind of finding, or tell what is known of a store and since when.

    Reads the records and asks nobody; how old they are is said. Ends with 1 when no scan has
    looked at the store yet.
    """
    from fleet.cli.looking_back import show_explained

    raise typer.Exit(show_explained(what, host, inventory, as_json=json))
