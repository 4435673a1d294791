"""Shows what would be fixed after a scan, what is left and why, and the result of each fix."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.drift.view.finding_words import place
from fleet.model.drift import Finding
from fleet.model.fixing import Fix, Fixed, FixPlan, Left, Outcome
from fleet.model.printable import many, printable
from fleet.terminal.documents import Document, document, fields_of
from fleet.terminal.screen import first_rows, labelled

#: Most lines of a kind on a terminal; the document has all.
SHOWN = 50

_STYLES = {Outcome.DONE: "green", Outcome.FAILED: "red", Outcome.REFUSED: "yellow"}


def plan_view(plan: FixPlan, width: int) -> RenderableType:
    """Show what would be done and why it is safe; then what is left, with the reason."""
    parts: list[RenderableType] = [Text(f"FIX  {_summary(plan)}", style="bold")]
    columns = ("WHERE", "FINDING", "WHAT AND WHY IT IS SAFE")
    parts += first_rows(columns, list(map(_fix, plan.fixes)), width=width, most=SHOWN)
    parts += _left(plan.left, width)
    gone = [f"{place(one.finding)} {one.finding.code}: {one.why}" for one in plan.already]
    parts += [labelled("GONE", printable(text)) for text in gone[:SHOWN]]
    return Group(*parts)


def result_view(done: Sequence[Fixed], run: str, width: int) -> RenderableType:
    """Show the result of each fix, what failed first."""
    rows = sorted(done, key=lambda one: (one.outcome.is_good, one.outcome is Outcome.NOT_BEGUN))
    styles = [_STYLES.get(one.outcome, "") for one in rows[:SHOWN]]
    columns = ("WHERE", "FINDING", "RESULT", "DETAIL")
    parts = first_rows(columns, list(map(_result, rows)), width=width, most=SHOWN, styles=styles)
    return Group(*parts, Text(f"{counts(done)} · run {run}"))


def counts(done: Iterable[Fixed]) -> str:
    """Count the results, as ``3 done, 1 failed``."""
    found = Counter(one.outcome for one in done)
    return ", ".join(f"{found[one]:,} {one.value}" for one in Outcome if found[one])


def fixes_document(plan: FixPlan, done: Sequence[Fixed] | None = None, run: str = "") -> Document:
    """Return the plan and its results as a document.

    Args:
        done: None while nothing was begun.
    """
    results = {one.fix.finding.key: one for one in done or ()}
    return document(
        "drift-fixes",
        {
            "scan": plan.scan,
            "run": run or None,
            "fixes": [_fix_document(fix, results.get(fix.finding.key)) for fix in plan.fixes],
            "left": [
                {**_finding(one.finding), "why": one.why, "by_hand": one.by_hand}
                for one in plan.left
            ],
            "already": [{**_finding(one.finding), "why": one.why} for one in plan.already],
        },
    )


def _fix_document(fix: Fix, result: Fixed | None) -> dict[str, Any]:
    return {
        **_finding(fix.finding),
        "what": fix.what,
        "why": fix.why,
        "calls": [{"action": deed.action, "arguments": asdict(deed)} for deed in fix.deeds],
        "outcome": result.outcome.value if result else None,
        "detail": result.words if result else None,
    }


def _finding(finding: Finding) -> Mapping[str, str]:
    where = ("account", "region", "store", "host", "subject")
    return fields_of(finding, "code", "severity", *where)


def _summary(plan: FixPlan) -> str:
    if not plan.fixes:
        return f"nothing to do · {many(len(plan.left), 'finding')} left · scan {plan.scan}"
    gone = sum(fix.deregistrations for fix in plan.fixes)
    removed = f", {many(gone, 'deregistration')}" if gone else ""
    left = f"{many(len(plan.left), 'finding')} left"
    return f"{many(len(plan.fixes), 'finding')}{removed} · {left} · scan {plan.scan}"


def _fix(fix: Fix) -> tuple[str, ...]:
    calls = ", ".join(dict.fromkeys(deed.action for deed in fix.deeds))
    words = f"{fix.what} ({calls}): {fix.why}"
    return place(fix.finding), fix.finding.code, printable(words)


def _result(one: Fixed) -> tuple[str, ...]:
    finding = one.fix.finding
    words = f"{one.fix.what}: {one.words}"
    return place(finding), finding.code, one.outcome.value, printable(words)


def _left(left: Sequence[Left], width: int) -> list[RenderableType]:
    """Show one by one what could have been fixed, and count by code what fleet never fixes."""
    rows = [
        (place(one.finding), one.finding.code, printable(one.why))
        for one in left
        if not one.by_hand
    ]
    parts: list[RenderableType] = [Text("LEFT", style="bold")] if rows else []
    parts += first_rows(("WHERE", "FINDING", "WHY"), rows, width=width, most=SHOWN)
    codes = Counter(one.finding.code for one in left if one.by_hand)
    if codes:
        words = ", ".join(f"{code} {count:,}" for code, count in sorted(codes.items()))
        parts.append(labelled("FOR PEOPLE", words))
    return parts
