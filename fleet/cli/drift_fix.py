"""``fleet drift --fix``: plans, shows, asks, fixes, and shows what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.console import Console

from fleet.cli.output import (
    CHANGES_PENDING,
    agreed,
    require_terminal,
    show_report,
    width,
)
from fleet.drift.fixes import carry_out, plan
from fleet.drift.view.fixes import counts, fixes_document, plan_view, result_view
from fleet.errors import FleetError, Interrupted
from fleet.model.fixing import Fixed, FixPlan, Outcome
from fleet.model.scan_result import ScanResult
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once, stops_safely
from fleet.runtime.wiring import Wiring

#: What the first Ctrl-C waits for.
FINISH_FIRST = "fixes that have begun are ended, and no other is begun"


@dataclass(frozen=True, slots=True)
class FixRequest:
    """What ``fleet drift --fix`` is asked for.

    Attributes:
        plan: only show what would be done.
        yes: do not ask.
        json: print one document instead of tables.
    """

    plan: bool = False
    yes: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class ResultAfterFixes:
    """The result of a scan after its fixes.

    Attributes:
        result: without the findings that are gone now.
        code: exit code where it is decided; None where that of the scan holds.
        words: how it ended.
    """

    result: ScanResult
    code: int | None
    words: str


def check_can_ask(request: FixRequest) -> None:
    """Refuse, before anything is read, what would end in a question that nobody can answer.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not request.plan and not request.yes:
        require_terminal(
            "--fix changes things at AWS", hint="add --yes, or --plan to see what it would do"
        )


def fix_findings(
    wiring: Wiring, result: ScanResult, request: FixRequest, command: str, talk: Console
) -> ResultAfterFixes:
    """Plan, show, ask, do, and show what came of it.

    Args:
        command: that does what is left; printed.

    Raises:
        Interrupted: the person did not agree, or stopped it; says what was done.
        Locked: another scan, or somebody else who fixes, is at it; nothing was done.
        RecordsError: what is done could not be written down, so nothing was.
    """
    with leaves_at_once(lambda: "interrupted; nothing was fixed"):
        planned = plan(wiring, result)
        _show_plan(planned, request, talk)
        if request.plan:
            return _planned(result, planned)
        if not planned.fixes:
            if request.json:
                show_report(fixes_document(planned, (), ""), talk)
            return ResultAfterFixes(_without(result, planned, ()), None, "nothing to fix")
        if not request.yes and not agreed(talk):
            raise Interrupted("nothing was fixed")
    callers = result.caller.split(", ") if result.caller else []
    with recorded(wiring, "fix", callers=callers, tell=talk.print) as run:
        with stops_safely(
            wiring.stop, resume=command, leaving=lambda: run.end("left"), first=FINISH_FIRST
        ):
            done = carry_out(wiring, planned, run.id)
        bad = any(not one.outcome.is_good for one in done)
        stopped = any(one.outcome is Outcome.NOT_BEGUN for one in done)
        run.end("stopped" if stopped else "failed" if bad else "done")
    _show_result(planned, done, run.id, request, talk)
    if stopped:
        raise Interrupted(f"stopped: {counts(done)}", hint=command)
    code = FleetError.exit_code if bad else None
    return ResultAfterFixes(_without(result, planned, done), code, f"fixed: {counts(done)}")


def _planned(result: ScanResult, planned: FixPlan) -> ResultAfterFixes:
    if not result.is_complete:
        return ResultAfterFixes(
            result, FleetError.exit_code, "exit 1 (partial): not everything could be read"
        )
    if planned.fixes:
        return ResultAfterFixes(
            result, CHANGES_PENDING, "exit 3: there is something to fix; nothing was done"
        )
    return ResultAfterFixes(result, 0, "exit 0: nothing to fix")


def _without(result: ScanResult, planned: FixPlan, done: Sequence[Fixed]) -> ScanResult:
    """Return the result without the findings that are gone now."""
    gone = {one.finding.key for one in planned.already}
    gone |= {one.fix.finding.key for one in done if one.outcome.is_good}
    kept = tuple(entry for entry in result.findings if entry.finding.key not in gone)
    return replace(result, findings=kept)


def _show_plan(planned: FixPlan, request: FixRequest, talk: Console) -> None:
    if request.json:
        if request.plan:
            show_report(fixes_document(planned, None, ""), talk)
        elif not request.yes:
            talk.print(plan_view(planned, talk.width))
    elif request.plan or request.yes:
        show_report(plan_view(planned, width()), talk)
    else:  # a question and what it is about go to one place
        talk.print(plan_view(planned, talk.width))


def _show_result(
    planned: FixPlan, done: Sequence[Fixed], run_id: str, request: FixRequest, talk: Console
) -> None:
    if request.json:
        show_report(fixes_document(planned, done, run_id), talk)
    else:
        show_report(result_view(done, run_id, width()), talk)
