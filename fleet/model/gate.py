"""The answer of a gate, with its numbers and limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from fleet.model.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Count:
    """Stores of a wave (or of one variant in it) by verdict; ``sent`` is N.

    Attributes:
        sent: that a change was sent to, whatever became of it.
    """

    sent: int = 0
    ok: int = 0
    failed: int = 0
    dark: int = 0
    waiting: int = 0
    undelivered: int = 0
    parked: int = 0
    unchanged: int = 0
    by_hand: int = 0

    def of(self, verdict: Verdict) -> int:
        """Return how many stores have this verdict."""
        return int(getattr(self, verdict.traits.gate_column))


class GateAnswer(StrEnum):
    """What a gate says: go on, wait, stop, or ask a person because nothing can be concluded."""

    ADVANCE = "advance"
    WAIT = "wait"
    HALT = "halt"
    ASK = "ask"


class Mark(StrEnum):
    """How a check stands."""

    OK = "ok"
    UNDER = "UNDER"
    OVER = "OVER"
    WAIT = "wait"
    UNCLEAR = "UNCLEAR"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a gate's arithmetic, as ``success  6/8=75 %  needed 95 %  UNDER``."""

    name: str
    seen: str
    needed: str
    mark: Mark
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Signal:
    """One row of a gate that is not counted by variant, as earlier stores, an alarm or a probe.

    Attributes:
        check: its numbers beside their limit.
        answer: HALT stops the rollout, ASK asks a person, WAIT holds back a wave that would
            advance, ADVANCE lets it go on.
        reason: of an answer that is not ADVANCE, in one line.
        again_at: when the answer may change by time alone, or None.
    """

    check: Check
    answer: GateAnswer = GateAnswer.ADVANCE
    reason: str = ""
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate's answer, with the numbers that it rests on.

    Attributes:
        reason: in one line.
        checks: of the variant that decided, or of all together.
        counts: by variant.
        again_at: when the answer may change by time alone (bake), or None.
    """

    answer: GateAnswer
    reason: str
    checks: tuple[Check, ...]
    counts: Mapping[str, Count]
    again_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """How many stores of a group went dark over a period, for the comparison.

    Attributes:
        dark: that were connected when the period began and are dark now.
        of: stores looked at.
    """

    dark: int
    of: int
