"""Checks and builds the settings of the nightly scan and the rules that ignore findings.

drift: {hold: 15m, keep_days: 90, min_versions: {docker: "24.0"}, fail_on: low}    in fleet.yaml

ignores:                                                                        in ignores.yaml
  - codes: DISK_LOW
    where: market=uk
    until: 2027-01-31
    reason: new boxes come in January
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from fleet.inventory.amounts import AtLeastOne, Duration, Share
from fleet.inventory.checking import Several, Shape, Written, wrong
from fleet.inventory.files import Problems
from fleet.inventory.policies import End
from fleet.model.drift_settings import DriftSettings, Ignore, Severity
from fleet.model.inventory import Store
from fleet.model.selection import SelectionError, parse

#: Key in the file -> field of the model; seconds say so in the model only.
_SECONDS = {
    field.name.removesuffix("_s"): field.name
    for field in fields(DriftSettings)
    if field.name.endswith("_s")
}
_DAYS = Field(ge=1, le=3650)
Version = Annotated[str, Field(pattern=r"^\d{1,6}(\.\d{1,6}){0,4}$")]


def _aware(until: datetime) -> datetime:
    """Take a time without a zone as UTC: a rule belongs to the team, not to a store."""
    return until if until.tzinfo else until.replace(tzinfo=UTC)


def _reason(text: str) -> str:
    if not text.strip():
        raise wrong("a reason is needed", "say why this may be let be, and who says")
    return text


class MinVersionsShape(Shape):
    """``min_versions``: the least version of what runs on hosts."""

    ecs_agent: Version | None = None
    ssm_agent: Version | None = None
    docker: Version | None = None


class DriftShape(Shape):
    """``drift``: what counts as drift; what is not said is as in the built-in settings."""

    hold: Duration = None
    look_again: Duration = None
    unsteady: AtLeastOne = None
    unsteady_days: Annotated[int | None, _DAYS] = None
    keep_days: Annotated[int | None, _DAYS] = None
    activation_open: Duration = None
    min_versions: MinVersionsShape | None = None
    disk_free_mb: Annotated[int | None, Field(ge=0)] = None
    temperature_c: Annotated[float | None, Field(gt=0, le=200, allow_inf_nan=False)] = None
    clock: Duration = None
    restarts_per_day: Annotated[int | None, Field(ge=0, le=100_000)] = None
    tier_share: Share = None
    clusters: Annotated[int | None, Field(ge=1)] = None
    revisions: Annotated[int | None, Field(ge=1)] = None
    rollout_idle: Duration = None
    fail_on: Severity | None = None


class IgnoreShape(Shape):
    """An entry of ``ignores``: a finding that the team accepts for a while."""

    codes: Several = Field(default_factory=list)
    where: str | None = None
    stores: Several = Field(default_factory=list)
    hosts: Several = Field(default_factory=list)
    subject: str | None = None
    until: Annotated[End, AfterValidator(_aware)]
    reason: Annotated[str, AfterValidator(_reason)]


class IgnoresShape(Shape):
    """``ignores.yaml``."""

    ignores: list[IgnoreShape] | None = None


def build_drift(written: Written[DriftShape] | None, problems: Problems) -> DriftSettings:
    """Return the settings, with the built-in value for everything that is not written."""
    if written is None:
        return DriftSettings()
    shape = written.shape
    said: dict[str, Any] = {
        _SECONDS.get(key, key): value for key, value in shape if value is not None
    }
    if shape.min_versions is not None:
        said["min_versions"] = {key: text for key, text in shape.min_versions if text is not None}
    settings = DriftSettings(**said)
    for key, message, hint in _impossible(settings):
        below = (key,) if getattr(shape, key) is not None else ()
        problems.add(written.problem(below, message, hint))
    return settings


def _impossible(settings: DriftSettings) -> Iterator[tuple[str, str, str | None]]:
    """Yield key, problem and hint of settings that cannot work."""
    for key in ("hold", "look_again", "activation_open", "clock", "tier_share", "rollout_idle"):
        if getattr(settings, _SECONDS.get(key, key)) <= 0:
            yield key, "must be more than nothing", None
    if settings.unsteady_days > settings.keep_days:
        message = f"{settings.unsteady_days} days are asked about, {settings.keep_days} are kept"
        yield "unsteady_days", message, "at most keep_days"


def build_ignores(
    written: Sequence[Written[IgnoreShape]],
    stores: Sequence[Store] | None,
    problems: Problems,
) -> tuple[Ignore, ...]:
    """Return the rules in the order written.

    Stores and hosts are not asked for when ``stores`` is None: not all of them could be read.
    """
    found = []
    for entry in written:
        shape = entry.shape
        chooses = ("codes", "where", "stores", "hosts", "subject")
        empty = [key for key in chooses if _is_empty(shape, key)]
        for key in empty:
            message = "is empty, and would ignore more than what is meant"
            problems.add(entry.problem((key,), message, f"write a value, or leave {key} out"))
        if not empty and not shape.model_fields_set.intersection(chooses):
            message = "would ignore everything"
            problems.add(entry.problem((), message, f"say which: {', '.join(chooses)}"))
        rule = Ignore(
            codes=frozenset(shape.codes),
            stores=_ignored_stores(entry, stores, problems),
            hosts=frozenset(shape.hosts),
            subject=shape.subject or "",
            until=shape.until,
            reason=shape.reason,
            source=str(entry.source),
        )
        if stores is not None:
            chosen = [s for s in stores if rule.stores is None or s.id in rule.stores]
            names = {host.name for store in chosen for host in store.hosts}
            if chosen:  # else that is said already
                problems.extend(entry.unknown(("hosts",), "host", shape.hosts, names))
        found.append(rule)
    return tuple(found)


def _is_empty(shape: IgnoreShape, key: str) -> bool:
    """Return whether a key is written with nothing, or only blank words, behind it."""
    if key not in shape.model_fields_set:
        return False
    value = getattr(shape, key)
    return not any(word.strip() for word in ([value] if isinstance(value, str) else value or ()))


def _ignored_stores(
    entry: Written[IgnoreShape], stores: Sequence[Store] | None, problems: Problems
) -> frozenset[str] | None:
    """Return the ids of the stores that a rule is about; None for all, and for no store."""
    shape = entry.shape
    if shape.where is not None and shape.stores:
        message = "where and stores both choose stores"
        problems.add(entry.problem((), message, "leave one of the two out"))
    if shape.where is None:
        if stores is not None:
            ids = {store.id for store in stores}
            problems.extend(entry.unknown(("stores",), "store", shape.stores, ids))
        return frozenset(shape.stores) or None
    if not shape.where.strip():
        return frozenset()  # a problem already
    found: frozenset[str] = frozenset()
    try:
        condition = parse(shape.where)
        if stores is not None:
            condition.check(stores)
            found = frozenset(store.id for store in stores if condition.matches(store))
            if not found:
                message = "no store is chosen, so nothing would be ignored"
                problems.add(entry.problem(("where",), message))
    except SelectionError as error:
        problems.add(entry.problem(("where",), str(error), error.hint))
    return found
