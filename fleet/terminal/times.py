"""Moments and spans as people read them: UTC, short, never ambiguous."""

from datetime import UTC, datetime

#: Seconds by which AWS's clock and ours may differ without anything being wrong.
CLOCKS_DIFFER_S = 60.0


def span(seconds: float) -> str:
    """``4s``, ``2m41s``, ``26h48m``, ``3d4h``: two units at most, rounded down."""
    whole = max(0, int(seconds))
    minutes, s = divmod(whole, 60)
    hours, m = divmod(minutes, 60)
    days, h = divmod(hours, 24)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{s}s"
    if hours == 0:
        return f"{m}m{s:02d}s"
    if days <= 2:  # noqa: PLR2004 - "26h48m" reads better than "1d2h" for the first nights
        return f"{hours}h{m:02d}m"
    return f"{days}d{h}h"


def age(moment: datetime | None, now: datetime) -> str:
    """How long ago, as ``4s ago``; ``never`` for None.

    A moment ahead of ``now`` by more than clocks differ is said to be so: two clocks were mixed.
    """
    if moment is None:
        return "never"
    ahead = (moment - now).total_seconds()
    if ahead > CLOCKS_DIFFER_S:
        return f"{span(ahead)} in the future"
    return f"{span((now - moment).total_seconds())} ago"


def clock(moment: datetime) -> str:
    """``14:02:10Z``."""
    return f"{moment.astimezone(UTC):%H:%M:%SZ}"


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, for documents; None stays None."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
