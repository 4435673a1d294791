"""Shows what a rollout would send for one store, as text and as a document."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.inventory.view import store_line
from fleet.model.desired import ImageFact, LogGroup, Scheduling, ServicePreview
from fleet.model.inventory import Lifecycle, Store
from fleet.model.printable import printable
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled

#: Width up to which a part of a body stays on one line.
_LINE = 72


def render_view(
    store: Store, previews: Sequence[ServicePreview], notes: Sequence[str]
) -> RenderableType:
    """Return a part per service: its hosts, its images, and the input of each call."""
    parts: list[RenderableType] = [Text(printable(store_line(store)), style="bold")]
    if store.lifecycle is not Lifecycle.OPEN:
        words = f"{store.id} is {store.lifecycle.value}: a rollout sends this once it is open"
        parts.append(labelled("note", words))
    parts += [labelled("note", printable(note)) for note in notes]
    for preview in previews:
        parts += _service(preview)
    return Group(*parts)


def _service(preview: ServicePreview) -> list[RenderableType]:
    shape = preview.shape
    count = len(preview.hosts)
    tasks = f"{count} task{'' if count == 1 else 's'}"
    if shape.scheduling is Scheduling.DAEMON:
        tasks = "a task per matching host"
    hosts = ", ".join(f"{name} ({hardware})" for name, hardware in preview.hosts)
    return [
        Text(""),
        Text(f"{shape.name} · {shape.scheduling.value}, {tasks}", style="bold"),
        labelled("workload  ", f"{shape.workload}, variant {shape.variant}"),
        labelled("lands on  ", hosts),
        labelled("content   ", preview.definition.content),
        *(labelled("image     ", _image_words(image)) for image in preview.images),
        *(labelled("log group ", _group_words(group)) for group in preview.log_groups),
        Text("RegisterTaskDefinition", style="bold"),
        _body({"family": preview.definition.family, **preview.definition.body}),
        Text("CreateService, where there is none; UpdateService sends what differs", style="bold"),
        _body(preview.create),
    ]


def _image_words(image: ImageFact) -> str:
    if image.source == "unread":
        return f"{printable(image.reference)}, not pinned"
    held = ", ".join(image.platforms)
    return f"{printable(image.pinned)}, holds {held} ({image.source})"


def _group_words(group: LogGroup) -> str:
    return f"{printable(group.name)}, kept {group.retention_days} days if fleet makes it"


def _body(body: Mapping[str, Any]) -> Text:
    return Text("\n".join(json_lines(body)), overflow="fold")


def json_lines(value: Any, indent: int = 0) -> list[str]:
    """Return JSON for people: what is short stays on one line.

    It is ASCII, so that no text of a template can write to the terminal.
    """
    flat = json.dumps(value)
    if len(flat) + indent <= _LINE or not value or not isinstance(value, (Mapping, list)):
        return [flat]
    inner = " " * (indent + 2)
    named = isinstance(value, Mapping)
    entries = value.items() if isinstance(value, Mapping) else enumerate(value)
    lines: list[str] = []
    for number, (key, item) in enumerate(entries):
        name = f"{json.dumps(key)}: " if named else ""
        first, *rest = json_lines(item, indent + 2)
        lines += [f"{inner}{name}{first}", *rest]
        if number < len(value) - 1:
            lines[-1] += ","
    opening, closing = "{}" if named else "[]"
    return [opening, *lines, f"{' ' * indent}{closing}"]


def render_document(
    store: Store, release: str, previews: Sequence[ServicePreview], notes: Sequence[str]
) -> Document:
    """Return what ``render --json`` prints.

    Args:
        release: id of a release of this store and these workloads alone.
    """
    return document(
        "render",
        {
            "store": store.id,
            "lifecycle": store.lifecycle.value,
            "cluster": store.cluster,
            "release": release,
            "notes": list(notes),
            "services": [
                {
                    "service": preview.shape.name,
                    "workload": preview.shape.workload,
                    "variant": preview.shape.variant,
                    "content": preview.definition.content,
                    "hosts": [
                        {"name": name, "hardware": hardware} for name, hardware in preview.hosts
                    ],
                    "images": [
                        {
                            "reference": image.reference,
                            "pinned": None if image.source == "unread" else image.pinned,
                            "platforms": list(image.platforms),
                            "source": image.source,
                        }
                        for image in preview.images
                    ],
                    "log_groups": [
                        {"name": group.name, "retention_days": group.retention_days}
                        for group in preview.log_groups
                    ],
                    "register_task_definition": preview.definition.body,
                    "create_service": preview.create,
                    "update_service": preview.update,
                }
                for preview in previews
            ],
        },
    )
