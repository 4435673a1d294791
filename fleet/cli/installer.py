"""``fleet installer``: read AWS's install script before it runs in every shop, and pin it."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption
from fleet.runtime.state_dir import state_dir


def installer(
    pin: Annotated[
        str,
        typer.Option(
            "--pin", metavar="SHA256", help="Allow the script with exactly this checksum to run."
        ),
    ] = "",
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Fetch the ECS Anywhere install script, and pin it.

    Keeps a copy to read, and says whether the script is pinned. Ends with 1 when it is not. Does
    not contact hosts.
    """
    from fleet.aws.installer import fetch_installer
    from fleet.errors import UsageError
    from fleet.inventory.pins import save_installer_pin
    from fleet.register.host_run import Script
    from fleet.runtime.wiring import open_wiring

    wiring = open_wiring(inventory, listen=lambda _event: None)
    place = wiring.fleet.installer
    source = f"s3://{place.bucket}/{place.key}"
    content = fetch_installer(place.bucket, place.key, place.region, clock=wiring.clock)
    digest = Script(content).sha256
    copy = state_dir() / "installers" / f"{digest[:12]}.sh"
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(content)
    typer.echo(f"{source}\nsha256 {digest}  {len(content)} bytes\ncopy   {copy}")
    if pin and pin.lower() != digest:
        raise UsageError(
            f"the script's SHA-256 is {digest}, not {pin}: nothing was pinned",
            hint="it changed since you read it; read it again",
        )
    if pin:
        now = wiring.clock.now()
        save_installer_pin(inventory, digest, f"{source}, {now:%Y-%m-%d}")
    known = wiring.load_pins().installers.get(digest)
    typer.echo(f"pinned {known}" if known else "not pinned: it will not run")
    if not known:
        typer.echo(f"next: read the copy, then fleet installer --pin {digest}", err=True)
        raise typer.Exit(1)
