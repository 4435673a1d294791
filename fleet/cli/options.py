"""Options that several commands share.

Imports nothing but typer, so that ``--help`` of any command stays fast.
"""

from pathlib import Path
from typing import Annotated

import typer

InventoryOption = Annotated[
    Path,
    typer.Option(
        "--inventory",
        envvar="FLEET_INVENTORY",
        help="Folder of the inventory.",
        show_default=True,
    ),
]
JsonOption = Annotated[
    bool, typer.Option("--json", help="Print one versioned JSON document to stdout.")
]
StoresArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[STORE...]", help="Ids of stores.")
]
WhereOption = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only stores for which this holds, as 'market=uk and link.kind=lte'.",
        show_default=False,
    ),
]
RingOption = Annotated[
    str,
    typer.Option("--ring", metavar="NAME", help="Only stores of this ring.", show_default=False),
]
AllOption = Annotated[
    bool, typer.Option("--all", help="All stores; open ones, where something is changed.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

DEFAULT_INVENTORY = Path("inventory")
