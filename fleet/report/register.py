"""The end of a register run: a row per host, causes, the tally, and what to type next."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from fleet.model.onboarding import CheckResult
from fleet.model.progress import HostResult, Outcome, RegisterResult
from fleet.report.commands import Again
from fleet.report.plan import check_lines, plan_document, preflight_words, refusal_lines, store_line
from fleet.report.screen import table
from fleet.report.times import span

COLUMNS = ("HOST", "CLASS", "PREFLIGHT", "RESULT", "TIME", "DETAIL")

ALL_HOSTS = Again()

_STYLES = {
    Outcome.REGISTERED: "green",
    Outcome.ALREADY: "",
    Outcome.REPAIRED: "green",
    Outcome.STOPPED: "yellow",
    Outcome.LOCKED: "yellow",
}


def result_view(
    result: RegisterResult, width: int, log: str, again: Again = ALL_HOSTS
) -> RenderableType:
    """The end of a run: a table per store, causes, the tally, and what to type next.

    Args:
        log: where the run's logs are.
        again: what the command that goes on with the run has to repeat.
    """
    parts: list[RenderableType] = []
    several = len(result.stores) > 1
    for store in result.stores:
        mine = [r for r in result.hosts if r.plan.host.store == store.id]
        if several:
            parts.append(Text(store_line(store), style="bold"))
        parts.append(
            table(
                COLUMNS,
                [_row(r) for r in mine],
                width=width,
                styles=[_STYLES.get(r.outcome, "red") for r in mine],
            )
        )
        parts.extend(line for r in mine for line in _cause_lines(r))
    parts.append(Text(""))
    parts.append(Text(_tally(result)))
    parts.append(Text(_verdict(result)))
    parts.append(Text(_next(result, log, again)))
    return Group(*parts)


def _row(result: HostResult) -> tuple[str, ...]:
    plan = result.plan
    detail = result.reason
    if result.outcome is Outcome.REFUSED:
        detail = "host unchanged, no activation created"
    elif result.managed_instance_id and result.managed_instance_id not in detail:
        detail = f"{result.managed_instance_id}, {detail}"
    return (
        plan.host.name,
        str(plan.classification.host_class),
        preflight_words(plan.checks),
        str(result.outcome),
        span(result.seconds) if result.seconds else "-",
        detail,
    )


def _cause_lines(result: HostResult) -> list[RenderableType]:
    lines = check_lines(result.plan)
    failed_checks = any(c.result is CheckResult.FAIL for c in result.plan.checks)
    if not (result.outcome.is_good or result.outcome is Outcome.STOPPED or failed_checks):
        lines += refusal_lines(result.plan.host.name, result.reason, result.fix)
    return lines


def _tally(result: RegisterResult) -> str:
    tally = result.activations
    still_open = len(tally.left_open)
    text = f"Activations: {tally.created} created, {tally.deleted} deleted, {still_open} open."
    if tally.left_open:
        text += f" Left open: {', '.join(tally.left_open)}; the next run deletes them."
    if tally.unsure:
        times = "1 time" if tally.unsure == 1 else f"{tally.unsure} times"
        text += (
            f" AWS's answer was lost {times} and nothing was found: one that nobody "
            "can use may be open; the next run deletes it."
        )
    return text


def _verdict(result: RegisterResult) -> str:
    good = sum(r.outcome.is_good for r in result.hosts)
    whole = len(result.hosts)
    words = f"{good} of {whole} host{'' if whole == 1 else 's'} registered."
    partial = []
    for store in result.stores:
        mine = [r.outcome.is_good for r in result.hosts if r.plan.host.store == store.id]
        if any(mine) and not all(mine):
            partial.append(store.id)
    if partial:
        words += f" PARTIAL: {', '.join(partial)}."
    return words


def _next(result: RegisterResult, log: str, again: Again) -> str:
    if result.is_good:
        ids = " ".join(s.id for s in result.stores[:3])
        return f"next  fleet status {ids}\nlog   {log}"
    bad = [r for r in result.hosts if not r.outcome.is_good]
    todo = sorted({r.plan.host.store for r in bad})
    alone = len(result.hosts) - len(bad)
    left = f" ({alone} healthy left alone)" if alone else ""
    first = "fix the above, then "
    if result.stopped:
        first = ""
    elif all(r.outcome is Outcome.LOCKED for r in bad):
        first = "once the other run has ended, "
    return f"next  {first}{again.command(todo)}{left}\nlog   {log}"


def result_document(result: RegisterResult) -> dict[str, Any]:
    """The run as a versioned document; the same facts as on the screen."""
    return {
        "version": 1,
        "kind": "register",
        "run": result.run_id,
        "stopped": result.stopped,
        "activations": {
            "created": result.activations.created,
            "deleted": result.activations.deleted,
            "left_open": list(result.activations.left_open),
            "unsure": result.activations.unsure,
        },
        "hosts": [
            {
                **plan_document(r.plan),
                "outcome": str(r.outcome),
                "reason": r.reason,
                "fix": r.fix,
                "seconds": round(r.seconds, 1),
                "managed_instance_id": r.managed_instance_id,
                "container_instance_arn": r.container_instance_arn,
            }
            for r in result.hosts
        ],
    }
