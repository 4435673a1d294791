"""Preflight and doctor checks as lines, tables and documents."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.registration import CheckResult, PreflightCheck
from fleet.terminal.documents import Document, document
from fleet.terminal.screen import labelled, table

_STYLES = {CheckResult.OK: "", CheckResult.WARN: "yellow", CheckResult.FAIL: "red"}
_WORDS = {CheckResult.OK: "ok", CheckResult.WARN: "WARN", CheckResult.FAIL: "FAIL"}


def check_counts(checks: Sequence[PreflightCheck]) -> str:
    """Return ``11 ok, 1 warn, 2 FAIL``; ``-`` when no check was needed."""
    if not checks:
        return "-"
    count = Counter(check.result for check in checks)
    words = {CheckResult.OK: "ok", CheckResult.WARN: "warn", CheckResult.FAIL: "FAIL"}
    shown = [result for result in words if count[result] or result is CheckResult.OK]
    return ", ".join(f"{count[result]} {words[result]}" for result in shown)


def check_lines(host: str, checks: Sequence[PreflightCheck]) -> list[RenderableType]:
    """Return the failed checks of a host with their fixes, then the warnings."""
    lines: list[RenderableType] = []
    for result in (CheckResult.FAIL, CheckResult.WARN):
        for check in checks:
            if check.result is result:
                lines.append(labelled(f"{host}  {_WORDS[result]} {check.name}", check.seen))
                lines += fix_lines(check.fix)
    return lines


def fix_lines(fix: str, host: str = "") -> list[RenderableType]:
    """Return a fix in as many lines as it has, with the host where that is not said above."""
    of = f" {host}:" if host else ""
    return [
        labelled(f"    {'   ' if number else 'fix'}{of}", line)
        for number, line in enumerate(fix.splitlines())
    ]


def checks_view(checks: Sequence[PreflightCheck], width: int) -> RenderableType:
    """Return a row per check, then the fix of everything that is not ok."""
    rows = [(_WORDS[c.result], c.name, c.seen) for c in checks]
    count = Counter(check.result for check in checks)
    return Group(
        table(("", "CHECK", "SEEN"), rows, width=width, styles=[_STYLES[c.result] for c in checks]),
        *(
            labelled(f"fix  {c.name}:", c.fix)
            for c in checks
            if c.fix and c.result is not CheckResult.OK
        ),
        Text(", ".join(f"{count[result]} {result}" for result in CheckResult)),
    )


def check_fields(check: PreflightCheck) -> dict[str, Any]:
    """Return a check as a part of a document."""
    return {"name": check.name, "result": str(check.result), "seen": check.seen, "fix": check.fix}


def checks_document(checks: Sequence[PreflightCheck]) -> Document:
    """Return what ``doctor --json`` prints."""
    return document("doctor", {"checks": [check_fields(check) for check in checks]})
