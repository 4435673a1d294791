"""Checks and builds ``alarms`` and ``checks`` of a policy.

alarms: [checkout-errors, "till-latency-{store}"]
checks:
till answers: {http: {url: "https://till.{store}.shops.example/health", status: 200}}
checkout latency:
metric: {namespace: Shops, metric: CheckoutMs, dimensions: {Store: "{store}"}, at_most: 1.5x}
max_stores: 2%
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from fleet.inventory.amounts import TEXT, AmountText, Duration, reads
from fleet.inventory.checking import Shape, wrong
from fleet.inventory.document import nearest
from fleet.model.policy import Amount, HttpProbe, MetricBaseline, PolicyCheck
from fleet.model.spans import span

#: What is filled in, and what stands for it while a pattern is checked.
PLACEHOLDERS = {"{store}": "store-1", "{region}": "eu-west-1"}
#: Most characters of an alarm's name (PutMetricAlarm, CloudWatch API reference).
LONGEST_ALARM = 255
LONGEST_TIMEOUT_S = 30.0
DEFAULT_PERIOD_S = MetricBaseline("", "", ()).period_s
#: Days for which CloudWatch keeps values of periods, by the seconds whose multiples these are
#: (GetMetricData, CloudWatch API reference).
KEPT_DAYS = {60: 15, 300: 63, 3600: 455}
_STATISTIC = r"(Average|Sum|Minimum|Maximum|SampleCount|IQM|(p|tm|tc|ts|wm)\d{1,2}(\.\d{1,10})?)"
_BRACED = re.compile(r"\{[^{}]*\}?|\}")
_RATIO = re.compile(r"(\d{1,4}(?:\.\d{1,4})?) ?x")


def filled(pattern: str) -> str:
    """Return a pattern with something in place of its placeholders; others are wrong."""
    text = pattern
    for placeholder, example in PLACEHOLDERS.items():
        text = text.replace(placeholder, example)
    left = _BRACED.search(text)
    if left:
        hint = nearest(left[0], [*PLACEHOLDERS]) or f"there are {' and '.join(PLACEHOLDERS)}"
        raise wrong(f'"{left[0]}" in "{pattern}" is filled in by nothing', hint)
    return text


def _alarm(text: str) -> str:
    name = filled(text)
    if not name.strip() or len(name) > LONGEST_ALARM or not name.isprintable():
        raise wrong(f'"{text}" is no name of an alarm: 1 to {LONGEST_ALARM} printable characters')
    return text


def _check_name(text: str) -> str:
    if not text.strip() or not text.isprintable() or len(text) > 40:  # noqa: PLR2004 - said below
        raise wrong(f'"{text}" is no name of a check: 1 to 40 printable characters')
    return text


def _url(text: str) -> str:
    url = filled(text)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise wrong(f'"{text}" is no URL', 'as "https://till.{store}.shops.example/health"')
    if parts.username is not None or parts.password is not None:
        raise wrong("the URL carries a name or password: the inventory is no place for secrets")
    return text


def _dimension(text: str) -> str:
    filled(text)
    return text


def _ratio(text: str) -> Decimal:
    match = _RATIO.fullmatch(text)
    if not match:
        raise wrong(f'"{text}" is no multiple', "write 1.5x")
    return Decimal(match[1])


AlarmName = Annotated[str, AfterValidator(_alarm)]
CheckName = Annotated[str, AfterValidator(_check_name)]
Url = Annotated[str, AfterValidator(_url)]
Dimension = Annotated[str, AfterValidator(_dimension)]
Ratio = Annotated[Decimal | None, BeforeValidator(reads(_ratio)), WithJsonSchema(TEXT)]
Text = Annotated[str, Field(min_length=1, max_length=255)]


class HttpShape(Shape):
    """``http``: a URL that is asked."""

    url: Url
    status: Annotated[int, Field(ge=100, le=599)] = 200
    timeout: Duration = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.timeout is not None and not 0 < self.timeout <= LONGEST_TIMEOUT_S:
            raise wrong(f"must be over 0 and at most {span(LONGEST_TIMEOUT_S)}", at="timeout")
        return self


class MetricShape(Shape):
    """``metric``: a CloudWatch metric that is compared with the same store's past."""

    namespace: Text
    metric: Text
    dimensions: Annotated[dict[Text, Dimension], Field(min_length=1, max_length=30)]
    statistic: Annotated[str, Field(pattern=f"^{_STATISTIC}$")] = "Average"
    period: Duration = None
    weeks: Annotated[int, Field(ge=1, le=52)] = 4
    at_most: Ratio = None
    at_least: Ratio = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not any("{store}" in value for value in self.dimensions.values()):
            message = "no dimension has {store}: each store is compared with its own past"
            raise wrong(message, at="dimensions")
        if self.at_most is None and self.at_least is None:
            raise wrong("says no limit", "at_most: 1.5x, at_least: 0.5x, or both")
        if self.at_most is not None and self.at_most < 1:
            raise wrong(f"{self.at_most}x is below the usual", "as 1.5x", at="at_most")
        if self.at_least is not None and not 0 < self.at_least <= 1:
            raise wrong(f"{self.at_least}x is no lower limit", "as 0.5x", at="at_least")
        self._check_period()
        return self

    def _check_period(self) -> None:
        period = DEFAULT_PERIOD_S if self.period is None else self.period
        step = next(s for s, days in KEPT_DAYS.items() if self.weeks * 7 + 1 <= days)
        if period <= 0 or period > 24 * 3600 or period % step:
            raise wrong(
                f"{span(period)} is no period that CloudWatch keeps for {self.weeks} weeks",
                f"a multiple of {span(step)}, at most 1d",
                at="period",
            )


class CheckShape(Shape):
    """An entry of ``checks``."""

    http: HttpShape | None = None
    metric: MetricShape | None = None
    max_stores: AmountText = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.http is None) == (self.metric is None):
            raise wrong("is either http: or metric:")
        return self


def build_checks(shapes: Mapping[str, CheckShape]) -> tuple[PolicyCheck, ...]:
    """Return the checks in the order in which they are written."""
    return tuple(
        PolicyCheck(
            name=name,
            http=_http(shape.http) if shape.http else None,
            metric=_metric(shape.metric) if shape.metric else None,
            max_stores=Amount(count=0) if shape.max_stores is None else shape.max_stores,
        )
        for name, shape in shapes.items()
    )


def _http(shape: HttpShape) -> HttpProbe:
    timeout = HttpProbe("").timeout_s if shape.timeout is None else shape.timeout
    return HttpProbe(shape.url, shape.status, timeout)


def _metric(shape: MetricShape) -> MetricBaseline:
    made = MetricBaseline(
        namespace=shape.namespace,
        metric=shape.metric,
        dimensions=tuple(sorted(shape.dimensions.items())),
        statistic=shape.statistic,
        weeks=shape.weeks,
        at_most=shape.at_most,
        at_least=shape.at_least,
    )
    return made if shape.period is None else replace(made, period_s=shape.period)
