"""Renders the templates of a fleet, and imports Jinja, YAML and botocore only then."""

from collections.abc import Sequence

from fleet.errors import Problem
from fleet.model.desired import Release, Rendering
from fleet.model.inventory import Fleet
from fleet.release.decide.desired import service_input


def render_all(fleet: Fleet) -> tuple[Rendering, ...]:
    """Render every workload for every variant it may run on, as ``templates.render_all`` does.

    Raises:
        InventoryError: with every problem of every template.
    """
    from fleet.release.templates import render_all as render

    return render(fleet)


def service_problems(fleet: Fleet, release: Release) -> Sequence[Problem]:
    """Return what ECS's request model refuses in the services of a release."""
    from fleet.release.taskdef import shape_problems

    sources = {workload.name: workload.source for workload in fleet.workloads}
    problems = []
    for shape in release.shapes.values():
        made = service_input(shape, cluster="x", task_definition="x", desired_count=1)
        source = sources[shape.workload]
        problems += [
            Problem(source.file, source.line, "", f"{shape.name}: {one.message}", one.hint)
            for one in shape_problems(made, "CreateService")
        ]
    return problems
