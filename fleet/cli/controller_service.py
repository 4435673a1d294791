"""The controller from its words to its exit code. Imported when it runs, never for help."""

import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TextIO, cast

from rich.console import Console

from fleet.cli.rollout_crew import crew, fleet_callers
from fleet.errors import FleetError
from fleet.model.rollout import RolloutEvent
from fleet.model.spans import clock
from fleet.rollout.controller import run_controller
from fleet.rollout.view.lines import EventLines
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import stops_safely
from fleet.runtime.wiring import Wiring, open_wiring
from fleet.terminal.screen import console_for
from fleet.terminal.streams import Talk


def serve(inventory: Path, *, once: bool) -> int:
    """Tick until a signal comes, or once.

    Raises:
        CredentialsError: no account of the fleet can be worked with.
    """
    talk = console_for(cast("TextIO", Talk(sys.stderr)))
    wiring = open_wiring(inventory, listen=lambda _event: None, stop=threading.Event())
    arns = fleet_callers(wiring, tell=talk.print)
    story = _Story(wiring, talk)
    with (
        recorded(wiring, "controller", callers=arns, tell=talk.print) as run,
        crew(
            wiring,
            what="fleet controller",
            run_id=run.id,
            caller=", ".join(sorted(set(arns))),
            tell=story.tell,
            warn=story.warn,
        ) as mates,
        stops_safely(
            wiring.stop,
            resume="fleet controller",
            first="the tick that is under way ends first",
            leaving=lambda: run.end("left"),
        ),
    ):
        story.warn(f"{mates.owner} begins")
        run_controller(mates, wiring.stop, once=once)
        story.warn(f"{mates.owner} ends")
        run.end("done")
    return 0


class _Story:
    """Prints the lines of every rollout, each behind its id. Never raises."""

    def __init__(self, wiring: Wiring, talk: Console) -> None:
        self._wiring = wiring
        self._talk = talk
        self._lines: dict[str, EventLines] = {}

    def tell(self, event: RolloutEvent) -> None:
        """One line of a rollout's story."""
        if event.rollout not in self._lines:
            with suppress(FleetError):
                spec = self._wiring.records.rollouts.load(event.rollout).spec
                self._lines[event.rollout] = EventLines(spec)
        lines = self._lines.get(event.rollout)
        text = lines.line(event) if lines else f"{clock(event.at)} {event.store} {event.text}"
        self._talk.print(f"{event.rollout} {text}")

    def warn(self, text: str) -> None:
        """One line of the controller's own."""
        self._talk.print(f"{clock(self._wiring.clock.now())} {text}")
