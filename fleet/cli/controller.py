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
    """Advance every active rollout, as a service.

    Also sends the release to stores that are back and owe it. Prints plain lines to stderr, for
    systemd. Ends with 0 on SIGTERM, once the tick in progress has ended. Several controllers may
    run: one advances the rollouts, and another takes over when it is lost.
    """
    from fleet.cli.controller_service import serve

    raise typer.Exit(serve(inventory, once=once))
