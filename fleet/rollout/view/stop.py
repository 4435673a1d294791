"""Draws the stop of all sends, which is shown on every screen until it is lifted."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from fleet.model.spans import age, stamp
from fleet.model.stop import Stop

#: What a stop does not keep anybody from.
_ALLOWED = "stores may still be set back: fleet rollout rollback ID"
#: The command that ends it.
LIFT = "fleet start"


def stop_line(stop: Stop, now: datetime) -> str:
    """Return the whole truth in one line, for screens and logs."""
    words = stop.words.replace("all sending is stopped", "ALL SENDING IS STOPPED", 1)
    return f"{words} ({age(stop.at, now)}) · {_ALLOWED} · lift it: {LIFT}"


def stop_view(stop: Stop | None, now: datetime) -> list[RenderableType]:
    """Draw the line of a stop that is in force; nothing without one."""
    return [Text(stop_line(stop, now), style="bold red")] if stop and stop.is_in_force else []


def stop_document(stop: Stop | None) -> Mapping[str, Any] | None:
    """Return a stop that is in force as plain values; None without one."""
    if stop is None or not stop.is_in_force:
        return None
    return {"at": stamp(stop.at), "by": stop.by, "why": stop.why}
