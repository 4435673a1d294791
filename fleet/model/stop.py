"""The stop of all sends, which a person sets and lifts without Git or AWS."""

from dataclasses import dataclass
from datetime import datetime

from fleet.model.printable import printable, who
from fleet.model.spans import moment


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of every send of every rollout; setting stores back is never stopped.

    Attributes:
        at: since when, aware UTC.
        by: who, as ``anna on laptop``: nobody asks AWS for an ARN while it may be away.
        why: in their words.
        lifted_at: since when sending goes on; None while it is stopped.
        lifted_by: who lifted it; "" likewise.
    """

    at: datetime
    by: str
    why: str
    lifted_at: datetime | None = None
    lifted_by: str = ""

    @property
    def is_in_force(self) -> bool:
        """Return whether nothing may be sent now."""
        return self.lifted_at is None

    @property
    def words(self) -> str:
        """Return ``all sending is stopped since 21 Nov 22:14Z by anna on laptop: bad image``."""
        return (
            f"all sending is stopped since {moment(self.at)} by {who(printable(self.by))}: "
            f"{printable(self.why, limit=200)}"
        )
