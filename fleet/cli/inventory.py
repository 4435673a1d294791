"""``fleet inventory``: shows the inventory after inheritance. Contacts nobody."""

from dataclasses import replace
from difflib import get_close_matches
from typing import Annotated

import typer

from fleet.cli.command_class import CommandGroup
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
from fleet.cli.output import show, width
from fleet.errors import UsageError
from fleet.inventory.decide.selection import stores_to_show
from fleet.inventory.loader import load_fleet
from fleet.inventory.view import (
    fleet_document,
    fleet_view,
    host_document,
    host_view,
    store_document,
    store_view,
)
from fleet.runtime.state_dir import state_dir

app = CommandGroup(
    help="List and show what the inventory says.", no_args_is_help=True, rich_markup_mode=None
)


@app.command("list")
def list_stores(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """List stores with their places, links and hosts.

    Lists every store when none is chosen.
    """
    fleet = load_fleet(inventory, state_dir())
    chosen = stores_to_show(fleet, choice_of(stores, where, ring, every))
    fleet = replace(fleet, stores=chosen)
    show(fleet_document(fleet) if json else fleet_view(fleet, width()))


@app.command("show")
def show_one(
    name: Annotated[str, typer.Argument(metavar="STORE|STORE/HOST", help="Id of what to show.")],
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show one store or host, with all that it inherits.

    Also shows in which file it is written.
    """
    fleet = load_fleet(inventory, state_dir())
    stores = {store.id: store for store in fleet.stores}
    hosts = {host.id: host for store in fleet.stores for host in store.hosts}
    store, host = stores.get(name.partition("/")[0]), hosts.get(name)
    if store is None or (host is None and "/" in name):
        near = get_close_matches(name, [*stores, *hosts], n=3)
        raise UsageError(
            f'the inventory has no "{name}"',
            hint=f"did you mean {', '.join(near)}?" if near else "fleet inventory list",
        )
    if host is not None:
        show(host_document(fleet, host) if json else host_view(store, host))
    else:
        show(store_document(fleet, store) if json else store_view(store, width()))
