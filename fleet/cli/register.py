"""``fleet register``: from boxes with SSH to healthy ECS hosts."""

from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    StoresArgument,
    WhereOption,
    YesOption,
)


def register(
    stores: StoresArgument = None,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Only hosts of this name, or exactly STORE/HOST; repeatable.",
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what would be done; changes no host and nothing at AWS."),
    ] = False,
    accept_new_host_keys: Annotated[
        bool,
        typer.Option(
            "--accept-new-host-keys",
            help="Pin the SSH host keys of hosts never contacted before.",
        ),
    ] = False,
    set_runtime: Annotated[
        bool,
        typer.Option(
            "--set-runtime",
            help="Set docker's default runtime where the hardware needs it; restarts docker.",
        ),
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Register the hosts of stores with SSM and ECS.

    Reads every host and AWS first, shows what each host is and what will be done, asks, does it,
    and verifies the result on the host, in SSM and in ECS. Finishes a registration that was
    interrupted. Does nothing to a host that is registered already, and says why. `--all` means all
    open stores, and so do conditions and rings that do not mention lifecycle.
    """
    from fleet.cli.options import choice_of
    from fleet.cli.registering import Asked, register_stores

    asked = Asked(
        choice=choice_of(stores, where, ring, every),
        hosts=host or [],
        inventory=inventory,
        plan=plan,
        accept_new_host_keys=accept_new_host_keys,
        set_runtime=set_runtime,
        yes=yes,
        json=json,
    )
    raise typer.Exit(register_stores(asked))
