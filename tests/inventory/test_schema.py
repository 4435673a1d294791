from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from fleet.inventory.schema import FILES, json_schema
from tests.inventory.conftest import EXAMPLE


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    if isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_leads_to_a_definition() -> None:
    schema = json_schema()

    assert {one.removeprefix("#/$defs/") for one in references(schema)} <= set(schema["$defs"])


def test_there_is_a_definition_for_every_file() -> None:
    assert set(FILES) <= set(json_schema()["$defs"])


def test_x_keys_are_allowed_and_unknown_keys_are_not() -> None:
    store = json_schema()["$defs"]["StoreShape"]

    assert store["additionalProperties"] is False
    assert "^x-" in store["patternProperties"]


@pytest.mark.parametrize(
    ("definition", "files"), [(name, file) for name, (_, file) in FILES.items()]
)
def test_the_example_writes_only_keys_that_the_schema_has(definition: str, files: str) -> None:
    definitions = json_schema()["$defs"]
    shape = definitions[definitions[definition]["$ref"].removeprefix("#/$defs/")]

    for path in (EXAMPLE / "inventory").glob(files):
        keys = {key for key in yaml.safe_load(path.read_text()) if not key.startswith("x-")}
        assert keys <= set(shape["properties"])
        assert set(shape.get("required", [])) <= keys
