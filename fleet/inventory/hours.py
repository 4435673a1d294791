"""Parses opening hours as people write them.

    hours: { mon-fri: "08:00-22:00", sat: ["09:00-13:00", "15:00-20:00"], sun: closed }
    hours: 24h
    hours: mon-fri 08:00-22:00; sat 09:00-13:00 15:00-20:00; sun closed      (the CSV form)

Days are mon tue wed thu fri sat sun, a range of them, or ``daily``; a day that is not named is
closed. A span may run past midnight (``18:00-02:00``); ``24:00`` is the end of the day.
"""

import re
from collections.abc import Mapping
from datetime import time
from functools import lru_cache

from fleet.model.hours import Hours, OpenSpan

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_EXAMPLE = 'write mon-fri: "08:00-22:00", sun: closed, or 24h'
_ALL_DAY = OpenSpan(time(0), time(0))


class HoursError(ValueError):
    """The hours cannot be understood.

    Attributes:
        day: the key that is wrong, or "" for all of it.
    """

    def __init__(self, message: str, day: str = "") -> None:
        super().__init__(message)
        self.day = day


def parse_hours(value: object) -> Hours:
    """Parse the value of ``hours`` into spans by weekday; 0 is Monday.

    Raises:
        HoursError: a day or a span that is no such thing, a day named twice, or overlapping spans.
    """
    if isinstance(value, str):
        return _from_text(str(value))
    if isinstance(value, Mapping):
        pairs = tuple((str(day), _spans_written(str(day), spans)) for day, spans in value.items())
        return _from_pairs(pairs)
    raise HoursError(f"days and spans expected; {_EXAMPLE}")


def parse_span(text: str) -> OpenSpan:
    """Parse one span, as ``01:00-05:00``; it may run past midnight.

    Raises:
        HoursError: it is no span, or an empty one.
    """
    return _span("between", text)


def _spans_written(day: str, spans: object) -> tuple[str, ...]:
    if isinstance(spans, str):
        return (str(spans),)
    if isinstance(spans, list) and spans and all(isinstance(span, str) for span in spans):
        return tuple(map(str, spans))
    raise HoursError(f"{day}: a span or a list of spans expected; {_EXAMPLE}", day)


@lru_cache(maxsize=4096)
def _from_text(text: str) -> Hours:
    words = text.strip()
    if words in {"24h", "closed"}:
        return _from_pairs((("daily", (words,)),))
    parts = [part.split() for part in words.split(";") if part.strip()]
    if not parts:
        raise HoursError(f"no hours given; {_EXAMPLE}")
    return _from_pairs(tuple((part[0], tuple(part[1:])) for part in parts))


@lru_cache(maxsize=4096)
def _from_pairs(pairs: tuple[tuple[str, tuple[str, ...]], ...]) -> Hours:
    """Return the spans by weekday; cached, because thousands of stores keep the same hours."""
    hours: dict[int, tuple[OpenSpan, ...]] = {}
    named: set[int] = set()
    for words, spans in pairs:
        opened = _spans(words, spans)
        for day in _days(words):
            if day in named:
                raise HoursError(f"{words}: {DAYS[day]} is named twice", words)
            named.add(day)
            if opened:
                hours[day] = opened
    if not named:
        raise HoursError(f"no hours given; {_EXAMPLE}")
    _refuse_overlaps(hours)
    return dict(sorted(hours.items()))


def _days(words: str) -> tuple[int, ...]:
    if words == "daily":
        return tuple(range(7))
    first, _, last = words.partition("-")
    if first not in DAYS or (last or first) not in DAYS or words.endswith("-"):
        known = ", ".join(DAYS)
        raise HoursError(f'"{words}" is no day: {known}, a range as mon-fri, or daily', words)
    start, count = DAYS.index(first), (DAYS.index(last or first) - DAYS.index(first)) % 7 + 1
    return tuple((start + offset) % 7 for offset in range(count))


def _spans(words: str, spans: tuple[str, ...]) -> tuple[OpenSpan, ...]:
    if spans == ("closed",):
        return ()
    if spans == ("24h",):
        return (_ALL_DAY,)
    if not spans:
        raise HoursError(f"{words}: no span given; {_EXAMPLE}", words)
    return tuple(sorted((_span(words, span) for span in spans), key=lambda span: span.opens))


def _span(words: str, text: str) -> OpenSpan:
    match = _SPAN.fullmatch(text.replace(" ", ""))
    if not match:
        raise HoursError(f'{words}: "{text}" is no span; {_EXAMPLE}', words)
    opens, closes = (
        int(hour) * 60 + int(minute) for hour, minute in (match.group(1, 2), match.group(3, 4))
    )
    minutes_right = int(match[2]) < 60 and int(match[4]) < 60  # noqa: PLR2004 - minutes of an hour
    if not (minutes_right and opens < _DAY_MINUTES and closes <= _DAY_MINUTES):
        raise HoursError(f'{words}: "{text}" is no time of day (00:00 to 24:00)', words)
    if opens == closes:
        raise HoursError(f'{words}: "{text}" is empty; write 24h or closed', words)
    return OpenSpan(_time(opens), _time(closes))


def _time(minutes: int) -> time:
    return time(minutes // 60 % 24, minutes % 60)


def _refuse_overlaps(hours: Hours) -> None:
    """Refuse a minute of the week that is in two spans, past midnight included."""
    intervals = sorted(
        (day * _DAY_MINUTES + _minutes(span.opens), _length(span), day)
        for day, spans in hours.items()
        for span in spans
    )
    if not intervals:
        return
    wrapped = (intervals[0][0] + _WEEK_MINUTES, intervals[0][1], intervals[0][2])
    for (start, length, day), (following, _, other) in zip(
        intervals, [*intervals[1:], wrapped], strict=True
    ):
        if start + length > following:
            raise HoursError(f"spans of {DAYS[day]} and {DAYS[other]} overlap")


def _minutes(moment: time) -> int:
    return moment.hour * 60 + moment.minute


def _length(span: OpenSpan) -> int:
    return (_minutes(span.closes) - _minutes(span.opens)) % _DAY_MINUTES or _DAY_MINUTES
