"""The convention of every JSON document that ``fleet`` prints or writes.

``kind``: the command that prints it, then what it holds, joined by dashes: ``status``,
``drift-fixes``. Plan files are the exception: they are ``rollout-plan``, whoever prints them.

``version``: of the fields of this kind. A field that is added leaves it; a field that is removed or
means something else raises it.

Then explicit fields: each is always there, and null when it is unknown. Times are UTC, as
``2026-11-24T08:32:49Z``. No reader has to parse a sentence.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from fleet.model.plain import to_plain
from fleet.model.spans import stamp


class Document(dict[str, Any]):
    """A JSON document that follows the convention; only ``document`` makes one."""


def document(kind: str, fields: Mapping[str, Any], *, version: int = 1) -> Document:
    """Return the document of this kind with these fields."""
    return Document(kind=kind, version=version, **fields)


def fields_of(value: object, *names: str) -> dict[str, Any]:
    """Return these attributes of a value as fields of a document, under the same names."""
    return {name: _field(getattr(value, name)) for name in names}


def _field(value: Any) -> Any:
    return stamp(value) if isinstance(value, datetime) else to_plain(value)


def document_text(made: Mapping[str, Any]) -> str:
    """Return the text of a document, indented."""
    return json.dumps(made, indent=2)
