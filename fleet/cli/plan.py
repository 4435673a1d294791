"""``fleet plan``: what a rollout would do; changes nothing."""

from pathlib import Path
from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    WhereOption,
)
from fleet.cli.rollout_options import (
    CanaryOption,
    Format,
    OverrideFreezeOption,
    OverwriteOption,
    PolicyOption,
    SeedOption,
    StoreOption,
    WorkloadsArgument,
)


def plan(
    workloads: WorkloadsArgument = None,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    store: StoreOption = None,
    canary: CanaryOption = False,
    policy: PolicyOption = "",
    seed: SeedOption = None,
    override_freeze: OverrideFreezeOption = "",
    overwrite: OverwriteOption = False,
    form: Annotated[
        Format,
        typer.Option("--format", help="text for people, md for a pull request, json for a file."),
    ] = Format.TEXT,
    json: JsonOption = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write to a file, not to stdout.")
    ] = None,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Show what a rollout would change, in which waves, at what cost.

    Plans all workloads in all open stores unless options choose. Ends with 3 when something would
    be changed, 0 when nothing would, 1 when the plan must not be run. What `--json` prints can be
    saved and run: `fleet rollout --plan-file FILE`.
    """
    from fleet.cli.plan_words import Chosen
    from fleet.cli.planning import show_plan

    chosen = Chosen(
        workloads=workloads or [],
        stores=store or [],
        where=where,
        ring=ring,
        every=every,
        canary=canary,
        policy=policy,
        seed=seed,
        override_freeze=override_freeze,
        overwrite=overwrite,
        inventory=inventory,
    )
    raise typer.Exit(show_plan(chosen, Format.JSON if json else form, out))
