"""Checks and builds the rollout policies and freezes of ``fleet.yaml``.

    policies:
      careful: {bake: 30m, waves: [5, 10%, 100%], success: 98%, between: "01:00-05:00"}
    freezes:
      christmas: {from: 2026-12-18, to: 2027-01-03, where: market=uk, reason: shops are full}

Durations carry their unit, shares are 95% or 0.95, and amounts are 5 or 10%.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from fleet.inventory.amounts import TEXT, AmountText, AtLeastOne, Duration, Share, reads
from fleet.inventory.checking import Shape, Written, several, wrong
from fleet.inventory.files import Problems
from fleet.inventory.hours import HoursError, parse_span
from fleet.inventory.policy_checks import AlarmName, CheckName, CheckShape, build_checks
from fleet.model.hours import OpenSpan
from fleet.model.inventory import Store
from fleet.model.policy import AfterCanary, Amount, Freeze, OnHalt, OnUnclear, Policy, Window
from fleet.model.restarts import RestartSource
from fleet.model.selection import SelectionError, parse
from fleet.model.spans import span

#: The policy that is there without being written.
BUILT_IN = "standard"

#: Key in the file -> field of the model; seconds say so in the model only.
_SECONDS = {
    field.name.removesuffix("_s"): field.name
    for field in fields(Policy)
    if field.name.endswith("_s")
}
_ALL = Amount(percent=Decimal(100))

#: What CloudWatch Logs keeps log groups for (PutRetentionPolicy).
RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
_TOO_SHORT = "shorter than finish_by and settle, {}: nothing could begin"
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?P<time>[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?)?"
)


def _span(text: str) -> Any:
    try:
        return parse_span(text)
    except HoursError as error:
        raise wrong(str(error), "write between: 01:00-05:00, store-local") from None


def _begins(text: str) -> datetime:
    """Return the moment; a day begins at midnight."""
    return _moment(text)[0]


def _ends(text: str) -> datetime:
    """Return the moment; a day counts to its end."""
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
    raise wrong(f'"{text}" is not a day or a time', hint)


Span = Annotated[Any, BeforeValidator(reads(_span)), WithJsonSchema(TEXT)]
Begin = Annotated[datetime, BeforeValidator(reads(_begins)), WithJsonSchema(TEXT)]
End = Annotated[datetime, BeforeValidator(reads(_ends)), WithJsonSchema(TEXT)]


class PolicyShape(Shape):
    """An entry of ``policies``; what it does not say is as in ``standard``."""

    canary: AmountText = None
    waves: Annotated[list[AmountText] | None, BeforeValidator(several)] = None
    concurrency: AmountText = None
    max_weight_in_flight: AmountText = None
    max_weight_per_wave: AmountText = None
    alarms: Annotated[list[AlarmName] | None, BeforeValidator(several)] = None
    checks: dict[CheckName, CheckShape] | None = None
    success: Share = None
    coverage: Share = None
    min_sample: AtLeastOne = None
    max_failures: AmountText = None
    bake: Duration = None
    settle: Duration = None
    fresh: Duration = None
    deadline: Duration = None
    dark_after: Duration = None
    watch_every: Duration = None
    watch_for: Duration = None
    patience: Duration = None
    alpha: Share = None
    min_control: AtLeastOne = None
    on_unclear: OnUnclear | None = None
    pulls: AtLeastOne = None
    pull_wait: Duration = None
    convoy: AtLeastOne = None
    breaker_count: Annotated[int | None, Field(ge=1, le=200)] = None
    window: Window | None = None
    between: Span = None
    quiet_hours: Span = None
    after_opening: Duration = None
    finish_by: Duration = None
    on_halt: OnHalt | None = None
    after_canary: AfterCanary | None = None
    rollback_in_window: bool | None = None
    max_restarts: Annotated[int | None, Field(ge=0, le=100_000)] = None
    restart_sample: Annotated[int | None, Field(ge=0, le=100_000)] = None
    restart_source: RestartSource | None = None


class FreezeShape(Shape):
    """An entry of ``freezes``: a time in which nothing new is sent."""

    begins: Begin = Field(alias="from")
    ends: End = Field(alias="to")
    where: str | None = None
    reason: str


def _retention(days: int) -> int:
    if days not in RETENTION_DAYS:
        near = min(RETENTION_DAYS, key=lambda known: abs(known - days))
        raise wrong(f"CloudWatch Logs keeps no log group for {days} days", f"nearest: {near}")
    return days


#: Days for which log groups are kept.
Retention = Annotated[
    int, AfterValidator(_retention), Field(json_schema_extra={"enum": list(RETENTION_DAYS)})
]


def build_policies(
    written: Mapping[str, Written[PolicyShape]], problems: Problems
) -> dict[str, Policy]:
    """Return every policy by name; what one does not set is as in ``standard``."""
    base = Policy(BUILT_IN)
    if BUILT_IN in written:
        base = _merged(base, written[BUILT_IN].shape)
        _check(base, base, written[BUILT_IN], problems)
    found = {BUILT_IN: base}
    for name, entry in written.items():
        if name != BUILT_IN:
            found[name] = replace(_merged(base, entry.shape), name=name)
            _check(found[name], base, entry, problems)
    return dict(sorted(found.items()))


def _merged(base: Policy, shape: PolicyShape) -> Policy:
    said: dict[str, Any] = {
        _SECONDS.get(key, key): tuple(value) if isinstance(value, list) else value
        for key, value in shape
        if value is not None
    }
    if shape.checks is not None:
        said["checks"] = build_checks(shape.checks)
    # Hours of its own replace an inherited "always", and the other way round.
    if "between" in said:
        said.setdefault("window", Window.CLOSED)
    elif said.get("window") is Window.ALWAYS:
        said["between"] = None
    if "canary" in said or said.get("after_canary") is AfterCanary.PROMOTE:
        said["begins_with_canary"] = True
    return replace(base, **said)


def _check(policy: Policy, base: Policy, entry: Written[PolicyShape], problems: Problems) -> None:
    said_of_base = set(_impossible(base)) if policy.name != BUILT_IN else set()
    for key, message, hint in _impossible(policy):
        said = getattr(entry.shape, key) is not None
        if not said and (key, message, hint) in said_of_base:
            continue  # once, where it is written
        words = message if said else f"{key}, inherited: {message}"
        problems.add(entry.problem((key,) if said else (), words, hint))


def _impossible(policy: Policy) -> Iterator[tuple[str, str, str | None]]:
    """Yield key, problem and hint of a policy under which nothing could begin or end."""
    yield from _wrong_waves(policy.waves)
    for key in ("canary", "concurrency"):
        if getattr(policy, key).of(1) == 0:
            yield key, "no store could ever be sent anything", "at least 1"
    for key in ("max_weight_in_flight", "max_weight_per_wave"):
        limit = getattr(policy, key)
        if limit is not None and not limit.percent:
            yield key, f"{limit} is no share of the weight", "as 5%"
    for key in ("success", "coverage"):
        if getattr(policy, key) <= 0:
            yield key, "a gate that asks for nothing passes anything", "as 95%"
    if not 0 < policy.alpha <= 0.5:  # noqa: PLR2004 - beyond it "excess" means "more likely not"
        yield "alpha", "must be over 0 and at most 50%", "as 5%"
    yield from _wrong_times(policy)


def _wrong_times(policy: Policy) -> Iterator[tuple[str, str, str | None]]:
    for key in ("fresh", "deadline", "dark_after", "watch_every", "patience", "pull_wait"):
        if getattr(policy, _SECONDS[key]) <= 0:
            yield key, "must be longer than nothing", None
    if 0 < policy.deadline_s <= policy.settle_s:
        message = "no task could settle before the deadline"
        yield "deadline", message, f"more than settle, {span(policy.settle_s)}"
    if policy.between and policy.window is Window.ALWAYS:
        yield "between", "window: always needs no hours", "leave one of the two out"
    needed = policy.finish_by_s + policy.settle_s
    for key in ("between", "quiet_hours"):
        hours = getattr(policy, key)
        if hours is not None and _length_s(hours) < needed:
            yield key, _TOO_SHORT.format(span(needed)), "widen it, or shorten finish_by"
    if 0 < policy.after_opening_s < needed:
        message = _TOO_SHORT.format(span(needed))
        yield "after_opening", message, "make it longer, or shorten finish_by"


def _wrong_waves(waves: Sequence[Amount | None]) -> Iterator[tuple[str, str, str | None]]:
    parts = [part for part in waves if part is not None]
    if len(parts) != len(waves) or not parts:
        yield "waves", "a wave is empty", "write [5%, 25%, 100%]"
        return
    if parts[-1] != _ALL:
        yield (
            "waves",
            f"the last wave ends at {parts[-1]}, so it leaves stores out",
            "end with 100%",
        )
    for before, after in pairwise(parts):
        if before.percent is not None and after.count is not None:
            message = f"{after} after {before} may be fewer stores"
            yield "waves", message, "write numbers before shares"
        elif not _rises(before, after):
            yield "waves", f"waves must rise, but {after} follows {before}", None
    if parts[0].of(1) == 0:
        yield "waves", "the first wave has no store", None


def _rises(before: Amount, after: Amount) -> bool:
    if before.count is not None and after.count is not None:
        return before.count < after.count
    if before.percent is not None and after.percent is not None:
        return before.percent < after.percent
    return True


def _length_s(span: OpenSpan) -> int:
    minutes = (span.closes.hour - span.opens.hour) * 60 + span.closes.minute - span.opens.minute
    return (minutes % (24 * 60) or 24 * 60) * 60


def build_freezes(
    written: Mapping[str, Written[FreezeShape]],
    stores: Sequence[Store] | None,
    problems: Problems,
) -> tuple[Freeze, ...]:
    """Return the freezes in order of their beginning.

    Conditions are not asked when ``stores`` is None: not all of them could be read.
    """
    found = []
    for name, entry in written.items():
        shape = entry.shape
        if (shape.begins.tzinfo is None) != (shape.ends.tzinfo is None):
            message = "from and to must both carry a zone, or both be store-local"
            problems.add(entry.problem(("to",), message))
            continue
        if shape.ends <= shape.begins:
            message = "ends before it begins"
            problems.add(entry.problem(("to",), message))
        # `where:` with nothing behind it is refused: it would mean every store.
        chooses = "where" in shape.model_fields_set
        where = _frozen_stores(entry, stores, problems) if chooses else None
        found.append(Freeze(name, shape.begins, shape.ends, where, shape.reason))
    return tuple(sorted(found, key=lambda freeze: (_sortable(freeze.begins), freeze.name)))


def _sortable(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _frozen_stores(
    entry: Written[FreezeShape], stores: Sequence[Store] | None, problems: Problems
) -> frozenset[str]:
    try:
        condition = parse(entry.shape.where or "")
        if stores is None:
            return frozenset()
        condition.check(stores)
    except SelectionError as error:
        problems.add(entry.problem(("where",), str(error), error.hint))
        return frozenset()
    found = frozenset(store.id for store in stores if condition.matches(store))
    if not found:
        message = "no store is chosen, so nothing would be frozen"
        problems.add(entry.problem(("where",), message))
    return found
