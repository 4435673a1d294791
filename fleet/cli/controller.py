"""``fleet controller``: ticks every active rollout, as a service."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption


def controller(
    once: Annotated[
        bool, typer.Option("--once", help="One tick of each, for cron, instead of a service.")
    ] = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Tick every active rollout, and take on stores that are back and owe one; for systemd.

    Prints plain lines to stderr. Ends with 0 on SIGTERM, once the tick that is under way has ended.
    Several may run: one ticks, the others take over what a lost one held.
    """
    from fleet.cli.controller_service import serve

    raise typer.Exit(serve(inventory, once=once))
