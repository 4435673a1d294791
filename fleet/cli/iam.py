"""``fleet iam``: prints the IAM policy that a command needs."""

from typing import Annotated

import typer

from fleet.aws.iam import policy_for
from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption
from fleet.cli.output import show_foreign
from fleet.errors import UsageError
from fleet.inventory.loader import load_fleet
from fleet.model.aws_actions import Sender
from fleet.runtime.state_dir import state_dir


def iam(
    command: Annotated[
        Sender,
        typer.Argument(
            metavar="COMMAND",
            help=f"One of {', '.join(Sender)}. fix, deep and notify are what `fleet drift` needs"
            " besides for --fix, --deep and --notify.",
        ),
    ],
    account: Annotated[
        str,
        typer.Option(
            "--account",
            metavar="NAME",
            help="Account of the inventory, for its own id and role. [default: any account]",
        ),
    ] = "",
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Print the IAM policy that lets a command do its work.

    The policy allows the AWS actions that the command sends, and nothing else. No AWS call is made.
    """
    if not account:
        show_foreign(policy_for(command))
        return
    accounts = load_fleet(inventory, state_dir()).accounts
    if account not in accounts:
        raise UsageError(
            f'the inventory has no account "{account}"',
            hint=f"one of {', '.join(sorted(accounts))}",
        )
    own = accounts[account]
    policy = policy_for(command, account_id=own.account_id, instance_role=own.instance_role)
    show_foreign(policy)
