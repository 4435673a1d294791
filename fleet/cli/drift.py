"""``fleet drift``: the nightly scan; reads, compares, reports, notifies, and fixes on request."""

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet.cli.drift_fix import FixRequest, check_can_ask, fix_findings
from fleet.cli.options import (
    DEFAULT_INVENTORY,
    AllOption,
    DeepOption,
    DigestsOption,
    FailOnOption,
    InventoryOption,
    JsonOption,
    ReportFormat,
    RingOption,
    StoresArgument,
    WhereOption,
    YesOption,
    choice_of,
    seconds_of,
)
from fleet.cli.output import notes_to, talk_console
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.decide.scan_ending import ending_of
from fleet.drift.notifications import notify_channels
from fleet.drift.report_folder import ReportFolder, folder_words
from fleet.drift.scan import ScanRequest, scan
from fleet.drift.view.page.document import page_of
from fleet.drift.view.report import report_of
from fleet.drift.view.report_json import report_json
from fleet.drift.view.report_mail import message_of
from fleet.drift.view.report_markdown import report_markdown
from fleet.drift.view.report_terminal import report_view
from fleet.errors import FleetError, UsageError
from fleet.inventory.decide.checks import check_channels
from fleet.inventory.decide.ignore_rules import problems_of
from fleet.inventory.decide.selection import Choice, describe, stores_to_show
from fleet.model.drift_settings import Severity
from fleet.model.rates import call_share
from fleet.model.scan_result import ScanResult
from fleet.model.spans import span
from fleet.runtime.messages import senders_for
from fleet.runtime.stopping import leaves_at_once, stops_safely
from fleet.runtime.wiring import Wiring, command_line, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import let_go


@dataclass(frozen=True, slots=True)
class DriftRequest:
    """What ``fleet drift`` is asked for; ``fix`` is None unless it is to fix something."""

    choice: Choice
    inventory: Path
    digests: bool = False
    deep: bool = False
    report: Path | None = None
    form: ReportFormat = ReportFormat.TABLE
    fail_on: Severity | None = None
    notify: bool = False
    jitter: str = ""
    fix: FixRequest | None = None


def drift(
    stores: StoresArgument = None,
    where: WhereOption = None,
    ring: RingOption = None,
    every: AllOption = False,
    digests: DigestsOption = False,
    deep: DeepOption = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="DIR",
            help="Write drift-DATE and latest there, as .html, .md and .json.",
            show_default=False,
        ),
    ] = None,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="What goes to stdout.")
    ] = ReportFormat.TABLE,
    json: JsonOption = False,
    fail_on: FailOnOption = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Notify the channels under notify: in fleet.yaml.")
    ] = False,
    jitter: Annotated[
        str,
        typer.Option(
            "--jitter",
            metavar="TIME",
            help="Start after a random delay of at most this long, as 10m.",
            show_default=False,
        ),
    ] = "",
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Also fix what is safe: show the plan, ask, fix, audit."),
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="With --fix: only show what would be fixed.")
    ] = False,
    yes: YesOption = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Compare the inventory with ECS and SSM, and report differences.

    Says what differs, since when, and what to do. Scans the whole fleet when no store is chosen.
    What could not be read comes first, and nothing is called healthy or resolved for lack of data.
    Reports of the same folder are kept as long as fleet.yaml's drift.keep_days says.

    --fix deregisters leftovers of connected hosts, corrects fleet's own attributes and tags, and
    deletes its old activations. It touches only what is provably this fleet's, reads each thing
    again right before, and deregisters at most 50 in a run. It starts and stops no task and changes
    no service; what it leaves alone is listed with the reason. With --json it prints the plan and
    the results of the fixes instead of the scan. --fix --plan ends with 3 when there is something
    to fix, else with 0.

    Exit codes: 0 everything was read and no finding is at or above --fail-on; 3 a finding is; 1
    something could not be read, written or sent (a partial result; wins over 3); 2 wrong usage or
    configuration; 5 another scan is running; 130 interrupted.
    """
    if (plan or yes) and not fix:
        raise UsageError("--plan and --yes are about fixing", hint="add --fix")
    form = ReportFormat.JSON if json else form
    request = DriftRequest(
        choice=choice_of(stores, where, ring, every),
        digests=digests,
        deep=deep,
        report=report,
        form=form,
        fail_on=fail_on,
        notify=notify,
        jitter=jitter,
        fix=FixRequest(plan=plan, yes=yes, json=form is ReportFormat.JSON) if fix else None,
        inventory=inventory,
    )
    raise typer.Exit(run_drift(request))


def run_drift(request: DriftRequest) -> int:
    """Scan, show, report, notify and fix; returns the exit code.

    Raises:
        UsageError: an option is wrong; nothing was read.
        Locked: another scan is running.
        Interrupted: somebody ended it before anything was recorded.
    """
    talk = talk_console()
    wiring = open_wiring(request.inventory, listen=notes_to(talk))
    scan_request = _scan_request(wiring, request)
    longest = seconds_of(request.jitter) if request.jitter else 0.0
    _check(wiring, request)
    for problem in problems_of(wiring.fleet.ignores, CATALOGUE, wiring.clock.now()):
        # A rule that ignores nothing hides nothing: no reason to go without a report.
        talk.print(f"note: {problem}")
    reports = _Reports(wiring, request, talk)
    with leaves_at_once(lambda: "interrupted; nothing was read"):
        reports.check_folder()
        _wait(wiring, longest, request.jitter, talk)
    resume = " ".join(filter(None, ("fleet drift", describe(request.choice))))
    with stops_safely(wiring.stop, resume=resume, first="what is being read is let go"):
        result = scan(wiring, scan_request)
    with leaves_at_once(lambda: "interrupted; the scan is recorded, and `fleet hosts` shows it"):
        rendered = Rendered(result, wiring.clock.now())
        # With --fix --json, the fixes are the document that goes to stdout.
        shown = request.fix is None or request.form is not ReportFormat.JSON
        gone = shown and not _show(rendered, request.form)
        page = reports.write(rendered)
        reports.notify(rendered)
    code = _end(wiring, result, request, reports.problems, talk)
    if page is not None:
        # Where stdout holds a document, the path is no part of it.
        table = request.form is ReportFormat.TABLE and not gone
        (console_for(sys.stdout) if table else talk).print(str(page), soft_wrap=True)
    if gone:
        raise BrokenPipeError
    return code


def _check(wiring: Wiring, request: DriftRequest) -> None:
    """Refuse, before anything is read, a request that cannot be followed."""
    if request.notify:
        check_channels(wiring.fleet)
    if request.fix is not None:
        if request.form not in {ReportFormat.TABLE, ReportFormat.JSON}:
            raise UsageError(
                f"--fix prints a table or JSON, and not {request.form.value}",
                hint="--report DIR writes the report in every form",
            )
        check_can_ask(request.fix)


def _end(
    wiring: Wiring,
    result: ScanResult,
    request: DriftRequest,
    problems: Sequence[str],
    talk: Console,
) -> int:
    """Fix, where that was asked for; say how the command ends; return the exit code."""
    fail_on = request.fail_on or wiring.fleet.drift.fail_on
    if request.fix is not None:
        command = " ".join(filter(None, ("fleet drift --fix", describe(request.choice))))
        after = fix_findings(wiring, result, request.fix, command, talk)
        talk.print(after.words)
        if after.code is not None:
            for problem in problems:
                talk.print(problem)
            return FleetError.exit_code if problems else after.code
        result = after.result
    ending = ending_of(result, fail_on, problems)
    talk.print(ending.words)
    return ending.code


def _scan_request(wiring: Wiring, request: DriftRequest) -> ScanRequest:
    choice = request.choice
    stores = stores_to_show(wiring.fleet, choice)
    whole = len(stores) == len(wiring.fleet.stores)
    return ScanRequest(
        stores=stores,
        # However the whole fleet was chosen, it is the same scope in another night.
        selection="" if whole else describe(choice),
        digests=request.digests,
        deep=request.deep,
        share=call_share(os.environ.get("FLEET_CALL_SHARE")),
        whole=whole,
        command=command_line(),
    )


def _wait(wiring: Wiring, longest: float, typed: str, talk: Console) -> None:
    if longest > 0:
        wait = secrets.SystemRandom().uniform(0, longest)
        talk.print(f"begins in {span(wait)} (--jitter {typed})")
        wiring.clock.sleep(wait)


class Rendered:
    """A report in every form. The page is made once, when it is wanted, because it takes time."""

    def __init__(self, result: ScanResult, now: datetime) -> None:
        self.report = report_of(result, now)

    @cached_property
    def page(self) -> str:
        """The HTML page."""
        return page_of(self.report)

    def pieces(self, form: ReportFormat) -> Iterable[str]:
        """Return the text of any form but the table, in pieces."""
        match form:
            case ReportFormat.JSON:
                return report_json(self.report)
            case ReportFormat.MARKDOWN:
                return (report_markdown(self.report),)
            case _:
                return (self.page,)


class _Reports:
    """Writes the report folder and notifies the channels.

    Attributes:
        problems: what could not be written or sent.
    """

    def __init__(self, wiring: Wiring, request: DriftRequest, talk: Console) -> None:
        self.problems: list[str] = []
        self._wiring = wiring
        self._notify = request.notify
        self._folder = ReportFolder(request.report) if request.report is not None else None
        self._talk = talk

    def check_folder(self) -> None:
        """Say before the scan that a report could not be written after it."""
        problem = self._folder.problem() if self._folder is not None else ""
        if problem:
            self._talk.print(f"{problem}; the scan goes on, and its results go to stdout")

    def write(self, rendered: Rendered) -> Path | None:
        """Write the report, where one is wanted; returns the path of its page."""
        folder = self._folder
        if folder is None:
            return None
        _ = rendered.page  # made before a file is opened: its errors are not the folder's
        parts = {form.value: partial(rendered.pieces, form) for form in ReportFormat}
        try:
            page = folder.write(rendered.report.result.scan.started_at, parts)
        except OSError as error:
            self.problems.append(folder_words(error, folder.path))
            return None
        folder.prune(rendered.report.now - timedelta(days=self._wiring.fleet.drift.keep_days))
        return page

    def notify(self, rendered: Rendered) -> None:
        """Notify the channels, where that is wanted."""
        if self._notify:
            self.problems += notify_channels(
                self._wiring,
                rendered.report.result,
                partial(message_of, rendered.report),
                rendered.page.encode(),
                senders_for(self._wiring),
            )


def _show(rendered: Rendered, form: ReportFormat) -> bool:
    """Print the report; return whether it was read. A closed pipe must not stop the files."""
    try:
        if form is ReportFormat.TABLE:
            console = console_for(sys.stdout)
            console.print(report_view(rendered.report, console.width))
        else:
            sys.stdout.writelines(rendered.pieces(form))
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)
        return False
    return True
