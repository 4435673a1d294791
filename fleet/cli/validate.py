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
    """Check the inventory, its pins and every template.

    Also checks the task definitions and services that they make. Contacts nobody. Ends with 2 when
    there are problems: one line each on stderr, with file and line. Notes are not problems, but
    worth reading before a rollout.
    """
    import json as json_format

    from fleet.errors import InventoryError, Problem
    from fleet.inventory.loader import load_fleet
    from fleet.inventory.pins import load_pins
    from fleet.inventory.schema import json_schema
    from fleet.inventory.view import totals, validation_document
    from fleet.model.printable import many, printable
    from fleet.register.decide.agent_config import config_problems
    from fleet.runtime.state_dir import state_dir

    if schema:
        typer.echo(json_format.dumps(json_schema(), indent=2))
        return
    problems: list[Problem] = []
    notes: list[str] = []
    summary = ""
    try:
        load_pins(inventory, state_dir())
    except InventoryError as error:
        problems += error.problems
    try:
        fleet = load_fleet(inventory, state_dir())
        problems += config_problems(fleet)
        problems += _ignore_problems(fleet)
        # Templates are only worth rendering for an inventory that is right.
        rendered, notes = _release_problems(fleet, problems)
        renderings = many(rendered, "task definition")
        summary = f"{totals(fleet)}, {renderings} rendered: no problems"
    except InventoryError as error:
        problems += error.problems
    if json:
        typer.echo(json_format.dumps(validation_document(problems, notes), indent=2))
    elif not problems:
        typer.echo(summary)
    for problem in problems:
        typer.echo(str(problem), err=True)
    if not json:
        for note in notes:
            typer.echo(f"note: {printable(note)}", err=True)
    if problems:
        typer.echo(f"{many(len(problems), 'problem')} in {inventory}", err=True)
        raise typer.Exit(2)


def _ignore_problems(fleet: "Fleet") -> "tuple[Problem, ...]":
    """Rules that ignore what is no finding, or for longer than anybody remembers why."""
    from fleet.drift.decide.catalogue import CATALOGUE
    from fleet.inventory.decide.ignore_rules import problems_of
    from fleet.model.clock import SystemClock

    return problems_of(fleet.ignores, CATALOGUE, SystemClock().now())


def _release_problems(fleet: "Fleet", problems: "list[Problem]") -> tuple[int, list[str]]:
    """How many task definitions there are, and what should be known of what would be sent.

    Raises:
        InventoryError: of the templates, or of what they come to.
    """
    from fleet.errors import Problem
    from fleet.inventory.decide.checks import notes_of
    from fleet.release.decide.desired import image_questions, release_of, service_input, unread
    from fleet.release.taskdef import shape_problems
    from fleet.release.templates import render_all

    renderings = render_all(fleet)
    facts = {image: unread(image) for image in image_questions(fleet, renderings)}
    release = release_of(fleet, renderings, facts)
    sources = {one.name: one.source for one in fleet.workloads}
    for shape in release.shapes.values():
        made = service_input(shape, cluster="x", task_definition="x", desired_count=1)
        source = sources[shape.workload]
        problems += [
            Problem(source.file, source.line, "", f"{shape.name}: {one.message}", one.hint)
            for one in shape_problems(made, "CreateService")
        ]
    return len({id(one.body) for one in renderings}), [*notes_of(fleet), *release.notes]
