"""Renders the templates of a fleet and checks what they make, without a network.

Jinja, YAML and botocore are imported only when something is rendered.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from fleet.errors import Problem
from fleet.inventory.decide.checks import notes_of
from fleet.model.desired import Release, Rendering
from fleet.model.inventory import Fleet
from fleet.release.decide.desired import image_questions, release_of, unread
from fleet.release.decide.service_input import service_input


@dataclass(frozen=True, slots=True)
class CheckedRelease:
    """What was found.

    Attributes:
        task_definitions: how many different ones were rendered.
        problems: of services that ECS would refuse.
        notes: what is no problem but worth reading before a rollout.
    """

    task_definitions: int
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def render_all(fleet: Fleet) -> tuple[Rendering, ...]:
    """Render every workload for every variant it may run on, as ``templates.render_all`` does.

    Raises:
        InventoryError: with every problem of every template.
    """
    from fleet.release.templates import render_all as render

    return render(fleet)


def check_release(fleet: Fleet) -> CheckedRelease:
    """Render all templates and check the services against ECS's request model.

    Raises:
        InventoryError: of the templates, or of the task definitions that they make.
    """
    renderings = render_all(fleet)
    facts = {image: unread(image) for image in image_questions(fleet, renderings)}
    release = release_of(fleet, renderings, facts)
    return CheckedRelease(
        task_definitions=len({id(one.body) for one in renderings}),
        problems=tuple(_service_problems(fleet, release)),
        notes=(*notes_of(fleet), *release.notes),
    )


def _service_problems(fleet: Fleet, release: Release) -> Iterator[Problem]:
    """Yield what ECS's request model refuses in the services of a release."""
    from fleet.release.taskdef import shape_problems

    sources = {workload.name: workload.source for workload in fleet.workloads}
    for shape in release.shapes.values():
        sent = service_input(shape, cluster="x", task_definition="x", desired_count=1)
        source = sources[shape.workload]
        for one in shape_problems(sent, "CreateService"):
            message = f"{shape.name}: {one.message}"
            yield Problem(source.file, source.line, "", message, one.hint)
