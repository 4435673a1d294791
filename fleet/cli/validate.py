"""``fleet validate``: checks the inventory and renders its templates."""

from typing import Annotated

import typer

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption, JsonOption
from fleet.cli.output import show, show_foreign
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.errors import InventoryError, Problem, UsageError
from fleet.inventory.decide.ignore_rules import problems_of
from fleet.inventory.loader import load_fleet, published_schema
from fleet.inventory.pins import load_pins
from fleet.inventory.view import totals, validation_document
from fleet.model.clock import SystemClock
from fleet.model.printable import many, printable
from fleet.register.decide.agent_config import config_problems
from fleet.release.renderings import check_release
from fleet.runtime.state_dir import state_dir


def validate(
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema for editors and stop.")
    ] = False,
    json: JsonOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Check the inventory, its pins and every template.

    Also checks the task definitions and services that they make. Contacts nobody. Ends with 2 when
    there are problems: one line each on stderr, with file and line. Notes are not problems, but
    worth reading before a rollout.
    """
    if schema:
        show_foreign(published_schema())
        return
    problems: list[Problem] = []
    notes: tuple[str, ...] = ()
    summary = ""
    try:
        load_pins(inventory, state_dir())
    except InventoryError as error:
        problems += error.problems
    try:
        fleet = load_fleet(inventory, state_dir())
        problems += config_problems(fleet)
        problems += problems_of(fleet.ignores, CATALOGUE, SystemClock().now())
        # Templates are only worth rendering for an inventory that is right.
        checked = check_release(fleet)
        problems += checked.problems
        notes = checked.notes
        rendered = many(checked.task_definitions, "task definition")
        summary = f"{totals(fleet)}, {rendered} rendered: no problems"
    except InventoryError as error:
        problems += error.problems
    if json:
        show(validation_document(problems, notes))
    elif not problems:
        typer.echo(summary)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if not json:
        for note in notes:
            typer.echo(f"note: {printable(note)}", err=True)
    if problems:
        typer.echo(f"{many(len(problems), 'problem')} in {inventory}", err=True)
        raise typer.Exit(UsageError.exit_code)
