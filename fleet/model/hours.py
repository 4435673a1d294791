"""Opening hours in store-local time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """One span of opening in store-local time.

    ``closes`` before ``opens`` runs past midnight; both the same is the whole day.
    """

    opens: time
    closes: time


#: Opening spans by weekday, 0 is Monday; a missing day is closed all day.
Hours = Mapping[int, tuple[OpenSpan, ...]]
