"""Templates to task definitions: rendered, read back and checked, without a network.

A template is YAML or JSON text with Jinja2 expressions, and renders to the input of
RegisterTaskDefinition. What an expression yields is always written out as JSON: text comes with its
quotes, numbers and lists as they are. So no value can break out of its place, and text is joined
inside the expression: ``name: {{ workload ~ "-" ~ variant }}``.

An expression may use ``fleet``, ``workload``, ``variant``, ``architecture`` (arm64 or amd64),
``images.NAME`` and the workload's variables by name; anything else is an error. Rendering is
sandboxed and gives the same text every time, so that equal inputs share one revision in ECS.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from fleet.errors import InventoryError, Problem
from fleet.files.checking import Problems
from fleet.files.document import Document, dotted, free, read_yaml
from fleet.files.folder import templates_folder
from fleet.files.references import is_in_ecr
from fleet.files.rendering import Names, Rendered, environment, render_text
from fleet.files.taskdef import Complaint, external_problems, shape_problems
from fleet.model.inventory import Architecture, Fleet, Hardware, Workload

#: Names that a template has anyway; a variable of that name would hide one of them.
OWN_NAMES = frozenset({"fleet", "workload", "variant", "architecture", "images"})


@dataclass(frozen=True, slots=True)
class Rendering:
    """A workload's task definition for one hardware variant.

    Attributes:
        architecture: that every box of the variant has.
        body: input of RegisterTaskDefinition; ``family`` is WORKLOAD-VARIANT unless written.
    """

    workload: str
    variant: str
    architecture: Architecture
    body: Mapping[str, Any]


def variants(fleet: Fleet, workload: Workload) -> dict[str, tuple[Hardware, ...]]:
    """The hardware a workload may be placed on, by variant; conditions on stores are left aside."""
    found: dict[str, tuple[Hardware, ...]] = {}
    for box in fleet.hardware.values():
        is_a = {
            "hardware": box.name,
            "architecture": box.architecture.value,
            "variant": box.variant,
            "accelerator": box.accelerator,
        }
        if all(is_a[key] in words for key, words in workload.where.items() if key in is_a):
            found[box.variant] = (*found.get(box.variant, ()), box)
    return dict(sorted(found.items()))


def render_all(fleet: Fleet) -> tuple[Rendering, ...]:
    """Every workload for every variant it may run on.

    Raises:
        InventoryError: with every problem of every template, each with file and line.
    """
    folder = templates_folder(Path(fleet.root))
    engine = environment(folder)
    problems = Problems()
    renderings: list[Rendering] = []
    families: dict[str, Rendering] = {}
    for workload in fleet.workloads:
        boxes = variants(fleet, workload)
        if not boxes:
            message = "no hardware meets the conditions, so there is nothing to render"
            source = workload.source
            problems.add(Problem(source.file, source.line, "where", message))
        for variant, hardware in boxes.items():
            made = _Renderer(engine, folder, fleet, workload, problems).render(variant, hardware)
            if made is None:
                continue
            renderings.append(made)
            other = families.setdefault(str(made.body["family"]), made)
            if other is not made:
                message = f'{variant}: the family "{made.body["family"]}" is also that of '
                message += f"{other.workload} for {other.variant}"
                path = str(folder / workload.template)
                problems.add(Problem(path, 0, "family", message, "leave family out"))
    problems.raise_any()
    return tuple(renderings)


class _Renderer:
    """Renders one workload and collects what is wrong with it."""

    def __init__(
        self,
        engine: jinja2.Environment,
        folder: Path,
        fleet: Fleet,
        workload: Workload,
        problems: Problems,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._fleet = fleet
        self._workload = workload
        self._problems = problems

    def render(self, variant: str, hardware: tuple[Hardware, ...]) -> Rendering | None:
        """The rendering for one variant, or None after its problems have been added."""
        workload = self._workload
        architecture = hardware[0].architecture
        before = len(self._problems)
        self._check_names()
        try:
            rendered = render_text(
                self._engine, self._folder, workload.template, self._values(variant, architecture)
            )
            document = self._read(rendered)
        except InventoryError as error:
            self._problems.extend(error.problems)
            return None
        body = free(document.value)
        if not isinstance(body, dict):
            path = str(self._folder / workload.template)
            self._problems.add(Problem(path, 1, "", "must render to keys and values"))
            return None
        body.setdefault("family", f"{workload.name}-{variant}".replace("/", "-"))
        complaints = [
            *shape_problems(body),
            *external_problems(body, architecture, hardware),
            *self._image_problems(body, architecture),
        ]
        for complaint in complaints:
            self._complain(complaint, document, rendered, variant)
        if len(self._problems) > before:
            return None
        return Rendering(workload.name, variant, architecture, body)

    def _values(self, variant: str, architecture: Architecture) -> dict[str, Any]:
        images = {name: image.reference for name, image in self._workload.images.items()}
        return {
            **self._workload.variables,
            "fleet": self._fleet.name,
            "workload": self._workload.name,
            "variant": variant,
            "architecture": architecture.value,
            "images": Names("images", images),
        }

    def _check_names(self) -> None:
        for name in sorted(OWN_NAMES & set(self._workload.variables)):
            source = self._workload.source
            message = "templates have this name already; choose another"
            self._problems.add(Problem(source.file, source.line, f"variables.{name}", message))

    def _read(self, rendered: Rendered) -> Document:
        """The text as YAML; its problems are pointed out in the template, not in the text."""
        try:
            return read_yaml(rendered.text, "")
        except InventoryError as error:
            hint = "expressions come out as JSON with quotes: join text inside one, with ~"
            raise InventoryError(
                [
                    Problem(*self._origin(rendered, problem.line), problem.path, *words)
                    for problem in error.problems
                    for words in [(problem.message, problem.hint or hint)]
                ]
            ) from None

    def _complain(
        self, complaint: Complaint, document: Document, rendered: Rendered, variant: str
    ) -> None:
        file, line = self._origin(rendered, document.line(complaint.path))
        message = f"{complaint.message} (rendered for {variant})"
        path = dotted(complaint.path)
        self._problems.add(Problem(file, line, path, message, complaint.hint))

    def _origin(self, rendered: Rendered, line: int) -> tuple[str, int]:
        template, number = rendered.origin(line)
        return str(self._folder / template), number

    def _image_problems(
        self, body: Mapping[str, Any], architecture: Architecture
    ) -> Iterator[Complaint]:
        """Images are declared, or in ECR where they can be looked up, and fit the boxes."""
        declared = {image.reference: image for image in self._workload.images.values()}
        containers = body.get("containerDefinitions")
        for index, container in enumerate(containers if isinstance(containers, list) else []):
            reference = container.get("image") if isinstance(container, dict) else None
            if not isinstance(reference, str):
                continue
            path = ("containerDefinitions", index, "image")
            image = declared.get(reference)
            if image is None and not is_in_ecr(reference):
                message = f'"{reference}" is not declared'
                hint = "write it under images: of the workload and use {{ images.NAME }}"
                yield Complaint(path, message, hint)
            elif image and image.platforms and not _fits(image.platforms, architecture):
                held = ", ".join(image.platforms)
                yield Complaint(path, f"the image holds {held}, not linux/{architecture.value}")


def _fits(platforms: tuple[str, ...], architecture: Architecture) -> bool:
    return any(re.match(rf"linux/{architecture.value}(/|$)", name) for name in platforms)
