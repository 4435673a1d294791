"""Reads durations, shares and amounts as people write them: 10m, 95% or 0.95, 5 or 10%."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, Field, WithJsonSchema

from fleet.inventory.checking import wrong
from fleet.model.policy import Amount
from fleet.model.spans import seconds_in

T = TypeVar("T")

_LONGEST_S = 30 * 24 * 3600
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,4})?) ?%")
_FRACTION = re.compile(r"0?\.\d{1,6}|0(?:\.0*)?|1(?:\.0*)?")
_COUNT = re.compile(r"\d{1,6}")
_HUNDRED = Decimal(100)


def reads(read: Callable[[str], T]) -> Callable[[Any], T | None]:
    """Return a validator of text; an empty value counts as not given."""

    def validate(value: Any) -> T | None:
        if value is None:
            return None
        if isinstance(value, (dict, list)):
            raise wrong("one value expected, found several")
        return read(str(value))

    return validate


def _duration(text: str) -> float:
    try:
        seconds = seconds_in(text)
    except ValueError as error:
        raise wrong(str(error), "write 90s, 10m, 1h30m or 2d") from None
    if seconds > _LONGEST_S:
        raise wrong(f'"{text}" is too long; at most 30d')
    return seconds


def _share(text: str) -> float:
    if match := _PERCENT.fullmatch(text):
        share = Decimal(match[1]) / _HUNDRED
    elif _FRACTION.fullmatch(text):
        share = Decimal(text)
    else:
        raise wrong(f'"{text}" is not a share', "write 95% or 0.95")
    if share > 1:
        raise wrong(f'"{text}" is more than all', "at most 100%")
    return float(share)


def _amount(text: str) -> Amount:
    if match := _PERCENT.fullmatch(text):
        percent = Decimal(match[1])
        if percent > _HUNDRED:
            raise wrong(f'"{text}" is more than all', "at most 100%")
        return Amount(percent=percent)
    if _COUNT.fullmatch(text):
        return Amount(count=int(text))
    raise wrong(f'"{text}" is neither a number nor a share', "write 5 or 10%")


TEXT = {"type": "string"}
TEXT_OR_NUMBER = {"type": ["string", "number"]}
Duration = Annotated[
    float | None,
    BeforeValidator(reads(_duration)),
    WithJsonSchema({**TEXT, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$"}),
]
Share = Annotated[float | None, BeforeValidator(reads(_share)), WithJsonSchema(TEXT_OR_NUMBER)]
AmountText = Annotated[
    Amount | None, BeforeValidator(reads(_amount)), WithJsonSchema(TEXT_OR_NUMBER)
]
AtLeastOne = Annotated[int | None, Field(ge=1, le=100_000)]
