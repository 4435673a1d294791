"""``fleet validate``: is the inventory right, and do its templates make task definitions?"""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption


def validate(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema for editors and stop.")
    ] = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Check the inventory, its pins and every template; contacts nobody, changes nothing.

    Ends with 2 when there are problems: one line each on stderr, with file and line.
    """
    import json as json_format

    from fleet.errors import InventoryError, Problem
    from fleet.files import json_schema, load_fleet, load_pins
    from fleet.report.inventory import counted, totals, validation_document

    if schema:
        typer.echo(json_format.dumps(json_schema(), indent=2))
        return
    problems: list[Problem] = []
    summary = ""
    try:
        load_pins(inventory)
    except InventoryError as error:
        problems += error.problems
    try:
        fleet = load_fleet(inventory)
        # Templates are only worth rendering for an inventory that is right.
        from fleet.files.templates import render_all

        renderings = counted(len(render_all(fleet)), "task definition")
        summary = f"{totals(fleet)}, {renderings} rendered: no problems"
    except InventoryError as error:
        problems += error.problems
    if json:
        typer.echo(json_format.dumps(validation_document(problems), indent=2))
    elif not problems:
        typer.echo(summary)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if problems:
        typer.echo(f"{counted(len(problems), 'problem')} in {inventory}", err=True)
        raise typer.Exit(2)
