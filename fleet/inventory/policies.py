"""Policies and freezes: written words to values, and what cannot work refused."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from fleet.inventory.checking import Problems
from fleet.inventory.policy_shapes import FreezeShape, PolicyShape
from fleet.inventory.resolve import Written
from fleet.model.hours import OpenSpan
from fleet.model.inventory import Store
from fleet.model.policy import Amount, Freeze, Policy, Window
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


def build_policies(
    written: Mapping[str, Written[PolicyShape]], problems: Problems
) -> dict[str, Policy]:
    """Every policy by name; what one does not say is as in ``standard``, written or built in."""
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
    # Hours of its own replace an inherited "always", and the other way round.
    if "between" in said:
        said.setdefault("window", Window.CLOSED)
    elif said.get("window") is Window.ALWAYS:
        said["between"] = None
    return replace(base, **said)


def _check(policy: Policy, base: Policy, entry: Written[PolicyShape], problems: Problems) -> None:
    said_of_base = set(_impossible(base)) if policy.name != BUILT_IN else set()
    for key, message, hint in _impossible(policy):
        said = getattr(entry.shape, key) is not None
        if not said and (key, message, hint) in said_of_base:
            continue  # once, where it is written
        path = (*entry.path, key) if said else entry.path
        words = message if said else f"{key}, inherited: {message}"
        problems.add(entry.document.problem(path, words, hint))


def _impossible(policy: Policy) -> Iterator[tuple[str, str, str | None]]:
    """Key, what is wrong, and a hint: policies under which nothing could ever be done or end."""
    yield from _wrong_waves(policy.waves)
    for key in ("canary", "concurrency"):
        if getattr(policy, key).of(1) == 0:
            yield key, "no store could ever be sent anything", "at least 1"
    for key in ("success", "coverage"):
        if getattr(policy, key) <= 0:
            yield key, "a gate that asks for nothing passes anything", "as 95%"
    if not 0 < policy.alpha <= 0.5:  # noqa: PLR2004 - beyond it "excess" means "more likely not"
        yield "alpha", "must be over 0 and at most 50%", "as 5%"
    yield from _wrong_times(policy)


def _wrong_times(policy: Policy) -> Iterator[tuple[str, str, str | None]]:
    for key in ("fresh", "deadline", "dark_after", "patience", "pull_wait"):
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
            message = f"shorter than finish_by and settle, {span(needed)}: nothing could begin"
            yield key, message, "widen it, or shorten finish_by"


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
    """Freezes in order of their beginning.

    Conditions are not asked when ``stores`` is None: not all of them could be read.
    """
    found = []
    for name, entry in written.items():
        shape = entry.shape
        if (shape.begins.tzinfo is None) != (shape.ends.tzinfo is None):
            message = "from and to must both carry a zone, or both be store-local"
            problems.add(entry.document.problem((*entry.path, "to"), message))
            continue
        if shape.ends <= shape.begins:
            message = "ends before it begins"
            problems.add(entry.document.problem((*entry.path, "to"), message))
        where = _frozen_stores(entry, stores, problems) if shape.where else None
        found.append(Freeze(name, shape.begins, shape.ends, where, shape.reason))
    return tuple(sorted(found, key=lambda freeze: (_sortable(freeze.begins), freeze.name)))


def _sortable(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _frozen_stores(
    entry: Written[FreezeShape], stores: Sequence[Store] | None, problems: Problems
) -> frozenset[str]:
    path = (*entry.path, "where")
    try:
        condition = parse(entry.shape.where or "")
        if stores is None:
            return frozenset()
        condition.check(stores)
    except SelectionError as error:
        problems.add(entry.document.problem(path, str(error), error.hint))
        return frozenset()
    found = frozenset(store.id for store in stores if condition.matches(store))
    if not found:
        message = "no store is chosen, so nothing would be frozen"
        problems.add(entry.document.problem(path, message))
    return found
