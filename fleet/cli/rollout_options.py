"""Words that ``fleet plan``, ``fleet rollout`` and its verbs have in common."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
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
