"""``fleet validate``: is the inventory right, and do its templates make task definitions?"""

from typing import TYPE_CHECKING, Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption

if TYPE_CHECKING:
    from fleet.errors import Problem
    from fleet.model.inventory import Fleet


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

        problems += _host_problems(fleet)
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


def _host_problems(fleet: "Fleet") -> "list[Problem]":
    """What cannot be written into the files of a host's agents; once per kind of box."""
    from fleet.decide.agent_config import agent_config
    from fleet.errors import Problem, UsageError

    found: dict[tuple[str, int], Problem] = {}
    for store in fleet.stores:
        for host in store.hosts:
            source = host.hardware.source
            if (source.file, source.line) in found:
                continue
            try:
                agent_config(fleet.name, store, host)
            except UsageError as error:
                problem = Problem(source.file, source.line, "", str(error), error.hint)
                found[source.file, source.line] = problem
    return list(found.values())
