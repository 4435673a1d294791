"""Options that several commands share."""

import re
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fleet.errors import UsageError
from fleet.inventory.decide.selection import Choice
from fleet.model.drift_settings import Severity
from fleet.model.spans import SECONDS

InventoryOption = Annotated[
    Path,
    typer.Option(
        "--inventory",
        envvar="FLEET_INVENTORY",
        help="Folder of the inventory.",
        show_default=True,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to stdout.")]
StoresArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[STORE...]", help="Ids of stores.")
]
WhereOption = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="CONDITION",
        help="Only stores that match, for example 'market=uk and link.kind=lte'.",
        show_default=False,
    ),
]
RingOption = Annotated[
    str | None,
    typer.Option("--ring", metavar="NAME", help="Only stores in this ring.", show_default=False),
]
AllOption = Annotated[
    bool,
    typer.Option("--all", help="All stores; only open ones for a command that changes something."),
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

DEFAULT_INVENTORY = Path("inventory")


def choice_of(
    stores: Sequence[str] | None, where: str | None, ring: str | None, every: bool
) -> Choice:
    """Return the choice of stores that the options make."""
    return Choice(tuple(stores or ()), where, ring, every)


class PlanFormat(StrEnum):
    """The forms of a plan."""

    TEXT = "text"
    MARKDOWN = "md"
    JSON = "json"


WorkloadsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORKLOAD...]", help="Names of workloads; default all."),
]
StoreOption = Annotated[
    list[str] | None,
    typer.Option("--store", metavar="ID", help="Only this store; repeatable."),
]
CanaryOption = Annotated[
    bool | None,
    typer.Option(
        "--canary/--no-canary",
        help="Begin with a few stores, one of every kind, and let them bake; default as the policy "
        "says.",
        show_default=False,
    ),
]
PolicyOption = Annotated[
    str,
    typer.Option("--policy", metavar="NAME", help="Policy in fleet.yaml that the rollout follows."),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Seed of tie-breaks; another seed gives other canary stores.",
        show_default=False,
    ),
]
IdArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]",
        help="Id of the rollout, as ro-118; default the active one, else the latest.",
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="Reason, for the events and the audit.")
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Return at once; do not wait for the answer.")
]
OverrideFreezeOption = Annotated[
    str,
    typer.Option(
        "--override-freeze",
        metavar="REASON",
        help="Send although a freeze is in force; the reason is audited.",
        show_default=False,
    ),
]
OverwriteOption = Annotated[
    bool,
    typer.Option("--overwrite", help="Change back what somebody changed by hand at AWS."),
]
PlanFileOption = Annotated[
    Path | None,
    typer.Option(
        "--plan-file",
        metavar="FILE",
        help="Run what `fleet plan --json` saved, unless something has changed since.",
    ),
]


class ReportFormat(StrEnum):
    """The forms of a scan on stdout."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


DigestsOption = Annotated[
    bool,
    typer.Option(
        "--digests", help="Also compare the images that tasks run; costs 1 or 2 calls per store."
    ),
]
DeepOption = Annotated[
    bool,
    typer.Option("--deep", help="Also ask the hosts for containers, disk, temperature and clock."),
]
FailOnOption = Annotated[
    Severity | None,
    typer.Option(
        "--fail-on",
        help="Lowest severity that ends with 3; default as in fleet.yaml.",
        show_default=False,
    ),
]


def seconds_of(text: str) -> float:
    """Return the seconds of ``90s``, ``30m``, ``2h``, or of a plain number of seconds.

    Raises:
        UsageError: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no time", hint="as 90s, 30m or 2h")
    return float(match[1]) * SECONDS[match[2] or "s"]
