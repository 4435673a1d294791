"""``fleet hosts``: every host in a line, from the records."""

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    StoresArgument,
    WhereOption,
)


def hosts(
    stores: StoresArgument = None,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show how every host was connected when it was last scanned.

    Reads the records only, and shows how old they are; `fleet status` asks SSM and ECS. Ends with 1
    when one of the stores was never scanned.
    """
    from fleet.cli.looking_back import show_hosts
    from fleet.cli.selecting import choice_of

    choice = choice_of(stores, where, ring, every)
    raise typer.Exit(show_hosts(choice, inventory, as_json=json))
