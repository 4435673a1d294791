"""Decides when a store may be changed: windows from opening hours, freezes, and what still fits.

Windows are kept in UTC and made from store-local words. On the nights in which clocks change, a
local time may not exist or exist twice. A shop then counts as open from the earliest reading of
its opening to the latest reading of its closing, and hours given by ``between`` count from the
latest reading of their beginning to the earliest of their end: a window may come out shorter than
people meant, never longer.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from fleet.model import spans
from fleet.model.hours import Hours, OpenSpan
from fleet.model.policy import Freeze, Policy, Window
from fleet.model.rollout import Place

#: How far ahead anybody looks for a moment at which a store may be changed.
SEARCH = timedelta(days=14)
#: Windows are made for stretches that begin on the same weekday, so that shops with equal hours
#: share them; a week before, as a window may have begun long ago.
_STRETCH_DAYS = 7
_BEFORE_DAYS = 9
_AFTER_DAYS = _STRETCH_DAYS + SEARCH.days + 9

_HoursKey = tuple[tuple[int, tuple[OpenSpan, ...]], ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time in which a store may be changed, aware UTC.

    Attributes:
        begins: None when it began before anybody looked.
        ends: the first moment that is no longer in it; None when it lasts beyond every search.
    """

    begins: datetime | None
    ends: datetime | None

    def __contains__(self, moment: datetime) -> bool:
        after = self.begins is None or self.begins <= moment
        return after and (self.ends is None or moment < self.ends)


@dataclass(frozen=True, slots=True)
class Permission:
    """Whether a change may begin now.

    Attributes:
        reason: why, in words, with store-local times.
        until: when allowed: the first moment at which it would be over; None for no end in sight.
        next_at: when refused: the first moment at which it may begin; None when there is none
            within ``SEARCH``.
    """

    allowed: bool
    reason: str
    until: datetime | None = None
    next_at: datetime | None = None


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


def needs_s(policy: Policy, pull_s: float) -> float:
    """Seconds that a change has to have before its window ends: the change, the pull, settling."""
    return policy.finish_by_s + pull_s + policy.settle_s


def window_at(shop: KeepsHours, policy: Policy, at: datetime) -> Span | None:
    """Return the window that ``at`` is in, or None."""
    return next((span for span in _windows(shop, policy, at) if at in span), None)


def next_window(shop: KeepsHours, policy: Policy, at: datetime) -> Span | None:
    """Return the first window that begins after ``at``, within ``SEARCH``; None without any."""
    for span in _windows(shop, policy, at):
        if span.begins is not None and at < span.begins <= at + SEARCH:
            return span
    return None


def slot(
    place: Place,
    policy: Policy,
    freezes: Sequence[Freeze],
    needs_s: float,
    at: datetime,
    *,
    override: str = "",
) -> datetime | None:
    """Return the first moment from ``at`` on at which a change that takes ``needs_s`` may begin.

    None when nothing within ``SEARCH`` is long enough.
    """
    for span in _free(place, policy, _in_force(place, freezes, override), at):
        begins = at if span.begins is None else max(at, span.begins)
        if begins > at + SEARCH:
            return None
        if span.ends is None or begins + timedelta(seconds=needs_s) <= span.ends:
            return begins
    return None


def may_begin(  # noqa: PLR0917 - six inputs of one decision, given in this order by every tick
    place: Place,
    policy: Policy,
    freezes: Sequence[Freeze],
    override: str,
    needs_s: float,
    now: datetime,
) -> Permission:
    """Return whether a change may begin in a store now.

    It must fit: all of ``needs_s`` before the window's end and before the next freeze.

    Args:
        override: the reason for which freezes are passed over; "" to obey them. Windows hold.
        needs_s: as ``needs_s()`` tells.
    """
    frozen = _in_force(place, freezes, override)
    window = window_at(place, policy, now)

    def refused(why: str) -> Permission:
        return _refused(why, place, policy, frozen, needs_s=needs_s, now=now)

    for freeze, span in frozen:
        if now in span:
            ends = f"until {_local(place, span.ends)}: {freeze.reason}"
            return refused(f"freeze {freeze.name} {ends}")
    if window is None:
        return refused(_closed_words(place, policy, now))
    until, what = window.ends, "the window ends"
    for freeze, span in frozen:
        if span.begins and span.begins > now and (until is None or span.begins < until):
            until, what = span.begins, f"freeze {freeze.name} begins"
    if until is not None and now + timedelta(seconds=needs_s) > until:
        left, needed = spans.span((until - now).total_seconds()), spans.span(needs_s)
        why = f"{what} at {_local(place, until)}, in {left}; {needed} needed"
        return refused(why)
    return Permission(allowed=True, reason=_allowed_words(place, policy, until), until=until)


def freeze_span(freeze: Freeze, time_zone: str) -> Span:
    """Return when a freeze holds for stores of a time zone; naive times are the store's own."""
    zone = ZoneInfo(time_zone)
    begins, ends = freeze.begins, freeze.ends
    return Span(
        min(_readings(begins, zone)) if begins.tzinfo is None else begins.astimezone(UTC),
        max(_readings(ends, zone)) if ends.tzinfo is None else ends.astimezone(UTC),
    )


def _in_force(
    place: Place, freezes: Sequence[Freeze], override: str
) -> tuple[tuple[Freeze, Span], ...]:
    if override:
        return ()
    return tuple(
        (freeze, freeze_span(freeze, place.time_zone))
        for freeze in freezes
        if freeze.stores is None or place.store in freeze.stores
    )


def _free(
    place: Place, policy: Policy, frozen: Sequence[tuple[Freeze, Span]], at: datetime
) -> Iterator[Span]:
    """Windows that end after ``at``, without the freezes, in order."""
    for window in _windows(place, policy, at):
        if window.ends is not None and window.ends <= at:
            continue
        yield from _without(window, sorted((s for _, s in frozen), key=lambda s: s.begins or at))


def _without(window: Span, frozen: Iterable[Span]) -> Iterator[Span]:
    """Yield what is left of a window; ``frozen`` is sorted by its beginning, both ends known."""
    begins = window.begins
    for freeze in frozen:
        if freeze.begins is None or freeze.ends is None:
            continue
        if window.ends is not None and freeze.begins >= window.ends:
            break
        if begins is not None and freeze.ends <= begins:
            continue
        if begins is None or freeze.begins > begins:
            yield Span(begins, freeze.begins)
        begins = freeze.ends
    if window.ends is None or begins is None or begins < window.ends:
        yield Span(begins, window.ends)


def _windows(shop: KeepsHours, policy: Policy, at: datetime) -> tuple[Span, ...]:
    """Windows around ``at``, in order: some before it, and those within ``SEARCH`` after it."""
    if policy.between is None and policy.window is Window.ALWAYS:
        return (Span(None, None),)
    stretch = at.astimezone(UTC).date().toordinal() // _STRETCH_DAYS * _STRETCH_DAYS
    if policy.between is not None:
        return _between(shop.time_zone, policy.between, stretch)
    hours: _HoursKey = tuple(sorted((day, tuple(spans)) for day, spans in shop.hours.items()))
    closed = _closed(shop.time_zone, hours, stretch)
    if not closed and policy.quiet_hours is not None:
        return _between(shop.time_zone, policy.quiet_hours, stretch)
    return closed


@lru_cache(maxsize=2048)
def _between(time_zone: str, span: OpenSpan, stretch: int) -> tuple[Span, ...]:
    zone = ZoneInfo(time_zone)
    daily = (
        (max(_readings(begins, zone)), min(_readings(ends, zone)))
        for begins, ends in (_on(day, span) for day in _days(stretch))
    )
    return _spans([(begins, ends) for begins, ends in daily if begins < ends], stretch)


@lru_cache(maxsize=2048)
def _closed(time_zone: str, hours: _HoursKey, stretch: int) -> tuple[Span, ...]:
    zone, by_day = ZoneInfo(time_zone), dict(hours)
    opened = _merged(
        (min(_readings(opens, zone)), max(_readings(closes, zone)))
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


def _readings(local: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return the moments that a local time may mean; two where clocks change (PEP 495)."""
    first = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    return first, local.replace(tzinfo=zone, fold=1).astimezone(UTC)


def _refused(
    why: str,
    place: Place,
    policy: Policy,
    frozen: Sequence[tuple[Freeze, Span]],
    *,
    needs_s: float,
    now: datetime,
) -> Permission:
    freezes = [freeze for freeze, _ in frozen]
    next_at = slot(place, policy, freezes, needs_s, now)
    if next_at is not None:
        return Permission(allowed=False, reason=why, next_at=next_at)
    none = f"nothing within {SEARCH.days} days is long enough for the {spans.span(needs_s)} needed"
    never = next_window(place, policy, now) is None and window_at(place, policy, now) is None
    return Permission(allowed=False, reason=why if never else f"{why}; {none}")


def _closed_words(place: Place, policy: Policy, now: datetime) -> str:
    following = next_window(place, policy, now)
    if policy.between is not None:
        span = f"{policy.between.opens:%H:%M}-{policy.between.closes:%H:%M}"
        return f"outside {span} store time ({_local(place, now)} there)"
    never_closes = window_at(place, replace(policy, quiet_hours=None), now) is None and (
        next_window(place, replace(policy, quiet_hours=None), now) is None
    )
    if never_closes and policy.quiet_hours is not None:
        span = f"{policy.quiet_hours.opens:%H:%M}-{policy.quiet_hours.closes:%H:%M}"
        return f"open around the clock, and outside its quiet hours, {span} store time"
    if never_closes or following is None:
        return (
            f"the store is open around the clock, so policy {policy.name} finds no closed hours; "
            'give the policy `quiet_hours: "02:00-05:00"` for such stores'
        )
    return f"the store is open until {_local(place, following.begins)}"


def _allowed_words(place: Place, policy: Policy, until: datetime | None) -> str:
    if until is not None:
        return f"in its window until {_local(place, until)}"
    if policy.window is Window.ALWAYS and policy.between is None:
        return f"policy {policy.name} changes stores at any time"
    return "closed, with no opening in sight"


def _local(place: KeepsHours, moment: datetime | None) -> str:
    """Return ``Tue 24 Nov 06:00 Europe/London``."""
    if moment is None:
        return "no end in sight"
    return f"{moment.astimezone(ZoneInfo(place.time_zone)):%a %d %b %H:%M} {place.time_zone}"
