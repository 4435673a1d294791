"""A night from its words to its exit code. Imported when it runs, never for help."""

import os
import secrets
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console

from fleet.cli.fixing import FixAsked, check_words, fix_night
from fleet.cli.options import ReportFormat, seconds_of
from fleet.cli.output import notes_to
from fleet.drift.decide.catalogue import CATALOGUE
from fleet.drift.report_folder import ReportFolder, folder_words
from fleet.drift.scan import ScanRequest, scan
from fleet.drift.view.drift import night_view
from fleet.drift.view.drift_document import document_text
from fleet.drift.view.drift_lines import is_complete
from fleet.drift.view.drift_markdown import night_markdown
from fleet.errors import FleetError, UsageError
from fleet.inventory.decide.ignore_rules import problems_of
from fleet.inventory.decide.selection import Choice, describe, stores_to_show
from fleet.model.drift_settings import Severity
from fleet.model.night import Night
from fleet.model.printable import many
from fleet.model.rates import call_share
from fleet.model.spans import span
from fleet.runtime.stopping import leaves_at_once, stops_safely
from fleet.runtime.wiring import Wiring, command_line, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk, let_go

#: Exit code of a night with findings that matter.
FOUND = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """The words of the command, as its options explain them."""

    choice: Choice
    inventory: Path
    digests: bool = False
    deep: bool = False
    report: Path | None = None
    form: ReportFormat = ReportFormat.TABLE
    fail_on: Severity | None = None
    notify: bool = False
    jitter: str = ""
    fix: FixAsked | None = None


def run_drift(asked: Asked) -> int:
    """``fleet drift``; returns the exit code.

    Raises:
        UsageError: a word means nothing; nothing was read.
        Locked: another scan is under way.
        Interrupted: somebody ended it before anything was recorded.
    """
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(asked.inventory, listen=notes_to(talk))
    request = _request(wiring, asked)
    longest = seconds_of(asked.jitter) if asked.jitter else 0.0
    _check(wiring, asked)
    for problem in problems_of(wiring.fleet.ignores, CATALOGUE, wiring.clock.now()):
        # A rule that is about nothing hides nothing: no reason to go a night without a report.
        talk.print(f"note: {problem}")
    aside = _Aside(wiring, asked, talk)
    with leaves_at_once(lambda: "interrupted; nothing was read"):
        aside.probe()
        _wait(wiring, longest, asked.jitter, talk)
    again = " ".join(filter(None, ("fleet drift", describe(asked.choice))))
    with stops_safely(wiring.stop, resume=again, first="what is being read is let go"):
        night = scan(wiring, request)
    with leaves_at_once(lambda: "interrupted; the scan is recorded, and `fleet hosts` shows it"):
        told = Rendered(night, wiring.clock.now())
        # What is to be fixed is a document of its own.
        in_fixes = asked.fix is not None and asked.form is ReportFormat.JSON
        gone = not in_fixes and _shown(told, asked.form)
        page = aside.write(told)
        aside.tell(told)
    code = _ended(wiring, night, asked, aside.problems, talk)
    if page is not None:
        # Where stdout holds a document, the path is no part of it.
        out = talk if asked.form is not ReportFormat.TABLE or gone else console_for(sys.stdout)
        out.print(str(page), soft_wrap=True)
    if gone:
        raise BrokenPipeError
    return code


def _check(wiring: Wiring, asked: Asked) -> None:
    """Refuse, before anything is read, words that cannot be followed."""
    if asked.notify and not wiring.fleet.channels:
        raise UsageError(
            "--notify, but the inventory names nobody to tell",
            hint="write down channels in fleet.yaml under notify:",
        )
    if asked.fix is not None:
        if asked.form not in {ReportFormat.TABLE, ReportFormat.JSON}:
            raise UsageError(
                f"--fix prints a table or JSON, and not {asked.form.value}",
                hint="--report DIR writes the night in every form",
            )
        check_words(asked.fix)


def _ended(
    wiring: Wiring, night: Night, asked: Asked, problems: Sequence[str], talk: Console
) -> int:
    """Fix, where that was asked for; then say how the command ends. Returns the exit code."""
    least = asked.fail_on or wiring.fleet.drift.fail_on
    if asked.fix is None:
        code = exit_code(night, least, problems)
        talk.print(ending_words(night, code, least, problems))
        return code
    again = " ".join(filter(None, ("fleet drift --fix", describe(asked.choice))))
    mended = fix_night(wiring, night, asked.fix, again, talk)
    talk.print(mended.words)
    if mended.code is not None:
        for problem in problems:
            talk.print(problem)
        return FleetError.exit_code if problems else mended.code
    code = exit_code(mended.night, least, problems)
    talk.print(ending_words(mended.night, code, least, problems))
    return code


def exit_code(night: Night, fail_on: Severity, problems: Iterable[str]) -> int:
    """1 when something is not known, recorded or told, 3 when something was found, else 0."""
    if any(problems) or not night.recorded or not is_complete(night):
        return FleetError.exit_code
    return FOUND if _heavy(night, fail_on) else 0


def ending_words(night: Night, code: int, fail_on: Severity, problems: Iterable[str]) -> str:
    """Why the command ends as it does, in one line."""
    if code == FOUND:
        words = many(_heavy(night, fail_on), "finding")
        return f"exit 3: {words} of severity {fail_on.value} or more"
    if code == 0:
        below = f", {many(len(night.findings), 'finding')} below {fail_on.value}"
        verified = f"exit 0: verified {night.totals.verified:,} of {night.totals.open:,}"
        return verified + (below if night.findings else "")
    why = [] if is_complete(night) else ["not everything could be read"]
    why += [] if night.recorded else ["the records could not be used"]
    return f"exit 1 (partial): {'; '.join([*why, *problems])}"


def _heavy(night: Night, least: Severity) -> int:
    """Open findings that matter; one that nobody could look at again is as open as it was."""
    return sum(told.finding.severity.rank >= least.rank for told in night.findings)


def _request(wiring: Wiring, asked: Asked) -> ScanRequest:
    choice = asked.choice
    stores = stores_to_show(wiring.fleet, choice)
    whole = len(stores) == len(wiring.fleet.stores)
    return ScanRequest(
        stores=stores,
        # However the whole fleet was chosen, it is the same scope in another night.
        selection="" if whole else describe(choice),
        digests=asked.digests,
        deep=asked.deep,
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
    """A night in every form; the page is made once, when it is wanted: it takes its time."""

    def __init__(self, night: Night, now: datetime) -> None:
        self.night = night
        self.now = now
        self._page = ""

    def page(self) -> str:
        """The HTML page."""
        if not self._page:
            from fleet.drift.view.page.document import page_of

            self._page = page_of(self.night, self.now)
        return self._page

    def pieces(self, form: ReportFormat) -> Iterable[str]:
        """The text of a form but the table, in pieces."""
        match form:
            case ReportFormat.JSON:
                return document_text(self.night)
            case ReportFormat.MARKDOWN:
                return (night_markdown(self.night, self.now),)
            case _:
                return (self.page(),)


class _Aside:
    """What is done beside showing the night: reports and messages, and what went wrong there."""

    def __init__(self, wiring: Wiring, asked: Asked, talk: Console) -> None:
        self.problems: list[str] = []
        self._wiring = wiring
        self._notify = asked.notify
        self._folder = ReportFolder(asked.report) if asked.report is not None else None
        self._talk = talk

    def probe(self) -> None:
        """Say before the scan that a report could not be written after it."""
        problem = self._folder.problem() if self._folder is not None else ""
        if problem:
            self._talk.print(f"{problem}; the scan goes on, and its results go to stdout")

    def write(self, told: Rendered) -> Path | None:
        """Write the report, where one is wanted; returns the path of its page."""
        folder = self._folder
        if folder is None:
            return None
        told.page()  # before any file is opened: what goes wrong there is not the folder's fault
        parts = {form.value: partial(told.pieces, form) for form in ReportFormat}
        try:
            page = folder.write(told.night.scan.started_at, parts)
        except OSError as error:
            self.problems.append(folder_words(error, folder.path))
            return None
        folder.prune(told.now - timedelta(days=self._wiring.fleet.drift.keep_days))
        return page

    def tell(self, told: Rendered) -> None:
        """Tell the channels, where that is wanted."""
        if not self._notify:
            return
        from fleet.drift.senders import senders_for
        from fleet.drift.telling import tell
        from fleet.drift.view.drift_mail import message_of

        problems = tell(
            self._wiring,
            told.night,
            lambda night, least: message_of(night, told.now, least),
            told.page().encode(),
            senders_for(self._wiring),
        )
        self.problems += problems


def _shown(told: Rendered, form: ReportFormat) -> bool:
    """Print the night; True when nobody reads it any more, which must not stop the reports."""
    try:
        if form is ReportFormat.TABLE:
            console = console_for(sys.stdout)
            console.print(night_view(told.night, told.now, console.width))
        else:
            sys.stdout.writelines(told.pieces(form))
        sys.stdout.flush()
    except BrokenPipeError:
        let_go(sys.stdout)
        return True
    return False
