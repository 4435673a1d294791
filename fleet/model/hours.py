"""Opening hours in store-local time, and what is switched off outside them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class OpenSpan:
    """One span of opening in store-local time.

    ``closes`` before ``opens`` runs past midnight; both the same is the whole day.
    """

    opens: time
    closes: time


#: Opening spans by weekday, 0 is Monday; a missing day is closed all day.
Hours = Mapping[int, tuple[OpenSpan, ...]]


class Powered(StrEnum):
    """When a host has power: always, or only while its store is open."""

    ALWAYS = "always"
    OPENING_HOURS = "opening-hours"
