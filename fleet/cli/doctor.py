"""``fleet doctor``: can this machine do the job?"""

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


def doctor(
    stores: StoresArgument = None,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Check this machine, its credentials and AWS.

    Checks everything that a run needs, and changes nothing. With stores chosen, checks only them
    and their accounts and regions. Ends with 1 when a check fails. Every check that is not ok comes
    with its fix.
    """
    import json as json_format
    import sys
    from dataclasses import replace

    from fleet.cli.selecting import choice_of, stores_to_show
    from fleet.errors import EmptySelection, FleetError, InventoryError, UsageError
    from fleet.model.registration import CheckResult, PreflightCheck
    from fleet.register.doctor import failed, local_checks, remote_checks
    from fleet.register.view.checks import checks_document, checks_view
    from fleet.runtime.stopping import leaves_at_once
    from fleet.runtime.wiring import Wiring, open_wiring, pinned_hosts
    from fleet.terminal.screen import console_for

    checks: tuple[PreflightCheck, ...]
    wiring: Wiring | None = None
    with leaves_at_once(lambda: "interrupted; nothing was changed"):
        try:
            wiring = open_wiring(inventory, listen=lambda _event: None)
            chosen = stores_to_show(wiring.fleet, choice_of(stores, where, ring, every))
            wiring = replace(wiring, fleet=replace(wiring.fleet, stores=chosen))
            local = local_checks(wiring, pinned_hosts(wiring.fleet, inventory))
            checks = (*local, *remote_checks(wiring))
        except (InventoryError, EmptySelection):
            raise  # problems with lines of their own, or nothing to check
        except FleetError as error:
            if wiring is not None and isinstance(error, UsageError):
                raise  # the words of the command
            checks = (failed("surroundings", error),)
    if json:
        typer.echo(json_format.dumps(checks_document(checks), indent=2))
    else:
        console = console_for(sys.stdout)
        console.print(checks_view(checks, console.width))
    if any(check.result is CheckResult.FAIL for check in checks):
        raise typer.Exit(1)
