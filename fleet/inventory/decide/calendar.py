"""Decides when a store may be changed: windows from opening hours, freezes, and what still fits.

Where hosts have no power while their store is closed, a window lies within their powered hours.
Then "while it is closed" leaves nothing, and the policy has to say what may be used instead:
``after_opening``, ``between``, or any time.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from fleet.inventory.decide.opening_hours import (
    SEARCH,
    KeepsHours,
    Span,
    closed_spans,
    daily_spans,
    powered_spans,
    readings,
    within,
)
from fleet.model import spans
from fleet.model.hours import OpenSpan
from fleet.model.policy import Freeze, Policy, Window
from fleet.model.rollout import Place

_ALWAYS = (Span(None, None),)


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


class HasWindows(KeepsHours, Protocol):
    """What has opening hours and may lose its power outside them."""

    @property
    def is_off_when_closed(self) -> bool:
        """Return whether a host that is to be changed has no power while the store is closed."""
        ...


def needs_s(policy: Policy, pull_s: float) -> float:
    """Seconds that a change has to have before its window ends: the change, the pull, settling."""
    return policy.finish_by_s + pull_s + policy.settle_s


def window_at(shop: HasWindows, policy: Policy, at: datetime) -> Span | None:
    """Return the window that ``at`` is in, or None."""
    return next((span for span in _windows(shop, policy, at) if at in span), None)


def next_window(shop: HasWindows, policy: Policy, at: datetime) -> Span | None:
    """Return the first window that begins after ``at``, within ``SEARCH``; None without any."""
    for span in _windows(shop, policy, at):
        if span.begins is not None and at < span.begins <= at + SEARCH:
            return span
    return None


def longest_s(shop: HasWindows, policy: Policy, at: datetime) -> float:
    """Return the seconds of the longest window within ``SEARCH`` of ``at``; 0 without any."""
    lengths = (
        (span.ends - span.begins).total_seconds() if span.begins and span.ends else math.inf
        for span in _windows(shop, policy, at)
        if (span.ends is None or span.ends > at)
        and (span.begins is None or span.begins <= at + SEARCH)
    )
    return max(lengths, default=0.0)


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
        min(readings(begins, zone)) if begins.tzinfo is None else begins.astimezone(UTC),
        max(readings(ends, zone)) if ends.tzinfo is None else ends.astimezone(UTC),
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


def _windows(shop: HasWindows, policy: Policy, at: datetime) -> tuple[Span, ...]:
    """Windows around ``at``, in order: some before it, and those within ``SEARCH`` after it."""
    powered = powered_spans(shop, at) if shop.is_off_when_closed else _ALWAYS
    if powered == _ALWAYS:
        return _allowed(shop, policy, at)
    if policy.window is Window.CLOSED and policy.between is None:
        if policy.after_opening_s:
            return _first_hours(powered, timedelta(seconds=policy.after_opening_s))
        # It has no closed hours with power, like a store that never closes.
        quiet = policy.quiet_hours
        return within(daily_spans(shop.time_zone, quiet, at), powered) if quiet else ()
    return within(_allowed(shop, policy, at), powered)


def _allowed(shop: HasWindows, policy: Policy, at: datetime) -> tuple[Span, ...]:
    """Return the windows of a store whose hosts always have power."""
    if policy.between is not None:
        return daily_spans(shop.time_zone, policy.between, at)
    if policy.window is Window.ALWAYS:
        return _ALWAYS
    closed = closed_spans(shop, at)
    if not closed and policy.quiet_hours is not None:
        return daily_spans(shop.time_zone, policy.quiet_hours, at)
    return closed


def _first_hours(powered: Iterable[Span], lasts: timedelta) -> tuple[Span, ...]:
    """Return the beginnings of powered hours; where they have none, there is no window."""
    return tuple(
        Span(one.begins, min(one.begins + lasts, one.ends or one.begins + lasts))
        for one in powered
        if one.begins is not None
    )


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
    if place.is_off_when_closed and powered_spans(place, now) != _ALWAYS:
        return _powered_words(place, policy, following)
    if policy.between is not None:
        return f"outside {_hours(policy.between)} store time ({_local(place, now)} there)"
    never_closes = window_at(place, replace(policy, quiet_hours=None), now) is None and (
        next_window(place, replace(policy, quiet_hours=None), now) is None
    )
    if never_closes and policy.quiet_hours is not None:
        quiet = _hours(policy.quiet_hours)
        return f"open around the clock, and outside its quiet hours, {quiet} store time"
    if never_closes or following is None:
        return (
            f"the store is open around the clock, so policy {policy.name} finds no closed hours; "
            'give the policy `quiet_hours: "02:00-05:00"` for such stores'
        )
    return f"the store is open until {_local(place, following.begins)}"


def _powered_words(place: Place, policy: Policy, following: Span | None) -> str:
    names = place.off_when_closed
    off = f"{', '.join(names)} {'have' if len(names) > 1 else 'has'} no power while it is closed"
    if following is None:
        return f"{off}, and {no_window_words(policy)}"
    return f"{off}; the next window with power begins {_local(place, following.begins)}"


def no_window_words(policy: Policy) -> str:
    """Say why a policy has no window in powered hours that is long enough, and what to write."""
    if policy.between is not None:
        why = f"uses {_hours(policy.between)}, too little of which is within opening hours"
        return f"policy {policy.name} {why}; give it other hours, or after_opening: 1h instead"
    if policy.window is Window.ALWAYS or policy.after_opening_s:
        return f"policy {policy.name} finds too few opening hours"
    why = "sends only while a store is closed"
    if policy.quiet_hours is not None:
        why += f", and too little of {_hours(policy.quiet_hours)} is within opening hours"
    return (
        f"policy {policy.name} {why}; give it after_opening: 1h, between: with hours in which the "
        "store is open, or window: always"
    )


def _hours(span: OpenSpan) -> str:
    return f"{span.opens:%H:%M}-{span.closes:%H:%M}"


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
