"""What may be written about rollouts in ``fleet.yaml``: ``policies`` and ``freezes``.

    policies:
      careful: {bake: 30m, waves: [5, 10%, 100%], success: 98%, between: "01:00-05:00"}
    freezes:
      christmas: {from: 2026-12-18, to: 2027-01-03, where: market=uk, reason: shops are full}

Durations carry their unit, shares are 95% or 0.95, and amounts are 5 or 10%.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from fleet.inventory.hours import HoursError, parse_span
from fleet.inventory.shape import Shape, several
from fleet.model.policy import AfterCanary, Amount, OnHalt, Window
from fleet.model.spans import seconds_in

T = TypeVar("T")

#: What CloudWatch Logs keeps log groups for (PutRetentionPolicy).
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_LONGEST_S = 30 * 24 * 3600
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")
_FRACTION = re.compile(r"0?\.\d{1,6}|0(?:\.0*)?|1(?:\.0*)?")
_COUNT = re.compile(r"\d{1,6}")
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<time>[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?"
)
_HUNDRED = Decimal(100)


def _wrong(said: str, hint: str | None = None) -> PydanticCustomError:
    return PydanticCustomError("pattern", "{said}", {"said": said, "hint": hint})


def _read(read: Callable[[str], T]) -> Callable[[Any], T | None]:
    """A validator of text; an empty value is one that is not given."""

    def validate(value: Any) -> T | None:
        if value is None:
            return None
        if isinstance(value, (dict, list)):
            raise _wrong("one value expected, found several")
        return read(str(value))

    return validate


def _duration(text: str) -> float:
    try:
        seconds = seconds_in(text)
    except ValueError as error:
        raise _wrong(str(error), "write 90s, 10m, 1h30m or 2d") from None
    if seconds > _LONGEST_S:
        raise _wrong(f'"{text}" is too long; at most 30d')
    return seconds


def _share(text: str) -> float:
    if match := _PERCENT.fullmatch(text):
        share = Decimal(match[1]) / _HUNDRED
    elif _FRACTION.fullmatch(text):
        share = Decimal(text)
    else:
        raise _wrong(f'"{text}" is not a share', "write 95% or 0.95")
    if share > 1:
        raise _wrong(f'"{text}" is more than all', "at most 100%")
    return float(share)


def _amount(text: str) -> Amount:
    if match := _PERCENT.fullmatch(text):
        percent = Decimal(match[1])
        if percent > _HUNDRED:
            raise _wrong(f'"{text}" is more than all', "at most 100%")
        return Amount(percent=percent)
    if _COUNT.fullmatch(text):
        return Amount(count=int(text))
    raise _wrong(f'"{text}" is neither a number nor a share', "write 5 or 10%")


def _span(text: str) -> Any:
    try:
        return parse_span(text)
    except HoursError as error:
        raise _wrong(str(error), "write between: 01:00-05:00, store-local") from None


def _begins(text: str) -> datetime:
    """A day begins at midnight."""
    return _moment(text)[0]


def _ends(text: str) -> datetime:
    """A day counts to its end."""
    moment, is_day = _moment(text)
    return moment + timedelta(days=1) if is_day else moment


def _moment(text: str) -> tuple[datetime, bool]:
    match = _MOMENT.fullmatch(text)
    try:
        if match:
            return datetime.fromisoformat(text), match["time"] is None
    except ValueError:
        pass
    hint = "write 2026-11-27, 2026-11-27T06:00 or 2026-11-27T06:00Z"
    raise _wrong(f'"{text}" is not a day or a time', hint)


_TEXT = {"type": "string"}
_TEXT_OR_NUMBER = {"type": ["string", "number"]}
Duration = Annotated[
    float | None,
    BeforeValidator(_read(_duration)),
    WithJsonSchema({**_TEXT, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}),
]
Share = Annotated[float | None, BeforeValidator(_read(_share)), WithJsonSchema(_TEXT_OR_NUMBER)]
AmountText = Annotated[
    Amount | None, BeforeValidator(_read(_amount)), WithJsonSchema(_TEXT_OR_NUMBER)
]
Span = Annotated[Any, BeforeValidator(_read(_span)), WithJsonSchema(_TEXT)]
Begin = Annotated[datetime, BeforeValidator(_read(_begins)), WithJsonSchema(_TEXT)]
End = Annotated[datetime, BeforeValidator(_read(_ends)), WithJsonSchema(_TEXT)]
AtLeastOne = Annotated[int | None, Field(ge=1, le=100_000)]


class PolicyShape(Shape):
    """An entry of ``policies``; what it does not say is as in ``standard``."""

    canary: AmountText = None
    waves: Annotated[list[AmountText] | None, BeforeValidator(several)] = None
    concurrency: AmountText = None
    success: Share = None
    coverage: Share = None
    min_sample: AtLeastOne = None
    max_failures: AmountText = None
    bake: Duration = None
    settle: Duration = None
    fresh: Duration = None
    deadline: Duration = None
    dark_after: Duration = None
    patience: Duration = None
    alpha: Share = None
    min_control: AtLeastOne = None
    pulls: AtLeastOne = None
    pull_wait: Duration = None
    convoy: AtLeastOne = None
    breaker_count: Annotated[int | None, Field(ge=1, le=200)] = None
    window: Window | None = None
    between: Span = None
    quiet_hours: Span = None
    finish_by: Duration = None
    on_halt: OnHalt | None = None
    after_canary: AfterCanary | None = None
    rollback_in_window: bool | None = None


class FreezeShape(Shape):
    """An entry of ``freezes``: a time in which nothing new is sent."""

    begins: Begin = Field(alias="from")
    ends: End = Field(alias="to")
    where: str | None = None
    reason: str


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        near = min(RETENTION_DAYS, key=lambda known: abs(known - days))
        raise _wrong(f"CloudWatch Logs keeps no log group for {days} days", f"nearest: {near}")
    return days


#: Days for which log groups are kept.
Retention = Annotated[
    int, AfterValidator(_retention), Field(json_schema_extra={"enum": list(RETENTION_DAYS)})
]
