"""Renders templates to task definitions, reads them back and checks them, without a network.

A template is YAML or JSON text with Jinja2 expressions, and renders to the input of
RegisterTaskDefinition. The value of an expression is always written as JSON: text with its quotes,
numbers and lists as they are. So no value can break out of its place, and text is joined inside the
expression: ``name: {{ workload ~ "-" ~ variant }}``.

An expression may use ``fleet``, ``workload``, ``variant``, ``architecture`` (arm64 or amd64),
``images.NAME``, the workload's variables by name, and ``store`` (id, name, region, account,
account_id, time_zone, labels.NAME); anything else is an error. Rendering is sandboxed and gives the
same text every time, so that equal inputs share one revision in ECS. A template that uses the store
is rendered for every open store of its workload, and only once for stores whose values are equal.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jinja2

from fleet.errors import InventoryError, Problem
from fleet.inventory.document import YamlDocument, dotted, free, read_yaml
from fleet.inventory.files import Problems, templates_folder
from fleet.model.desired import Rendering
from fleet.model.images import fits, is_in_ecr
from fleet.model.inventory import Architecture, Fleet, Hardware, Lifecycle, Store, Workload
from fleet.release.taskdef import Complaint, external_problems, shape_problems
from fleet.release.template_engine import (
    ImageValues,
    RenderedText,
    RenderingCache,
    StoreValues,
    render_text,
    store_values,
    template_environment,
)

#: Names that every template has; a variable of the same name would hide one of them.
OWN_NAMES = frozenset({"fleet", "workload", "variant", "architecture", "images", "store"})


def variants(fleet: Fleet, workload: Workload) -> dict[str, tuple[Hardware, ...]]:
    """Return the hardware that a workload may run on, by variant, whatever its stores."""
    found: dict[str, tuple[Hardware, ...]] = {}
    for box in fleet.hardware.values():
        if workload.fits(box):
            found[box.variant] = (*found.get(box.variant, ()), box)
    return dict(sorted(found.items()))


def render_all(fleet: Fleet) -> tuple[Rendering, ...]:
    """Render every workload for every variant that it may run on.

    Raises:
        InventoryError: with every problem of every template, each with file and line, and with
            the first store that a template cannot be rendered for.
    """
    folder = templates_folder(Path(fleet.root))
    engine = template_environment(folder)
    problems = Problems()
    renderings: list[Rendering] = []
    families: dict[str, Rendering] = {}
    for workload in fleet.workloads:
        boxes = variants(fleet, workload)
        if not boxes:
            message = "no hardware meets the conditions, so there is nothing to render"
            source = workload.source
            problems.add(Problem(source.file, source.line, "where", message))
        renderer = _Renderer(engine, folder, fleet, workload, problems)
        for variant, hardware in boxes.items():
            made = renderer.render(variant, hardware)
            renderings += made
            # Stores may share a body, whose problems are reported once.
            for one in {id(one.body): one for one in made}.values():
                family = str(one.body["family"])
                other = families.setdefault(family, one)
                if (other.workload, other.variant) != (one.workload, one.variant):
                    message = f'{variant}: the family "{family}" is also that of '
                    message += f"{other.workload} for {other.variant}"
                    path = str(folder / workload.template)
                    problems.add(Problem(path, 0, "family", message, "leave family out"))
    problems.raise_any()
    return tuple(renderings)


def _stores_for(fleet: Fleet, workload: Workload, hardware: tuple[Hardware, ...]) -> list[Store]:
    """Return the open stores that run a workload on some hardware, or one store to try it on."""
    names = {box.name for box in hardware}
    wanting = [
        store
        for store in fleet.stores
        if workload.wants(store) and any(host.hardware.name in names for host in store.hosts)
    ]
    open_ones = [store for store in wanting if store.lifecycle is Lifecycle.OPEN]
    return open_ones or wanting[:1] or list(fleet.stores[:1])


class _Renderer:
    """Renders one workload and collects its problems."""

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

    def render(self, variant: str, hardware: tuple[Hardware, ...]) -> list[Rendering]:
        """Return one rendering for all stores, or one for each; none after a problem."""
        architecture, name = hardware[0].architecture, self._workload.name
        if self._wrong_names():
            return []
        made: list[Rendering] = []
        cache: RenderingCache[tuple[dict[str, Any], tuple[str, ...]]] = RenderingCache()
        stores: list[Store | None] = [*_stores_for(self._fleet, self._workload, hardware)]
        for store in stores or [None]:
            values = store_values(store) if store is not None else {}
            known = cache.find(values)
            if known is None:
                used: dict[str, str | None] = {}
                body = self._body(variant, hardware, store, StoreValues(values, used))
                if body is None:
                    return []
                if not used:
                    return [Rendering(name, variant, architecture, body)]
                known = body, tuple(f"store.{path}" for path in sorted(used))
                cache.keep(used, known)
            body, uses = known
            store_id = None if store is None else store.id
            made.append(Rendering(name, variant, architecture, body, store_id, uses))
        return made

    def _body(
        self,
        variant: str,
        hardware: tuple[Hardware, ...],
        store: Store | None,
        names: StoreValues,
    ) -> dict[str, Any] | None:
        """Return the body for a variant and store; None after problems were added."""
        workload = self._workload
        architecture = hardware[0].architecture
        before = len(self._problems)
        values = {**self._values(variant, architecture), "store": names}
        try:
            rendered = render_text(self._engine, self._folder, workload.template, values)
            document = self._read(rendered)
        except InventoryError as error:
            problems = error.problems
            if store is not None and names.were_used:
                of = f" (rendered for {variant}, {store.id})"
                problems = tuple(replace(one, message=one.message + of) for one in problems)
            self._problems.extend(problems)
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
        where = f"{variant}, {store.id}" if store is not None and names.were_used else variant
        for complaint in complaints:
            self._complain(complaint, document, rendered, where)
        return None if len(self._problems) > before else body

    def _values(self, variant: str, architecture: Architecture) -> dict[str, Any]:
        images = {name: image.reference for name, image in self._workload.images.items()}
        return {
            **self._workload.variables,
            "fleet": self._fleet.name,
            "workload": self._workload.name,
            "variant": variant,
            "architecture": architecture.value,
            "images": ImageValues("images", images),
        }

    def _wrong_names(self) -> bool:
        hidden = sorted(OWN_NAMES & set(self._workload.variables))
        for name in hidden:
            source = self._workload.source
            message = "templates have this name already; choose another"
            self._problems.add(Problem(source.file, source.line, f"variables.{name}", message))
        return bool(hidden)

    def _read(self, rendered: RenderedText) -> YamlDocument:
        """Read the text as YAML; report its problems at the lines of the template."""
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
        self, complaint: Complaint, document: YamlDocument, rendered: RenderedText, where: str
    ) -> None:
        file, line = self._origin(rendered, document.line(complaint.path))
        message = f"{complaint.message} (rendered for {where})"
        path = dotted(complaint.path)
        self._problems.add(Problem(file, line, path, message, complaint.hint))

    def _origin(self, rendered: RenderedText, line: int) -> tuple[str, int]:
        template, number = rendered.origin(line)
        return str(self._folder / template), number

    def _image_problems(
        self, body: Mapping[str, Any], architecture: Architecture
    ) -> Iterator[Complaint]:
        """Yield images that are not declared and not in ECR, or do not fit the architecture."""
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
            elif image and image.platforms and not fits(image.platforms, architecture):
                held = ", ".join(image.platforms)
                yield Complaint(path, f"the image holds {held}, not linux/{architecture.value}")
