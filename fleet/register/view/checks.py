"""Checks on the screen and as a document: worst first is for people, order is for programs."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.registration import CheckResult, PreflightCheck
from fleet.terminal.documents import document
from fleet.terminal.screen import labelled, table

_STYLES = {CheckResult.OK: "", CheckResult.WARN: "yellow", CheckResult.FAIL: "red"}
_WORDS = {CheckResult.OK: "ok", CheckResult.WARN: "WARN", CheckResult.FAIL: "FAIL"}


def checks_view(checks: Sequence[PreflightCheck], width: int) -> RenderableType:
    """A row per check, then the fix of everything that is not ok."""
    rows = [(_WORDS[c.result], c.name, c.seen) for c in checks]
    parts: list[RenderableType] = [
        table(("", "CHECK", "SEEN"), rows, width=width, styles=[_STYLES[c.result] for c in checks])
    ]
    parts += [
        labelled(f"fix  {c.name}:", c.fix)
        for c in checks
        if c.fix and c.result is not CheckResult.OK
    ]
    count = {r: sum(c.result is r for c in checks) for r in CheckResult}
    parts.append(
        Text(
            f"{count[CheckResult.OK]} ok, {count[CheckResult.WARN]} warn, "
            f"{count[CheckResult.FAIL]} fail"
        )
    )
    return Group(*parts)


def checks_document(checks: Sequence[PreflightCheck]) -> dict[str, Any]:
    """What ``doctor --json`` prints."""
    return document(
        "doctor",
        {
            "checks": [
                {"name": c.name, "result": str(c.result), "seen": c.seen, "fix": c.fix}
                for c in checks
            ],
        },
    )
