"""What would be sent for a store, as it is read."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fleet.model.desired import ImageFact, LogGroup, Scheduling, ServicePreview, ServiceShape
from fleet.model.desired import TaskDefinition as Definition
from fleet.model.inventory import Lifecycle, Store
from fleet.release.view import json_lines, render_document, render_view
from tests import build

IMAGE = "images.example/vision@sha256:" + "9b" * 32
BODY = {"family": "vision-arm64", "containerDefinitions": [{"name": "main", "image": IMAGE}]}
PREVIEW = ServicePreview(
    shape=ServiceShape("vision-arm64", "vision", "arm64", "arm64", Scheduling.REPLICA, ()),
    definition=Definition.of(BODY),
    create={"cluster": "store-042", "serviceName": "vision-arm64"},
    update={"cluster": "store-042", "service": "vision-arm64"},
    log_groups=(LogGroup("/vision", 30),),
    hosts=(("cam-1", "xavier-nx"), ("cam-2", "xavier-nx")),
    images=(ImageFact(IMAGE, IMAGE, ("linux/arm64",)),),
)


def shown(preview: ServicePreview = PREVIEW, width: int = 200, store: Store | None = None) -> str:
    stream = io.StringIO()
    console = Console(file=stream, width=width, no_color=True, highlight=False)
    console.print(render_view(store or build.store(), [preview], ["something to know"]))
    return stream.getvalue()


def test_it_says_what_is_sent_and_where_it_lands() -> None:
    text = shown()

    assert "store-042 Leeds Briggate · emea-prod/eu-west-1" in text
    assert "note  something to know" in text
    assert "vision-arm64 · REPLICA, 2 tasks" in text
    assert "lands on    cam-1 (xavier-nx), cam-2 (xavier-nx)" in text
    assert f"content     {PREVIEW.definition.content}" in text
    assert f"{IMAGE}, holds linux/arm64 (declared)" in text
    assert "log group   /vision, kept 30 days if fleet makes it" in text
    assert '{"cluster": "store-042", "serviceName": "vision-arm64"}' in text


def test_an_image_that_only_a_plan_pins_is_said_to_be_so() -> None:
    tag = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/vision:1"
    unread = replace(PREVIEW, images=(ImageFact(tag, tag, (), source="unread"),))

    assert f"image       {tag}, not pinned" in shown(unread)
    (service,) = render_document(build.store(), "abc", [unread], [])["services"]
    assert service["images"][0]["pinned"] is None


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, shown(width=width).splitlines())) <= width


def test_a_store_that_is_not_open_is_said_to_be_so() -> None:
    planned = build.store(lifecycle=Lifecycle.PLANNED)

    assert "store-042 is planned: a rollout sends this once it is open" in shown(store=planned)


def test_nothing_in_a_body_can_write_to_the_terminal() -> None:
    nasty = Definition.of({**BODY, "executionRoleArn": "\x1b[2J\u202e"})

    assert "\x1b" not in shown(replace(PREVIEW, definition=nasty))


def test_the_document_has_every_body_in_full() -> None:
    document = render_document(build.store(), "abc", [PREVIEW], ["n"])

    assert (document["version"], document["kind"], document["release"]) == (1, "render", "abc")
    (service,) = json.loads(json.dumps(document))["services"]
    assert service["register_task_definition"] == BODY
    assert (service["create_service"], service["update_service"]) == (
        PREVIEW.create,
        PREVIEW.update,
    )


WORDS = st.text(max_size=40)
VALUES: Any = st.recursive(
    WORDS | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_easier_to_read_is_still_the_same_json(value: Any) -> None:
    assert json.loads("\n".join(json_lines(value))) == value
