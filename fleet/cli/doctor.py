"""``fleet doctor``: checks whether this machine can do the job."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

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
from fleet.cli.output import ignore_events, show, width
from fleet.errors import FleetError, InventoryError, UsageError
from fleet.inventory.decide.selection import Choice, stores_to_show
from fleet.inventory.loader import inventory_check
from fleet.model.registration import CheckResult, PreflightCheck
from fleet.register.doctor import host_keys_check, installer_check, role_check, ssm_check
from fleet.register.view.checks import checks_document, checks_view
from fleet.runtime.doctor import caller_checks, ecs_check, failed, python_check
from fleet.runtime.stopping import leaves_at_once
from fleet.runtime.wiring import Wiring, open_wiring


def doctor(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Check this machine, its credentials and AWS.

    Checks everything that a run needs, and changes nothing. With stores chosen, checks only them
    and their accounts and regions. Ends with 1 when a check fails. Every check that is not ok comes
    with its fix.
    """
    choice = choice_of(stores, where, ring, every)
    with leaves_at_once(lambda: "interrupted; nothing was changed"):
        checks = _checks(inventory, choice)
    show(checks_document(checks) if json else checks_view(checks, width()))
    if any(check.result is CheckResult.FAIL for check in checks):
        raise typer.Exit(FleetError.exit_code)


def _checks(inventory: Path, choice: Choice) -> tuple[PreflightCheck, ...]:
    """Make the checks; what stops them is a failed check, except wrong words and files."""
    try:
        wiring = open_wiring(inventory, listen=ignore_events)
    except InventoryError:
        raise
    except FleetError as error:
        return (failed("surroundings", error),)
    chosen = stores_to_show(wiring.fleet, choice)
    try:
        return checks_of(replace(wiring, fleet=replace(wiring.fleet, stores=chosen)), inventory)
    except UsageError:
        raise
    except FleetError as error:
        return (failed("surroundings", error),)


def checks_of(wiring: Wiring, inventory: Path) -> tuple[PreflightCheck, ...]:
    """Make the checks that every package offers; accounts and regions at the same time."""
    places = sorted({(store.account.name, store.region) for store in wiring.fleet.stores})
    with ThreadPoolExecutor(wiring.workers) as pool:
        of_places = list(pool.map(lambda place: _aws_checks(wiring, *place), places))
    return (
        python_check(),
        inventory_check(wiring.fleet),
        host_keys_check(wiring.fleet, inventory),
        *(check for checks in of_places for check in checks),
        installer_check(wiring),
    )


def _aws_checks(wiring: Wiring, account_name: str, region: str) -> list[PreflightCheck]:
    account = wiring.fleet.accounts[account_name]
    shard, place = wiring.shard(account, region), f"{account_name}/{region}"
    checks = list(caller_checks(shard, place, wiring.clock))
    if checks[0].result is CheckResult.FAIL:
        return checks  # without a caller every other check fails in the same way
    return [
        *checks,
        ecs_check(shard, place),
        ssm_check(shard, place),
        role_check(shard, account, place),
    ]
