"""A plan as a JSON document: written to a file, read by programs, and run later."""

import json
from pathlib import Path
from typing import Any

from fleet.errors import UsageError
from fleet.model.desired import content_of
from fleet.model.plain import from_plain, to_plain
from fleet.model.plan import Kind, Plan
from fleet.terminal.documents import Document
from fleet.terminal.documents import document as versioned

KIND = "rollout-plan"
VERSION = 1


def plan_document(plan: Plan) -> Document:
    """Return all of a plan; ``totals`` are for readers and are not read back."""
    kinds = [change.kind for change in plan.changes]
    return versioned(
        KIND,
        {
            "totals": {
                "stores_changed": len({c.store for c in plan.changes if c.kind.is_change}),
                "stores_not_read": len(plan.unread),
                **{kind.value: kinds.count(kind) for kind in Kind},
            },
            "plan": to_plain(plan),
        },
        version=VERSION,
    )


def plan_from_document(document: Any) -> Plan:
    """Return the plan of a document.

    Raises:
        ValueError: it is none, one of another version, or was edited: a task definition is not
            what its address says.
    """
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError("it is no rollout plan")
    if document.get("version") != VERSION:
        raise ValueError(f"it is of version {document.get('version')}, not {VERSION}")
    plan = from_plain(Plan, document.get("plan"))
    for address, definition in plan.release.task_definitions.items():
        if not address == definition.content == content_of(definition.body):
            raise ValueError(f"the task definition {address[:12]} ({definition.family}) was edited")
    return plan


def read_plan(path: Path) -> Plan:
    """Read a plan that was saved as JSON.

    Raises:
        UsageError: the file cannot be read or holds no plan.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(
            f"{path} is no JSON: {error}", hint=f"fleet plan --json > {path}"
        ) from error
    try:
        return plan_from_document(document)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path} is no plan of this version of fleet: {type(error).__name__}: {error}",
            hint=f"fleet plan --json > {path}",
        ) from error
