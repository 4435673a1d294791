"""Advances a rollout in the foreground: ticks it, shows it, and stops at a safe point."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from fleet.cli.output import show_report, width
from fleet.errors import FleetError, Interrupted
from fleet.model.gate import GateAnswer
from fleet.model.overview import Overview
from fleet.model.rollout import RolloutEvent, VerbName
from fleet.model.spans import clock as clock_time
from fleet.rollout.controller import run_until_rest, to_go_on
from fleet.rollout.notifier import notifying
from fleet.rollout.overview import exit_code
from fleet.rollout.overview import overview as read_overview
from fleet.rollout.tick import open_tick_context
from fleet.rollout.view.documents import status_document
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.live import RolloutPicture
from fleet.rollout.view.notice import message_of
from fleet.rollout.view.summary import summary_view
from fleet.runtime.messages import senders_for
from fleet.runtime.run_record import RunRecord
from fleet.runtime.stopping import stops_safely
from fleet.runtime.wiring import Wiring

#: Outcome in the record of the run, by exit code.
_OUTCOMES = {0: "done", 1: "failed", 3: "awaiting promote", 4: "halted", 130: "stopped"}

#: Wall seconds between two reads of the records.
READ_EVERY_S = 1.0
#: Pause after a read, as a multiple of what it took: ticks in this process come first.
PAUSE_FACTOR = 4
#: Redraws a second; a resized terminal is soon right again.
REDRAWS = 4


def advance(
    wiring: Wiring,
    rollout_id: str,
    run: RunRecord,
    talk: Console,
    *,
    caller: str,
    as_json: bool = False,
    said: VerbName | None = None,
) -> int:
    """Tick a rollout until it ends, needs a person or is stopped; then print the summary.

    Returns:
        The exit code.

    Raises:
        Locked: another process ticks it.
        FleetError: an account cannot be worked with; the rollout can be resumed.
    """
    records, clock = wiring.records, wiring.clock
    before = read_overview(records, rollout_id, clock.now())
    gates: list[GateAnswer] = []
    with _shown(wiring, before, talk, gates) as (tell, give_back):
        what = f"fleet rollout {rollout_id}"

        def tell_all(event: RolloutEvent) -> None:
            tell(event)
            notify(event)

        with (
            notifying(wiring, senders_for(wiring), message_of, talk.print) as notify,
            open_tick_context(
                wiring,
                command=what,
                run_id=run.id,
                caller=caller,
                tell=tell_all,
                warn=talk.print,
            ) as context,
            stops_safely(
                wiring.stop,
                resume=f"fleet rollout status {rollout_id}",
                first="the tick that is under way ends first",
                leaving=lambda: _leave(run, give_back),
            ),
        ):
            rested = run_until_rest(context, rollout_id, wiring.stop)
    overview = read_overview(records, rollout_id, clock.now())
    code = Interrupted.exit_code if rested.stopped else exit_code(overview, said=said)
    run.end(_OUTCOMES.get(code, "failed"))
    told = bool(gates) and gates[-1] in {GateAnswer.HALT, GateAnswer.ASK} and _is_one_stream()
    summary = summary_view(overview, width(), gate_was_told=told)
    show_report(status_document(overview) if as_json else summary, talk)
    if rested.stopped:
        talk.print(f"stopped; resume with: {to_go_on(overview.rollout)}")
    return code


@contextmanager
def _shown(
    wiring: Wiring, overview: Overview, talk: Console, gates: list[GateAnswer]
) -> Iterator[tuple[Callable[[RolloutEvent], None], Callable[[], None]]]:
    """Yield what is called with every event, and what restores the screen.

    Args:
        gates: is given the answer of each gate that is printed as a line.
    """
    if not talk.is_terminal or talk.is_dumb_terminal:
        lines = EventLines(overview.rollout.spec)

        def tell(event: RolloutEvent) -> None:
            gates.extend([event.gate.answer] if event.gate is not None else [])
            talk.print(lines.view(event, talk.width))

        yield tell, lambda: None
        return

    def note() -> str:
        stopping = "stopping: the tick that is under way ends first"
        return stopping if wiring.stop.is_set() else "Ctrl-C stops at a safe point"

    def read() -> Overview:
        return read_overview(wiring.records, overview.rollout.id, wiring.clock.now())

    with Picture(talk, read, note) as picture:
        yield lambda _event: None, picture.close  # the picture reads the story from the records


def _is_one_stream() -> bool:
    """Return whether lines and summary go into the same pipe or file, as after ``2>&1``."""
    try:
        return os.path.sameopenfile(1, 2)
    except OSError:
        return False


def _leave(run: RunRecord, give_back: Callable[[], None]) -> None:
    run.end("left")
    give_back()


class Picture:
    """Shows a rollout on the whole screen while inside, and restores the screen afterwards.

    Args:
        read: reads the rollout as it is now; called in a thread of its own.
        note: gives the text of the last line.
    """

    def __init__(
        self, console: Console, read: Callable[[], Overview], note: Callable[[], str]
    ) -> None:
        self._read = read
        self._note = note
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._latest: Overview | None = None
        self._error = ""
        self._drawn: tuple[Overview, str, RolloutPicture] | None = None
        self._thread = threading.Thread(
            target=self._keep_reading, name="rollout screen", daemon=True
        )
        self._live = Live(
            console=console,
            screen=True,
            auto_refresh=True,
            refresh_per_second=REDRAWS,
            redirect_stdout=False,
            redirect_stderr=False,
            get_renderable=self._view,
        )

    def __enter__(self) -> Self:
        self._read_once()
        self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Restore the screen; may be called more than once."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._live.stop()

    def latest(self) -> Overview | None:
        """Return what was read last; None before anything could be read."""
        with self._lock:
            return self._latest

    def _keep_reading(self) -> None:
        took = 0.0
        while not self._closed.wait(max(READ_EVERY_S, PAUSE_FACTOR * took)):
            began = time.monotonic()
            self._read_once()
            took = time.monotonic() - began

    def _read_once(self) -> None:
        """Read once. If that fails, the last picture stays and says how old it is."""
        try:
            seen = self._read()
        except FleetError as error:
            with self._lock:
                since = f" since {clock_time(self._latest.at)}" if self._latest else ""
                self._error = f"NOT READ{since}: {error}"
            return
        with self._lock:
            self._latest, self._error = seen, ""

    def _view(self) -> RenderableType:
        with self._lock:
            overview, error = self._latest, self._error
        if overview is None:
            return Text(error or "reading")
        note = error or self._note()
        if self._drawn is None or self._drawn[0] is not overview or self._drawn[1] != note:
            self._drawn = (overview, note, RolloutPicture(overview, note))
        return self._drawn[2]
