"""Turns opening hours into stretches of time: while a store is closed, and while it has power.

Stretches are kept in UTC and made from store-local words. On the nights in which clocks change, a
local time may not exist or exist twice. A shop then counts as open from the earliest reading of
its opening to the latest reading of its closing, but as sure to have power only from the latest
reading of its opening to the earliest of its closing, like hours given by ``between``: a window may
come out shorter than people meant, never longer.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from fleet.model.hours import Hours, OpenSpan

#: How far ahead anybody looks for a moment at which a store may be changed.
SEARCH = timedelta(days=14)
#: Stretches are made for weeks that begin on the same weekday, so that shops with equal hours
#: share them; a week before, as a window may have begun long ago.
_STRETCH_DAYS = 7
_BEFORE_DAYS = 9
_AFTER_DAYS = _STRETCH_DAYS + SEARCH.days + 9

_HoursKey = tuple[tuple[int, tuple[OpenSpan, ...]], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, aware UTC.

    Attributes:
        begins: None when it began before anybody looked.
        ends: the first moment that is no longer in it; None when it lasts beyond every search.
    """

    begins: datetime | None
    ends: datetime | None

    def __contains__(self, moment: datetime) -> bool:
        after = self.begins is None or self.begins <= moment
        return after and (self.ends is None or moment < self.ends)


class KeepsHours(Protocol):
    """A store or a place: whatever has a time zone and opening hours."""

    @property
    def time_zone(self) -> str:
        """IANA name."""
        ...

    @property
    def hours(self) -> Hours:
        """Opening spans by weekday."""
        ...


def closed_spans(shop: KeepsHours, at: datetime) -> tuple[Span, ...]:
    """Return when a shop is closed, around ``at`` and for ``SEARCH`` after it, in order."""
    return _closed(shop.time_zone, _key(shop.hours), _stretch(at))


def powered_spans(shop: KeepsHours, at: datetime) -> tuple[Span, ...]:
    """Return when what is switched off at closing is sure to have power, likewise."""
    return _opened(shop.time_zone, _key(shop.hours), _stretch(at))


def daily_spans(time_zone: str, span: OpenSpan, at: datetime) -> tuple[Span, ...]:
    """Return when it is surely between two times of the day, likewise."""
    return _daily(time_zone, span, _stretch(at))


@lru_cache(maxsize=2048)
def within(ones: tuple[Span, ...], twos: tuple[Span, ...]) -> tuple[Span, ...]:
    """Return the parts of spans that lie in the others too; both are in order."""
    found = []
    one = two = 0
    while one < len(ones) and two < len(twos):
        a, b = ones[one], twos[two]
        begins = max((m for m in (a.begins, b.begins) if m is not None), default=None)
        ends = min((m for m in (a.ends, b.ends) if m is not None), default=None)
        if begins is None or ends is None or begins < ends:
            found.append(Span(begins, ends))
        if b.ends is None or (a.ends is not None and a.ends <= b.ends):
            one += 1
        else:
            two += 1
    return tuple(found)


def readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments that a local time may mean; two where clocks change (PEP 495)."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _key(hours: Hours) -> _HoursKey:
    return tuple(sorted((day, tuple(spans)) for day, spans in hours.items()))


def _stretch(at: datetime) -> int:
    return at.astimezone(UTC).date().toordinal() // _STRETCH_DAYS * _STRETCH_DAYS


@lru_cache(maxsize=2048)
def _daily(time_zone: str, span: OpenSpan, stretch: int) -> tuple[Span, ...]:
    return _surely(time_zone, (_on(day, span) for day in _days(stretch)), stretch)


@lru_cache(maxsize=2048)
def _opened(time_zone: str, hours: _HoursKey, stretch: int) -> tuple[Span, ...]:
    by_day = dict(hours)
    # Joined in local time first: a shop that never closes has power at every reading of midnight.
    spans = _merged(
        _on(day, span) for day in _days(stretch) for span in by_day.get(day.weekday(), ())
    )
    return _surely(time_zone, spans, stretch)


def _surely(
    time_zone: str, local: Iterable[tuple[datetime, datetime]], stretch: int
) -> tuple[Span, ...]:
    zone = ZoneInfo(time_zone)
    sure = ((max(readings(begins, zone)), min(readings(ends, zone))) for begins, ends in local)
    return _spans([(begins, ends) for begins, ends in sure if begins < ends], stretch)


@lru_cache(maxsize=2048)
def _closed(time_zone: str, hours: _HoursKey, stretch: int) -> tuple[Span, ...]:
    zone, by_day = ZoneInfo(time_zone), dict(hours)
    opened = _merged(
        (min(readings(opens, zone)), max(readings(closes, zone)))
        for day in _days(stretch)
        for opens, closes in (_on(day, span) for span in by_day.get(day.weekday(), ()))
    )
    first, last = _limits(stretch)
    edges = [first, *(moment for pair in opened for moment in pair), last]
    closed = zip(edges[::2], edges[1::2], strict=True)
    return _spans([(begins, ends) for begins, ends in closed if begins < ends], stretch)


def _spans(pairs: list[tuple[datetime, datetime]], stretch: int) -> tuple[Span, ...]:
    """Spans, joined where they meet, without the limits that are only those of the search."""
    first, last = _limits(stretch)
    return tuple(
        Span(begins if begins > first else None, ends if ends < last else None)
        for begins, ends in _merged(pairs)
    )


def _merged(pairs: Iterable[tuple[datetime, datetime]]) -> list[tuple[datetime, datetime]]:
    merged: list[tuple[datetime, datetime]] = []
    for begins, ends in sorted(pairs):
        if merged and begins <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], ends))
        else:
            merged.append((begins, ends))
    return merged


def _days(stretch: int) -> Iterator[date]:
    """Local dates whose spans may matter, two more on either side than are looked at."""
    for ordinal in range(stretch - _BEFORE_DAYS - 2, stretch + _AFTER_DAYS + 3):
        yield date.fromordinal(ordinal)


def _limits(stretch: int) -> tuple[datetime, datetime]:
    midnight = datetime.combine(date.fromordinal(stretch), time(), UTC)
    return midnight - timedelta(days=_BEFORE_DAYS), midnight + timedelta(days=_AFTER_DAYS)


def _on(day: date, span: OpenSpan) -> tuple[datetime, datetime]:
    """Return a span on a day, naive and local; past midnight it ends on the next day."""
    ends = day if span.closes > span.opens else day + timedelta(days=1)
    return datetime.combine(day, span.opens), datetime.combine(ends, span.closes)
