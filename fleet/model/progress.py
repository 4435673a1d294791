"""What a run tells while it goes on, and what it ended with."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.inventory import Store
from fleet.model.onboarding import HostPlan


class Phase(StrEnum):
    """Where a host is in a run; the order is the order they come in."""

    WAITING = "waiting"
    FACTS = "reading facts"
    PLANNED = "planned"
    ACTIVATING = "activating"
    INSTALLING = "installing"
    VERIFYING = "verifying"
    REPAIRING = "repairing"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class HostEvent:
    """A host moved on.

    Attributes:
        at: of the run's clock.
        host_id: as in ``store-042/cam-1``.
        phase: where it is now.
        text: one printable line with the detail; may be "".
    """

    at: datetime
    host_id: str
    phase: Phase
    text: str = ""


@dataclass(frozen=True, slots=True)
class HostLine:
    """A line that a host printed while something ran on it; printable and without secrets."""

    at: datetime
    host_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something a person should read that belongs to no host, as a new host key accepted."""

    at: datetime
    text: str


Event = HostEvent | HostLine | Note


class Outcome(StrEnum):
    """How a host ended; all but the first three leave something to do."""

    REGISTERED = "registered"
    ALREADY = "already here"
    REPAIRED = "repaired"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_VERIFIED = "not verified"
    STOPPED = "stopped"
    LOCKED = "locked"

    @property
    def is_good(self) -> bool:
        """Whether the host is healthy now, as far as was seen."""
        return self in {Outcome.REGISTERED, Outcome.ALREADY, Outcome.REPAIRED}


@dataclass(frozen=True, slots=True)
class HostResult:
    """What a run did with one host.

    Attributes:
        plan: what was meant.
        outcome: how it ended.
        reason: one printable sentence.
        fix: what to type or do next; "" when nothing is left.
        seconds: of the run's clock, from its first step.
        managed_instance_id: the ``mi-`` id, or "".
        container_instance_arn: or "".
    """

    plan: HostPlan
    outcome: Outcome
    reason: str
    fix: str = ""
    seconds: float = 0.0
    managed_instance_id: str = ""
    container_instance_arn: str = ""


@dataclass(frozen=True, slots=True)
class ActivationTally:
    """What became of the activations of a run.

    Attributes:
        left_open: ids of those that could not be deleted.
        unsure: how often AWS's answer was lost and no activation was found afterwards: there may be
            one that is open, whose code nobody has.
    """

    created: int = 0
    deleted: int = 0
    left_open: tuple[str, ...] = ()
    unsure: int = 0


@dataclass(frozen=True, slots=True)
class RegisterResult:
    """What a whole register run came to."""

    run_id: str
    stores: tuple[Store, ...]
    hosts: tuple[HostResult, ...]
    activations: ActivationTally
    stopped: bool = False

    @property
    def is_good(self) -> bool:
        """Whether every host is healthy."""
        return all(result.outcome.is_good for result in self.hosts)
