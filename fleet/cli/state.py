"""``fleet state``: the records themselves."""

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption

app = typer.Typer(
    help="Rebuild the records of rollouts from AWS.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def _group() -> None:
    # A callback keeps `rebuild` a word of its own.
    pass


@app.command("rebuild")
def rebuild(
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Restore what rollouts did and what is owed, from AWS alone.

    For when the database is lost: every service says which rollout changed it and what it ran
    before. Changes nothing at AWS, and nothing that the records know. Ends with 1 when a store
    could not be read.
    """
    from fleet.cli.state_rebuilding import rebuild_state

    raise typer.Exit(rebuild_state(inventory, as_json=json))
