"""``fleet controller``: advances every active rollout, as a service."""

import threading
from contextlib import suppress
from typing import Annotated

import typer
from rich.console import Console

from fleet.cli.options import DEFAULT_INVENTORY, InventoryOption
from fleet.cli.output import ignore_events, talk_console
from fleet.errors import FleetError
from fleet.model.rollout import RolloutEvent
from fleet.model.spans import clock
from fleet.rollout.controller import run_controller
from fleet.rollout.notifier import notifying
from fleet.rollout.tick import open_tick_context
from fleet.rollout.view.lines import EventLines
from fleet.rollout.view.notice import message_of
from fleet.runtime.callers import fleet_callers
from fleet.runtime.messages import senders_for
from fleet.runtime.run_record import recorded
from fleet.runtime.stopping import stops_safely
from fleet.runtime.wiring import Wiring, open_wiring


def controller(
    once: Annotated[
        bool, typer.Option("--once", help="One tick of each, for cron, instead of a service.")
    ] = False,
    inventory: InventoryOption = DEFAULT_INVENTORY,
) -> None:
    """Advance every active rollout, as a service.

    Also sends the release to stores that are back and owe it. Prints plain lines to stderr, for
    systemd. Ends with 0 on SIGTERM, once the tick in progress has ended. Several controllers may
    run: one advances the rollouts, and another takes over when it is lost.
    """
    talk = talk_console()
    wiring = open_wiring(inventory, listen=ignore_events, stop=threading.Event())
    arns = fleet_callers(wiring, tell=talk.print)
    story = _Story(wiring, talk)

    def tell(event: RolloutEvent) -> None:
        story.tell(event)
        notify(event)

    with (
        notifying(wiring, senders_for(wiring), message_of, story.warn) as notify,
        recorded(wiring, "controller", callers=arns, tell=talk.print) as run,
        open_tick_context(
            wiring,
            command="fleet controller",
            run_id=run.id,
            caller=", ".join(sorted(set(arns))),
            tell=tell,
            warn=story.warn,
        ) as context,
        stops_safely(
            wiring.stop,
            resume="fleet controller",
            first="the tick that is under way ends first",
            leaving=lambda: run.end("left"),
        ),
    ):
        story.warn(f"{context.owner} begins")
        run_controller(context, wiring.stop, once=once)
        story.warn(f"{context.owner} ends")
        run.end("done")


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
