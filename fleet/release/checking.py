"""Checks, without contacting anybody, what an inventory and its templates would send to ECS."""

from dataclasses import dataclass

from fleet.errors import Problem
from fleet.inventory.decide.checks import notes_of
from fleet.model.inventory import Fleet
from fleet.release.decide.desired import image_questions, release_of, unread
from fleet.release.renderings import render_all, service_problems


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


def check_release(fleet: Fleet) -> CheckedRelease:
    """Render all templates and check the services against ECS's model.

    Raises:
        InventoryError: of the templates, or of the task definitions that they make.
    """
    renderings = render_all(fleet)
    facts = {image: unread(image) for image in image_questions(fleet, renderings)}
    release = release_of(fleet, renderings, facts)
    return CheckedRelease(
        task_definitions=len({id(one.body) for one in renderings}),
        problems=tuple(service_problems(fleet, release)),
        notes=(*notes_of(fleet), *release.notes),
    )
