"""What people are told of a rollout by the channels of the inventory."""

from dataclasses import dataclass
from datetime import datetime

from fleet.model.drift_settings import Severity


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """What people are told of.

    Attributes:
        word: completes ``ro-118 ...``.
        severity: for a channel's ``least``; INFO is for those that want to know of good news too.
        once: key by which it is told once a rollout; "" for every time.
    """

    word: str
    severity: Severity
    once: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that a channel may be told.

    Attributes:
        key: names it within its rollout.
        words: what happened, in a sentence.
    """

    rollout: str
    key: str
    kind: NoticeKind
    at: datetime
    words: str
