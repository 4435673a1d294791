"""Spans of time and moments in words, for policies, reasons and screens."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

#: Seconds by which AWS's clock and ours may differ without anything being wrong.
CLOCKS_DIFFER_S = 60.0
#: Days after which a day without its year could be taken for another one.
YEAR_DAYS = 300

#: Seconds of each unit.
SECONDS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_SPAN = re.compile("".join(rf"(?:(\d{{1,7}}){unit})?" for unit in SECONDS))


def span(seconds: float) -> str:
    """Print a span of time as ``4s``, ``2m41s``, ``10m``, ``26h48m`` or ``3d4h``.

    Two units at most, rounded down; below zero it is ``0s``.
    """
    whole = max(0, int(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if minutes == 0:
        return f"{s}s"
    if hours == 0:
        return f"{m}m{s:02d}s" if s else f"{m}m"
    if days <= 2:  # noqa: PLR2004 - "26h48m" reads better than "1d2h" for the first nights
        return f"{hours}h{m:02d}m" if m else f"{hours}h"
    return f"{days}d{h}h" if h else f"{days}d"


def seconds_in(text: str) -> float:
    """Return the seconds of a span as people write it: ``90s``, ``10m``, ``1h30m``, ``2d``.

    Raises:
        ValueError: the text is no span of time.
    """
    match = _SPAN.fullmatch(text.replace(" ", ""))
    if match is None or not any(match.groups()):
        raise ValueError(f'"{text}" is not a duration')
    parts = zip(match.groups("0"), SECONDS.values(), strict=True)
    return float(sum(int(number) * unit for number, unit in parts))


def age(at: datetime | None, now: datetime) -> str:
    """Print how long ago a moment was, as ``4s ago``; ``never`` for None.

    A moment ahead of ``now`` by more than clocks differ is said to be so: two clocks were mixed.
    """
    if at is None:
        return "never"
    ahead = (at - now).total_seconds()
    if ahead > CLOCKS_DIFFER_S:
        return f"{span(ahead)} in the future"
    return f"{span(-ahead)} ago"


def moment(at: datetime, now: datetime | None = None) -> str:
    """Print a moment in UTC as ``21 Nov 22:14Z``.

    Args:
        now: leaves out the day when it is today's, and adds the year when it is long ago.
    """
    return _behind_day(at, now, f"{at.astimezone(UTC):%H:%MZ}")


def exact_moment(at: datetime, now: datetime) -> str:
    """Print a moment in UTC with its seconds, as ``22:14:05Z`` today and else with the day."""
    return _behind_day(at, now, clock(at))


def _behind_day(at: datetime, now: datetime | None, time: str) -> str:
    at = at.astimezone(UTC)
    if now is not None and at.date() == now.astimezone(UTC).date():
        return time
    year = f" {at.year}" if now is not None and abs((now - at).days) > YEAR_DAYS else ""
    return f"{day(at)}{year} {time}"


def day(at: datetime) -> str:
    """Print the day of a moment in UTC, as ``30 Nov``."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b}"


def clock(at: datetime) -> str:
    """Print the time of a moment in UTC, as ``14:02:10Z``."""
    return f"{at.astimezone(UTC):%H:%M:%SZ}"


def local_time(at: datetime, time_zone: str) -> str:
    """Print what a clock on the wall shows in a time zone, as ``03:06 CET``."""
    return f"{at.astimezone(ZoneInfo(time_zone)):%H:%M %Z}"


def stamp(at: datetime | None) -> str | None:
    """Print a moment in ISO 8601 in UTC with a Z, for documents; None stays None."""
    if at is None:
        return None
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
