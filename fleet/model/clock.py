"""The clock protocol; code gets a clock as an argument and never reads the time itself."""

import time
from datetime import UTC, datetime
from typing import Protocol

#: SigV4 refuses a signature that is five minutes off; warn well before.
CLOCK_FAIL_S = 240.0
CLOCK_WARN_S = 30.0


class Clock(Protocol):
    """Where the time comes from and how one waits."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait this many seconds of this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the time, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait; a negative wait is none."""
        time.sleep(max(0.0, seconds))
