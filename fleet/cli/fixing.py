"""``fleet drift --fix``: from the findings of a night to its exit code."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import typer
from rich.console import Console

from fleet.drift.fixing import carry_out, plan
from fleet.drift.view.drift_lines import is_complete
from fleet.drift.view.fixes import counts, fixes_document, plan_view, result_view
from fleet.errors import FleetError, Interrupted, UsageError
from fleet.model.fixing import Fixed, FixPlan, Outcome
from fleet.model.night import Night
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import leaves_at_once, stops_safely
from fleet.runtime.wiring import Wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import let_go

#: Exit code of a plan that would change something.
CHANGES_PENDING = 3
#: What the first Ctrl-C waits for.
FIRST = "fixes that have begun are ended, and no other is begun"


@dataclass(frozen=True, slots=True)
class FixAsked:
    """The words of the command that are about fixing.

    Attributes:
        plan: only show what would be done.
        yes: do not ask.
        json: print one document instead of tables.
    """

    plan: bool = False
    yes: bool = False
    json: bool = False


@dataclass(frozen=True, slots=True)
class Mended:
    """A night after its fixes.

    Attributes:
        night: without the findings that are gone now.
        code: exit code where it is decided; None where that of the night holds.
        words: how it ended.
    """

    night: Night
    code: int | None
    words: str


def check_words(asked: FixAsked) -> None:
    """Refuse, before anything is read, what would end in a question that nobody hears.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not asked.plan and not asked.yes and not sys.stdin.isatty():
        raise UsageError(
            "--fix changes things at AWS, and there is no terminal to ask on",
            hint="add --yes, or --plan to see what it would do",
        )


def fix_night(wiring: Wiring, night: Night, asked: FixAsked, again: str, talk: Console) -> Mended:
    """Plan, show, ask, do, and show what came of it.

    Args:
        again: the command that does what is left.

    Raises:
        Interrupted: the person did not agree, or stopped it; says what was done.
        Locked: another scan, or somebody else who fixes, is at it; nothing was done.
        RecordsError: what is done could not be written down, so nothing was.
    """
    with leaves_at_once(lambda: "interrupted; nothing was fixed"):
        planned = plan(wiring, night)
        _show_plan(planned, asked, talk)
        if asked.plan:
            return _planned(night, planned)
        if not planned.fixes:
            _show(lambda: _print_json(planned, (), ""), wanted=asked.json, talk=talk)
            return Mended(_without(night, planned, ()), None, "nothing to fix")
        if not asked.yes and not _agreed(talk):
            raise Interrupted("nothing was fixed")
    callers = night.caller.split(", ") if night.caller else []
    with recorded(wiring, "fix", callers=callers, tell=talk.print) as run:
        with stops_safely(wiring.stop, resume=again, leaving=lambda: run.end("left"), first=FIRST):
            done = carry_out(wiring, planned, run.id)
        bad = any(not one.outcome.is_good for one in done)
        stopped = any(one.outcome is Outcome.NOT_BEGUN for one in done)
        run.end("stopped" if stopped else "failed" if bad else "done")
    _show_result(planned, done, run.id, asked, talk)
    if stopped:
        raise Interrupted(f"stopped: {counts(done)}", hint=again)
    code = FleetError.exit_code if bad else None
    return Mended(_without(night, planned, done), code, f"fixed: {counts(done)}")


def _planned(night: Night, planned: FixPlan) -> Mended:
    if not is_complete(night):
        return Mended(night, FleetError.exit_code, "exit 1 (partial): not everything could be read")
    if planned.fixes:
        return Mended(night, CHANGES_PENDING, "exit 3: there is something to fix; nothing was done")
    return Mended(night, 0, "exit 0: nothing to fix")


def _agreed(talk: Console) -> bool:
    try:
        return typer.confirm("Go on?", err=True)
    except typer.Abort:  # Ctrl-D, which leaves the cursor behind the question
        talk.print()
        return False


def _without(night: Night, planned: FixPlan, done: Sequence[Fixed]) -> Night:
    """The night without what is gone now."""
    gone = {one.finding.key for one in planned.already}
    gone |= {one.fix.finding.key for one in done if one.outcome.is_good}
    kept = tuple(told for told in night.findings if told.finding.key not in gone)
    return replace(night, findings=kept)


def _show_plan(planned: FixPlan, asked: FixAsked, talk: Console) -> None:
    if asked.json:
        _show(lambda: _print_json(planned, None, ""), wanted=asked.plan, talk=talk)
        if not asked.plan and not asked.yes:
            talk.print(plan_view(planned, talk.width))
        return
    # A question and what it is about go to one place.
    console = console_for(sys.stdout) if asked.plan or asked.yes else talk
    _show(lambda: console.print(plan_view(planned, console.width)), wanted=True, talk=talk)


def _show_result(
    planned: FixPlan, done: Sequence[Fixed], run_id: str, asked: FixAsked, talk: Console
) -> None:
    def tables() -> None:
        console = console_for(sys.stdout)
        console.print(result_view(done, run_id, console.width))

    _show(lambda: _print_json(planned, done, run_id), wanted=asked.json, talk=talk)
    _show(tables, wanted=not asked.json, talk=talk)


def _print_json(planned: FixPlan, done: Sequence[Fixed] | None, run_id: str) -> None:
    typer.echo(json.dumps(fixes_document(planned, done, run_id), indent=2))


def _show(what: Callable[[], None], *, wanted: bool, talk: Console) -> None:
    """Print it; whether anybody takes it does not change what is done."""
    if not wanted:
        return
    try:
        what()
    except BrokenPipeError:
        let_go(sys.stdout)
    except OSError as error:
        let_go(sys.stdout)
        talk.print(f"the result could not be written: {error.strerror}")
