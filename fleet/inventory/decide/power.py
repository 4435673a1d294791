"""Decides whether an absence is planned: a host that is switched off while its store is closed.

What has no power cannot answer, so the time until the next opening does not count as absence. An
absence that had not counted as dark by closing is taken for switching off, and counts from the
next opening. One that had counted stays what it was, through the night as well: a host that was
lost at ten in the morning is no host that was switched off in the evening.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fleet.inventory.decide.opening_hours import KeepsHours, Span, powered_spans

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlannedOff:
    """An absence that is planned.

    Attributes:
        since: when the power went off by the opening hours; None for longer than anybody looked.
        back_at: when it comes back; None when the store does not open in the weeks to come.
        words: both, in the store's time, as ``powered off since 22:00 (planned), back at 07:00``.
    """

    since: datetime | None
    back_at: datetime | None
    words: str


def absent_from(
    shop: KeepsHours, since: datetime, limit_s: float, *, off_when_closed: bool = True
) -> datetime | None:
    """Return the moment from which an absence counts; None if the store does not open again.

    Args:
        since: since when the host is away, as far as is known.
        limit_s: how long an absence with power must last to count as dark.
        off_when_closed: whether the host has no power while the store is closed.
    """
    if not off_when_closed:
        return since
    spans = powered_spans(shop, since)
    for span in spans:
        if since in span and not _is_switched_off(span, since, limit_s):
            return since
        if span.begins is not None and span.begins > since:
            return span.begins
    return None


def _is_switched_off(span: Span, since: datetime, limit_s: float) -> bool:
    """Tell whether closing came before the absence counted as dark."""
    return span.ends is not None and span.ends - since < timedelta(seconds=limit_s)


def planned_off(
    shop: KeepsHours,
    since: datetime,
    now: datetime,
    limit_s: float,
    *,
    off_when_closed: bool = True,
) -> PlannedOff | None:
    """Return what is planned of an absence that does not count yet; None where it does.

    Before closing it is not known yet that a host was switched off, so it only counts as away.
    """
    counts = absent_from(shop, since, limit_s, off_when_closed=off_when_closed)
    spans = powered_spans(shop, now) if off_when_closed else ()
    if not off_when_closed or any(now in span for span in spans):
        return None
    if counts is not None and counts <= now:
        return None
    went = max((s.ends for s in spans if s.ends is not None and s.ends <= now), default=None)
    back = min((s.begins for s in spans if s.begins is not None and s.begins > now), default=None)
    return PlannedOff(went, back, _words(shop, went, back))


def _words(shop: KeepsHours, went: datetime | None, back: datetime | None) -> str:
    # A time of the day says which one is meant only within a day.
    long = went is None or back is None or back - went > _DAY
    zone = ZoneInfo(shop.time_zone)

    def said(moment: datetime) -> str:
        return f"{moment.astimezone(zone):{'%a %d %b %H:%M' if long else '%H:%M'}}"

    since = f" since {said(went)}" if went is not None else ""
    until = f"back at {said(back)}" if back is not None else "with no opening in sight"
    return f"powered off{since} (planned), {until}"
