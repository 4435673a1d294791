"""``fleet status``: shows stores and hosts, ledger by ledger, each with its age."""

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    StoresArgument,
    WhereOption,
    choice_of,
)
from fleet.cli.output import ignore_events, show, talk_console, tell_stop, width
from fleet.drift.status import read_status
from fleet.drift.view.status import status_document, status_view
from fleet.errors import FleetError
from fleet.inventory.decide.selection import stores_to_show
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import open_wiring


def status(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show what SSM and ECS say about every host, and how old that is.

    Also shows what was seen when the host was last visited. Shows every store when none is chosen.
    Ends with 1 when something could not be read; what was recorded before is shown in its place.
    """
    wiring = open_wiring(inventory, listen=ignore_events)
    chosen = stores_to_show(wiring.fleet, choice_of(stores, where, ring, every))
    with leaves_at_once(lambda: "interrupted while reading"):
        seen = read_status(wiring, chosen)
    now = wiring.clock.now()
    tell_stop(wiring.records, now, talk_console())
    show(status_document(seen, now) if json else status_view(seen, now, width()))
    if any(store.unread for store in seen):
        raise typer.Exit(FleetError.exit_code)
