"""The progress of a register run, as lines or as a table that is redrawn in place."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fleet.model.progress import Event, HostEvent, HostLine, HostPhase, Note
from fleet.model.registration import StoreRegistration
from fleet.model.spans import clock, span
from fleet.register.view.checks import check_counts
from fleet.terminal.screen import table

COLUMNS = ("HOST", "CLASS", "PREFLIGHT", "STATE", "TIME", "DETAIL")


class PlainProgress:
    """Prints progress as lines, for pipes, logs and cron."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, event: Event) -> None:
        """Print an event; what hosts print goes to the log files only."""
        match event:
            case HostEvent():
                detail = f": {event.text}" if event.text else ""
                self._console.print(f"{clock(event.at)} {event.host_id} {event.phase}{detail}")
            case Note():
                self._console.print(f"{clock(event.at)} {event.text}")
            case HostLine():
                pass

    def close(self) -> None:
        """Do nothing; no table is open."""


class LiveProgress:
    """Shows progress as a table that is redrawn in place; notes scroll above it."""

    def __init__(self, console: Console, registrations: Sequence[StoreRegistration]) -> None:
        self._registrations = {
            host.host.id: host for store in registrations for host in store.hosts
        }
        self._several = len(registrations) > 1
        self._state: dict[str, HostEvent] = {}
        self._began: dict[str, datetime] = {}
        self._ended: dict[str, datetime] = {}
        self._latest: datetime | None = None
        self._console = console
        self._live = Live(
            console=console,
            auto_refresh=True,
            refresh_per_second=4,
            transient=True,
            get_renderable=self._view,
        )
        self._live.start()

    def __call__(self, event: Event) -> None:
        """Keep an event for the next redraw."""
        self._latest = event.at
        match event:
            case HostEvent():
                self._began.setdefault(event.host_id, event.at)
                self._state[event.host_id] = event
                if event.phase is HostPhase.DONE:
                    self._ended[event.host_id] = event.at
            case HostLine():
                pass
            case Note():
                self._console.print(Text(f"{clock(event.at)} {event.text}"))

    def close(self) -> None:
        """Remove the table from the screen; the summary follows in its place."""
        self._live.stop()

    def _view(self) -> RenderableType:
        hosts = list(self._registrations)
        whole = self._table(hosts)
        room = self._console.height - 1
        if self._lines(whole) <= room:
            return whole
        # A table higher than the screen cannot be redrawn in place: show only hosts at work.
        moving = [h for h in hosts if h in self._state and h not in self._ended]
        count = Text(
            f"{len(hosts)} hosts: {len(self._ended)} done, {len(moving)} at work, "
            f"{len(hosts) - len(self._ended) - len(moving)} waiting"
        )
        while moving and self._lines(self._table(moving)) >= room:
            moving.pop()
        return Group(self._table(moving), count) if moving else count

    def _lines(self, view: RenderableType) -> int:
        return len(self._console.render_lines(view, pad=False))

    def _table(self, hosts: Sequence[str]) -> RenderableType:
        return table(COLUMNS, [self._row(h) for h in hosts], width=self._console.width)

    def _row(self, host_id: str) -> tuple[str, ...]:
        registration = self._registrations[host_id]
        event = self._state.get(host_id)
        began = self._began.get(host_id)
        until = self._ended.get(host_id, self._latest)
        seconds = (until - began).total_seconds() if began and until else 0.0
        return (
            host_id if self._several else registration.host.name,
            str(registration.classification.host_class),
            check_counts(registration.checks),
            str(event.phase) if event else "waiting",
            span(seconds),
            event.text if event else "",
        )
