"""The picture of a rollout on a terminal: looks at the records now and then, and redraws."""

import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from fleet.errors import FleetError
from fleet.model.overview import Overview
from fleet.model.spans import clock
from fleet.rollout.view.live import RolloutPicture

#: Wall seconds between two looks at the records.
LOOK_S = 1.0
#: Rest after a look, in times of what it took: whoever ticks in this process comes first.
REST = 4
#: Redraws a second, so that a resized terminal is soon whole again.
REDRAWS = 4


class Picture:
    """Shows a rollout on the whole screen while inside; the screen is given back as it was.

    Args:
        look: reads the rollout as it is now; called in a thread of the picture's own.
        note: words for the last line.
    """

    def __init__(
        self, console: Console, look: Callable[[], Overview], note: Callable[[], str]
    ) -> None:
        self._look = look
        self._note = note
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._latest: Overview | None = None
        self._error = ""
        self._drawn: tuple[Overview, str, RolloutPicture] | None = None
        self._thread = threading.Thread(target=self._keep_looking, name="picture", daemon=True)
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
        self._glance()
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
        """Give the screen back; more than once does no harm."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        self._live.stop()

    def latest(self) -> Overview | None:
        """What was seen last; None before anything could be read."""
        with self._lock:
            return self._latest

    def _keep_looking(self) -> None:
        took = 0.0
        while not self._closed.wait(max(LOOK_S, REST * took)):
            began = time.monotonic()
            self._glance()
            took = time.monotonic() - began

    def _glance(self) -> None:
        """Look once. What cannot be read now leaves the last picture, which says how old it is."""
        try:
            seen = self._look()
        except FleetError as error:
            with self._lock:
                since = f" since {clock(self._latest.at)}" if self._latest else ""
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
