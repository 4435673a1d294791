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


def choice_of(stores: Sequence[str] | None, where: str, ring: str, every: bool) -> Choice:
    """Return the choice of stores that the options make."""
    return Choice(tuple(stores or ()), where, ring, every)


class PlanFormat(StrEnum):
    """How a plan is written."""

    TEXT = "text"
    MARKDOWN = "md"
    JSON = "json"


WorkloadsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[WORKLOAD...]", help="Names of workloads; all if none."),
]
StoreOption = Annotated[
    list[str] | None,
    typer.Option("--store", metavar="ID", help="Only this store; repeatable."),
]
CanaryOption = Annotated[
    bool,
    typer.Option("--canary", help="Begin with a few stores, one of every kind, and their bake."),
]
PolicyOption = Annotated[
    str, typer.Option("--policy", metavar="NAME", help="Rules of the rollout, of fleet.yaml.")
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        help="Of every tie-break: another one, other stores.",
        show_default=False,
    ),
]
IdArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="[ID]", help="Of the rollout, as ro-118; the active one, else the latest, if none."
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", metavar="TEXT", help="Reason, for the rollout's story and audit.")
]
NoWaitOption = Annotated[
    bool, typer.Option("--no-wait", help="Leave the word, and do not wait for what comes of it.")
]
OverrideFreezeOption = Annotated[
    str,
    typer.Option(
        "--override-freeze",
        metavar="REASON",
        help="Send in spite of freezes; the reason is audited.",
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
        help="Run what `fleet plan --json` saved, if the world is still the same.",
    ),
]


class ReportFormat(StrEnum):
    """How a scan is written to stdout."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "md"
    HTML = "html"


DigestsOption = Annotated[
    bool,
    typer.Option(
        "--digests", help="Also compare the images that tasks run; 1 to 2 calls more per store."
    ),
]
DeepOption = Annotated[
    bool,
    typer.Option("--deep", help="Also ask the hosts: containers, disk, temperature, clock."),
]
FailOnOption = Annotated[
    Severity | None,
    typer.Option(
        "--fail-on",
        help="Least severity that ends with 3; without it what fleet.yaml says.",
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
