"""What became of a call that was to change a service."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.rollout import ActionKind


class Outcome(StrEnum):
    """What became of a write.

    DONE: AWS accepted it. ALREADY: the service was as it shall be. BY_HAND: it runs something that
    neither this rollout nor the plan knows. GONE: there is no such service any more. REFUSED: AWS
    said no. LOST: nobody can tell; the next look will.
    """

    DONE = "done"
    ALREADY = "already"
    BY_HAND = "by-hand"
    GONE = "gone"
    REFUSED = "refused"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one write.

    Attributes:
        at: AWS's time of it.
        target: ARN that the service was told to run (or runs).
        words: what AWS said, for REFUSED and LOST; what it runs, for BY_HAND.
    """

    kind: ActionKind
    store: str
    service: str
    outcome: Outcome
    at: datetime
    target: str = ""
    words: str = ""
