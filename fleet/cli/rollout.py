"""``fleet rollout``: change what shops run, wave by wave; watch it, and tell it what to do."""

from typing import Annotated

import typer

from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    InventoryOption,
    JsonOption,
    RingOption,
    WhereOption,
    YesOption,
)
from fleet.cli.rollout_group import START, RolloutGroup
from fleet.cli.rollout_options import (
    CanaryOption,
    IdArgument,
    NoWaitOption,
    OverrideFreezeOption,
    OverwriteOption,
    PlanFileOption,
    PolicyOption,
    SeedOption,
    StoreOption,
    WhyOption,
    WorkloadsArgument,
)

app = typer.Typer(
    cls=RolloutGroup,
    help="Change what stores run, wave by wave, and steer rollouts.",
    rich_markup_mode=None,
    no_args_is_help=False,
)


@app.command(START)
def start(
    workloads: WorkloadsArgument = None,
    canary: CanaryOption = False,
    where: WhereOption = "",
    ring: RingOption = "",
    every: AllOption = False,
    store: StoreOption = None,
    policy: PolicyOption = "",
    seed: SeedOption = None,
    plan_file: PlanFileOption = None,
    override_freeze: OverrideFreezeOption = "",
    overwrite: OverwriteOption = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Leave it to a running `fleet controller`.")
    ] = False,
    yes: YesOption = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Roll out; this word may be left out.

    Shows the plan, asks, and goes along until every wave has passed, a gate stops it, or a person
    is wanted. Ends with 0 when it is done, 3 when it waits for `promote`, 4 when it is halted or
    paused, 5 when another rollout holds one of the stores.
    """
    from fleet.cli.plan_words import Chosen
    from fleet.cli.rolling import Asked, roll_out

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
    asked = Asked(chosen=chosen, plan_file=plan_file, detach=detach, yes=yes, json=json)
    raise typer.Exit(roll_out(asked))


@app.command("status")
def status(
    rollout: IdArgument = None,
    store: Annotated[
        str, typer.Option("--store", metavar="ID", help="Explain this one store.")
    ] = "",
    events: Annotated[bool, typer.Option("--events", help="Tell the whole story.")] = False,
    json: JsonOption = False,
) -> None:
    """Show what it does and why, its waves and its gate.

    Names every store that needs a person; with --store, everything known of one.
    """
    from fleet.cli.rollout_looking import show_status

    raise typer.Exit(show_status(rollout, store=store, events=events, as_json=json))


@app.command("watch")
def watch(rollout: IdArgument = None) -> None:
    """Watch it until it has ended.

    A picture that is redrawn on a terminal, lines elsewhere. Ctrl-C only leaves the picture.
    """
    from fleet.cli.rollout_looking import watch_rollout

    raise typer.Exit(watch_rollout(rollout))


@app.command("wait")
def wait(
    rollout: IdArgument = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="Give up after, as 90s, 30m or 2h.")
    ] = "",
) -> None:
    """Wait until it rests; end with its exit code.

    The code is the one that `fleet rollout` itself would have ended with.
    """
    from fleet.cli.rollout_looking import wait_for

    raise typer.Exit(wait_for(rollout, timeout=timeout))


@app.command("history")
def history(
    json: JsonOption = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Most rollouts listed.")] = 20,
) -> None:
    """List rollouts, the latest first."""
    from fleet.cli.rollout_looking import show_history

    raise typer.Exit(show_history(limit=limit, as_json=json))


@app.command("pause")
def pause(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Send nothing more for now.

    What was sent is still watched.
    """
    from fleet.cli.rollout_telling import Word, tell

    raise typer.Exit(tell(Word("pause", rollout, inventory, why=why, no_wait=no_wait)))


@app.command("resume")
def resume(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Go on; after a halt this accepts the failures.

    Goes along in the foreground if nobody else ticks the rollout. Of one that is done it waits for
    the stores that still owe the release.
    """
    from fleet.cli.rollout_telling import Word, tell

    raise typer.Exit(tell(Word("resume", rollout, inventory, why=why, no_wait=no_wait)))


@app.command("promote")
def promote(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Let it go beyond the canary."""
    from fleet.cli.rollout_telling import Word, tell

    raise typer.Exit(tell(Word("promote", rollout, inventory, why=why, no_wait=no_wait)))


@app.command("retry")
def retry(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Send it again where it failed.

    To all stores that failed or could not pull the image, or to those named; a store that was
    changed by hand has to be named.
    """
    from fleet.cli.rollout_telling import Word, tell

    word = Word("retry", rollout, inventory, stores=store or [], why=why, no_wait=no_wait)
    raise typer.Exit(tell(word))


@app.command("skip")
def skip(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Leave stores out of it.

    What was sent to them stays.
    """
    from fleet.cli.rollout_telling import Word, tell

    word = Word("skip", rollout, inventory, stores=store or [], why=why, no_wait=no_wait)
    raise typer.Exit(tell(word))


@app.command("abort")
def abort(
    rollout: IdArgument = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """End it; what was sent stays.

    Nothing more is sent. Stores that are dark are set back, so that ECS does not apply the release
    when they return.
    """
    from fleet.cli.rollout_telling import Word, tell

    raise typer.Exit(tell(Word("abort", rollout, inventory, why=why, no_wait=no_wait)))


@app.command("rollback")
def rollback(
    rollout: IdArgument = None,
    store: StoreOption = None,
    why: WhyOption = "",
    no_wait: NoWaitOption = False,
    yes: YesOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Set stores back to what each ran before.

    Every store that was sent it, or those named.
    """
    from fleet.cli.rollout_telling import Word, tell

    word = Word("rollback", rollout, inventory, stores=store or [], why=why, no_wait=no_wait)
    raise typer.Exit(tell(word, yes=yes))
