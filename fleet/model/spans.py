"""Spans and moments inside a reason: short, rounded down, in one unit where that is enough."""

from datetime import UTC, datetime

_SECONDS_UNTIL = 180
_MINUTES_UNTIL = 7200
_MINUTE = 60
_HOUR = 3600


def span(seconds: float) -> str:
    """``40 s`` below three minutes, ``31 min`` below two hours, then ``26h48m``."""
    whole = max(0, int(seconds))
    if whole < _SECONDS_UNTIL:
        return f"{whole} s"
    if whole < _MINUTES_UNTIL:
        return f"{whole // _MINUTE} min"
    return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"


def moment(at: datetime) -> str:
    """``21 Nov 22:14Z``."""
    return f"{at.astimezone(UTC):%d %b %H:%MZ}"


def stamp(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, exact to the microsecond, as evidence keeps it; None stays None."""
    return at.astimezone(UTC).isoformat() if at is not None else None


def unstamp(text: object) -> datetime | None:
    """What ``stamp`` wrote; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None
