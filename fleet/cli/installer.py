"""``fleet installer``: fetches AWS's install script, so that it can be read and pinned."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption
from fleet.cli.output import ignore_events
from fleet.errors import FleetError, UsageError
from fleet.inventory.pins import save_installer_pin
from fleet.register.installer import read_install_script
from fleet.runtime.state_dir import state_dir
from fleet.runtime.wiring import open_wiring


def installer(
    pin: Annotated[
        str,
        typer.Option("--pin", metavar="SHA256", help="Allow the script with this checksum to run."),
    ] = "",
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Fetch the ECS Anywhere install script, and pin it.

    Keeps a copy to read, and says whether the script is pinned. Ends with 1 when it is not. Does
    not contact hosts.
    """
    wiring = open_wiring(inventory, listen=ignore_events)
    script = read_install_script(wiring)
    digest, known = script.sha256, script.pinned
    copy = state_dir() / "installers" / f"{digest[:12]}.sh"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(script.content)
    typer.echo(f"{script.place}\nsha256 {digest}  {len(script.content)} bytes\ncopy   {copy}")
    if pin and pin.lower() != digest:
        raise UsageError(
            f"the script's SHA-256 is {digest}, not {pin}: nothing was pinned",
            hint="it changed since you read it; read it again",
        )
    if pin:
        known = f"{script.place}, {wiring.clock.now():%Y-%m-%d}"
        save_installer_pin(inventory, digest, known)
    typer.echo(f"pinned {known}" if known else "not pinned: it will not run")
    if not known:
        typer.echo(f"next: read the copy, then fleet installer --pin {digest}", err=True)
        raise typer.Exit(FleetError.exit_code)
