"""``fleet hosts``: shows every host in one line, from the records."""

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
from fleet.cli.output import show, talk_console, tell_stop, width
from fleet.drift.hosts import hosts_now
from fleet.drift.view.hosts import hosts_document, hosts_view
from fleet.errors import FleetError
from fleet.inventory.decide.selection import stores_to_show
from fleet.runtime.wiring import open_history


def hosts(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show how every host was connected when it was last scanned.

    Reads the records only, and shows how old they are; `fleet status` asks SSM and ECS. Ends with 1
    when one of the stores was never scanned.
    """
    choice = choice_of(stores, where, ring, every)
    with open_history(inventory) as (fleet, records, clock):
        chosen = stores_to_show(fleet, choice)
        tell_stop(records, clock.now(), talk_console())
        seen = hosts_now(records, chosen, clock.now(), keep_days=fleet.drift.keep_days)
    show(hosts_document(seen) if json else hosts_view(seen, width()))
    if seen.scan is None or seen.unscanned:
        raise typer.Exit(FleetError.exit_code)
