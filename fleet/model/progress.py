"""Events that a run reports while it goes on."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class HostPhase(StrEnum):
    """The phases of a host in a register run, in order."""

    FACTS = "reading facts"
    ACTIVATING = "activating"
    INSTALLING = "installing"
    VERIFYING = "verifying"
    REPAIRING = "repairing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class HostEvent:
    """A host that entered a phase.

    Attributes:
        at: by the run's clock.
        host_id: as ``store-042/cam-1``.
        text: one printable line with the detail; may be "".
    """

    at: datetime
    host_id: str
    phase: HostPhase
    text: str = ""


@dataclass(frozen=True, slots=True)
class HostLine:
    """A line that a host printed while something ran on it; printable and without secrets."""

    at: datetime
    host_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A message about no single host, as that a new host key was accepted."""

    at: datetime
    text: str


Event = HostEvent | HostLine | Note
