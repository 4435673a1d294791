"""Passes the events of a run to the screen and to its log files."""

import threading
from collections.abc import Callable
from pathlib import Path

from fleet.model.progress import Event, HostEvent, HostLine, Note
from fleet.model.spans import clock


class Observers:
    """Passes every event to the screen and, once the run has an id, to its log folder.

    Thread-safe. Never raises: the run continues when the terminal is gone, and without a log when
    the folder cannot be written, which is shown once.
    """

    def __init__(self, show: Callable[[Event], None]) -> None:
        self._show = show
        self._folder: Path | None = None
        self._lock = threading.Lock()

    def __call__(self, event: Event) -> None:
        """Show one event and write it to the log."""
        with self._lock:
            self._tell(event)
            if self._folder is not None:
                self._keep(self._folder, event)

    def show_with(self, show: Callable[[Event], None]) -> None:
        """Replace the function that shows events."""
        with self._lock:
            self._show = show

    def log_to(self, folder: Path) -> None:
        """Start to write events to this folder, one file per host."""
        with self._lock:
            self._folder = folder

    def _tell(self, event: Event) -> None:
        try:
            self._show(event)
        except (OSError, ValueError):  # ValueError is what a closed file object raises
            self._show = _nobody

    def _keep(self, folder: Path, event: Event) -> None:
        match event:
            case HostEvent(host_id=host_id):
                name, text = host_id, f"{event.phase} {event.text}".rstrip()
            case HostLine(host_id=host_id):
                name, text = host_id, f"| {event.text}"
            case Note():
                name, text = "run", event.text
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with (folder / f"{name.replace('/', '-')}.log").open("a", encoding="utf-8") as log:
                log.write(f"{clock(event.at)} {text}\n")
        except OSError as error:
            self._folder = None
            self._tell(Note(event.at, f"no log is kept: {folder}: {error.strerror}"))


def _nobody(_event: Event) -> None:
    pass
