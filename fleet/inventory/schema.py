"""The JSON Schema of the inventory's files, for editors that complete and check while one types."""

from typing import Any

from pydantic.json_schema import models_json_schema

from fleet.inventory.drift_shapes import IgnoresShape
from fleet.inventory.shape import Shape
from fleet.inventory.shapes import (
    FleetShape,
    HardwareShape,
    PinsShape,
    StoresShape,
    WorkloadShape,
)

#: Definition name -> the file or folder it is for.
FILES: dict[str, tuple[type[Shape], str]] = {
    "fleet": (FleetShape, "fleet.yaml"),
    "hardware": (HardwareShape, "hardware/*.yaml"),
    "stores": (StoresShape, "stores/*.yaml"),
    "workload": (WorkloadShape, "workloads/*.yaml"),
    "ignores": (IgnoresShape, "ignores.yaml"),
    "pins": (PinsShape, "pins.yaml"),
}


def json_schema() -> dict[str, Any]:
    """One document (draft 2020-12); an editor maps ``#/$defs/stores`` to ``stores/*.yaml``, etc."""
    _, document = models_json_schema(
        [(shape, "validation") for shape, _ in FILES.values()],
        ref_template="#/$defs/{model}",
    )
    definitions = document["$defs"]
    for definition in definitions.values():
        if definition.get("type") == "object":
            definition["patternProperties"] = {"^x-": {}}
    for name, (shape, files) in FILES.items():
        definitions[name] = {"$ref": f"#/$defs/{shape.__name__}", "title": files}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Inventory of fleet",
        "$defs": definitions,
        "anyOf": [{"$ref": f"#/$defs/{name}"} for name in FILES],
    }
