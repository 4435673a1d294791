"""``fleet explain``: explains a finding code, or all that is known of a store."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import show, width
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.explain import explain_code, explain_store, what_is_meant
from fleet.drift.view.explain import code_document, code_view, store_document, store_view
from fleet.errors import FleetError, UsageError
from fleet.model.inventory import Store
from fleet.runtime.wiring import open_history


def explain(
    what: Annotated[
        str,
        typer.Argument(metavar="CODE|STORE", help="Code of a finding, as TWIN, or id of a store."),
    ],
    host: Annotated[
        str, typer.Argument(metavar="[HOST]", help="Only this host of the store.")
    ] = "",
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Explain a kind of finding, or what is known of a store.

    Reads the records only, and shows how old they are. Ends with 1 when the store was never
    scanned.
    """
    with open_history(inventory) as (fleet, records, clock):
        meant = what_is_meant(what, fleet, CATALOGUE)
        if isinstance(meant, Store):
            story = explain_store(records, fleet, meant, clock.now(), host=host)
        elif host:
            raise UsageError(
                f"{meant.code} is a kind of finding and has no hosts",
                hint=f"fleet explain {meant.code}",
            )
        else:
            code = explain_code(records, fleet, meant, clock.now())
            show(code_document(code) if json else code_view(code, width()))
            return
    show(store_document(story) if json else store_view(story, width()))
    if story.scan is None:
        raise typer.Exit(FleetError.exit_code)
