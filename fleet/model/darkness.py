"""What a rollout knows of stores that go dark: its surveys of each store, and its running test."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from fleet.model.gate import Sample


class Presence(StrEnum):
    """How a store was found by its surveys.

    NEW: not surveyed yet. HERE: connected at the latest survey. AWAY: not connected at the latest
    one, for the first time. DARK: not connected at two in a row; it is out of the test until it is
    found connected again.
    """

    NEW = "new"
    HERE = "here"
    AWAY = "away"
    DARK = "dark"

    @property
    def is_at_risk(self) -> bool:
        """Return whether the store may still go dark."""
        return self in {Presence.HERE, Presence.AWAY}


@dataclass(frozen=True, slots=True)
class Survey:
    """What the surveys of one store have found since it is in its group, updated or untouched.

    Attributes:
        at: AWS's time of the latest one.
        looks: how many there were.
        counted: whether it went dark. An updated store counts once in a rollout.
    """

    at: datetime | None = None
    presence: Presence = Presence.NEW
    looks: int = 0
    counted: bool = False


@dataclass(frozen=True, slots=True)
class DarknessTest:
    """The running comparison of updated with untouched stores; part of a rollout's row.

    Attributes:
        log_ratios: by how many times as often updated stores may go dark: the logarithm of how
            much better that explains what was seen than chance does.
        updated_dark: updated stores that went dark, each once.
        others_dark: untouched stores that went dark, each once.
        others_of: untouched stores that were surveyed more than once.
        control: untouched stores that are comparable now.
        history: store-hours on record and stores that went dark in them, as they were when they
            were first needed; None before.
        outages: when history last counted a dark store, by carrier, link and time zone.
        holds: why nothing is sent for now; "" when it may be.
        held_since: since when that is so.
        next_at: when the stores that matter are surveyed next.
        hour: the hour of which ``hour_dark`` and ``hour_s`` are recorded as history.
        hour_dark: untouched stores that went dark in it.
        hour_s: seconds for which untouched stores were watched in it, all together.
    """

    log_ratios: tuple[float, ...] = ()
    updated_dark: int = 0
    others_dark: int = 0
    others_of: int = 0
    control: int = 0
    history: Sample | None = None
    outages: Mapping[str, datetime] = field(default_factory=dict)
    holds: str = ""
    held_since: datetime | None = None
    next_at: datetime | None = None
    hour: datetime | None = None
    hour_dark: int = 0
    hour_s: float = 0.0
