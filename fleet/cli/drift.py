"""``fleet drift``: the nightly scan; reads, compares, tells, and fixes where it is asked to."""

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    DeepOption,
    DigestsOption,
    FailOnOption,
    InventoryOption,
    JsonOption,
    ReportFormat,
    RingOption,
    StoresArgument,
    WhereOption,
    YesOption,
)
from fleet.errors import UsageError


def drift(
    stores: StoresArgument = None,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    digests: DigestsOption = False,
    deep: DeepOption = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write drift-DATE.html, .md and .json there, and latest.html, .md and .json.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="What goes to stdout.")
    ] = ReportFormat.TABLE,
    json: JsonOption = False,
    fail_on: FailOnOption = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Tell the channels of fleet.yaml's notify: of it.")
    ] = False,
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter",
            metavar="TIME",
            help="Begin after a random time of at most so long, as 10m.",
            show_default=False,
        ),
    ] = "",
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Also fix what is safe: show the plan, ask, do, write it down."),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="With --fix: only show what it would do.")
    ] = False,
    yes: YesOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Compare the inventory with ECS and SSM, and report differences.

    Says what differs, since when, and what to do. Scans the whole fleet when no store is chosen.
    What could not be read comes first, and nothing is called healthy or resolved for lack of data.
    Reports of the same folder are kept as long as fleet.yaml's drift.keep_days says.

    --fix deregisters leftovers of hosts that are connected beside them, puts fleet's own attributes
    and tags right, and deletes its old activations: only what is provably this fleet's, each after
    one more look right before, at most 50 deregistrations in a run. It starts and stops no task and
    changes no service; what it leaves alone is listed with the reason. With --json it prints the
    plan and its results instead of the night. --fix --plan ends with 3 when there is something to
    fix and with 0 when there is nothing.

    Exit codes: 0 all was read and nothing is at or above --fail-on; 3 something is; 1 something
    could not be read, written or told (a partial result; wins over 3); 2 wrong words or files; 5
    another scan is under way; 130 interrupted.
    """
    if (plan or yes) and not fix:
        raise UsageError("--plan and --yes are about fixing", hint="add --fix")
    from fleet.cli.drifting import Asked, run_drift
    from fleet.cli.fixing import FixAsked
    from fleet.cli.options import choice_of

    form = ReportFormat.JSON if json else form
    asked = Asked(
        choice=choice_of(stores, where, ring, every),
        digests=digests,
        deep=deep,
        report=report,
        form=form,
        fail_on=fail_on,
        notify=notify,
        jitter=jitter,
        fix=FixAsked(plan=plan, yes=yes, json=form is ReportFormat.JSON) if fix else None,
        inventory=inventory,
    )
    raise typer.Exit(run_drift(asked))
